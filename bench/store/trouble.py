"""Says what is wrong with an index, and how to mend it. Records are never at risk: each is its own file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import StoreError

MEND = "Make it anew with `bench index --rebuild`; nothing is lost, the records are the truth."


class Busy(Exception):
    """Another process holds the database file."""


def damaged(path: Path, error: Exception) -> StoreError:
    """The error for a database that cannot be opened, read or written."""
    text = " ".join(str(error).split())
    if "No space left" in text or "disk full" in text.lower():
        return StoreError(f"the disk is full: cannot write {path}; free some space, the records are whole.")
    if "Permission denied" in text or "Read-only file system" in text:
        return unwritable(path, "permission denied")
    if "Trying to read a database file with version" in text:
        return StoreError(f"{path} was written by a newer DuckDB: upgrade duckdb. {MEND}")
    return StoreError(f"{path} is damaged or not an index of bench ({text[:200]}). {MEND}")


def unwritable(path: Path, reason: str) -> StoreError:
    """The error for a results folder that may only be read."""
    return StoreError(
        f"cannot write the index {path}: {reason}; make the folder writable, or copy its records/ to one that is"
        " and run `bench index --rebuild` there."
    )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what DuckDB raises about its own file into a `StoreError`."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise damaged(path, error) from None
