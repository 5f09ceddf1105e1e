"""What a person sees of a training: a bar on a terminal, a line per validation where a log is kept."""

from __future__ import annotations

import sys
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from bench.data.cells.progress import note
from bench.training.means import TOTAL
from bench.training.options import TrainerConfig
from bench.training.recorder import Recorder, ends_step


class Teller(Callback):
    """Tells how far a training is and what it loses, on stderr, from the first process alone."""

    def __init__(self, config: TrainerConfig, recorder: Recorder) -> None:
        self._config, self._recorder = config, recorder
        self._bar: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw a bar where somebody looks."""
        if not (trainer.is_global_zero and sys.stderr.isatty()):
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        told = TextColumn("{task.description}", markup=False)
        columns = TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), told
        self._bar = Progress(*columns, console=Console(stderr=True, highlight=False), transient=True)
        self._bar.start()
        self._bar.add_task("", total=trainer.max_steps, completed=trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar; without validations, tell of a checkpoint."""
        if self._bar is not None:
            self._bar.update(0, completed=trainer.global_step, description=self._losses())
        due = ends_step(trainer, batch_idx) and trainer.global_step % self._config.checkpoint_every == 0
        if due and not sum(trainer.num_val_batches):
            self._say(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A line."""
        self._say(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the terminal as it was."""
        self.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Likewise."""
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _say(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero:
            return
        speed = "" if self._recorder.speed is None else f", {self._recorder.speed:,.0f} cells/s"
        text = f"step {trainer.global_step:,} of {self._config.max_steps:,}: {self._losses()}{speed}"
        if self._bar is not None:
            self._bar.console.print(text, markup=False)
        else:
            note(text)

    def _losses(self) -> str:
        """`loss 1.234, validated 1.345`."""
        told = {"loss": self._recorder.trained.get(TOTAL), "validated": self._recorder.loss}
        return ", ".join(f"{name} {value:.4f}" for name, value in told.items() if value is not None)
