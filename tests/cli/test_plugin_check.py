"""`bench plugin check` as a user calls it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

MISFITS = Path(__file__).parents[1] / "conformance" / "misfits"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the misfits as a distribution."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(MISFITS, site, dirs_exist_ok=True)
    info = site / "misfits-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: misfits\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bench]\nmisfits = misfits\n")
    return site


def test_a_good_model_passes_with_a_table(bench: Any) -> None:
    answer = bench("plugin", "check", "pca")
    assert answer.returncode == 0, answer.stderr
    assert "model pca" in answer.stdout
    for check in ("determinism", "cell order", "gene order", "per cell", "labels", "input kept"):
        assert f"{check} " in answer.stdout
    assert "FAILED" not in answer.stdout
    assert "16 ok, 0 failed, 1 skipped" in answer.stdout


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("sorted-rows", "row order changed"),
        ("peeks", "model uses labels"),
        ("normalises-in-place", "model changed X"),
        ("crashes", "the process died with SIGSEGV"),
    ],
)
def test_a_bad_model_exits_3_and_says_what_is_wrong(bench: Any, installed: Path, name: str, sentence: str) -> None:
    answer = bench("plugin", "check", name, "--json", plugins=[installed])
    assert answer.returncode == 3
    document = json.loads(answer.stdout)
    (failed,) = [row for row in document["checks"] if row["result"] == "FAILED"]
    assert failed["found"].startswith(sentence)
    assert f"model {name} fails 1 of " in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pcaa"], "unknown model or task 'pcaa'. Did you mean 'pca'?"),
        (["pca", "--kind", "task"], "unknown task 'pca'"),
        (["pca", "--set", "n_component=3"], "Did you mean 'n_components'?"),
        (["pca", "--weights", "untrained"], "model pca has no weights to load"),
        (["pca", "--timeout", "soon"], "--timeout 'soon' must be a positive amount"),
    ],
)
def test_what_cannot_be_examined_exits_2(bench: Any, arguments: list[str], sentence: str) -> None:
    answer = bench("plugin", "check", *arguments)
    assert answer.returncode == 2
    assert sentence in answer.stderr
    assert answer.stdout == ""


def test_weights_that_are_missing_exit_2_and_untrained_is_a_way(bench: Any, installed: Path) -> None:
    refused = bench("plugin", "check", "kind-weights", plugins=[installed])
    assert refused.returncode == 2
    assert "--weights untrained" in refused.stderr
    assert bench("plugin", "check", "kind-weights", "--weights", "untrained", plugins=[installed]).returncode == 0


def test_the_help_says_what_it_does(bench: Any) -> None:
    answer = bench("plugin", "check", "--help")
    assert answer.returncode == 0
    assert "Examples:" in answer.stdout
    assert {"new", "check"} <= set(bench("plugin", "--help").stdout.split())
