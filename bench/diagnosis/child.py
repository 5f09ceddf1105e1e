"""Child processes that may crash, hang or end the process: whatever they do is told, and nothing else happens."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.runs.supervise import child_environment

LOG_BYTES = 4_000


@dataclass(frozen=True)
class Ending:
    """How a child ended."""

    code: int | None
    """Exit code, or minus the signal; None where it was stopped at its time limit."""
    answer: Any
    """What it left in its answer file, JSON; None where it left nothing that can be read."""
    printed: str
    """The end of what it printed."""

    def death(self, limit: float) -> str:
        """Why it left no answer."""
        if self.code is None:
            return f"did not end within {limit:g} s"
        if self.code < 0:
            return f"died with signal {-self.code} ({signal.Signals(-self.code).name})"
        return f"ended the process with exit code {self.code}"


def ask(module: str, arguments: Sequence[str], *, limit: float, device: str = "cpu") -> Ending:
    """Run `python -m MODULE ANSWER ARGUMENTS...` in a folder and a session of its own.

    Parameters
    ----------
    module
        Writes its answer as JSON to the file its first argument names.
    arguments
        The others.
    limit
        Seconds after which it is ended, with all it has started.
    device
        `"cpu"` hides GPUs from it.
    """
    with tempfile.TemporaryDirectory(prefix="bench-doctor-", ignore_cleanup_errors=True) as folder:
        answer, log = Path(folder) / "answer.json", Path(folder) / "log"
        with log.open("wb") as stream:
            child = subprocess.Popen(
                [sys.executable, "-m", module, str(answer), *arguments],
                cwd=folder,  # a module of the user's folder must not shadow a library
                env=child_environment(device),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code = _ended(child, limit)
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - LOG_BYTES))
            printed = stream.read().decode("utf-8", "replace")
        return Ending(code, _read(answer), printed)


def leave(path: Path, answer: Any) -> None:
    """Write a child's answer, whole or not at all, over an earlier one."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(answer), encoding="utf-8")
    os.replace(temporary, path)


def _ended(child: subprocess.Popen[bytes], limit: float) -> int | None:
    """Exit code of a child; None where it had to be stopped. Nothing that it started is left."""
    try:
        return child.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has left nothing behind
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
