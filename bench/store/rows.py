"""Turns one record into rows of the index."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.conform import checker
from bench.runs import record as records
from bench.store.schema import TABLES


@dataclass
class Rows:
    """Rows of many records, by table, in the column order of `schema.TABLES`."""

    tables: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: {name: [] for name in TABLES})

    def add(self, record: records.Record, path: str) -> None:
        """Take up a record that `load` accepted; `path` is relative to the results folder."""
        definition, metrics = _definition(record["task"])
        environment = _json(record["environment"])
        digest = _digest(environment)
        self.tables["records"].append(_record(record, path, definition, digest))
        self.tables["metrics"] += metrics
        self.tables["environments"].append((digest, environment))
        key = (record["run_id"], record["attempt"])
        for control, score in _scores(record):
            name, part = (control, score["metric"]), _json(score["part"])
            self.tables["scores"].append(
                (*key, *name, score["version"], part, score["value"], score["n"], score["unit_kind"])
            )
            self.tables["units"] += [(*key, *name, part, unit, value) for unit, value in score["units"].items()]


def load(path: Path) -> records.Record:
    """Read a record and make sure that the index can hold it.

    Raises
    ------
    ValueError
        If it is not a record, or one whose name, types or scores contradict themselves.
    StoreError
        If it was written by a newer version.
    """
    record = records.read(path)
    checker(records.Record)(record, "")
    _utc(record["created"])
    place = f"{record['run_id'][:2]}/{record['run_id']}.{record['attempt']}.json"
    if f"{path.parent.name}/{path.name}" != place:
        raise ValueError(f"it holds the record that belongs at records/{place}")
    _refuse_twins(record)
    return record


def _refuse_twins(record: records.Record) -> None:
    seen = set()
    for control, score in _scores(record):
        key = (control, score["metric"], _json(score["part"]))
        if key in seen:
            raise ValueError(f"score {score['metric']} is given twice{f' for control {control}' if control else ''}")
        seen.add(key)
    names = [metric["name"] for metric in record["task"]["metrics"]]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"task.metrics names {name} twice")


def _scores(record: records.Record) -> Iterator[tuple[str, records.ScorePart]]:
    """Every score with the control it belongs to; empty for the model's own."""
    for score in record["scores"]:
        yield "", score
    for control, scores in record["controls"].items():
        if not control:
            raise ValueError("a control has no name")
        for score in scores:
            yield control, score


_TAKEN: dict[str, tuple[str, ...]] = {
    "": ("run_id", "attempt", "status", "protocol", "fold", "split_seed", "seed", "track", "output"),
    "model": ("fits", "weights", "weights_sha256", "distribution"),
    "task": ("bridge", "main_metric", "ceiling"),
    "dataset": ("study", "layer", "semi_simulated", "simulated", "n_obs", "n_vars"),
    "cost": ("wall_s", "cells_per_s", "peak_rss_bytes", "peak_vram_bytes"),
}
"""Columns that carry a field of the record, or of one of its parts, under its own name."""


def _record(record: records.Record, path: str, definition: str, environment: str) -> tuple[Any, ...]:
    whole: dict[str, Any] = dict(record)
    values = {name: (whole[part] if part else whole)[name] for part, names in _TAKEN.items() for name in names}
    values |= {"path": path, "definition": definition, "environment": environment, "created": _utc(record["created"])}
    values |= _described(record["model"], record["task"], record["dataset"])
    values |= _outcome(record)
    return tuple(values[name] for name in TABLES["records"])


def _described(model: records.ModelPart, task: records.TaskPart, data: records.DatasetPart) -> dict[str, Any]:
    return {
        "model": model["name"],
        "model_version": model["version"],
        "model_summary": model["summary"],
        "model_config": _json(model["config"]),
        "model_reference": model["reference"],
        "trained_on": _json(model["trained_on"]),
        "task": task["name"],
        "task_version": task["version"],
        "task_config": _json(task["config"]),
        "aggregate": _json(task["aggregate"]),
        "baselines": _json(task["baselines"]),
        "dataset": data["name"],
        "dataset_version": data["version"],
        "dataset_identity": data["identity"],
        "roles": _json(data["roles"]),
        "dataset_options": _json(data["options"]),
        "notices": _json(data["notices"]),
    }


def _outcome(record: records.Record) -> dict[str, Any]:
    split, phases, error = record["split"], record["cost"]["phases"], record["error"]
    return {
        "split": _json(split),
        "split_by": split and split["by"],
        "optimistic": bool(split and split["optimistic"]),
        "flags": _json(record["flags"]),
        "contaminated": any(flag.get("kind") == "contaminated" for flag in record["flags"]),
        "contamination": _json(record["contamination"]),
        "folds": _json(record["folds"]),
        "phases": _json(phases),
        **{f"{phase}_s": phases.get(phase) for phase in ("fit", "predict", "bridge")},
        "error_kind": error and error["kind"],
        "error_message": error and error["message"],
        "bad_input": error and error["bad_input"],
        "log_tail": _json(error["log_tail"] if error else []),
    }


def _definition(task: records.TaskPart) -> tuple[str, list[tuple[Any, ...]]]:
    """How a task's numbers are to be read: a hash of the whole, and a row per metric."""
    meant = [{k: v for k, v in metric.items() if k not in ("summary", "reference")} for metric in task["metrics"]]
    whole = [task[k] for k in ("name", "version", "main_metric", "aggregate", "floor", "ceiling")]
    digest = _digest(_json([*whole, meant]))  # prose may be reworded, a metric's version makes another exam
    rows = [
        (
            *(digest, position, task["name"], task["version"], metric["name"], metric["version"], metric["summary"]),
            *(metric["higher_is_better"], metric["lower"], metric["upper"], metric["group"]),
            metric["floor"] or task["floor"],
            *(task["aggregate"].get(metric["group"]), metric["name"] == task["main_metric"]),
        )
        for position, metric in enumerate(task["metrics"])
    ]
    return digest, rows


def _utc(text: str) -> datetime:
    """The moment, as the naive UTC that a TIMESTAMP column holds."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ValueError(f"created is {text!r}, not an ISO 8601 time") from None


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
