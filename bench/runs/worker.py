"""The one command that runs a job: `python -m bench.runs.worker JOB.json RESULT.json`.

It leaves RESULT.json (scores, or a described error) and `output.npz` beside it. Everything it prints
goes to the supervisor's log.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONTROLS = "BENCH_CONTROLS"
"""Environment variable: file of the scored controls of this exam, if an earlier run has left one."""


def main(job_path: Path, result_path: Path) -> int:
    """Run the job; the exit code is 0 where there are scores."""
    die_with_parent()
    from bench.runs.execute import execute
    from bench.runs.job import Job
    from bench.runs.meter import peak_rss

    try:
        job = Job.from_json(job_path.read_text(encoding="utf-8"))
        controls = Path(os.environ.get(CONTROLS, os.devnull))
        result = execute(job, result_path.with_name("output.npz"), controls, _phase_file(result_path))
        text, failed = json.dumps({**result, "peak_rss_bytes": peak_rss()}, allow_nan=False), False
    except BaseException as error:
        traceback.print_exc()
        text, failed = json.dumps({"error": describe(error)}), True
    result_path.write_text(text, encoding="utf-8")
    return int(failed)


def _phase_file(result_path: Path) -> Callable[[str], None]:
    path = result_path.with_name("phase")

    def write(phase: str) -> None:
        path.write_text(phase, encoding="utf-8")

    return write


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as the record keeps it."""
    from bench.errors import BadInput

    return {
        "kind": type(error).__name__,
        "message": str(error) or type(error).__name__,
        "bad_input": isinstance(error, BadInput),
        "out_of_memory": isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__,
    }


def die_with_parent() -> None:
    """Ask the system to end this process when its supervisor ends, however that happens."""
    if sys.platform != "linux":
        return  # elsewhere an orphan finishes its job and its result is never read
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != int(os.environ.get("BENCH_SUPERVISOR", os.getppid())):
        os.kill(os.getpid(), signal.SIGKILL)  # the supervisor was gone before the line above


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
