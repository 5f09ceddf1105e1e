"""Checkpoints: written whole or not at all, after whole steps; the last one and the best few. Reading one runs nothing.

At any time the last checkpoint knows of exactly the best ones that are there, or of some of them: the process may be
killed between any two lines of this file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from bench.atomic import flush, replacing
from bench.errors import BadInput
from bench.training import meter, recorder, rng, stopping
from bench.training.begun import LAST
from bench.training.fitted import Best
from bench.training.options import TrainerConfig
from bench.training.recorder import Recorder, ends_step
from bench.training.stopping import ends_here
from bench.training.trouble import writing

KEY = "best"
"""Of a checkpoint."""
PARTS = {"global_step", "state_dict", "optimizer_states", "loops", KEY, meter.KEY, recorder.KEY, rng.KEY, stopping.KEY}
"""Without which a checkpoint is none of ours."""
NETWORK = "learner.network."
"""With this begin the names of what is saved as the trained model."""


class CheckpointFiles(CheckpointIO):
    """How Lightning writes and reads a checkpoint: a crash leaves the one before, and a stranger's runs nothing."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write it beside the one it replaces."""
        with writing(Path(path), _bytes(checkpoint)), replacing(Path(path)) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read tensors and plain data."""
        found: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return found

    def remove_checkpoint(self, path: Any) -> None:
        """Delete it."""
        Path(path).unlink(missing_ok=True)


def look(path: Path) -> Mapping[str, Any]:
    """What a checkpoint holds, its tensors by memory map.

    Raises
    ------
    BadInput
        If it is damaged, or no checkpoint of a training.
    """
    try:
        found = dict(torch.load(path, map_location="cpu", weights_only=True, mmap=True))
    except Exception as error:  # what reading rubbish raises is anybody's guess
        reason = (str(error).splitlines() or [""])[0][:150]
        raise BadInput(
            f"{path} is damaged, or no checkpoint of bench ({reason}); put another one of its folder in its place."
        ) from None
    if not found.keys() >= PARTS or not isinstance(found["global_step"], int):
        raise BadInput(f"{path} is no checkpoint of bench; put another one of its folder in its place.")
    return found


def network_state(path: Path) -> dict[str, Tensor]:
    """The state of the trained network in a checkpoint."""
    state = look(path)["state_dict"]
    return {name.removeprefix(NETWORK): weight for name, weight in state.items() if name.startswith(NETWORK)}


class Checkpoints(Checkpoint):
    """Writes checkpoints: every few steps, at the end, and when a validation is among the best.

    One that is due at a step that is validated is written after that, so that nothing is validated twice or never.
    """

    def __init__(self, out: Path, config: TrainerConfig, recorder: Recorder) -> None:
        self._last, self._config, self._recorder = out / LAST, config, recorder
        self._best: dict[str, list[float]] = {}
        """Name of a file -> step and loss."""

    @property
    def best(self) -> Best | None:
        """The best validation so far."""
        return min((Best(loss, int(step)) for step, loss in self._best.values()), default=None)

    @property
    def chosen(self) -> Path:
        """The checkpoint of the best validation, else the last one."""
        best = min(self._best, key=lambda name: self._best[name][1], default="")
        return self._last.with_name(best) if best else self._last

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove what another process left when it was killed; forget what somebody has removed."""
        self._best = {name: known for name, known in self._best.items() if self._last.with_name(name).exists()}
        if trainer.is_global_zero:
            for path in (*self._last.parent.glob("step=*.ckpt"), *self._last.parent.glob(".*.tmp")):
                if path.name not in self._best:
                    path.unlink()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the last checkpoint where one is due, and no validation comes first."""
        if ends_step(trainer, batch_idx) and self._is_due(trainer) and not self._validates(trainer):
            trainer.save_checkpoint(self._last)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a checkpoint where this validation is among the best, or one is due."""
        step, loss = trainer.global_step, self._recorder.loss
        name = f"step={step}.ckpt"
        every = self._best if loss is None else self._best | {name: [step, loss]}
        best = dict(sorted(every.items(), key=lambda entry: entry[1][1])[: self._config.keep])
        if name in best:
            gone, self._best = self._best.keys() - best.keys(), best
            self._write_best(trainer, name, gone)
        elif self._is_due(trainer):
            trainer.save_checkpoint(self._last)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Say which are the best."""
        checkpoint[KEY] = self._best

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Know again which are the best."""
        self._best = checkpoint[KEY]

    def _write_best(self, trainer: Trainer, name: str, gone: set[str]) -> None:
        """A new one of the best, which is the last one too; then remove those that it displaces."""
        path = self._last.with_name(name)
        trainer.save_checkpoint(path)
        if trainer.is_global_zero:
            _link(path, self._last)
            for other in gone:
                self._last.with_name(other).unlink(missing_ok=True)

    def _is_due(self, trainer: Trainer) -> bool:
        return trainer.global_step % self._config.checkpoint_every == 0 or ends_here(trainer)

    def _validates(self, trainer: Trainer) -> bool:
        """Whether this step is followed by a validation."""
        every = self._config.val_every
        return every > 0 and trainer.global_step % every == 0 and sum(trainer.num_val_batches) > 0


def _bytes(value: Any) -> int:
    """Of all tensors in nested data."""
    if isinstance(value, Tensor):
        return value.nbytes
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return sum(_bytes(part) for part in inner)


def _link(path: Path, name: Path) -> None:
    """Have a file under another name too."""
    with replacing(name) as temporary:
        try:
            os.link(path, temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(path, temporary)
            flush(temporary)
