"""The README does what it says: its plugin, made of its own text, is installed and examined."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

from bench.catalogue import catalogue
from bench.data import canonical
from bench.data.sets import describe_set

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BENCH = Path(sys.executable).with_name("bench")


def block(language: str, containing: str) -> str:
    """The code block of a language that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(b for b in blocks if containing in b)


def install(folder: Path) -> None:
    """What pip leaves behind for the README's distribution, without a network."""
    project = tomllib.loads(block("toml", "[project]"))["project"]
    (folder / "bench_cellsum.py").write_text(block("python", "bench_models"))
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = "\n".join(f"{k} = {v}" for k, v in project["entry-points"]["bench"].items())
    (info / "entry_points.txt").write_text(f"[bench]\n{points}\n")


def test_the_plugin_is_about_forty_lines() -> None:
    lines = block("python", "bench_models").strip().splitlines()
    assert len([line for line in lines if line.strip()]) <= 40


def test_the_plugin_of_the_readme_works(tmp_path: Path) -> None:
    install(tmp_path)
    command = re.search(r"`bench (run --model cellsum.*?)`", README, re.DOTALL)
    assert command
    small = [
        "--jobs",
        "2",
        "--dataset",
        "simulated",
        "--data-set",
        "n_cells=200",
        "--data-set",
        "n_genes=100",
        "--data-set",
        "n_donors=2",
        "--json",
    ]
    answer = subprocess.run(
        [BENCH, *command[1].split(), *small],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    runs = json.loads(answer.stdout)["runs"]
    assert {(r["model"], r["task"], r["status"]) for r in runs} == {
        (model, task, "ok") for model in ("cellsum", "pca") for task in ("clustering", "classification")
    }
    assert {r["track"] for r in runs if r["model"] == "cellsum"} == {"zero-shot"}
    assert all(r["provenance"]["model"]["config"] == {"width": 32} for r in runs if r["model"] == "cellsum")


def test_the_plugin_of_the_readme_passes_the_kit(tmp_path: Path) -> None:
    install(tmp_path)
    answer = subprocess.run(
        [BENCH, "plugin", "check", "cellsum"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout


def test_the_set_of_the_readme_is_one_dataset_of_two_batches(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("v2", "v3"):
        data = ad.AnnData(rng.poisson(1.0, (80, 40)).astype(np.float32))
        data.obs_names = [f"cell{i}" for i in range(80)]
        data.obs["annotation"] = np.resize(["T", "B"], 80)
        data.write_h5ad(tmp_path / f"{name}.h5ad")
    (tmp_path / "set.toml").write_text(block("toml", "[[files]]"))
    cells = canonical.load(describe_set(tmp_path / "set.toml"))
    assert cells.obs["batch"].value_counts().to_dict() == {"v2": 80, "v3": 80}
    assert set(cells.obs["cell_type"]) == {"T", "B"}


def test_the_commands_of_the_readme_exist() -> None:
    """Every option the README names is one the verb has."""
    for line in re.findall(r"^bench (.*?)(?:#.*)?$", README, re.MULTILINE):
        verb = re.match(r"(?:data|fetch|plugin) \w+|\w+", line)[0].split()
        said = subprocess.run([BENCH, *verb, "--help"], capture_output=True, text=True, check=True).stdout
        for option in re.findall(r"--[a-z-]+", line):
            assert option in said, f"bench {' '.join(verb)} has no {option}"


def test_the_training_of_the_readme_leaves_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    canonical.load(catalogue().dataset("pbmc68k")).write_h5ad(tmp_path / "my.h5ad")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    found: dict[str, Any] = {}
    exec(block("python", "bench.pretrain"), found)
    assert found["trained"].steps == 100
    assert found["trained"].best.step in (50, 100)
    assert (tmp_path / "trained" / "model.safetensors").exists()
    assert "divided at random" in capsys.readouterr().err
