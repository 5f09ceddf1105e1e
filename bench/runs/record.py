"""The record of one attempt at one run: its schema, and the only place that writes or reads it.

A record is one JSON file, `records/<aa>/<run_id>.<attempt>.json`, written once by the supervising
process and never edited. `bench.store` makes an index of these files that can be rebuilt at any time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict

from bench.atomic import publish
from bench.errors import StoreError

SCHEMA = 1
"""Raised when a field changes its meaning; a record of a newer schema is refused by name."""

Status = Literal["ok", "failed", "timeout", "oom", "incompatible"]


class TrainedPart(TypedDict):
    """One training behind a model's weights."""

    model: str
    verb: str
    """pretrain | finetune"""
    files: list[str]
    """Names of its data."""
    cells: int
    """Of these files."""
    steps: int


class ModelPart(TypedDict):
    """Which model ran."""

    name: str
    version: str
    summary: str
    config: dict[str, Any]
    """With defaults."""
    fits: str
    weights: str
    """published | own | unverified | untrained | none (a model that has no weights). Own weights are of trainings here
    of which the data are known, cell by cell."""
    weights_sha256: str
    trained_on: list[TrainedPart]
    """The trainings of own weights, oldest first."""
    distribution: str
    """Distribution and version that brought it: `"bench-harness 0.1.0"`."""
    reference: str


class MetricPart(TypedDict):
    """A `bench.specs.MetricSpec`."""

    name: str
    summary: str
    version: str
    higher_is_better: bool
    lower: float | None
    upper: float | None
    group: str
    floor: str
    reference: str


class SplitPart(TypedDict):
    """A `bench.tasks.Split`."""

    by: str
    sizes: dict[str, int]
    held_out: list[str]
    notes: list[str]
    optimistic: bool
    """Whether cells of one group sit on both sides."""


class TaskPart(TypedDict):
    """Which task examined it, and how its numbers are to be read."""

    name: str
    version: str
    config: dict[str, Any]
    bridge: str
    """Name of the probe between model and task; empty where the model needs none."""
    metrics: list[MetricPart]
    main_metric: str
    aggregate: dict[str, float]
    floor: str
    ceiling: str
    baselines: list[str]


class DatasetPart(TypedDict):
    """Which cells."""

    name: str
    version: str
    identity: str
    """Hash of content, roles, layer and options."""
    study: str
    roles: dict[str, str]
    layer: str
    options: dict[str, Any]
    semi_simulated: bool
    simulated: bool
    n_obs: int
    n_vars: int
    notices: list[str]
    """What was changed to make the data canonical: cells dropped, ids mapped."""


class SeenFile(TypedDict):
    """A file of a model's training data that holds cells of the dataset."""

    name: str
    cells: int
    genes: int
    """Measured by both, on which cells were compared."""
    seen: int
    """Cells of the dataset that are in it and that the model has seen there."""
    scored_seen: int


class ContaminationPart(TypedDict):
    """How many cells of the dataset the model's weights were trained on, by their fingerprints."""

    trained: int
    """Cells of the training data."""
    cells: int
    """Of the dataset."""
    seen: int
    """Of these, trained or validated on."""
    kept: int
    """In the training data too, but kept for the test there."""
    scored: int
    scored_seen: int
    comparable: float
    """Share of pairs of cells, one of each side, that have enough genes in common to be told apart or found."""
    files: list[SeenFile]
    problem: str
    """Why some could not be looked for; empty where all could."""


class ScorePart(TypedDict):
    """One `bench.tasks.Score`."""

    metric: str
    version: str
    value: float | None
    n: int
    units: dict[str, float]
    unit_kind: str
    part: dict[str, str]


class CostPart(TypedDict):
    """What it took. Phases are seconds of wall time, each counted once."""

    phases: dict[str, float]
    """load, split, sit, fit, predict, bridge, score, controls: a probe's own cost is `bridge`, never the model's;
    `sit` is what the task and the harness need around them."""
    wall_s: float
    cells_per_s: float | None
    """Cells embedded or predicted per second of `predict`."""
    peak_rss_bytes: int | None
    """Largest resident memory of the worker and its children; None where it ran inline."""
    peak_vram_bytes: int | None


