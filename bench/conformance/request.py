"""What is to be examined, and the checks of it, one after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.catalogue import catalogue
from bench.conformance.check import judge
from bench.conformance.kit import checks
from bench.conformance.report import Result, Row
from bench.conformance.sitting import TaskSubject
from bench.conformance.subject import ASK, ModelSubject
from bench.specs import Cap, ModelSpec, TaskSpec


@dataclass(frozen=True)
class Request:
    """What to examine, and how."""

    kind: Literal["model", "task"]
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    seed: int = 0
    device: str = "cpu"

    def spec(self) -> ModelSpec | TaskSpec:
        """The spec of the plugin; raises `BadInput` where there is none."""
        return catalogue().model(self.name) if self.kind == "model" else catalogue().task(self.name)


def rows(request: Request, earlier: Mapping[str, Result], only: Sequence[str] = ()) -> Iterator[Row]:
    """Run checks in this process and yield each row as it comes.

    Parameters
    ----------
    request
        What is examined.
    earlier
        Results of checks that have been run already; they are not run again.
    only
        Names of the checks to run; empty: all.
    """
    results = dict(earlier)
    subjects: dict[Cap | None, ModelSubject | TaskSubject] = {}
    for check, cap in checks(request.spec()):
        if check.name in earlier or (only and check.name not in only):
            continue
        if cap not in subjects:
            subjects[cap] = subject_of(request, cap)
        row = judge(check, subjects[cap], results)
        results[row.check] = row.result
        yield row


def subject_of(request: Request, cap: Cap | None) -> ModelSubject | TaskSubject:
    """What the checks of a capability are given."""
    spec, options = request.spec(), dict(request.options)
    if isinstance(spec, TaskSpec):
        return TaskSubject(spec, options, request.seed)
    asked = cap or min(spec.gives, key=lambda one: one not in ASK, default=Cap.EMBEDS_CELLS)
    return ModelSubject(spec, asked, options, request.weights, request.seed, request.device)
