"""The measurement of a whole training runs; how fast it is on a machine that does other things is not judged here."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_whole_training_is_measured_against_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Path(__file__).with_name("training.py")
    little = ["--cells", "100", "--batch", "2", "--genes", "32", "--repeats", "2", "--steps", "2"]
    monkeypatch.setenv("BENCH_CACHE_DIR", "")  # which the script sets
    monkeypatch.setattr(sys, "argv", [str(script), *little, "--folder", str(tmp_path)])
    monkeypatch.syspath_prepend(script.parent)
    runpy.run_path(str(script), run_name="__main__")
    *_, about, last = capsys.readouterr().out.splitlines()
    assert about == "2 cells, 32 genes, 1 thread; 100 cells on disk; a log line and checkpoint per 2 steps"
    found = re.fullmatch(
        r"whole training: (\S+)% of the speed of its steps alone \(goal 95%; 2 repeats from \S+% to \S+%\);"
        r" waited for data (\S+)% of the time",
        last,
    )
    assert found, last
    share, waited = map(float, found.groups())
    assert 1 < share < 200
    assert 0 < waited < 100
