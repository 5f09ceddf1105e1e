"""`bench plugin check` as a user calls it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import conformance
from bench.cli import plugin
from bench.conformance import Report, Row

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


def test_a_good_model_passes_with_a_table(bench: Any, installed: Path) -> None:
    answer = bench("plugin", "check", "fine", plugins=[installed])
    assert answer.returncode == 0, answer.stderr
    assert "model fine" in answer.stdout
    for check in ("determinism", "cell order", "gene order", "per cell", "labels", "input kept"):
        assert f"{check} " in answer.stdout
    assert "FAILED" not in answer.stdout
    assert "17 ok, 0 failed, 1 skipped" in answer.stdout
    assert answer.stderr == ""  # nobody waits at a terminal: the table says it all


def test_a_bad_model_exits_3_and_says_what_is_wrong(bench: Any, installed: Path) -> None:
    answer = bench("plugin", "check", "sorted-rows", "--json", plugins=[installed])
    assert answer.returncode == 3
    document = json.loads(answer.stdout)
    (failed,) = [row for row in document["checks"] if row["result"] == "FAILED"]
    assert failed["found"].startswith("row order changed")
    assert answer.stderr.splitlines() == ["bench: model sorted-rows fails 1 of 18 checks: cell order."]


def test_who_waits_at_a_terminal_sees_each_row(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    row = Row("shape", "ok", "240 x 8", "one row per cell")

    def examine(name: str, *, on_row: Any, **more: Any) -> Report:
        on_row(row)
        return Report("model", name, (row,))

    monkeypatch.setattr(conformance, "examine", examine)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    plugin.check("fine", timeout="5m")
    assert capsys.readouterr().err == "ok      shape\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pcaa"], "unknown model or task 'pcaa'. Did you mean 'pca'?"),
        (["pca", "--timeout", "soon"], "--timeout 'soon' must be a positive amount"),
    ],
)
def test_what_cannot_be_examined_exits_2(bench: Any, arguments: list[str], sentence: str) -> None:
    answer = bench("plugin", "check", *arguments)
    assert answer.returncode == 2
    assert sentence in answer.stderr
    assert answer.stdout == ""


def test_weights_that_are_missing_exit_2_and_untrained_is_named_as_a_way(bench: Any, installed: Path) -> None:
    refused = bench("plugin", "check", "kind-weights", plugins=[installed])
    assert refused.returncode == 2
    assert "--weights untrained" in refused.stderr


def test_the_help_says_what_it_does(bench: Any) -> None:
    answer = bench("plugin", "check", "--help")
    assert answer.returncode == 0
    assert "Examples:" in answer.stdout
    assert {"new", "check"} <= set(bench("plugin", "--help").stdout.split())
