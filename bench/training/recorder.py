"""Reads the means of losses when a line of the log is due, and writes them to every log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from bench.training.loggers import Log
from bench.training.means import TOTAL
from bench.training.meter import Meter
from bench.training.module import TrainingModule

KEY = "means"
"""Of a checkpoint."""


class Recorder(Callback):
    """What training and validation lose, after the first step, every few steps, and at each validation.

    Parameters
    ----------
    logs
        Empty in all processes but the first.
    every
        Steps between lines.
    """

    def __init__(self, logs: Sequence[Log], every: int, meter: Meter) -> None:
        self.logs, self._every, self._meter = logs, every, meter
        self.trained: dict[str, float] = {}
        """Means of the last line, by part."""
        self.validated: dict[str, float] = {}
        """Means of the last validation."""
        self.speed: float | None = None
        """Cells per second at the last line."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write a line where one is due."""
        step = trainer.global_step
        if not ends_step(trainer, batch_idx) or (step % self._every and step != 1):
            return
        module = cast(TrainingModule, pl_module)
        self.trained = module.training_means.read(module.everywhere)
        self.speed = self._meter.speed()
        values = {f"train/{name}": mean for name, mean in self.trained.items()}
        self._write(step, values | {"gradient_norm": float(module.gradient_norm)} | self._state(trainer))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the losses of the validation."""
        module = cast(TrainingModule, pl_module)
        self.validated = module.means.read(module.everywhere)
        values = {f"val/{name}": mean for name, mean in self.validated.items()}
        self._write(trainer.global_step, values | self._state(trainer))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Lines that will not be written again are on disk before the checkpoint; those begun are in it."""
        for log in self.logs:
            log.flush()
        module = cast(TrainingModule, pl_module)
        checkpoint[KEY] = module.training_means.state(module.everywhere)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on with the line that was begun."""
        if trainer.is_global_zero:
            cast(TrainingModule, pl_module).training_means.load(checkpoint[KEY], trainer.strategy.root_device)

    def close(self) -> None:
        """End all logs."""
        for log in self.logs:
            log.close()

    @property
    def loss(self) -> float | None:
        """Total of the last validation."""
        return self.validated.get(TOTAL)

    def _state(self, trainer: Trainer) -> dict[str, float]:
        found = {"lr": trainer.optimizers[0].param_groups[0]["lr"], "cells": self._meter.spent.cells}
        return found if self.speed is None else found | {"cells_per_second": self.speed}

    def _write(self, step: int, values: dict[str, float]) -> None:
        for log in self.logs:
            log.write(step, values)


def ends_step(trainer: Trainer, batch_idx: int) -> bool:
    """Whether the weights were changed after a batch, as opposed to gradients being added up."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0
