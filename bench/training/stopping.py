"""Why a training ends before its last step: asked to, out of time, or no longer better. Always after a whole step."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from bench.environment import first_process
from bench.training.fitted import Stopped
from bench.training.options import TrainerConfig
from bench.training.recorder import Recorder, ends_step

KEY = "patience"
"""Of a checkpoint."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""A person, a system that ends the process, SLURM before it takes the machine away."""


class Ending:
    """When and why a training ends."""

    def __init__(self) -> None:
        self.why: Stopped = "max_steps"

    def end(self, trainer: Trainer, why: Stopped, step: int | None = None) -> None:
        """Make a step (the one just made) the last. Not by `should_stop`, which would have Lightning validate."""
        step = trainer.global_step if step is None else step
        if step < trainer.fit_loop.epoch_loop.max_steps:
            trainer.fit_loop.epoch_loop.max_steps = step
            self.why = why


def ends_here(trainer: Trainer) -> bool:
    """Whether the step just made is the last one."""
    return trainer.global_step >= trainer.max_steps


class Interrupts:
    """Takes signals down, to be looked at after a step; a second one from the keyboard stops at once."""

    def __init__(self) -> None:
        self.received: list[signal.Signals] = []
        self._process = os.getpid()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take them within; where this is no main thread, none can be taken."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self.take()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def take(self) -> None:
        """Take them from whoever took them before: Lightning does so when it begins."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._received)

    @property
    def forced(self) -> bool:
        """Whether somebody did not want to wait."""
        return self.received.count(signal.SIGINT) > 1

    def _received(self, number: int, frame: Any) -> None:
        if os.getpid() != self._process:  # one that prepares batches: it is told by this one
            return
        self.received.append(signal.Signals(number))
        if self.forced:
            raise KeyboardInterrupt
        if number == signal.SIGINT and first_process():
            os.write(2, _HEARD)  # print is not safe here: it may be what was interrupted


_HEARD = b"\nstopping after this step, with a checkpoint; Ctrl-C again stops at once.\n"


class Stops(Callback):
    """Ends a training after a number of steps, or of seconds, or when a signal came."""

    def __init__(self, config: TrainerConfig, ending: Ending, interrupts: Interrupts) -> None:
        self._config, self._ending, self._interrupts = config, ending, interrupts
        self._until = time.monotonic() + config.max_seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on signals are ours."""
        self._interrupts.take()
        if self._config.stop_after:
            self._ending.end(trainer, "stop_after", trainer.global_step + self._config.stop_after)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look whether it is time, on all processes alike."""
        if not ends_step(trainer, batch_idx):
            return
        interrupted, late = _anywhere(trainer, bool(self._interrupts.received), time.monotonic() >= self._until)
        if interrupted:
            self._ending.end(trainer, "interrupted")
        elif late:
            self._ending.end(trainer, "max_time")


class Patience(Callback):
    """Ends a training that has not become better for some validations."""

    def __init__(self, patience: int, ending: Ending, recorder: Recorder) -> None:
        self._patience, self._ending, self._recorder = patience, ending, recorder
        self._best, self._waited = float("inf"), 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A training that has ended so does not go on, unless it is given more patience."""
        self._look(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare with the best so far."""
        loss = self._recorder.loss
        if loss is None:
            return
        better = loss < self._best
        self._best, self._waited = (loss, 0) if better else (self._best, self._waited + 1)
        self._look(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take along how long nothing has become better."""
        checkpoint[KEY] = {"best": self._best, "waited": self._waited}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on waiting."""
        self._best, self._waited = checkpoint[KEY]["best"], checkpoint[KEY]["waited"]

    def _look(self, trainer: Trainer) -> None:
        if self._patience and self._waited >= self._patience:
            self._ending.end(trainer, "early stopping")


def _anywhere(trainer: Trainer, *flags: bool) -> list[bool]:
    """Of each flag, whether it is set in any process."""
    if trainer.world_size == 1:
        return list(flags)
    raised = torch.tensor(flags, dtype=torch.int32, device=trainer.strategy.root_device)
    torch.distributed.all_reduce(raised, torch.distributed.ReduceOp.MAX)
    return [bool(flag) for flag in raised.tolist()]
