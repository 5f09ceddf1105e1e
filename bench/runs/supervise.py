"""Runs jobs as processes of their own, within limits, and turns whatever happens into an ending.

A worker that crashes, hangs, or eats all memory ends its own job and no other.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.runs import child
from bench.runs.job import Job
from bench.runs.record import ErrorPart, Status
from bench.runs.worker import CONTROLS
from bench.wording import size

POLL_SECONDS = 0.05
LOG_LINES = 50


@dataclass(frozen=True)
class Limits:
    """What one job may use."""

    timeout: float | None = None
    """Seconds of wall time."""
    max_memory: int | None = None
    """Bytes of resident memory, of the worker and its children together."""


@dataclass(frozen=True)
class Ending:
    """How one job ended."""

    job: Job
    status: Status
    result: dict[str, Any] | None
    """A `bench.runs.execute.Result`, where the status is ok."""
    error: ErrorPart | None
    wall_s: float
    peak_rss_bytes: int | None
    output: Path | None
    """The saved output, still in the scratch folder: whoever consumes the ending moves it."""


def supervise(
    jobs: Sequence[Job],
    *,
    scratch: Path,
    controls: Callable[[Job], Path],
    workers: int,
    limits: Limits,
    python: str = sys.executable,
    on_event: Callable[[Job, str], None] = lambda job, phase: None,
) -> Iterator[Ending]:
    """Run jobs, `workers` at a time, and yield each ending as it comes.

    Parameters
    ----------
    jobs
        In the order they start.
    scratch
        Folder for working files, see `bench.runs.scratch`.
    controls
        Where the scored controls of a job's exam are kept.
    workers
        Number of processes; they share the cores.
    limits
        Of each job.
    python
        Interpreter of the workers.
    on_event
        Told of a job's phase whenever it changes.
    """
    waiting = list(jobs)
    workers = max(1, min(workers, len(waiting)))
    running: list[Process] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                running.append(Process.start(job, scratch, controls(job), python, workers, limits))
            for process in list(running):
                if process.changed_phase():
                    on_event(process.job, process.phase)
                if process.finished():
                    running.remove(process)
                    yield process.ending()
                    shutil.rmtree(process.folder, ignore_errors=True)
            time.sleep(POLL_SECONDS)
    finally:
        for process in running:
            child.end(process.popen)


@dataclass
class Process:
    """One worker."""

    job: Job
    folder: Path
    popen: subprocess.Popen[bytes]
    limits: Limits
    started: float = field(default_factory=time.monotonic)
    phase: str = "start"
    stopped: str = ""
    """Why the supervisor ended it: `timeout` or `oom`."""
    peak_seen: int = 0
    """Largest resident memory of the worker and its children at any look, in bytes."""
    exit_code: int | None = None

    @classmethod
    def start(cls, job: Job, scratch: Path, controls: Path, python: str, workers: int, limits: Limits) -> Process:
        """Start the worker in a session of its own, in a folder of its own."""
        folder = Path(tempfile.mkdtemp(dir=scratch))
        (folder / "job.json").write_text(job.to_json(), encoding="utf-8")
        arguments = [str(folder / name) for name in ("job.json", "result.json")]
        environment = worker_environment(job, controls, workers)
        popen = child.start("bench.runs.worker", arguments, folder / "log", environment, python)
        return cls(job, folder, popen, limits)

    def changed_phase(self) -> bool:
        """Whether the worker has begun another phase since the last call."""
        try:
            phase = (self.folder / "phase").read_text()
        except OSError:
            return False
        changed = bool(phase) and phase != self.phase
        self.phase = phase or self.phase
        return changed

    def finished(self) -> bool:
        """Whether the worker has ended, by itself or because it went past a limit."""
        self.exit_code = self.popen.poll()
        if self.exit_code is not None:
            child.kill(self.popen)  # whatever it has started and left behind
            return True
        self.peak_seen = max(self.peak_seen, resident(self.popen.pid))
        if not self.stopped:
            self._enforce()
        return False

    def _enforce(self) -> None:
        if self.limits.timeout and time.monotonic() - self.started > self.limits.timeout:
            self.stopped = "timeout"
        elif self.limits.max_memory and self.peak_seen > self.limits.max_memory:
            self.stopped = "oom"
        if self.stopped:
            child.kill(self.popen)

    def ending(self) -> Ending:
        """Read what the worker left behind."""
        result = self._result()
        error = self._error(result)
        output = self.folder / "output.npz"
        return Ending(
            job=self.job,
            status=self._status(result, error),
            result=result if error is None else None,
            error=error,
            wall_s=time.monotonic() - self.started,
            peak_rss_bytes=max(self.peak_seen, result.get("peak_rss_bytes", 0)),
            output=output if error is None and output.exists() else None,
        )

    def _result(self) -> dict[str, Any]:
        try:
            return json.loads((self.folder / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # it died before it could say anything

    def _status(self, result: dict[str, Any], error: ErrorPart | None) -> Status:
        if error is None:
            return "ok"
        if self.stopped == "timeout":
            return "timeout"
        memory = result.get("error", {}).get("out_of_memory") or self.exit_code == -signal.SIGKILL
        return "oom" if memory else "failed"

    def _error(self, result: dict[str, Any]) -> ErrorPart | None:
        described = result.get("error")
        if result and not described and not self.stopped:
            return None
        kind, message = (described["kind"], described["message"]) if described else self._death()
        return ErrorPart(
            kind=kind,
            message=message,
            bad_input=bool(described and described["bad_input"]),
            log_tail=child.printed(self.folder / "log")[-LOG_LINES:],
        )

    def _death(self) -> tuple[str, str]:
        """Why a worker that said nothing has ended."""
        peak = size(self.peak_seen)
        if self.stopped == "timeout":
            return "Timeout", f"timeout after {self.limits.timeout:g} s in {self.phase}; raise --timeout"
        if self.stopped == "oom":
            return "OutOfMemory", f"used {peak}, more than --max-memory allows, in {self.phase}"
        code = self.exit_code or 0
        if code >= 0:
            return "WorkerExit", f"worker ended with exit code {code} in {self.phase} and left no result"
        likely = f" (likely out of memory: peak {peak})" if code == -signal.SIGKILL else ""
        return child.signal_name(-code), f"worker died with signal {-code} in {self.phase}{likely}"


def worker_environment(job: Job, controls: Path, workers: int) -> dict[str, str]:
    """Environment of a worker: that of any child process, and where controls are kept."""
    return {**child.environment_for(job.device, workers), CONTROLS: str(controls)}


def resident(pid: int) -> int:
    """Resident memory of a process and its children, in bytes."""
    total = 0
    try:
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            total += member.memory_info().rss
    except psutil.Error:
        return total  # one of them has just ended
    return total
