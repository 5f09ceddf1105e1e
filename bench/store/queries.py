"""Questions to the index. Whatever the user names is bound as a parameter, never made part of the SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.errors import BadInput, unknown
from bench.store.trouble import explained

if TYPE_CHECKING:
    import pandas as pd

    from bench.store.index import Store

Filter = str | int | Sequence[str] | Sequence[int] | None

FILTERS = ("run_id", "model", "task", "dataset", "fold", "seed", "track", "status")
"""Columns that `results` and `documents` filter by: one value or several."""

_RESULTS = """
SELECT r.run_id, r.attempt, r.model, r.model_version, r.model_config, r.weights, r.weights_sha256, r.bridge, r.track,
       r.task, r.task_version, r.task_config, r.dataset, r.dataset_identity, r.fold, r.split_seed, r.seed,
       r.split_by, r.optimistic, r.contaminated, r.status, r.error_kind, r.error_message,
       s.control, s.metric, s.metric_version, s.part, s.value, s.n,
       m.higher_is_better, m.metric_group, m.main,
       r.fit_s, r.predict_s, r.bridge_s, r.wall_s, r.cells_per_s, r.peak_rss_bytes, r.peak_vram_bytes,
       r.created, r.path
FROM runs r
LEFT JOIN scores s ON s.run_id = r.run_id AND s.attempt = r.attempt {kept}
LEFT JOIN metrics m ON m.definition = r.definition AND m.metric = s.metric
{where}
ORDER BY r.task, r.dataset, r.track, r.model, r.run_id, s.control, m.position, s.metric, s.part = '{{}}' DESC, s.part
"""


def results(store: Store, *, controls: bool = False, parts: bool = False, **filters: Filter) -> pd.DataFrame:
    """One row per visible run and headline metric; a run without scores has one row without a metric.

    Parameters
    ----------
    controls
        Also the scores of the task's own controls (column `control`, empty for the model's).
    parts
        Also scores that are a part of something, such as a number of shots (column `part`).
    **filters
        Values of `FILTERS`, one or several each.

    Raises
    ------
    BadInput
        For a filter that does not exist.
    """
    text, parameters = results_sql(controls=controls, parts=parts, **filters)
    with explained(store.path), store.connection() as connection:
        return connection.execute(text, parameters).df()


def results_sql(*, controls: bool, parts: bool, **filters: Filter) -> tuple[str, list[Any]]:
    """The SQL of `results` and its parameters."""
    kept = ("" if controls else "AND s.control = ''") + ("" if parts else " AND s.part = '{}'")
    where, parameters = _where(filters)
    return _RESULTS.format(kept=kept, where=where), parameters


_RUNS = "SELECT r.* FROM runs r {where} ORDER BY r.task, r.dataset, r.track, r.model, r.run_id"
_SCORES = """
SELECT s.run_id, s.metric, s.metric_version, s.value, s.n, s.part
FROM runs r
JOIN scores s ON s.run_id = r.run_id AND s.attempt = r.attempt AND s.control = ''
LEFT JOIN metrics m ON m.definition = r.definition AND m.metric = s.metric
{where}
ORDER BY m.position, s.metric, s.part = '{{}}' DESC, s.part
"""


def documents(store: Store, **filters: Filter) -> dict[str, Any]:
    """The visible runs as one JSON-ready document: what `--json` prints. Missing values are None, never NaN."""
    where, parameters = _where(filters)
    with explained(store.path), store.connection() as connection:
        runs = _dicts(connection.execute(_RUNS.format(where=where), parameters))
        scores = _dicts(connection.execute(_SCORES.format(where=where), parameters))
    by_run: dict[str, list[dict[str, Any]]] = {run["run_id"]: [] for run in runs}
    for score in scores:
        by_run[score.pop("run_id")].append(score | {"part": json.loads(score["part"])})
    return {"runs": [_document(run, by_run[run["run_id"]]) for run in runs]}


def sql(store: Store, text: str) -> pd.DataFrame:
    """Answer the user's own SELECT; nothing but the index can be reached, and nothing changed.

    Raises
    ------
    BadInput
        If it is not one SELECT, or DuckDB cannot make sense of it.
    """
    import duckdb

    try:
        statements = duckdb.extract_statements(text)
        if [s.type for s in statements] != [duckdb.StatementType.SELECT]:
            raise BadInput("--sql takes one SELECT; the index is made from records and is never changed by hand.")
        with store.connection() as connection:
            return connection.execute(statements[0]).df()
    except duckdb.Error as error:
        raise BadInput(f"--sql: {error}") from None


def _where(filters: dict[str, Filter]) -> tuple[str, list[Any]]:
    clauses, parameters = [], []
    for name, wanted in filters.items():
        if name not in FILTERS:
            raise unknown("filter", name, FILTERS)
        if wanted is None:
            continue
        values = [wanted] if isinstance(wanted, (str, int)) else list(wanted)
        clauses.append(f"CAST(r.{name} AS VARCHAR) IN (SELECT unnest(?::VARCHAR[]))")
        parameters.append([str(value) for value in values])
    return ("WHERE " + " AND ".join(clauses) if clauses else ""), parameters


def _document(run: dict[str, Any], scores: list[dict[str, Any]]) -> dict[str, Any]:
    kept = [
        *("run_id", "attempt", "model", "model_version", "weights", "weights_sha256", "bridge"),
        *("task", "task_version", "dataset"),
        *("dataset_identity", "fold", "split_seed", "seed", "track", "split_by", "optimistic", "status"),
    ]
    error = {"kind": run["error_kind"], "message": run["error_message"]} if run["error_kind"] is not None else None
    return {
        **{name: run[name] for name in kept},
        "model_config": json.loads(run["model_config"]),
        "task_config": json.loads(run["task_config"]),
        "trained_on": json.loads(run["trained_on"]),
        "flags": json.loads(run["flags"]),
        "contamination": json.loads(run["contamination"]),
        "scores": scores,
        "error": error,
        "record": run["path"],
    }


def _dicts(cursor: Any) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
