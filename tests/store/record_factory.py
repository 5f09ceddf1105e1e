"""Valid records for tests of the store and the page, made without running anything."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.runs import record as records

METRICS: tuple[dict[str, Any], ...] = (
    {"name": "nmi", "group": "bio"},
    {"name": "ari", "group": "bio"},
    {"name": "ilisi", "group": "batch"},
    {"name": "error", "group": "", "higher_is_better": False, "upper": None},
)
FLOOR = {"nmi": 0.0, "ari": 0.0, "ilisi": 0.0, "error": 2.0}
CEILING = {"nmi": 1.0, "ari": 0.8, "ilisi": 1.0, "error": 0.0}


def metric(name: str, **changes: Any) -> dict[str, Any]:
    """A `MetricSpec` as a record holds it."""
    default = {"summary": f"What {name} says.", "version": "1", "higher_is_better": True, "lower": 0.0, "upper": 1.0}
    return {"name": name, **default, "group": "", "floor": "", "reference": "", **changes}


def score(name: str, value: float | None, **changes: Any) -> records.ScorePart:
    """One score row."""
    row = {"metric": name, "version": "1", "value": value, "n": 100, "units": {}, "unit_kind": "", "part": {}}
    return {**row, **changes}  # type: ignore[return-value]


def scores(values: Mapping[str, float | None]) -> list[records.ScorePart]:
    """Headline score rows."""
    return [score(name, value) for name, value in values.items()]


def make_record(values: Mapping[str, float | None] | None = None, **changes: Any) -> records.Record:
    """A valid record of `pca` on a task with a bio and a batch group.

    Parameters
    ----------
    values
        The model's own headline scores.
    **changes
        Fields to replace; those of a part are named `part__field`, such as `model__name`.
    """
    record = copy.deepcopy(_DEFAULT)
    record["scores"] = scores({"nmi": 0.5, "ari": 0.4, "ilisi": 0.3, "error": 1.0} if values is None else values)
    for name, value in changes.items():
        part, _, field = name.partition("__")
        if field:
            record[part][field] = value
        else:
            record[part] = value
    if record["run_id"] == "":
        key = [record[k] for k in ("model", "task", "dataset", "fold", "seed", "split_seed")]
        record["run_id"] = records_hash(key)
    return record  # type: ignore[return-value]


def contaminated(seen: int, scored: int, *files: str) -> dict[str, Any]:
    """The two fields of a record of a model that has seen scored cells, as changes for `make_record`."""
    held = [{"name": name, "cells": 1000, "genes": 500, "seen": seen, "scored_seen": seen} for name in files]
    part = {"trained": 1000, "cells": scored, "seen": seen, "kept": 0, "scored": scored, "scored_seen": seen}
    reason = f"{seen:,} of {scored:,} scored cells were in the training data ({', '.join(files)})"
    return {
        "contamination": {**part, "comparable": 1.0, "files": held, "problem": ""},
        "flags": [{"kind": "contaminated", "reason": reason}],
    }


def failure(status: str = "failed", message: str = "it broke", **changes: Any) -> records.Record:
    """A record of an attempt that gave no score."""
    error = {"kind": "ValueError", "message": message, "bad_input": False, "log_tail": ["line"]}
    return make_record({}, **{**changes, "status": status, "controls": {}, "error": error, "output": ""})


def write_all(results: Path, *made: records.Record) -> list[Path]:
    """Write records as the runner would."""
    return [records.write(results, record) for record in made]


def records_hash(key: Any) -> str:
    """A run id: any hash of the key does."""
    import hashlib
    import json

    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]


_DEFAULT: dict[str, Any] = {
    "schema": records.SCHEMA,
    "run_id": "",
    "attempt": 1,
    "status": "ok",
    "created": "2026-01-02T03:04:05+00:00",
    "protocol": 1,
    "model": {
        "name": "pca",
        "version": "1",
        "summary": "Principal components.",
        "config": {"n_components": 50},
        "fits": "cells",
        "weights": "none",
        "weights_sha256": "",
        "trained_on": [],
        "distribution": "bench-harness 0.1.0",
        "reference": "https://example.org/pca",
    },
    "task": {
        "name": "integration",
        "version": "1",
        "config": {"split_seed": 0},
        "bridge": "",
        "metrics": [metric(**m) for m in METRICS],
        "main_metric": "",
        "aggregate": {"bio": 0.6, "batch": 0.4},
        "floor": "shuffled",
        "ceiling": "truth",
        "baselines": ["pca"],
    },
    "dataset": {
        "name": "pbmc",
        "version": "1",
        "identity": "abc123",
        "study": "zheng",
        "roles": {"cell_type": "louvain"},
        "layer": "",
        "options": {},
        "semi_simulated": False,
        "simulated": False,
        "n_obs": 700,
        "n_vars": 765,
        "notices": [],
    },
    "fold": "all",
    "folds": [],
    "split_seed": 0,
    "seed": 0,
    "track": "fitted",
    "split": {"by": "none", "sizes": {"cells": 700}, "held_out": [], "notes": [], "optimistic": False},
    "scores": [],
    "controls": {"shuffled": scores(FLOOR), "truth": scores(CEILING)},
    "flags": [],
    "contamination": None,
    "cost": {
        "phases": {"load": 0.1, "fit": 2.5, "predict": 0.5, "score": 1.0},
        "wall_s": 4.1,
        "cells_per_s": 1400.0,
        "peak_rss_bytes": 500_000_000,
        "peak_vram_bytes": None,
    },
    "environment": {"python": "3.11.7", "packages": {"numpy": "2.4.6"}},
    "error": None,
    "embedding": "",
    "output": "",
}
