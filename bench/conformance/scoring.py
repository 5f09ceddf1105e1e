"""Checks of how a task examines and scores: by name, within bounds, with controls in their order."""

from __future__ import annotations

import math

import numpy as np

from bench import answers
from bench.conformance.check import Failure
from bench.conformance.exams import CORNERS
from bench.conformance.sitting import TaskSubject, readable
from bench.errors import BadOutput
from bench.runs.suspicion import headline, suspicions
from bench.tasks import Output, Score

CLOSE = 1e-6
"""Scores of the same answer in another order may differ so much: sums of floats."""


def sit(subject: TaskSubject) -> str:
    """A plain model gets through, and its answer is what the exam asks for."""
    exam, _ = subject.exam_and_truth
    try:
        answers.output("the plain model", subject.output, exam)
    except BadOutput as error:
        raise Failure(f"sit() returns an Output that does not fit the exam: {error}") from None
    return f"{', '.join(subject.output.arrays)} for {len(subject.output.rows):,} rows"


def no_peeping(subject: TaskSubject) -> str:
    """Nothing that a model is handed while it sits the exam tells what it is scored on."""
    _, truth = subject.exam_and_truth
    for method, cells in subject.calls:
        for column, values in subject.secrets(truth).items():
            where, right = readable(cells, values)
            if right:
                raise Failure(
                    f"sit() hands {method}() the {column} of {right:,} scored cells in obs[{where!r}]; it must not know"
                )
        corners = [corner for corner in CORNERS if len(getattr(cells, corner))]
        if corners:
            raise Failure(f"sit() hands {method}() cells with {', '.join(corners)}; hand over what the exam holds")
    return f"{len(subject.calls)} calls, none with an answer in it"


def scores(subject: TaskSubject) -> str:
    """Every metric of the spec is scored, in its version and within its bounds, and no other."""
    declared = {metric.name: metric for metric in subject.spec.metrics}
    for score in subject.scores:
        metric = declared.get(score.metric)
        if metric is None:
            raise Failure(f"score() returns {score.metric!r}, which the spec does not declare; add a MetricSpec")
        if score.version != metric.version:
            raise Failure(f"{score.metric} is scored as version {score.version!r}, the spec says {metric.version!r}")
        if score.value is not None:
            _within(score, metric.lower, metric.upper)
    absent = sorted(declared.keys() - {score.metric for score in subject.scores if not score.part})
    if absent:
        raise Failure(f"score() leaves out {', '.join(absent)}; return it with value None where it is not defined")
    undefined = [s.metric for s in subject.scores if s.value is None and not s.part]
    if _headline(subject, subject.scores) is None:
        raise Failure(
            f"{', '.join(undefined)} is None for a plain model on the kit's cells, so nothing ranks it;"
            " return a number wherever the metric is defined"
        )
    return f"{len(declared)} metrics" + (f"; not defined on the probe: {', '.join(undefined)}" if undefined else "")


def stable(subject: TaskSubject) -> str:
    """The same answer gets the same scores, always and from a task object that made no exam."""
    _, truth = subject.exam_and_truth
    _must_equal(subject.task.score(subject.output, truth), subject, 0.0, "scored twice, the same answer")
    _must_equal(subject.fresh().score(subject.output, truth), subject, 0.0, "scored by a fresh task, the same answer")
    return "equal to the last digit"


def rows_by_name(subject: TaskSubject) -> str:
    """An answer with its rows in another order gets the same scores."""
    given, (_, truth) = subject.output, subject.exam_and_truth
    order = np.random.default_rng(5).permutation(len(given.rows))
    rows = tuple(given.rows[i] for i in order)
    moved = Output(rows, {name: array[order] for name, array in given.arrays.items()}, given.columns)
    _must_equal(subject.task.score(moved, truth), subject, CLOSE, "with its rows in another order the same answer")
    return "permuted rows score the same"


def controls(subject: TaskSubject) -> str:
    """Controls fit the exam, the named ones exist, and the ceiling (else some control) is above the floor."""
    exam, truth = subject.exam_and_truth
    made = subject.task.controls(exam, truth, 0)
    spec = subject.spec
    named = {spec.floor, spec.ceiling, *(metric.floor for metric in spec.metrics)} - {""}
    if named - made.keys():
        raise Failure(f"the spec names {', '.join(sorted(named - made.keys()))}, controls() makes {', '.join(made)}")
    for name, output in made.items():
        answers.output(f"control {name}", output, exam)
    scored = {name: subject.task.score(output, truth) for name, output in made.items()}
    upper = [spec.ceiling] if spec.ceiling else [n for n in made if n != spec.floor]
    compared = [n for n in upper if None not in (_headline(subject, scored[n]), _headline(subject, scored[spec.floor]))]
    if not compared:
        return f"{', '.join(made)}; note: the floor is compared with none, give a control that is above it"
    if all(suspicions(scored[name], scored, spec) for name in compared):
        above = f"ceiling {spec.ceiling!r}" if spec.ceiling else "any other control"
        raise Failure(f"the floor {spec.floor!r} scores as well as {above}; a floor marks skill 0")
    return f"{', '.join(made)}; the floor is below"


def _headline(subject: TaskSubject, found: list[Score]) -> float | None:
    return headline({s.metric: s.value for s in found if not s.part}, subject.spec)


def _within(score: Score, lower: float | None, upper: float | None) -> None:
    value = float(score.value if score.value is not None else 0.0)
    if not math.isfinite(value):
        raise Failure(f"{score.metric} is {value}; return None where it is not defined")
    if (lower is not None and value < lower - CLOSE) or (upper is not None and value > upper + CLOSE):
        raise Failure(f"{score.metric} is {value:.4g}, outside of the bounds of its MetricSpec, {lower} .. {upper}")


def _must_equal(found: list[Score], subject: TaskSubject, tolerance: float, what: str) -> None:
    ours, theirs = (_values(some) for some in (subject.scores, found))
    if ours.keys() != theirs.keys():
        raise Failure(f"{what} gets other metrics")
    for key, value in ours.items():
        if not _equal(value, theirs[key], tolerance):
            raise Failure(f"{what} gets another {key[0]}: {_shown(theirs[key])} instead of {_shown(value)}")


def _equal(a: float | None, b: float | None, tolerance: float) -> bool:
    if a is None or b is None or math.isnan(a) or math.isnan(b):
        return _shown(a) == _shown(b)
    return abs(a - b) <= tolerance


def _values(found: list[Score]) -> dict[tuple[str, ...], float | None]:
    return {(s.metric, *(f"{k}={v}" for k, v in sorted(s.part.items()))): s.value for s in found}


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
