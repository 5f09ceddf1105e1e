"""Child processes that run a plugin's code: started alike, ended with all that they have started, heard to the end.

Each has a session of its own, so that whatever it starts can be ended with it, and writes to a log.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.data.cache import cache_dir

LOG_BYTES = 64 * 1024


def start(
    module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str], python: str = sys.executable
) -> subprocess.Popen[bytes]:
    """Run `python -m MODULE ARGUMENTS...` in a session of its own.

    Parameters
    ----------
    module, arguments
        What is run.
    log
        File that gets what it prints. It works in that folder: a module of the user's must not shadow a library.
    environment
        All its variables, see `environment_for`.
    python
        The interpreter.
    """
    with log.open("wb") as stream:
        return subprocess.Popen(
            [python, "-m", module, *arguments],
            cwd=log.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def kill(child: subprocess.Popen[bytes]) -> None:
    """Tell a child and all that it has started to end, also what it has left behind; it is not waited for."""
    with contextlib.suppress(ProcessLookupError):  # nothing is left
        os.killpg(child.pid, signal.SIGKILL)


def end(child: subprocess.Popen[bytes]) -> None:
    """The same, until it has ended."""
    kill(child)
    child.wait()


def printed(log: Path) -> list[str]:
    """The last lines of a log, a line that was written over in place being several; none where there is no log."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - LOG_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    return text.replace("\r", "\n").splitlines()


def last_words(log: Path) -> str:
    """What a log ends with, as the end of a sentence; empty where there is nothing."""
    lines = [line for line in printed(log) if line.strip()]
    return f"; last words: {lines[-1].strip()[:200]}" if lines else ""


def signal_name(number: int) -> str:
    """`SIGSEGV`; real-time signals have no name of their own."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def environment_for(device: str, workers: int = 1) -> dict[str, str]:
    """Variables of a child process: compilation caches, a fair share of the cores, no GPU unless asked for.

    Parameters
    ----------
    device
        `"cpu"` hides GPUs from it.
    workers
        How many share the cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // workers))
    chosen = {
        "BENCH_SUPERVISOR": str(os.getpid()),
        "BENCH_CACHE_DIR": str(cache_dir()),
        "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in _python_path()),  # its folder is another one
        "MPLBACKEND": "Agg",
        "PYTHONHASHSEED": "0",
        # a new process would pay some 40 s of compilation each time; see the libraries' documentation
        "JAX_COMPILATION_CACHE_DIR": str(cache_dir() / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        "NUMBA_CACHE_DIR": str(cache_dir() / "numba"),
    }
    defaults = {f"{library}_NUM_THREADS": threads for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    if device == "cpu":
        chosen |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    return {**defaults, **os.environ, **chosen}


def _python_path() -> list[str]:
    return [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
