"""The visible runs of a store, read whole, as objects that a summary is made from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.store.arithmetic import Column
from bench.store.trouble import explained

if TYPE_CHECKING:
    import duckdb

    from bench.store.index import Store


Part = tuple[tuple[str, str], ...]
"""Sorted (key, value) pairs of what a score is a part of; empty for the headline."""


@dataclass(frozen=True)
class Value:
    """One score."""

    metric: str
    part: Part
    value: float | None
    unit_kind: str
    units: frozenset[str]


@dataclass(frozen=True)
class Definition:
    """How the numbers of a task are to be read."""

    metrics: tuple[Column, ...]
    main_metric: str
    aggregate: Mapping[str, float]
    ceiling: str
    baselines: frozenset[str]


@dataclass(frozen=True)
class Run:
    """One visible run."""

    row: Mapping[str, Any]
    """Its columns of the view `runs`, JSON read."""
    definition: Definition
    scores: tuple[Value, ...]
    controls: Mapping[str, tuple[Value, ...]]

    def __getitem__(self, column: str) -> Any:
        return self.row[column]

    @property
    def ok(self) -> bool:
        """Whether it has scores."""
        return self.row["status"] == "ok"

    @property
    def applicable(self) -> bool:
        """Whether model, task and dataset fit together at all."""
        return self.row["status"] != "incompatible"


_JSON: tuple[str, ...] = ("model_config", "task_config", "aggregate", "baselines", "notices", "split", "flags", "folds")
_JSON += ("trained_on", "contamination")
_Key = tuple[str, int]


def visible(store: Store) -> list[Run]:
    """Every visible run with its scores and controls, in a stable order."""
    with explained(store.path), store.connection() as connection:
        rows = _rows(connection, "SELECT * FROM runs ORDER BY task, dataset, track, model, fold, seed, run_id")
        metrics = _metrics(connection)
        values = _values(connection)
    return [_run(row, metrics[row["definition"]], values[row["run_id"], row["attempt"]]) for row in rows]


def headline(values: Iterable[Value]) -> dict[str, float | None]:
    """Metric -> value, of scores that are not a part of something."""
    return {value.metric: value.value for value in values if not value.part}


def _run(row: dict[str, Any], metrics: list[Column], values: Mapping[str, list[Value]]) -> Run:
    row = row | {name: json.loads(row[name]) for name in _JSON}
    order = [metric.group for metric in metrics]
    weights = {
        group: row["aggregate"][group] for group in sorted(row["aggregate"], key=[*order, *row["aggregate"]].index)
    }
    definition = Definition(tuple(metrics), row["main_metric"], weights, row["ceiling"], frozenset(row["baselines"]))
    controls = {name: tuple(scores) for name, scores in values.items() if name}
    return Run(row, definition, tuple(values.get("", ())), controls)


def _metrics(connection: duckdb.DuckDBPyConnection) -> defaultdict[str, list[Column]]:
    found: defaultdict[str, list[Column]] = defaultdict(list)
    for m in _rows(connection, "SELECT * FROM metrics ORDER BY definition, position"):
        bounds = (m["higher_is_better"], m["lower_bound"], m["upper_bound"])
        column = Column(m["metric"], "metric", m["summary"], *bounds, m["metric_group"], m["floor"])
        found[m["definition"]].append(column)
    return found


def _values(connection: duckdb.DuckDBPyConnection) -> defaultdict[_Key, defaultdict[str, list[Value]]]:
    """Scores by run, then by control."""
    units: defaultdict[tuple[Any, ...], set[str]] = defaultdict(set)
    for *key, unit in connection.execute(
        "SELECT run_id, attempt, control, metric, part, unit FROM units JOIN runs USING (run_id, attempt)"
    ).fetchall():
        units[tuple(key)].add(unit)
    found: defaultdict[_Key, defaultdict[str, list[Value]]] = defaultdict(lambda: defaultdict(list))
    for *key, value, kind in connection.execute(
        "SELECT run_id, attempt, control, metric, part, value, unit_kind FROM scores JOIN runs USING (run_id, attempt)"
        " ORDER BY ALL"
    ).fetchall():
        run_id, attempt, control, metric, part = key
        pairs = tuple(sorted(json.loads(part).items()))
        found[run_id, attempt][control].append(Value(metric, pairs, value, kind, frozenset(units[tuple(key)])))
    return found


def _rows(connection: duckdb.DuckDBPyConnection, text: str) -> list[dict[str, Any]]:
    cursor = connection.execute(text)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
