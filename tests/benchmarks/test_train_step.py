"""The measurement of a training step runs; how fast it is on a machine that does other things is not judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_training_step_is_measured_against_the_machine_and_other_trunks() -> None:
    script = Path(__file__).with_name("train_step.py")
    little = ["--cells", "2", "--genes", "64", "--repeats", "2", "--steps", "1"]
    run = subprocess.run([sys.executable, script, *little], check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    names = [line[:22].strip() for line in lines[:-2]]
    assert names[:3] == ["ours", "ours, bfloat16", "nn.TransformerEncoder"]
    assert set(names[3:]) <= {"BertModel"}
    assert "GFLOP/s; 2 cells, 64 genes, 1 thread; medians of 2" in lines[-2]
    assert lines[-1].startswith("ours: ")
    assert "of the peak (goal 45%)" in lines[-1]
