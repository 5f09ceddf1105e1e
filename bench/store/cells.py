"""Scores and costs of one entry over its folds and seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from bench.store.arithmetic import Column, complete, mean, skill, spread
from bench.store.exam import Cell, Control, Cost
from bench.store.visible import Definition, Part, Run, Value, headline


class _Point(NamedTuple):
    """One column of one run, with the controls of the run's own fold."""

    fold: str
    value: float | None
    floor: float | None
    ceiling: float | None


def score_cells(runs: Sequence[Run], definition: Definition, cols: Sequence[Column]) -> tuple[Cell, ...]:
    """One cell per column, over the folds and seeds of one entry."""
    points: list[list[_Point]] = [[] for _ in cols]
    for run in runs:
        own = complete(headline(run.scores), definition.metrics, definition.aggregate)
        for i, values in enumerate(zip(own, _floor(run, definition), _ceiling(run, definition), strict=True)):
            points[i].append(_Point(run["fold"], *values))
    return tuple(_score_cell(column, points[i], _behind(column, runs)) for i, column in enumerate(cols))


def _score_cell(column: Column, points: Sequence[_Point], scores: Iterable[Value]) -> Cell:
    defined = [p for p in points if p.value is not None]
    whole = len(defined) == len(points)
    skills = [skill(p.value, p.floor, p.ceiling, column.sign) for p in defined]
    over = [column.sign * (p.value - p.floor) for p in defined if p.value is not None and p.floor is not None]
    return _cell(
        [(p.fold, p.value) for p in points],
        scores,
        # a run whose score is not defined must not make the mean of the others look better
        skill=mean([s for s in skills if s is not None]) if None not in skills and whole else None,
        above_floor=whole and len(over) == len(points) and (mean(over) or 0.0) > 0,
    )


def _behind(column: Column, runs: Iterable[Run]) -> list[Value]:
    """The headline scores that a column shows; none where it is computed from others."""
    if column.kind != "metric":
        return []
    return [score for run in runs for score in run.scores if score.metric == column.name and not score.part]


def _floor(run: Run, definition: Definition) -> tuple[float | None, ...]:
    """Values of the negative controls in the run's own fold, each metric against its own."""
    controls = {name: headline(scores) for name, scores in run.controls.items()}
    values = {metric.name: controls.get(metric.floor, {}).get(metric.name) for metric in definition.metrics}
    return complete(values, definition.metrics, definition.aggregate)


def _ceiling(run: Run, definition: Definition) -> tuple[float | None, ...]:
    """Values of the positive control in the run's own fold; without one, the best value there can be."""
    bounds = {metric.name: metric.best for metric in definition.metrics}
    values = headline(run.controls.get(definition.ceiling, ())) if definition.ceiling else bounds
    return complete(values, definition.metrics, definition.aggregate)


def _cell(values: Iterable[tuple[str, float | None]], scores: Iterable[Value], **more: Any) -> Cell:
    by_fold: defaultdict[str, list[float]] = defaultdict(list)
    for fold, value in values:
        if value is not None:
            by_fold[fold].append(value)
    units = {(score.unit_kind, unit) for score in scores for unit in score.units} if len(by_fold) < 2 else set()
    kind = next((kind for kind, _ in sorted(units)), "fold")
    n_runs = sum(map(len, by_fold.values()))
    return Cell(spread(by_fold), n_runs, len(units) or len(by_fold), kind, **more)


def part_cells(runs: Sequence[Run]) -> dict[tuple[str, Part], Cell]:
    """Scores that are a part of something, by (metric, part)."""
    found: defaultdict[tuple[str, Part], list[tuple[Run, Value]]] = defaultdict(list)
    for run in runs:
        for score in run.scores:
            if score.part:
                found[score.metric, score.part].append((run, score))
    return {
        key: _cell([(run["fold"], score.value) for run, score in rows], [score for _, score in rows])
        for key, rows in found.items()
    }


def cost(runs: Sequence[Run]) -> Cost:
    """What a run took: means, and the largest memory."""

    def average(column: str) -> float | None:
        return mean([run[column] for run in runs if run[column] is not None])

    peaks = [run["peak_rss_bytes"] for run in runs if run["peak_rss_bytes"] is not None]
    return Cost(average("fit_s"), average("bridge_s"), average("cells_per_s"), max(peaks, default=None))


def control_rows(runs: Sequence[Run], definition: Definition, cols: Sequence[Column]) -> tuple[Control, ...]:
    """Each control once per fold: all entries of a track share them."""
    values: defaultdict[str, dict[str, tuple[float | None, ...]]] = defaultdict(dict)
    for run in runs:
        for name, scores in run.controls.items():
            row = complete(headline(scores), definition.metrics, definition.aggregate)
            values[name].setdefault(run["fold"], row)
    floors: dict[str, Literal["floor", "ceiling"]] = {metric.floor: "floor" for metric in definition.metrics}
    roles = {**floors, definition.ceiling: "ceiling"}
    rows = [
        Control(
            name,
            roles.get(name, ""),
            tuple(_cell([(f, row[i]) for f, row in folds.items()], ()) for i in range(len(cols))),
        )
        for name, folds in values.items()
    ]
    return tuple(sorted(rows, key=lambda row: (("ceiling", "", "floor").index(row.role), row.name)))
