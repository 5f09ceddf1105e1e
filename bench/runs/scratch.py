"""Working space of running jobs inside the results folder, so that what they leave can be moved atomically."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

FOLDER = ".scratch"


@contextmanager
def scratch(results: Path) -> Iterator[Path]:
    """A folder for this process, gone at the end; what killed processes have left is removed first.

    A lock held as long as the process lives tells its folder from an abandoned one, on any machine or
    container that shares the results.
    """
    root = results / FOLDER
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    name = secrets.token_hex(6)
    with filelock.FileLock(root / f"{name}.lock"):
        folder = root / name
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            (root / f"{name}.lock").unlink(missing_ok=True)


def _sweep(root: Path) -> None:
    for lock in root.glob("*.lock"):
        try:
            with filelock.FileLock(lock, timeout=0):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
        except filelock.Timeout:
            continue  # its owner is at work
