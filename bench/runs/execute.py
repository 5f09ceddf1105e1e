"""Run one job in this process, from specs to scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from bench import answers, environment
from bench.catalogue import bridge_for, catalogue
from bench.config import build
from bench.data import canonical
from bench.runs import contamination, models, stored, suspicion
from bench.runs.job import Job
from bench.runs.meter import Meter, peak_vram
from bench.runs.record import ContaminationPart, ScorePart, SplitPart, finite
from bench.specs import ModelSpec, load_target
from bench.tasks import Exam, Output, Score, Split, Task, Truth

ControlScores = dict[str, list[ScorePart]]


class Result(TypedDict):
    """What a worker leaves behind for the process that supervises it."""

    split: SplitPart
    scores: list[ScorePart]
    controls: ControlScores
    flags: list[dict[str, str]]
    contamination: ContaminationPart | None
    phases: dict[str, float]
    wall_s: float
    cells_per_s: float | None
    peak_vram_bytes: int | None
    environment: dict[str, Any]


def execute(job: Job, output_path: Path, controls_path: Path, on_phase: Callable[[str], None]) -> Result:
    """Examine one model on one fold.

    Parameters
    ----------
    job
        What to run.
    output_path
        Where the output is saved (`.npz`).
    controls_path
        Scores of this exam's controls, read where an earlier run has left them.
    on_phase
        Told the name of each phase that begins.
    """
    task_spec, spec = catalogue().task(job.task), stored.model_spec(job)
    task_config = build(task_spec.config, job.task_config, f"task {job.task}")
    task: Task = load_target(task_spec.target)(task_config)
    meter = Meter(on_phase)
    with meter.phase("load"):
        data = canonical.load(job.dataset)
    with meter.phase("split"):
        exam, truth = task.split(data, job.fold, job.split_seed, label_aware=job.label_aware)
    with meter.phase("sit"):
        contaminated = contamination.measure(job.weights, data, exam.rows)
    del data  # from here on there is only what a model may see, and what it is scored on
    with meter.phase("load"):
        make = bare_model(job, spec)
    bridge = bridge_for(spec, task_spec, job.bridge)
    make_model = models.factory(spec, make, task_spec.needs, bridge, task_config, job.seed, meter)
    with meter.phase("sit"):
        output = answers.output(f"model {job.model}", task.sit(make_model, exam), exam)
    save_output(output_path, output)
    with meter.phase("score"):
        scores = task.score(output, truth)
    with meter.phase("controls"):
        controls = known_controls(controls_path) or score_controls(task, exam, truth, job.split_seed)
    return Result(
        split=split_part(exam.split),
        scores=[as_part(s) for s in scores],
        controls=controls,
        flags=suspicion.collapse(output, task_spec)
        + suspicion.suspicions(scores, {k: [Score(**s) for s in v] for k, v in controls.items()}, task_spec)
        + contamination.flags(contaminated, spec, job.dataset, job.weights),
        contamination=contaminated,
        phases=meter.seconds,
        wall_s=meter.wall,
        cells_per_s=meter.cells_per_second,
        peak_vram_bytes=peak_vram(),
        environment=environment.describe(job.device),
    )


def bare_model(job: Job, spec: ModelSpec) -> Callable[[], Any]:
    """A factory of fresh, configured, seeded models."""
    if job.embedding:
        return stored.stored_model(job.embedding, job.dataset)
    return models.configured_model(spec, job.model_config, job.weights, job.seed, job.device)


def score_controls(task: Task, exam: Exam, truth: Truth, split_seed: int) -> ControlScores:
    """Score what the task answers itself."""
    answers = task.controls(exam, truth, split_seed)
    return {name: [as_part(s) for s in task.score(answer, truth)] for name, answer in answers.items()}


def known_controls(path: Path) -> ControlScores | None:
    """Controls that an earlier run of the same exam has scored."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        for scores in known.values():
            [Score(**score) for score in scores]
    except (OSError, ValueError, TypeError, AttributeError):
        return None  # not there, or not what was written: they are computed anew
    return known


def split_part(split: Split) -> SplitPart:
    """A split as it stands in a record."""
    return SplitPart(
        by=split.by,
        sizes={part: int(n) for part, n in split.sizes.items()},
        held_out=list(split.held_out),
        notes=list(split.notes),
        optimistic=split.optimistic,
    )


def as_part(score: Score) -> ScorePart:
    """A score as it stands in a record: finite or None."""
    return ScorePart(
        metric=score.metric,
        version=score.version,
        value=finite(score.value),
        n=int(score.n),
        units={str(k): float(v) for k, v in score.units.items() if finite(v) is not None},
        unit_kind=score.unit_kind,
        part={str(k): str(v) for k, v in score.part.items()},
    )


def save_output(path: Path, output: Output) -> None:
    """Save an output with its row names, without pickled objects."""
    arrays: dict[str, Any] = {"rows": np.asarray(output.rows, dtype=np.str_)}
    arrays |= {f"arrays/{name}": array for name, array in output.arrays.items()}
    arrays |= {f"columns/{name}": np.asarray(names, dtype=np.str_) for name, names in output.columns.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)
