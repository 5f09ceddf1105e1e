"""Results folders that were damaged, or hold what bench never wrote."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from bench.store import schema
from bench.store.index import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))
from record_factory import make_record, write_all

SQL_NAME = "x'); drop table scores; --"
TAG_NAME = "<img src=x onerror=alert(1)></script>"
RESULTS = "results"


def stored(*changes: dict[str, Any]) -> Callable[[Path], None]:
    """A results folder with one record for each set of changes; `values` are its scores."""

    def write(folder: Path) -> None:
        write_all(folder / RESULTS, *(make_record(**change) for change in changes or ({},)))

    return write


def damaged(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """A results folder whose index was changed."""

    def write(folder: Path) -> None:
        stored()(folder)
        Store(folder / RESULTS).sync()
        change(folder / RESULTS / "bench.duckdb")

    return write


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def newer(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE bench_index SET version = ?", [schema.VERSION + 1])


def foreign_records(folder: Path) -> None:
    """One record, and what is none: half of one, another program's, bytes, a number beyond floats, one of tomorrow."""
    stored()(folder)
    records = folder / RESULTS / "records"
    whole = next(records.glob("*/*.json")).read_text()
    (records / "half.json").write_text(whole[:200])
    (records / "other.json").write_text('{"cells": 3}')
    (records / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (records / "nan.json").write_text(whole.replace('"seed": 0', '"seed": NaN'))
    (records / "tomorrow.json").write_text(json.dumps({**json.loads(whole), "schema": 99}))
