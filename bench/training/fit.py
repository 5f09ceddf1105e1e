"""A training from its first step, or its last checkpoint, to the folder of a trained model."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.strategies import FSDPStrategy

from bench.data import fingerprints
from bench.data.cells.progress import note
from bench.environment import first_process
from bench.training import begun, curves, folder, loggers, provenance
from bench.training.checkpoints import CheckpointFiles, Checkpoints, look, network_state
from bench.training.command import Training
from bench.training.fitted import Fitted
from bench.training.folder import Card
from bench.training.learner import Learner
from bench.training.meter import Meter
from bench.training.module import TrainingModule
from bench.training.optim import warmup
from bench.training.options import OptimConfig, TrainerConfig, precision_on
from bench.training.quiet import quiet
from bench.training.recorder import Recorder
from bench.training.rng import Randomness
from bench.training.stopping import Ending, Interrupts, Patience, Stops
from bench.training.stream import Streamed
from bench.training.teller import Teller
from bench.training.trouble import explained
from bench.training.watch import Watch

__all__ = ["Fitted", "fit"]


def fit(training: Training, learner: Learner, data: LightningDataModule, card: Card) -> Fitted:
    """Train a learner and write the folder of a trained model; in each of several processes the same is called.

    Parameters
    ----------
    training
        `config["trainer"]` and `config["optim"]` say how; with `resume` the training in `out` goes on.
    learner
        An `nn.Module`, made with the training's seed (see `bench.training.rng.seed`).
    data
        Set up, with `dataset` and `parts` as `bench.data.cells.module.CellDataModule` has them.
    card
        Written beside the weights.

    Raises
    ------
    BadInput
        If the folder holds another training, or `resume` finds none, or one that was begun otherwise.
    BadOutput
        If a loss or gradient is not finite.
    BenchError
        If there is no room on the disk, or no memory.
    KeyboardInterrupt
        If a person did not wait for the step to end; the last checkpoint is as it was.
    """
    loggers.require(training.loggers)
    with explained(training.out), quiet():
        run = _Run(training, learner, data)
        run.train()
        if run.is_first and run.ending.why != "interrupted":
            _write(run, card)
    if run.is_first:
        run.requeue()
    return Fitted(training.out, run.steps, run.checkpoints.best, run.ending.why, run.notices)


class _Run:
    """The parts of one training, and what is known of it when it has ended."""

    def __init__(self, training: Training, learner: Learner, data: LightningDataModule) -> None:
        self.training = training
        self.config: TrainerConfig = training.config["trainer"]
        optim: OptimConfig = training.config["optim"]
        self.is_first, self.ending, self.interrupts = first_process(), Ending(), Interrupts()
        self._stops = Stops(self.config, self.ending, self.interrupts)
        self.resumed = _begin(training, self.is_first)
        self.stream = Streamed(data)
        self.module = TrainingModule(learner, optim, self.config.max_steps)
        self.meter = Meter(self.stream)
        names = dict.fromkeys(("csv", *training.loggers)) if self.is_first else ()  # curves are drawn of the first one
        logs = loggers.opened(list(names), training.out / begun.LOGS, self.resumed)
        self.recorder = Recorder(logs, self.config.log_every, self.meter)
        self.checkpoints = Checkpoints(training.out, self.config, self.recorder)
        self.steps = self.resumed

    def train(self) -> None:
        """Train to the end, or until told to stop."""
        if self.config.compile:
            self.module.learner.network.compile(dynamic=False)
        trainer = _trainer(self.training, self.config, self._callbacks())
        path = self.training.out / begun.LAST if self.resumed else None
        try:
            with self.interrupts.watched():
                trainer.fit(self.module, datamodule=self.stream, ckpt_path=path)
        except SystemExit:
            if self.interrupts.forced:  # Lightning makes an exit of what a second Ctrl-C raises
                raise KeyboardInterrupt from None
            raise
        finally:
            self.recorder.close()
        self.steps = trainer.global_step

    @property
    def notices(self) -> tuple[str, ...]:
        """What whoever asked for the training should know."""
        if self.ending.why != "max_steps":
            return ()
        if self.steps == self.resumed:
            return (f"the training had ended at step {self.steps:,}; raise trainer.max_steps to go on.",)
        up = warmup(self.training.config["optim"], self.config.max_steps)
        if up > self.steps:
            return (f"its {self.steps:,} steps ended on the way up to optim.lr; set optim.warmup_steps below {up:,}.",)
        return ()

    def requeue(self) -> None:
        """Under SLURM, and where it asked to stop, have the job started again, unless there is nothing left to do."""
        asked = any(number.name == "SIGUSR1" for number in self.interrupts.received)
        if asked and self.ending.why == "interrupted" and SLURMEnvironment.detect():
            job = os.environ.get("SLURM_ARRAY_JOB_ID", "")
            job = f"{job}_{os.environ['SLURM_ARRAY_TASK_ID']}" if job else os.environ["SLURM_JOB_ID"]
            program = shutil.which("scontrol")  # a container may not have it
            done = program is not None and subprocess.run([program, "requeue", job], check=False).returncode == 0
            note(f"job {job} {'is queued again' if done else 'could not be queued again; submit it once more'}.")

    def _callbacks(self) -> list[Callback]:
        """In the order in which they look at a step."""
        return [
            LambdaCallback(on_train_start=lambda trainer, module: self._go_on()),
            Randomness(self.training.seed),
            self.meter,
            self.recorder,
            Watch(self.stream, self.recorder, self.training.out),
            self._stops,
            Patience(self.config.patience, self.ending, self.recorder),
            Teller(self.config, self.recorder),
            self.checkpoints,
        ]

    def _go_on(self) -> None:
        """What was changed of `trainer` holds from here on: the data were found to be the same."""
        if self.resumed and self.is_first:
            begun.note(self.training)


def _begin(training: Training, is_first: bool) -> int:
    """Look whether the training can begin, or go on; the step after which it does."""
    if training.resume:
        begun.require_same(training)
        return int(look(training.out / begun.LAST)["global_step"])
    if is_first:  # other processes come when the first one has begun
        begun.require_free(training)
        begun.note(training)
    return 0


def _trainer(training: Training, config: TrainerConfig, callbacks: Sequence[Callback]) -> Trainer:
    gpu = training.device == "cuda"
    validates = config.val_every > 0
    plugins: list[Any] = [CheckpointFiles()]
    if SLURMEnvironment.detect():
        plugins.append(SLURMEnvironment(auto_requeue=False))  # it would write a checkpoint in the middle of a step
    return Trainer(
        accelerator="gpu" if gpu else "cpu",
        devices=training.devices,
        num_nodes=training.nodes,
        strategy=_strategy(training, config),
        precision=precision_on(training.device, config.precision),
        max_steps=config.max_steps,
        max_epochs=-1,
        gradient_clip_val=config.clip or None,
        accumulate_grad_batches=config.accumulate,
        check_val_every_n_epoch=None if validates else 1,
        val_check_interval=config.val_every * config.accumulate if validates else 1.0,
        limit_val_batches=(config.val_batches or 1.0) if validates else 0,
        num_sanity_val_steps=0,
        inference_mode=False,  # what a module keeps from a validation may be trained with later
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        plugins=plugins,
        default_root_dir=training.out / begun.CHECKPOINTS,
    )


def _strategy(training: Training, config: TrainerConfig) -> Any:
    if config.strategy == "fsdp":
        return FSDPStrategy(state_dict_type="full")  # one file, as without
    if config.strategy == "auto" and training.devices * training.nodes == 1:
        return "auto"
    return "ddp"


def _write(run: _Run, card: Card) -> None:
    """The folder of the trained model, and its curves."""
    training, data, spent = run.training, run.stream.data, run.meter.update()
    best, parts = run.checkpoints.best, getattr(data, "parts", None)
    stores = data.dataset.stores
    n_train = len(parts.train) if parts else sum(store.n_cells for store in stores)
    where = provenance.describe(
        training,
        stores,
        parts,
        steps=run.steps,
        epochs=spent.cells / n_train,
        cells_seen=spent.cells,
        val_loss=best.loss if best else None,
        wall_s=spent.wall_s,
        throughput=spent.throughput,
    )
    unseen = parts.test if parts else None
    prints = [*fingerprints.of_dataset(data.dataset, unseen), *folder.fingerprints_before(training.weights)]
    folder.write(training.out, card, network_state(run.checkpoints.chosen), where, prints)
    curves.draw(loggers.read(training.out / begun.LOGS), training.out)
