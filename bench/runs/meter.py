"""Where the time goes: wall time by phase, each second counted once."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Meter:
    """A clock with nested phases: time in an inner phase is not counted in the outer one.

    So a probe (`bridge`) is not charged for the model it wraps (`fit`, `predict`), nor the model for
    the probe.

    Parameters
    ----------
    on_phase
        Called with the name of each phase that begins.
    """

    def __init__(self, on_phase: Callable[[str], None] = lambda phase: None) -> None:
        self.seconds: dict[str, float] = {}
        self.cells = 0
        self._running: list[str] = []
        self._mark = self._start = time.perf_counter()
        self._on_phase = on_phase

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge the enclosed time to `name`."""
        self._charge()
        self._running.append(name)
        self._on_phase(name)
        try:
            yield
        finally:
            self._charge()
            self._running.pop()

    def count(self, cells: int) -> None:
        """Note that so many cells went through `predict`."""
        self.cells += cells

    @property
    def wall(self) -> float:
        """Seconds since the meter was made."""
        return time.perf_counter() - self._start

    @property
    def cells_per_second(self) -> float | None:
        """Throughput of `predict`; None where nothing was predicted."""
        seconds = self.seconds.get("predict", 0.0)
        return self.cells / seconds if self.cells and seconds > 0 else None

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._running:
            phase = self._running[-1]
            self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._mark
        self._mark = now


def peak_rss() -> int:
    """Largest resident set of this process so far, in bytes.

    On Linux from the process's own books: what `getrusage` and `wait4` report starts from the size of the
    process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError, ValueError):
        unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_vram() -> int | None:
    """Largest memory torch held on the GPU, in bytes; None where no GPU was used."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated())
