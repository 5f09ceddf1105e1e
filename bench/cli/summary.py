"""Tables of results on a terminal: means over folds and seeds, best first, with their controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from bench.cli import tables
from bench.store.exam import Cell, Entry, Exam, Track
from bench.store.index import Store
from bench.store.summary import summarise


def print_summary(store: Store, model: Sequence[str], task: Sequence[str], dataset: Sequence[str]) -> None:
    """Print a table per exam and track; an empty list of names means all of them."""
    exams = [e for e in summarise(store) if e.task in (task or [e.task]) and e.dataset in (dataset or [e.dataset])]
    if not exams:
        typer.echo("no results", err=True)
    for exam in exams:
        for track in exam.tracks:
            rows = _rows(exam, track, model)
            if rows:
                tables.print_rows(rows, title=f"{exam.task} · {exam.dataset} · {track.name}{_marks(exam)}")


def _marks(exam: Exam) -> str:
    marks = [
        text
        for applies, text in (
            (exam.optimistic, "random cells held out: optimistic"),
            (exam.semi_simulated, "semi-simulated"),
            (exam.simulated, "simulated"),
        )
        if applies
    ]
    return f" ({', '.join(marks)})" if marks else ""


def _rows(exam: Exam, track: Track, models: Sequence[str]) -> list[dict[str, Any]]:
    names = [column.name for column in exam.columns]
    entries = [
        {"model": _entry_name(entry, track), **_values(names, entry.cells), "runs": _runs(entry)}
        for entry in track.entries
        if entry.model in (models or [entry.model])
    ]
    controls = [
        {"model": f"({control.name})", **_values(names, control.cells), "runs": "control"} for control in track.controls
    ]
    return [{**dict.fromkeys(("model", *names)), **row} for row in entries + controls] if entries else []


def _entry_name(entry: Entry, track: Track) -> str:
    """Model, bridge and, where the same model is there with others, its weights."""
    name = f"{entry.model} + {entry.bridge}" if entry.bridge else entry.model
    if entry.weights == "untrained":
        return f"{name} (untrained)"
    known = {other.weights_sha256 for other in track.entries if other.model == entry.model} - {""}
    return f"{name} (weights {entry.weights_sha256[:8]})" if len(known) > 1 else name


def _values(names: Sequence[str], cells: Sequence[Cell]) -> dict[str, float | None]:
    return {name: cell.spread.mean for name, cell in zip(names, cells, strict=False)}


def _runs(entry: Entry) -> str:
    """How many runs stand behind a row, and what became of the others."""
    counts = ((entry.n_ok, "ok"), (entry.n_failed, "failed"), (entry.n_missing, "not run"))
    said = ", ".join(f"{n} {what}" for n, what in counts if n)
    doubts = ((entry.suspects, "suspect"), (entry.contaminated, "contaminated"))
    return ", ".join([said or entry.state, *(word for reasons, word in doubts if reasons)])
