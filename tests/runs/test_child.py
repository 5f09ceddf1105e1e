"""Processes that run a stranger's code: nothing of them is left, and what they said last is known."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from bench.runs import child

LEAVES_ANOTHER = """
import subprocess, sys, time
print("first\\rsecond\\n", flush=True)
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("pid.tmp", "w").write(str(other.pid))
import os; os.rename("pid.tmp", "pid")
"""


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "stranger.py"


@pytest.mark.parametrize("waits", [True, False])
def test_what_a_child_has_started_ends_with_it(stranger: Path, tmp_path: Path, waits: bool) -> None:
    stranger.write_text(LEAVES_ANOTHER + ("time.sleep(600)" if waits else ""))
    process = child.start("stranger", [], tmp_path / "log", child.environment_for("cpu"))
    while not (tmp_path / "pid").exists():
        time.sleep(0.02)
    other = psutil.Process(int((tmp_path / "pid").read_text()))
    if not waits:
        process.wait()
    child.end(process)
    assert process.returncode == (-signal.SIGKILL if waits else 0)
    for _ in range(100):
        if not other.is_running() or other.status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.02)
    else:
        pytest.fail("a grandchild has outlived its session")
    assert child.printed(tmp_path / "log") == ["first", "second", ""]
    assert child.last_words(tmp_path / "log") == "; last words: second"


def test_a_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert child.printed(tmp_path / "log") == []
    assert child.last_words(tmp_path / "log") == ""


def test_real_time_signals_have_no_name() -> None:
    assert child.signal_name(11) == "SIGSEGV"
    assert child.signal_name(40) == "signal 40"


def test_graphics_cards_are_hidden_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert child.environment_for("cpu")["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in child.environment_for("cuda")
