"""What the scaffold writes installs, passes its own tests and the kit, and gets its row: without a network."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bench.scaffold.create import FILES, create
from bench.scaffold.names import KINDS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MODEL, TASK = "fresh-embedder", "fresh-transfer"


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new model and a new task, as they are written."""
    folder = tmp_path_factory.mktemp("projects")
    create(MODEL, "model", folder)
    create(TASK, "task", folder)
    return folder


@pytest.fixture(scope="module")
def site(projects: Path, run: Any) -> Path:
    """Both, built and installed by pip into a folder of their own."""
    target = projects / "site"
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    sources = [f"./{project.name}" for project in sorted(projects.glob("bench-*"))]
    done = run("pip", "install", "--quiet", *offline, "--target", target, *sources, cwd=projects)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.parametrize("name", [MODEL, TASK])
def test_its_own_tests_pass(name: str, projects: Path, site: Path, run: Any) -> None:
    done = run("pytest", "-q", "-p", "no:cacheprovider", cwd=projects / f"bench-{name}", plugins=site)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_both_get_a_row(site: Path, run: Any, tmp_path: Path) -> None:
    asked = ("--model", MODEL, "--task", f"clustering,{TASK}", "--dataset", "simulated")
    small = ("--data-set", "n_donors=2", "--data-set", "n_cells=400", "--data-set", "n_genes=300")
    done = run("bench", "run", *asked, *small, "--json", cwd=tmp_path, plugins=site)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["runs"]
    assert {(row["model"], row["task"], row["status"]) for row in rows} == {
        (MODEL, "clustering", "ok"),
        (MODEL, TASK, "ok"),
    }
    assert len(rows) == 3


def test_the_wheel_of_bench_brings_the_templates(tmp_path: Path, run: Any) -> None:
    done = run("hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"bench/scaffold/templates/{template.format(kind=k)}" for k in KINDS for template in FILES.values()}
    assert wanted <= inside
