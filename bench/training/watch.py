"""A loss or gradient that is not a number ends the training, and is told with the cells it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from bench.errors import BadOutput
from bench.training.begun import LAST
from bench.training.means import TOTAL
from bench.training.module import TrainingModule
from bench.training.recorder import Recorder, ends_step
from bench.training.stream import Streamed
from bench.wording import counted, listed

FIRST = 5
"""Cells that are named."""
GRADIENT = "the gradient"


@dataclass(frozen=True)
class _Seen:
    """A batch of which the numbers may still be computed."""

    step: int
    epoch: int
    names: tuple[str, ...]
    numbers: Tensor
    """float64 (parts + 1,) losses and the length of the gradient, on the CPU once `ready`."""
    cells: Tensor | None
    ready: Any

    def faults(self) -> list[str]:
        """What is not finite, such as `pretext is nan`."""
        if self.ready is not None:
            self.ready.synchronize()
        *losses, norm = self.numbers.tolist()
        found = zip(self.names, losses, strict=True)
        wrong = [f"{name} is {value}" for name, value in found if not np.isfinite(value)]
        return wrong or ([] if np.isfinite(norm) else [f"{GRADIENT} is {norm}"])


class Watch(Callback):
    """Looks at every batch at the end of its step, on a GPU one step later, so that it does not wait.

    A step is what all processes share: at its end the gradients of all hold what one of them has seen.

    Parameters
    ----------
    stream
        Of a data module in whose `dataset` the positions of a batch are found, where it has one.
    recorder
        Knows what was validated.
    out
        Where checkpoints stay, to be named.
    """

    def __init__(self, stream: Streamed, recorder: Recorder, out: Path) -> None:
        self._stream, self._recorder, self._out = stream, recorder, out
        self._seen: list[_Seen] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at what is certain by now."""
        epoch = self._stream.stream.epoch
        self._seen.append(_seen(trainer, cast(TrainingModule, pl_module), batch, batch_idx, epoch))
        if ends_step(trainer, batch_idx):
            later = trainer.strategy.root_device.type == "cuda"
            self._look(trainer, trainer.global_step - later)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at all before it is validated."""
        self._look(trainer, trainer.global_step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What is not a number is no best loss."""
        parts = {name: loss for name, loss in self._recorder.validated.items() if name != TOTAL}
        wrong = [f"{name} is {loss}" for name, loss in parts.items() if not np.isfinite(loss)]
        if wrong:
            where = f"the validation after step {trainer.global_step}"
            raise BadOutput(f"training stopped at {where}: {listed(wrong)}. {self._advice()}")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Look at all: what is not finite is not kept."""
        self._look(trainer, trainer.global_step)

    def _look(self, trainer: Trainer, last: int) -> None:
        """Look at the batches of all steps up to one."""
        due = [seen for seen in self._seen if seen.step <= last]
        self._seen = self._seen[len(due) :]
        for seen in due:
            if faults := seen.faults():
                self._stop(trainer, seen, faults)

    def _stop(self, trainer: Trainer, seen: _Seen, faults: list[str]) -> None:
        """Raise on every process what the one with the clearest reason has seen: gradients are those of all."""
        text = f"step {seen.step} ({self._where(seen)}): {listed(faults)}"
        told: list[Any] = [(faults[0].startswith(GRADIENT), text)]
        if trainer.world_size > 1:
            own, told = told[0], told * trainer.world_size
            torch.distributed.all_gather_object(told, own)
        raise BadOutput(f"training stopped at {min(told)[1]}. {self._advice()}")

    def _where(self, seen: _Seen) -> str:
        """Epoch, and file and row of the first cells of a batch."""
        dataset = getattr(self._stream.data, "dataset", None)
        if seen.cells is None or not hasattr(dataset, "starts"):
            return f"epoch {seen.epoch}"
        return f"epoch {seen.epoch}; {_rows(dataset, seen.cells.tolist())}"

    def _advice(self) -> str:
        last = self._out / LAST
        kept = f"{last} is from before" if last.exists() else "there is no checkpoint yet"
        return f"Look at the cells, lower optim.lr, or set trainer.precision=32-true; {kept}."


def _seen(trainer: Trainer, module: TrainingModule, batch: Any, batch_idx: int, epoch: int) -> _Seen:
    names, losses = module.latest
    stepped = ends_step(trainer, batch_idx)
    norm = module.gradient_norm.detach().double() if stepped else losses.new_zeros(())
    numbers, ready = torch.cat([losses, norm.reshape(1)]), None
    if numbers.device.type == "cuda":
        numbers = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True).copy_(numbers, non_blocking=True)
        ready = torch.cuda.Event()
        ready.record()
    return _Seen(trainer.global_step + (not stepped), epoch, names, numbers, getattr(batch, "cells", None), ready)


def _rows(dataset: Any, cells: Sequence[int]) -> str:
    """`blood rows 3, 17 and 62 more cells`."""
    first = list(dict.fromkeys(cells))
    numbers = np.searchsorted(dataset.starts, first[:FIRST], side="right") - 1
    by_store: dict[str, list[int]] = {}
    for cell, number in zip(first, numbers, strict=False):
        by_store.setdefault(dataset.stores[number].name, []).append(cell - int(dataset.starts[number]))
    named = "; ".join(f"{name} rows {', '.join(map(str, rows))}" for name, rows in by_store.items())
    rest = len(first) - FIRST
    return f"{named} and {counted(rest, 'cell')} more" if rest > 0 else named
