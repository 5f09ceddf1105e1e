"""Child processes that may crash, hang or end the process: whatever they do is told, and nothing else happens."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.runs import child


@dataclass(frozen=True)
class Ending:
    """How a child ended."""

    code: int | None
    """Exit code, or minus the signal; None where it was stopped at its time limit."""
    answer: Any
    """What it left in its answer file, JSON; None where it left nothing that can be read."""
    printed: tuple[str, ...]
    """The last lines it printed."""
    last_words: str
    """The last of them, as the end of a sentence; empty where it printed nothing."""

    def death(self, limit: float) -> str:
        """Why it left no answer."""
        if self.code is None:
            return f"did not end within {limit:g} s"
        if self.code < 0:
            return f"died with signal {-self.code} ({child.signal_name(-self.code)})"
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
        process = child.start(module, [str(answer), *arguments], log, child.environment_for(device))
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            child.end(process)
        return Ending(code, _read(answer), tuple(child.printed(log)), child.last_words(log))


def leave(path: Path, answer: Any) -> None:
    """Write a child's answer, whole or not at all, over an earlier one."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(answer), encoding="utf-8")
    os.replace(temporary, path)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
