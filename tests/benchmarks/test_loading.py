"""The measurement of loaders runs, and sees that they give the same counts; how fast they are is not judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_all_loaders_give_the_same_counts(tmp_path: Path) -> None:
    script = Path(__file__).with_name("loading.py")
    few = ["--cells", "1000", "--watched", "1000", "--times", "1", "--seconds", "0.1", "--folder", str(tmp_path)]
    run = subprocess.run([sys.executable, script, *few], check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert "1,000 cells, all loaders give the same counts" in lines[0]
    assert [line.split("  ")[0] for line in lines[1:5]] == ["AnnLoader", "scDataset", "ours, ragged", "ours, padded"]
    assert lines[-1].startswith("goals: ")
