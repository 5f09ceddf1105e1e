"""Tests that measure time are alone, also where several processes run tests."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.turns import LIBRARIES, Turns, take_one_core
from threadpoolctl import threadpool_info

WAIT_S = 0.1


class Test(threading.Thread):
    """A test in a process of its own, as far as locks on files can tell."""

    __test__ = False

    def __init__(self, folder: Path, *marks: str) -> None:
        super().__init__(daemon=True)
        self.runs, self.ends = threading.Event(), threading.Event()
        item: Any = SimpleNamespace(get_closest_marker=lambda name: name in marks or None)
        self._turn = Turns(folder).pytest_runtest_protocol(item)
        self.start()

    def run(self) -> None:
        next(self._turn)
        self.runs.set()
        self.ends.wait()
        with pytest.raises(StopIteration):
            self._turn.send(None)

    def end(self) -> None:
        self.ends.set()
        self.join()


def taken(door: Path) -> bool:
    with door.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_whoever_is_to_be_alone_waits_and_others_wait_for_it(tmp_path: Path) -> None:
    first, second = Test(tmp_path), Test(tmp_path)
    assert first.runs.wait(10)
    assert second.runs.wait(10)
    alone = Test(tmp_path, "slow", "alone")
    while not taken(tmp_path / "door"):
        time.sleep(0.01)
    assert not alone.runs.wait(WAIT_S)
    later = Test(tmp_path)
    first.end()
    assert not alone.runs.wait(WAIT_S)
    assert not later.runs.is_set()
    second.end()
    assert alone.runs.wait(10)
    assert not later.runs.wait(WAIT_S)
    alone.end()
    assert later.runs.wait(10)
    later.end()


def test_a_failing_test_makes_room_too(tmp_path: Path) -> None:
    item: Any = SimpleNamespace(get_closest_marker=lambda name: name)
    turn = Turns(tmp_path).pytest_runtest_protocol(item)
    next(turn)
    with pytest.raises(KeyboardInterrupt):
        turn.throw(KeyboardInterrupt())
    after = Test(tmp_path)
    assert after.runs.wait(10)
    after.end()


def test_nothing_imported_numpy_before_it_was_told_how_many_threads_to_use() -> None:
    asked = int(os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    import numpy  # noqa: F401 - brings its own

    pools = [pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"]
    assert pools
    assert max(pools) <= asked


def test_one_core_is_taken_unless_told_otherwise() -> None:
    environment = {"OMP_NUM_THREADS": "4"}
    take_one_core(environment)
    assert environment == {f"{library}_NUM_THREADS": "4" if library == "OMP" else "1" for library in LIBRARIES}
