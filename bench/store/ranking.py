"""The overall rank of a track: mean skill over exams, for models that were examined everywhere."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.store.arithmetic import mean
from bench.store.exam import Entry, Exam

RANKED_WEIGHTS = frozenset({"published", "own", "none"})
"""Untrained weights are a reference, unverified ones a claim: both are shown and not ranked."""


@dataclass(frozen=True)
class Standing:
    """One model over the exams of a track."""

    entries: tuple[Entry | None, ...]
    """In the order of the exams; None where it was not run."""
    skill: float | None
    """Mean over tasks of the mean over a task's exams; None unless every exam is complete."""
    rank: int | None
    """1 is best; None where the model may not be ranked: see `RANKED_WEIGHTS`, and whoever was trained on scored cells
    of any exam."""

    @property
    def entry(self) -> Entry:
        """Any of its entries: they are of one model and configuration."""
        return next(entry for entry in self.entries if entry)


@dataclass(frozen=True)
class Overall:
    """The rank of one track."""

    track: str
    exams: tuple[Exam, ...]
    standings: tuple[Standing, ...]


def rank(exams: Iterable[Exam]) -> list[Overall]:
    """Rank each track over the exams that count: not those whose split lets cells of a group sit on both sides."""
    counted = [exam for exam in exams if not exam.optimistic]
    names = dict.fromkeys(track.name for exam in counted for track in exam.tracks)
    return [_overall(name, [e for e in counted if any(t.name == name for t in e.tracks)]) for name in names]


def _overall(track: str, exams: Sequence[Exam]) -> Overall:
    found: defaultdict[tuple[str, ...], list[list[Entry]]] = defaultdict(lambda: [[] for _ in exams])
    for i, exam in enumerate(exams):
        for entry in (e for t in exam.tracks if t.name == track for e in t.entries):
            found[_identity(entry)][i].append(entry)
    rows = [row for by_exam in found.values() for row in _by_bridge(by_exam, exams)]
    scored = sorted(((_skill(row, exams), row) for row in rows), key=_order)
    standings = [Standing(row, value, _place(value, [other for other, _ in scored])) for value, row in scored]
    return Overall(track, tuple(exams), tuple(standings))


def _place(value: float | None, others: Sequence[float | None]) -> int | None:
    """1 is best; equals share a place."""
    return None if value is None else 1 + sum(other is not None and other > value for other in others)


def _identity(entry: Entry) -> tuple[str, ...]:
    config = json.dumps(entry.config, sort_keys=True)
    return entry.model, entry.version, config, entry.weights, entry.weights_sha256


def _by_bridge(by_exam: Sequence[Sequence[Entry]], exams: Sequence[Exam]) -> list[tuple[Entry | None, ...]]:
    """One row per choice of bridges, a choice being one bridge for each task: never the best of several."""
    choices: dict[str, list[str]] = {}
    for exam, entries in zip(exams, by_exam, strict=True):
        known = choices.setdefault(exam.task, [])
        known += [entry.bridge for entry in entries if entry.bridge not in known]
    tasks = [task for task, bridges in choices.items() if bridges]
    rows = []
    for bridges in itertools.product(*(choices[task] for task in tasks)):
        chosen: Mapping[str, str] = dict(zip(tasks, bridges, strict=True))
        rows.append(
            tuple(
                next((e for e in entries if e.bridge == chosen.get(exam.task)), None)
                for exam, entries in zip(exams, by_exam, strict=True)
            )
        )
    return rows


def _skill(row: Sequence[Entry | None], exams: Sequence[Exam]) -> float | None:
    by_task: defaultdict[str, list[float]] = defaultdict(list)
    for exam, entry in zip(exams, row, strict=True):
        if entry is None or not _counts(entry):
            return None
        value = entry.cells[exam.main].skill
        if value is None:
            return None
        by_task[exam.task].append(value)
    return mean([m for values in by_task.values() if (m := mean(values)) is not None])


def _counts(entry: Entry) -> bool:
    """Whether an entry may be ranked."""
    return entry.complete and not entry.contaminated and entry.weights in RANKED_WEIGHTS


def _order(scored: tuple[float | None, Sequence[Entry | None]]) -> tuple[Any, ...]:
    value, row = scored
    name = next(entry.model for entry in row if entry)
    return value is None, -(value or 0.0), -sum(entry is not None for entry in row), name
