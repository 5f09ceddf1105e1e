"""How fast a training is, how long it waits for data, and how much memory it takes."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from bench.training.provenance import Throughput
from bench.training.stream import Streamed

KEY = "meter"
"""Of a checkpoint."""


@dataclass
class Spent:
    """What was spent so far, before the training was resumed included."""

    cells: int = 0
    """Seen by all devices, each time counts."""
    timed_cells: int = 0
    """Those of steps that were timed: all but the first, in which programs are loaded and worker processes start."""
    steps_s: float = 0.0
    """Seconds in these steps, from asking for a batch to the end of the step: no validation, no checkpoint."""
    waited_s: float = 0.0
    """Of these, until the batch was there."""
    wall_s: float = 0.0
    """Seconds of everything."""
    peak_bytes: int = 0
    """Most memory at a time: on a GPU of its tensors, else of this process."""

    @property
    def throughput(self) -> Throughput | None:
        """For the provenance; None where no step was timed."""
        if not self.steps_s:
            return None
        return {
            "cells_per_second": self.timed_cells / self.steps_s,
            "data_wait": self.waited_s / self.steps_s,
            "peak_bytes": self.peak_bytes,
        }


class Meter(Callback):
    """Measures a training. On a GPU a step seems done once it is handed over; over many steps that evens out."""

    def __init__(self, stream: Streamed) -> None:
        self.spent = Spent()
        self._data, self._waited, self._warm = stream, 0.0, False
        self._since = time.perf_counter()
        self._last = Spent()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count from here."""
        self._since, self._last = time.perf_counter(), Spent(**asdict(self.spent))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch."""
        stream, spent, cells = self._data.stream, self.spent, cells_of(batch) * trainer.world_size
        spent.cells += cells
        if self._warm:
            spent.timed_cells += cells
            spent.steps_s += time.perf_counter() - stream.asked
            spent.waited_s += stream.waited - self._waited
        self._waited, self._warm = stream.waited, True

    def speed(self) -> float | None:
        """Cells per second of steps since the last reading; None where none was timed."""
        last, spent = self._last, self.spent
        self._last = Spent(**asdict(spent))
        seconds = spent.steps_s - last.steps_s
        return (spent.timed_cells - last.timed_cells) / seconds if seconds else None

    def update(self) -> Spent:
        """What was spent until now."""
        now = time.perf_counter()
        self.spent.wall_s += now - self._since
        self._since = now
        self.spent.peak_bytes = max(self.spent.peak_bytes, peak_bytes())
        return self.spent

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take along what was spent."""
        checkpoint[KEY] = {"spent": asdict(self.update())}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on counting."""
        self.spent = Spent(**checkpoint[KEY]["spent"])


def cells_of(batch: Any) -> int:
    """Cells of a batch; two views of a cell are one."""
    cells = getattr(batch, "cells", None)
    return 0 if cells is None else len(cells) // getattr(batch, "views", 1)


def peak_bytes() -> int:
    """Most memory at a time: on a GPU of its tensors, else of this process."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
