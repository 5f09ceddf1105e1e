"""A whole training of `ours`, in CPU seconds of one core, against its steps alone.

A step alone is forward, losses, backward, clipping and AdamW on batches that are there. A whole training is what `bench
pretrain` does: the same step by Lightning, its batches read from disk and made ready, losses logged, checkpoints
written. Both are measured in one process, in turn, step by step, on the same batches: each time the training asks its
learner for the losses of a batch, a twin of the learner makes a step of its own with it, outside the time that counts.
So what else the machine does slows both alike. What is waited for data is not CPU time; its share of all time is told
beside.

    python tests/benchmarks/training.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import contextlib
import copy
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from synthetic import h5ad  # beside this file

from bench.config import as_dict
from bench.data.cells.batch import CellBatch
from bench.data.cells.module import CellDataModule
from bench.data.cells.options import DataConfig
from bench.data.cells.parts import PartsConfig
from bench.training import provenance, rng
from bench.training.command import Training
from bench.training.fit import fit
from bench.training.folder import Card
from bench.training.losses import Losses
from bench.training.optim import adamw
from bench.training.options import OptimConfig, TrainerConfig
from bench_ours.config import Architecture, Objective, collator, heads
from bench_ours.objective import ObjectiveLoss
from bench_ours.pretraining import OursLearner
from bench_ours.transformer import CellTransformer

GOAL = 0.95
"""Of the speed of steps alone."""
WARM = 2
"""Steps before it counts: programs are loaded and memory is found."""


@dataclass
class Times:
    """CPU seconds of each step."""

    alone: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    """From the end of a twin's step to the beginning of its next: all else that happens meanwhile."""
    wall: list[float] = field(default_factory=list)
    """Seconds by the clock of each step of the twin."""


class Paired(OursLearner):
    """A learner whose twin trains a step beside each of its own."""

    def __init__(self, learner: OursLearner, config: OptimConfig, clip: float, times: Times) -> None:
        super().__init__(learner.network, learner.loss)
        twin = copy.deepcopy(learner)
        self._twin = [twin]  # in a list it is no part of this module
        self._optimizer, self._clip, self._times = adamw(twin, config), clip, times
        self._since: float | None = None

    def losses(self, batch: CellBatch, step: int) -> Losses:
        """Those of the learner, after the twin's step."""
        if self.training:
            start, clock = time.process_time(), time.perf_counter()
            if self._since is not None:
                self._times.whole.append(start - self._since)
            self._step(batch, step)
            self._since = time.process_time()
            self._times.alone.append(self._since - start)
            self._times.wall.append(time.perf_counter() - clock)
        return super().losses(batch, step)

    def _step(self, batch: CellBatch, step: int) -> None:
        twin = self._twin[0]
        twin.losses(batch, step).total.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), self._clip)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)


def measure(folder: Path, cells: int, batch: int, length: int, repeats: int, steps: int) -> float:
    """Print what was measured; return the speed of a whole training as a share of that of its steps alone.

    A log line and a checkpoint fall into each repeat, much more often than by default.
    """
    file = h5ad(folder, cells)
    trainer = TrainerConfig(
        max_steps=WARM + repeats * steps + 1, val_every=0, checkpoint_every=steps, log_every=steps, precision="32-true"
    )
    config = {
        "trainer": trainer,
        "optim": OptimConfig(lr=1e-4),
        "model": Architecture(size="tiny"),
        "objective": Objective(likelihood="ztp", length=length),
        "data": DataConfig(batch_size=batch),
        "parts": PartsConfig(by="cells", val=0.0, test=0.0),
    }
    with tempfile.TemporaryDirectory(dir=folder) as out:
        times, wait = _trained(Training("ours", "pretrain", (str(file),), Path(out) / "model", config))
    rounds = [_ratio(times, WARM + k * steps, steps) for k in range(repeats)]
    alone, whole = (batch / median(taken[WARM:]) for taken in (times.alone, times.whole))
    print(f"steps alone     {alone:6.1f} cells/s")
    print(f"whole training  {whole:6.1f} cells/s at the median step")
    print(
        f"{batch} cells, {length} genes, 1 thread; {cells:,} cells on disk; a log line and checkpoint per {steps} steps"
    )
    share = median(rounds)
    print(
        f"whole training: {share:.1%} of the speed of its steps alone (goal {GOAL:.0%}; {repeats} repeats from"
        f" {min(rounds):.1%} to {max(rounds):.1%}); waited for data {wait:.2%} of the time"
    )
    return share


def _trained(training: Training) -> tuple[Times, float]:
    """CPU seconds of the steps of a training and of the twin's, and the share of time that data took."""
    config = training.config
    collated = collator(config["model"], config["objective"])
    data = CellDataModule(training.data, collated, config["data"], config["parts"], seed=training.seed)
    data.setup()
    rng.seed(training.seed)
    loss = ObjectiveLoss(config["objective"], config["model"])
    network = CellTransformer(config["model"], len(data.vocabulary), loss.outputs, heads=heads(config["objective"]))
    times = Times()
    paired = Paired(OursLearner(network, loss), config["optim"], config["trainer"].clip, times)
    sections = {name: as_dict(options) for name, options in config.items()}
    fit(training, paired, data, Card("ours", "0", "pretrain", training.seed, sections, data.vocabulary))
    return times, _waited(training.out, times, config["data"].batch_size)


def _waited(out: Path, times: Times, batch: int) -> float:
    """Share of the training's own time that it waited for data, the twin's steps left out."""
    (own,) = provenance.read(out)["trainings"]
    throughput = own["throughput"]
    seconds = (own["steps"] - 1) * batch / throughput["cells_per_second"]  # the first step is not timed
    return throughput["data_wait"] * seconds / (seconds - sum(times.wall[1:]))


def _ratio(times: Times, first: int, steps: int) -> float:
    """Speed of a whole training in some steps, as a share of that of the twin."""
    return sum(times.alone[first : first + steps]) / sum(times.whole[first : first + steps])


def main() -> None:
    """Measure and print; the last line is the ratio, and what was waited for data."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, default=5000, help="on disk")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--genes", type=int, default=512, help="gene tokens of a cell")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="in each repeat")
    parser.add_argument("--folder", type=Path, help="where the generated cells stay; else a temporary folder")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with contextlib.ExitStack() as stack:
        folder = asked.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["BENCH_CACHE_DIR"] = str(folder / "cache")
        measure(folder, asked.cells, asked.batch, asked.genes, asked.repeats, asked.steps)


if __name__ == "__main__":
    main()