class ErrorPart(TypedDict):
    """Why there is no score."""

    kind: str
    """Class of the exception, or signal."""
    message: str
    bad_input: bool
    """True where the user's input is at fault, so that running it again cannot help."""
    log_tail: list[str]
    """Last 50 lines the worker printed."""


class Record(TypedDict):
    """Everything known about one attempt."""

    schema: int
    run_id: str
    """Hash of the job key: the same question has the same id."""
    attempt: int
    status: Status
    created: str
    """UTC, ISO 8601."""
    protocol: int
    model: ModelPart
    task: TaskPart
    dataset: DatasetPart
    fold: str
    folds: list[str]
    """All folds of the exam, so that a part is not taken for the whole."""
    split_seed: int
    seed: int
    track: str
    """zero-shot | fitted | label-aware | fine-tuned"""
    split: SplitPart | None
    """None where it came to no split."""
    scores: list[ScorePart]
    controls: dict[str, list[ScorePart]]
    flags: list[dict[str, str]]
    """`{"kind": "suspect", "reason": ...}`; `contaminated` where scored cells were trained on, `unchecked` where
    nobody can tell, `unverified` where the origin is not known."""
    contamination: ContaminationPart | None
    """None where it cannot be computed: the model has no weights, or they were not trained here."""
    cost: CostPart
    environment: dict[str, Any]
    """python, platform, cpu, cores, device, packages, git sha and dirty flag."""
    error: ErrorPart | None
    embedding: str
    """Key of the dataset's own obsm that was scored instead of a model; empty for a model."""
    output: str
    """Path of the saved output below the results folder; empty where there is none."""


_LATER: Mapping[str, Any] = {"contamination": None}
_LATER_OF_MODEL: Mapping[str, Any] = {"trained_on": []}
"""Fields that the first records do not have, and what they would have said."""


def write(results: Path, record: Record) -> Path:
    """Store a record for good: complete or not at all, never over another.

    The attempt number is the next free one of its run and is set in the record.

    Raises
    ------
    StoreError
        If the folder cannot be written to.
    """
    folder = results / "records" / record["run_id"][:2]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        attempt = 1 + max((n for n, _ in attempts(results, record["run_id"])), default=0)
        while True:
            path = folder / f"{record['run_id']}.{attempt}.json"
            if publish(path, json.dumps({**record, "attempt": attempt}, allow_nan=False, indent=1)):
                return path
            attempt += 1
    except OSError as error:
        raise StoreError(f"cannot write a record to {folder}: {error.strerror or error}.") from None


def attempts(results: Path, run_id: str) -> list[tuple[int, Path]]:
    """Attempts of one run, oldest first, as (number, path)."""
    found = []
    for path in (results / "records" / run_id[:2]).glob(f"{run_id}.*.json"):
        number = path.name.split(".")[1]
        if number.isdigit():
            found.append((int(number), path))
    return sorted(found)


def read(path: Path) -> Record:
    """Read one record.

    Raises
    ------
    ValueError
        If the file is not a record; the message says where it breaks.
    StoreError
        If it was written by a newer version.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"invalid JSON at byte {error.pos}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("nested too deeply to be a record") from None
    if not isinstance(record, dict):
        raise ValueError("not a record: the top level is not an object")
    record = {**_LATER, **record}
    if isinstance(record.get("model"), dict):
        record["model"] = {**_LATER_OF_MODEL, **record["model"]}
    missing = sorted(Record.__required_keys__ - record.keys())
    if missing:
        raise ValueError(f"not a record: no {', '.join(missing[:5])}")
    if not isinstance(record["schema"], int) or record["schema"] > SCHEMA:
        raise StoreError(
            f"{path} has record schema {record['schema']}, this bench reads up to {SCHEMA}: upgrade bench-harness."
        )
    return record  # type: ignore[return-value]


def finite(value: float | None) -> float | None:
    """The value, or None where it is not a finite number (metrics that are not defined)."""
    return float(value) if value is not None and math.isfinite(value) else None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not allowed in a record")
