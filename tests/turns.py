"""How tests share the machine where pytest-xdist runs several at once (`make test`, `make slow`)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, MutableMapping
from pathlib import Path

import pytest

LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMBA")


def take_one_core(environment: MutableMapping[str, str]) -> None:
    """One thread for this process and for those it starts, unless told otherwise: other tests use the other cores.

    To be called before NumPy, PyTorch and Numba are imported.
    """
    for library in LIBRARIES:
        environment.setdefault(f"{library}_NUM_THREADS", "1")


class Turns:
    """Tests run at the same time, but those marked `alone`, which measure time, while no other does."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the same for all processes that run tests."""
        folder.mkdir(parents=True, exist_ok=True)
        self._door, self._room = (os.open(folder / name, os.O_CREAT | os.O_RDWR) for name in ("door", "room"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around the time limit: waiting is not the test's fault
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Wait for the turn of a test, run it with its fixtures, make room."""
        fcntl.flock(self._door, fcntl.LOCK_EX)  # who waits to be alone stands in the door: none goes in before
        fcntl.flock(self._room, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(self._door, fcntl.LOCK_UN)
        try:
            return (yield)
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)
