"""Brings a database into line with the records of a results folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import StoreError
from bench.store import schema
from bench.store.rows import Rows, load

if TYPE_CHECKING:
    import duckdb

BATCH = 500
"""Records held in memory at a time."""


@dataclass(frozen=True)
class SyncReport:
    """What one `Store.sync` did."""

    ingested: int
    """Records taken up."""
    removed: int
    """Records dropped because their file is gone."""
    skipped: list[tuple[str, str]]
    """(path relative to the results folder, reason) of files that are not records."""
    in_memory: bool = False
    """True where another process holds the index, so that one was made for this process alone."""

    def notices(self) -> list[str]:
        """What the user should know, one sentence each."""
        busy = "the index is held by another process; this answer was made from the records themselves"
        return [f"skipped {path}: {reason}" for path, reason in self.skipped] + [busy] * self.in_memory


def ingest(connection: duckdb.DuckDBPyConnection, results: Path) -> SyncReport:
    """Take up every record that is not indexed and drop those whose file is gone, in one transaction."""
    known = {path for (path,) in connection.execute("SELECT path FROM records").fetchall()}
    found = {path.relative_to(results).as_posix(): path for path in (results / "records").rglob("*.json")}
    gone, unseen = sorted(known - found.keys()), sorted(found.keys() - known)
    skipped: list[tuple[str, str]] = []
    connection.execute("BEGIN")
    _remove(connection, gone)
    for names in _batches(unseen):
        rows = _read([(name, found[name]) for name in names], skipped)
        for table, values in rows.tables.items():
            schema.insert(connection, table, values)
    connection.execute("COMMIT")
    return SyncReport(len(unseen) - len(skipped), len(gone), skipped)


def _read(files: Sequence[tuple[str, Path]], skipped: list[tuple[str, str]]) -> Rows:
    """Rows of those files that are records; the others are noted and the rest goes on."""
    rows = Rows()
    for name, path in files:
        try:
            rows.add(load(path), name)
        except (ValueError, StoreError) as error:
            skipped.append((name, str(error)))
        except OSError as error:
            skipped.append((name, f"cannot be read: {error.strerror or error}"))
    return rows


def _remove(connection: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    if not names:
        return
    keys = "SELECT run_id, attempt FROM records WHERE path IN (SELECT unnest(?::VARCHAR[]))"
    for table in ("scores", "units"):
        connection.execute(f"DELETE FROM {table} WHERE (run_id, attempt) IN ({keys})", [names])  # noqa: S608 - names of our own
    connection.execute("DELETE FROM records WHERE path IN (SELECT unnest(?::VARCHAR[]))", [names])


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]
