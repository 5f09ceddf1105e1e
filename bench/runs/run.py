"""`bench run`: plan a request, run what is not done yet, leave one record per attempt."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from bench.atomic import replacing
from bench.errors import BadInput, BenchError, StoreError, unknown
from bench.runs import record
from bench.runs.assemble import job_record, refusal_record
from bench.runs.job import Job
from bench.runs.plan import DataFacts, Plan, Refusal, plan
from bench.runs.record import ErrorPart, Record
from bench.runs.request import Request
from bench.runs.rescue import rescue
from bench.runs.scratch import scratch
from bench.runs.supervise import Ending, Limits, supervise

Executor = Literal["inline", "local"]
NO_LIMITS = Limits()


@dataclass(frozen=True)
class Policy:
    """How jobs are run; nothing here changes a score."""

    results: Path
    jobs: int = 1
    executor: Executor = "local"
    limits: Limits = NO_LIMITS
    python: str = sys.executable
    force: bool = False
    retry_failed: bool = False

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise BadInput(f"--jobs {self.jobs} must be at least 1.")
        if self.executor not in get_args(Executor):
            raise unknown("executor", self.executor, get_args(Executor))
        if self.executor == "inline" and self.limits != NO_LIMITS:
            raise BadInput("--executor inline cannot enforce --timeout or --max-memory; use --executor local.")
        if any(limit is not None and not limit > 0 for limit in (self.limits.timeout, self.limits.max_memory)):
            raise BadInput("--timeout and --max-memory must be positive.")
        if shutil.which(self.python) is None:
            raise BadInput(f"--python {self.python} is not a program that can be started here.")


@dataclass
class Progress:
    """Callbacks a caller may use to show what is going on."""

    planned: Callable[[Plan, list[Record]], None] = lambda plan, done: None
    phase: Callable[[Job, str], None] = lambda job, phase: None
    ended: Callable[[Record], None] = lambda record: None


@dataclass(frozen=True)
class Outcome:
    """What a request has come to."""

    records: tuple[Record, ...]
    """One per run, those that were done before included."""
    refusals: tuple[Refusal, ...]
    """Triples that do not go together."""


def run(request: Request, policy: Policy, progress: Progress | None = None) -> Outcome:
    """Run a request.

    Raises
    ------
    BadInput
        For unknown names, wrong options, unreadable data: nothing has been run then.
    StoreError
        If the results folder cannot be used.
    """
    progress = progress or Progress()
    results = policy.results.absolute()  # workers have a working folder of their own
    planned = plan(request, policy.limits.max_memory)
    with _storing(results):
        done = {} if policy.force else _done(results, planned, policy.retry_failed)
        waiting = [job for job in planned.jobs if job.run_id not in done]
        for refusal in planned.refusals:
            _keep(results, refusal_record(refusal, request.device))
        progress.planned(planned, list(done.values()))
        known = dict(done)
        with scratch(results) as folder:
            for ending in _endings(waiting, policy, results, folder, progress):
                facts = planned.facts[ending.job.model, ending.job.dataset_identity]
                known[ending.job.run_id] = _consumed(results, ending, facts)
                progress.ended(known[ending.job.run_id])
    return Outcome(tuple(known[job.run_id] for job in planned.jobs), planned.refusals)


@contextmanager
def _storing(results: Path) -> Iterator[None]:
    """Say of every trouble with files that it is the results folder's."""
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
        raise StoreError(f"cannot use the results folder {results}: {reason}.") from error


def _endings(jobs: list[Job], policy: Policy, results: Path, folder: Path, progress: Progress) -> Iterator[Ending]:
    def controls(job: Job) -> Path:
        """Known controls are not computed again, unless everything is."""
        return Path(os.devnull) if policy.force else _controls_path(results, job)

    if policy.executor == "inline":
        yield from (_inline(job, controls(job), folder, progress) for job in jobs)
    else:
        yield from supervise(
            jobs,
            scratch=folder,
            controls=controls,
            workers=policy.jobs,
            limits=policy.limits,
            python=policy.python,
            on_event=progress.phase,
        )


def _inline(job: Job, controls: Path, folder: Path, progress: Progress) -> Ending:
    """Run a job in this process, for debugging: an exception that bench does not know goes up."""
    from bench.runs.execute import execute  # heavy: only where this process is the worker

    output = folder / "output.npz"
    try:
        result: Any = execute(job, output, controls, lambda phase: progress.phase(job, phase))
    except BenchError as error:
        kind, bad_input = type(error).__name__, isinstance(error, BadInput)
        described = ErrorPart(kind=kind, message=str(error), bad_input=bad_input, log_tail=[])
        return Ending(job, "failed", None, described, 0.0, None, None)
    return Ending(job, "ok", result, None, result["wall_s"], None, output)


def _done(results: Path, planned: Plan, retry_failed: bool) -> dict[str, Record]:
    """Runs that need not run again: finished ones, and failed ones unless they are to be retried."""
    done: dict[str, Record] = {}
    for job in planned.jobs:
        known = best_record(results, job.run_id)
        if known and (known["status"] == "ok" or not retry_failed):
            done[job.run_id] = known
    return done


def best_record(results: Path, run_id: str) -> Record | None:
    """The record that counts for a run: the latest that is ok, else the latest."""
    latest: Record | None = None
    for _, path in record.attempts(results, run_id):
        try:
            found = record.read(path)
        except ValueError:
            continue  # half-written by something else than bench: `bench index` reports it
        if found["status"] == "ok" or latest is None or latest["status"] != "ok":
            latest = found
    return latest


def _consumed(results: Path, ending: Ending, facts: DataFacts) -> Record:
    """The record of an ending; where the results folder takes no more, it is kept elsewhere before that is said."""
    try:
        return _consume(results, ending, facts)
    except (OSError, StoreError) as error:
        raise rescue(results, job_record(ending, facts, ""), error) from error


def _consume(results: Path, ending: Ending, facts: DataFacts) -> Record:
    """Move an ending into place: controls and output first, the record that makes them visible last."""
    job, result = ending.job, ending.result
    output = ""
    if result is not None:
        _save_controls(_controls_path(results, job), result["controls"])
    if ending.output is not None:
        output = f"outputs/{job.run_id}.npz"
        (results / "outputs").mkdir(parents=True, exist_ok=True)
        os.replace(ending.output, results / output)
    return _keep(results, job_record(ending, facts, output))


def _keep(results: Path, kept: Record) -> Record:
    if kept["status"] == "incompatible":
        known = best_record(results, kept["run_id"])
        if known:
            return known  # one line saying so is enough
    path = record.write(results, kept)
    return record.read(path)


def _controls_path(results: Path, job: Job) -> Path:
    return results / "controls" / f"{job.control_key}.json"


def _save_controls(path: Path, controls: Any) -> None:
    """Keep scored controls for the other models of the exam."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(controls, allow_nan=False), encoding="utf-8")
