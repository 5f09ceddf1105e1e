"""The index over records: a DuckDB file with one writer, rebuildable at any time.

Records are the truth; the index only makes them quick to ask. So every trouble with it ends in one of
two ways: the question is answered from an index made apart, or the user is told to rebuild.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from bench.errors import BadInput, StoreError
from bench.store import schema
from bench.store.ingest import SyncReport, ingest
from bench.store.trouble import MEND, Busy, damaged, explained, unwritable

if TYPE_CHECKING:
    import duckdb

__all__ = ["Store", "SyncReport"]

NAME = "bench.duckdb"


class Store:
    """A results folder, seen through its index.

    Parameters
    ----------
    results
        The folder that holds `records/`.
    wait_s
        How long to wait for another process that holds the index.
    """

    def __init__(self, results: Path, wait_s: float = 3.0) -> None:
        self.results = results
        self._wait_s = wait_s
        self._private: tempfile.TemporaryDirectory[str] | None = None

    @property
    def path(self) -> Path:
        """The database that questions are put to."""
        return Path(self._private.name if self._private else self.results) / NAME

    def sync(self, rebuild: bool = False) -> SyncReport:
        """Take up records that are not indexed yet and drop those that are gone. Idempotent.

        Parameters
        ----------
        rebuild
            Throw the index away and make it again from the records.

        Raises
        ------
        BadInput
            If there is no such results folder.
        StoreError
            If the index is damaged, of a newer version, or cannot be written.
        """
        if not self.results.is_dir():
            raise BadInput(f"no results folder at {self.results}; run something first, or name it with --results.")
        self._private = None
        try:
            with filelock.FileLock(self.results / f"{NAME}.lock", timeout=self._wait_s):
                return self._update(rebuild)
        except (filelock.Timeout, Busy):
            return self._apart()
        except OSError as error:
            raise unwritable(self.path, error.strerror or str(error)) from None

    @contextmanager
    def connection(self, external: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the index for reading only.

        Parameters
        ----------
        external
            Let the connection write files elsewhere: for our own exports, never for a user's SQL.

        Raises
        ------
        StoreError
            If there is no index yet, or it is damaged.
        """
        if not self.path.exists():
            raise StoreError(f"there is no index at {self.path}: run `bench index`.")
        try:
            connection = _open(self.path, self._wait_s, read_only=True, external=external)
        except Busy:
            self._apart()
            connection = _open(self.path, self._wait_s, read_only=True, external=external)
        try:
            yield connection
        finally:
            connection.close()

    def _update(self, rebuild: bool) -> SyncReport:
        """Bring the shared index up to date; the lock is held, so leftovers are of crashed processes."""
        for leftover in self.results.glob(f".{NAME}.*"):
            leftover.unlink(missing_ok=True)
        if rebuild or not self.path.exists() or self._outdated():
            return self._replace()
        with explained(self.path), _opened(self.path, self._wait_s) as connection:
            return ingest(connection, self.results)

    def _outdated(self) -> bool:
        """Whether the index has an older layout. Raises `StoreError` for a newer one, or a foreign file."""
        import duckdb

        with explained(self.path), _opened(self.path, self._wait_s) as connection:
            try:
                row = connection.execute("SELECT version FROM bench_index").fetchone()
            except duckdb.CatalogException:
                raise StoreError(f"{self.path} is not an index of bench. {MEND}") from None
        version = row[0] if row else 0
        if version > schema.VERSION:
            raise StoreError(
                f"{self.path} has index version {version}, this bench reads up to {schema.VERSION}:"
                " upgrade bench-harness, or make the index anew with `bench index --rebuild`."
            )
        return version < schema.VERSION

    def _replace(self) -> SyncReport:
        """Build a new index beside the old one and swap them, so that no crash leaves half an index."""
        fresh = self.results / f".{NAME}.{os.getpid()}"
        report = _build(fresh, self.results)
        Path(f"{self.path}.wal").unlink(missing_ok=True)  # first: the old log must never meet the new file
        os.replace(fresh, self.path)
        return report

    def _apart(self) -> SyncReport:
        """Index the records for this process alone."""
        self._private = tempfile.TemporaryDirectory(prefix="bench-index-", ignore_cleanup_errors=True)
        return replace(_build(self.path, self.results), in_memory=True)


def _build(path: Path, results: Path) -> SyncReport:
    with explained(path), _opened(path, 0.0) as connection:
        schema.create(connection)
        return ingest(connection, results)


@contextmanager
def _opened(path: Path, wait_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = _open(path, wait_s)
    try:
        yield connection
    finally:
        connection.close()


def _open(path: Path, wait_s: float, **options: Any) -> duckdb.DuckDBPyConnection:
    """Open a database, waiting a little for whoever holds it. Raises `Busy` or `StoreError`."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return _connect(path, **options)
        except Busy:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _connect(path: Path, *, read_only: bool = False, external: bool = False) -> duckdb.DuckDBPyConnection:
    """Connect; unless `external`, the database answers about itself alone: no files, network or variables."""
    import duckdb

    locked_down = {"enable_external_access": "false", "python_enable_replacements": "false"}
    config = {"lock_configuration": "true", **({} if external else locked_down)}
    try:
        return duckdb.connect(str(path), read_only=read_only, config=config)  # type: ignore[arg-type]
    except duckdb.Error as error:
        if "lock on file" in str(error) or "different configuration" in str(error):
            raise Busy from None
        raise damaged(path, error) from None
