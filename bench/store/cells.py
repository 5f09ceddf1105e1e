"""Scores and costs of one entry over its folds and seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from bench.store.arithmetic import Column, complete, mean, skill, spread
from bench.store.exam import Cell, Control, Cost
from bench.store.visible import Definition, Part, Run, Value, headline


def score_cells(runs: Sequence[Run], definition: Definition, cols: Sequence[Column]) -> tuple[Cell, ...]:
    """One cell per column, over the folds and seeds of one entry."""
    own = [complete(headline(run.scores), definition.metrics, definition.aggregate) for run in runs]
    floors = [_anchor(run, definition.floor, definition) for run in runs]
    ceilings = [_anchor(run, definition.ceiling, definition) for run in runs]
    cells = []
    for i, column in enumerate(cols):
        found = [(run, v[i], f[i], c[i]) for run, v, f, c in zip(runs, own, floors, ceilings, strict=True)]
        skills = [skill(v, f, c, column.sign) for _, v, f, c in found if v is not None]
        over = [column.sign * (v - f) for _, v, f, _ in found if v is not None and f is not None]
        units = [
            x for run in runs for x in run.scores if column.kind == "metric" and x.metric == column.name and not x.part
        ]
        cells.append(
            _cell(
                [(run["fold"], v) for run, v, _, _ in found],
                units,
                skill=mean([s for s in skills if s is not None]) if None not in skills else None,
                above_floor=len(over) == len(skills) and (mean(over) or 0.0) > 0,
            )
        )
    return tuple(cells)


def _anchor(run: Run, control: str, definition: Definition) -> tuple[float | None, ...]:
    """Values of a control in the run's own fold; without a control, the best value there can be."""
    bounds = {metric.name: metric.best for metric in definition.metrics}
    values = headline(run.controls.get(control, ())) if control else bounds
    return complete(values, definition.metrics, definition.aggregate)


def _cell(values: Iterable[tuple[str, float | None]], scores: Iterable[Value], **more: Any) -> Cell:
    by_fold: defaultdict[str, list[float]] = defaultdict(list)
    for fold, value in values:
        if value is not None:
            by_fold[fold].append(value)
    units = {(score.unit_kind, unit) for score in scores for unit in score.units}
    kind = next((kind for kind, _ in sorted(units)), "fold")
    n_runs = sum(map(len, by_fold.values()))
    return Cell(spread(by_fold), n_runs, len(units) or len(by_fold), kind, **more)


def part_cells(runs: Sequence[Run]) -> dict[tuple[str, Part], Cell]:
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
    roles: dict[str, Literal["floor", "ceiling"]] = {definition.ceiling: "ceiling", definition.floor: "floor"}
    rows = [
        Control(
            name,
            roles.get(name, ""),
            tuple(_cell([(f, row[i]) for f, row in folds.items()], ()) for i in range(len(cols))),
        )
        for name, folds in values.items()
    ]
    return tuple(sorted(rows, key=lambda row: (("ceiling", "", "floor").index(row.role), row.name)))
