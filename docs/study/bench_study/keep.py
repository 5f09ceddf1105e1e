"""The records of a study in one file that can be read and reviewed, and back again, without losing a byte.

Records of one exam repeat how it is scored, its controls and the machine. A line `{"#": KEY, "part": ...}` holds such a
part once; in a record `{"#": KEY}` stands for it. Every other line is a record as `bench` wrote it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.atomic import replacing
from bench.errors import BadInput

MARK = "#"
LONG = 200
"""Characters of a part that is worth a line of its own."""

Record = Mapping[str, Any]


def pack(results: Path, file: Path) -> int:
    """Write all records of a results folder to one file, ordered by what they are of; how many these are.

    Raises
    ------
    BadInput
        If there are none.
    """
    records = [json.loads(path.read_text(encoding="utf-8")) for path in (results / "records").glob("*/*.json")]
    if not records:
        raise BadInput(f"{results} holds no records; run the study first.")
    with replacing(file) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in _lines(sorted(records, key=_order))), encoding="utf-8")
    return len(records)


def unpack(file: Path, results: Path) -> Path:
    """Write the records of a file to a results folder, as they were; return the folder."""
    for record in read(file):
        path = results / "records" / record["run_id"][:2] / f"{record['run_id']}.{record['attempt']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, allow_nan=False, indent=1), encoding="utf-8")
    return results


def read(file: Path) -> list[dict[str, Any]]:
    """The records of a file."""
    parts: dict[str, Any] = {}
    records = []
    for line in file.read_text(encoding="utf-8").rstrip("\n").split("\n"):  # text may hold other ends of lines
        value = json.loads(line)
        if MARK in value:
            parts[value[MARK]] = value["part"]
        else:
            records.append({name: parts[v[MARK]] if _stands_for(v) else v for name, v in value.items()})
    return records


def _lines(records: Sequence[Record]) -> Iterator[str]:
    """Shared parts, each before the first record that refers to it."""
    texts = [{name: _json(value) for name, value in record.items()} for record in records]
    times = Counter(text for record in texts for text in record.values() if len(text) > LONG)
    apart = {text for text, number in times.items() if number > 1}
    apart |= {_json(value) for record in records for value in record.values() if _stands_for(value)}
    written: set[str] = set()
    for record in texts:
        for name, text in record.items():
            if text in apart:
                key = hashlib.sha256(text.encode()).hexdigest()[:12]
                if key not in written:
                    yield f'{{"{MARK}": "{key}", "part": {text}}}'
                written.add(key)
                record[name] = f'{{"{MARK}": "{key}"}}'
        yield "{" + ", ".join(f"{_json(name)}: {text}" for name, text in record.items()) + "}"


def _order(record: Record) -> tuple[Any, ...]:
    names = (record["task"]["name"], record["dataset"]["name"], record["model"]["name"], record["task"]["bridge"])
    return (*names, record["model"]["weights"], record["fold"], record["seed"], record["run_id"], record["attempt"])


def _stands_for(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {MARK}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
