"""Tables of the index. Every row is derived from a record; nothing lives here alone.

Raise `VERSION` with any change: an older index is then rebuilt, a newer one refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

VERSION = 2

TABLES: Mapping[str, Mapping[str, str]] = {
    "records": {
        "run_id": "VARCHAR",
        "attempt": "BIGINT",
        "path": "VARCHAR",
        "status": "VARCHAR",
        "created": "TIMESTAMP",
        "protocol": "BIGINT",
        "model": "VARCHAR",
        "model_version": "VARCHAR",
        "model_summary": "VARCHAR",
        "model_config": "JSON",
        "fits": "VARCHAR",
        "weights": "VARCHAR",
        "weights_sha256": "VARCHAR",
        "trained_on": "JSON",
        "distribution": "VARCHAR",
        "model_reference": "VARCHAR",
        "task": "VARCHAR",
        "task_version": "VARCHAR",
        "task_config": "JSON",
        "bridge": "VARCHAR",
        "definition": "VARCHAR",
        "main_metric": "VARCHAR",
        "aggregate": "JSON",
        "ceiling": "VARCHAR",
        "baselines": "JSON",
        "dataset": "VARCHAR",
        "dataset_version": "VARCHAR",
        "dataset_identity": "VARCHAR",
        "study": "VARCHAR",
        "roles": "JSON",
        "layer": "VARCHAR",
        "dataset_options": "JSON",
        "semi_simulated": "BOOLEAN",
        "simulated": "BOOLEAN",
        "n_obs": "BIGINT",
        "n_vars": "BIGINT",
        "notices": "JSON",
        "fold": "VARCHAR",
        "folds": "JSON",
        "split_seed": "BIGINT",
        "seed": "BIGINT",
        "track": "VARCHAR",
        "split": "JSON",
        "split_by": "VARCHAR",
        "optimistic": "BOOLEAN",
        "flags": "JSON",
        "contaminated": "BOOLEAN",
        "contamination": "JSON",
        "phases": "JSON",
        "fit_s": "DOUBLE",
        "predict_s": "DOUBLE",
        "bridge_s": "DOUBLE",
        "wall_s": "DOUBLE",
        "cells_per_s": "DOUBLE",
        "peak_rss_bytes": "BIGINT",
        "peak_vram_bytes": "BIGINT",
        "environment": "VARCHAR",
        "error_kind": "VARCHAR",
        "error_message": "VARCHAR",
        "bad_input": "BOOLEAN",
        "log_tail": "JSON",
        "output": "VARCHAR",
    },
    "scores": {
        "run_id": "VARCHAR",
        "attempt": "BIGINT",
        "control": "VARCHAR",
        "metric": "VARCHAR",
        "metric_version": "VARCHAR",
        "part": "JSON",
        "value": "DOUBLE",
        "n": "BIGINT",
        "unit_kind": "VARCHAR",
    },
    "units": {
        "run_id": "VARCHAR",
        "attempt": "BIGINT",
        "control": "VARCHAR",
        "metric": "VARCHAR",
        "part": "JSON",
        "unit": "VARCHAR",
        "value": "DOUBLE",
    },
    "metrics": {
        "definition": "VARCHAR",
        "position": "BIGINT",
        "task": "VARCHAR",
        "task_version": "VARCHAR",
        "metric": "VARCHAR",
        "metric_version": "VARCHAR",
        "summary": "VARCHAR",
        "higher_is_better": "BOOLEAN",
        "lower_bound": "DOUBLE",
        "upper_bound": "DOUBLE",
        "metric_group": "VARCHAR",
        "floor": "VARCHAR",
        "group_weight": "DOUBLE",
        "main": "BOOLEAN",
    },
    "environments": {"environment": "VARCHAR", "details": "JSON"},
}
"""Table -> column -> type. `scores.control` is empty for the model's own scores; `records.definition`
and `records.environment` are hashes that point into `metrics` and `environments`."""

_CONSTRAINTS: Mapping[str, Sequence[str]] = {
    "records": ("PRIMARY KEY (run_id, attempt)", "UNIQUE (path)"),
    "scores": ("CHECK (isfinite(value))",),  # NaN would sort above every score
    "units": ("CHECK (isfinite(value))",),
    "metrics": ("PRIMARY KEY (definition, metric)",),
    "environments": ("PRIMARY KEY (environment)",),
}

_RUNS = """
CREATE VIEW runs AS
SELECT * FROM records
QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY status = 'ok' DESC, attempt DESC) = 1
"""
"""Exactly one visible result per run: success wins over failures, then the latest attempt."""


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make all tables in an empty database."""
    connection.execute("CREATE TABLE bench_index (version INTEGER)")
    connection.execute("INSERT INTO bench_index VALUES (?)", [VERSION])
    for table, columns in TABLES.items():
        parts = [f'"{name}" {kind}' for name, kind in columns.items()] + list(_CONSTRAINTS[table])
        connection.execute(f"CREATE TABLE {table} ({', '.join(parts)})")
    connection.execute(_RUNS)


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows, given in the column order of `TABLES`; rows whose key is there already are left.

    One bound list per column: far faster than `executemany`, and no value ever becomes SQL text.
    """
    values = list(rows)
    if not values:
        return
    columns = TABLES[table]
    unnested = ", ".join(f"unnest(?::{kind}[])" for kind in columns.values())
    shared = " ON CONFLICT DO NOTHING" if table in ("metrics", "environments") else ""
    connection.execute(f"INSERT INTO {table} SELECT {unnested}{shared}", [list(c) for c in zip(*values, strict=True)])
