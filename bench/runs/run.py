"""`bench run`: plan a request, run what is not done yet, leave one record per attempt."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bench.errors import BadInput, BenchError
from bench.runs import record
from bench.runs.assemble import job_record, refusal_record
from bench.runs.job import Job
from bench.runs.plan import DataFacts, Plan, Request, plan
from bench.runs.record import ErrorPart, Record
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


@dataclass
class Progress:
    """Callbacks a caller may use to show what is going on."""

    planned: Callable[[Plan, list[Record]], None] = lambda plan, done: None
    phase: Callable[[Job, str], None] = lambda job, phase: None
    ended: Callable[[Record], None] = lambda record: None


def run(request: Request, policy: Policy, progress: Progress | None = None) -> list[Record]:
    """Run a request and return one record per run, those that were done before included.

    Raises
    ------
    BadInput
        For unknown names, wrong options, unreadable data: nothing has been run then.
    StoreError
        If a record cannot be written.
    """
    progress = progress or Progress()
    policy = replace(policy, results=policy.results.absolute())  # workers have a working folder of their own
    if policy.executor == "inline" and policy.limits != NO_LIMITS:
        raise BadInput("--executor inline cannot enforce --timeout or --max-memory; use --executor local.")
    planned = plan(request)
    done = {} if policy.force else _done(policy, planned)
    waiting = [job for job in planned.jobs if job.run_id not in done]
    for refusal in planned.refusals:
        _keep(policy.results, refusal_record(refusal, request.device))
    progress.planned(planned, list(done.values()))
    fresh: dict[str, Record] = {}
    for ending in _endings(waiting, policy, progress):
        facts = planned.facts[ending.job.dataset_identity]
        fresh[ending.job.run_id] = _consume(policy.results, ending, facts)
        progress.ended(fresh[ending.job.run_id])
    return [{**done, **fresh}[job.run_id] for job in planned.jobs if job.run_id in {**done, **fresh}]


def _endings(jobs: list[Job], policy: Policy, progress: Progress) -> Iterator[Ending]:
    if policy.executor == "inline":
        policy.results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=policy.results, prefix=".inline-") as folder:
            yield from (_inline(job, policy.results, Path(folder), progress) for job in jobs)
    else:
        yield from supervise(
            jobs,
            results=policy.results,
            workers=policy.jobs,
            limits=policy.limits,
            python=policy.python,
            on_event=progress.phase,
        )


def _inline(job: Job, results: Path, folder: Path, progress: Progress) -> Ending:
    """Run a job in this process, for debugging: an exception that bench does not know goes up."""
    from bench.runs.execute import execute  # heavy: only where this process is the worker

    output = folder / "output.npz"
    try:
        result: Any = execute(job, output, _controls_path(results, job), lambda phase: progress.phase(job, phase))
    except BenchError as error:
        kind, bad_input = type(error).__name__, isinstance(error, BadInput)
        described = ErrorPart(kind=kind, message=str(error), bad_input=bad_input, log_tail=[])
        return Ending(job, "failed", None, described, 0.0, None, None)
    return Ending(job, "ok", result, None, result["wall_s"], None, output)


def _done(policy: Policy, planned: Plan) -> dict[str, Record]:
    """Runs that need not run again: finished ones, and failed ones unless they are to be retried."""
    done: dict[str, Record] = {}
    for job in planned.jobs:
        known = best_record(policy.results, job.run_id)
        if known and (known["status"] == "ok" or not policy.retry_failed):
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
    """Keep scored controls for the other models of the exam; a rename, so readers see all or nothing."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(controls, file, allow_nan=False)
    os.replace(temporary, path)
