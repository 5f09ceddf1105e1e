"""A run by what the user calls it: its id, the beginning of its id, one of its attempts, or a record file."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from bench.conform import checker
from bench.errors import BadInput
from bench.runs import record as records
from bench.runs.record import Record
from bench.runs.run import best_record

SHOWN = 5


def find(results: Path, name: str) -> Record:
    """The record of a run.

    Parameters
    ----------
    results
        The results folder.
    name
        A run id or its unique beginning: the record that counts; `ID.N` is attempt N. A path of a record
        file, which may lie anywhere.

    Raises
    ------
    BadInput
        If there is no such run, several begin so, or the file is not a record.
    StoreError
        If it was written by a newer version.
    """
    if name.endswith(".json") or os.sep in name:
        return _read(Path(name).expanduser())
    start, _, attempt = name.partition(".")
    run_id = _run_id(results, start)
    if not attempt:
        known = best_record(results, run_id)
        return _checked(known, name) if known else _read(records.attempts(results, run_id)[-1][1])
    numbers = dict(records.attempts(results, run_id))
    if not attempt.isdigit() or int(attempt) not in numbers:
        raise BadInput(f"run {run_id} has no attempt {attempt!r}; it has {', '.join(map(str, numbers))}.")
    return _read(numbers[int(attempt)])


def _run_id(results: Path, start: str) -> str:
    """The only id that begins so."""
    if not results.is_dir():
        raise BadInput(f"no results folder at {results}; name it with --results, or name record files.")
    known = sorted({path.name.partition(".")[0] for path in results.glob("records/*/*.json")})
    found = [run_id for run_id in known if run_id.startswith(start)] if start else []
    if start in found or len(found) == 1:
        return start if start in found else found[0]
    if found:
        some = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
        raise BadInput(f"{len(found)} runs begin with {start!r}: {some}; write more of the id.")
    raise BadInput(f"no run {start[:80]!r} in {results}.{_hint(start, known)} `bench results --csv` lists run ids.")


def _hint(start: str, known: list[str]) -> str:
    """Ids that resemble what was written, by as many letters as were written."""
    near = difflib.get_close_matches(start, {run_id[: len(start)] for run_id in known}, n=SHOWN, cutoff=0.5)
    ids = [run_id for run_id in known if run_id[: len(start)] in near][:SHOWN]
    return f" Nearest: {', '.join(ids)}." if ids else ""


def _read(path: Path) -> Record:
    """A record file, checked as the index checks it; its place does not matter."""
    try:
        return _checked(records.read(path), str(path))
    except OSError as error:
        raise BadInput(f"cannot read the record {path}: {error.strerror or error}.") from None
    except ValueError as error:
        raise BadInput(f"{path} is not a record: {error}.") from None


def _checked(record: Record, name: str) -> Record:
    try:
        checker(Record)(record, "")
    except ValueError as error:
        raise BadInput(f"{name} is not a record: {error}.") from None
    return record
