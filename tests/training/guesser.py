"""A small learner that guesses hidden counts, and a call that trains it on real cells; also as a process of its own.

python tests/training/guesser.py FILE FOLDER '{"trainer": {"max_steps": 20}}'
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from bench.config import as_dict
from bench.data.cells.batch import CellBatch
from bench.data.cells.module import CellDataModule
from bench.data.cells.options import CollatorConfig, DataConfig
from bench.data.cells.parts import PartsConfig
from bench.training import rng
from bench.training.command import Training
from bench.training.fit import fit
from bench.training.fitted import Fitted
from bench.training.folder import Card
from bench.training.losses import Losses
from bench.training.options import OptimConfig, TrainerConfig

WIDTH, GENES = 8, 32
TRAINER: Mapping[str, Any] = {"max_steps": 20, "val_every": 5, "checkpoint_every": 4, "log_every": 3, "max_time": ""}


class Guesser(nn.Module):
    """Log counts of hidden genes from the mean of the others, with dropout: two parts of a loss."""

    def __init__(self, n_genes: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.network = nn.ModuleDict(
            {
                "genes": nn.Embedding(n_genes, WIDTH),
                "norm": nn.LayerNorm(WIDTH),
                "dropout": nn.Dropout(dropout),
                "out": nn.Linear(WIDTH, 1),
            }
        )

    def losses(self, batch: CellBatch, step: int) -> Losses:
        """Squares of log1p counts of the scored genes, and of the depth of half of the cells."""
        inputs, targets = batch.inputs, batch.targets
        cell, genes = self.embed(batch), self.network["genes"](inputs.genes)
        guess = self.network["out"](self.network["dropout"](cell)[:, None] + genes)[..., 0]
        errors = (guess - torch.log1p(targets.counts)).square()
        deep = inputs.depth > 900
        depth = (cell.sum(1) - torch.log1p(inputs.depth)).square()
        scored = {"pretext": (errors, targets.scored), "depth": (depth, deep)}
        counts = {name: mask.sum() for name, (_, mask) in scored.items()}
        parts = {n: torch.where(m, e, 0).sum() / counts[n].clamp(min=1) for n, (e, m) in scored.items()}
        return Losses(parts, counts, {"pretext": 1.0, "depth": 0.1})

    def embed(self, batch: CellBatch) -> Tensor:
        """(B, `WIDTH`)"""
        inputs = batch.inputs
        values = self.network["genes"](inputs.genes) * torch.log1p(inputs.values)[..., None]
        embedded: Tensor = self.network["norm"](values.mean(1))
        return embedded


def data_of(file: Path, seed: int = 0, *, val: float = 0.1, **options: Any) -> CellDataModule:
    """Batches of 64 of 700 cells, 32 genes each."""
    of_data = DataConfig(**{"batch_size": 64, **options})
    data = CellDataModule([file], CollatorConfig(length=GENES), of_data, PartsConfig(val=val, test=0.1), seed=seed)
    data.setup()
    return data


def training_of(file: Path, out: Path, **asked: Any) -> Training:
    """A training of 20 steps, validated every 5, all of them in the warm-up."""
    config = {
        "trainer": TrainerConfig(**{**TRAINER, **asked.pop("trainer", {})}),
        "optim": OptimConfig(**{"lr": 0.1, "warmup_steps": 100, **asked.pop("optim", {})}),
    }
    return Training("guesser", "pretrain", (str(file),), out, config, **{"loggers": ("csv",), **asked})


def train(file: Path, out: Path, learner: Any = None, *, dropout: float = 0.2, **asked: Any) -> Fitted:
    """Train a guesser that begins with weights of the seed, or another learner."""
    options = asked.pop("data", {})
    training = training_of(file, out, **asked)
    data = data_of(file, training.seed, **options)
    rng.seed(training.seed)
    learner = Guesser(len(data.vocabulary), dropout) if learner is None else learner
    sections = {name: as_dict(section) for name, section in training.config.items()}
    card = Card("guesser", "1", "pretrain", training.seed, sections, data.vocabulary)
    return fit(training, cast(Any, learner), data, card)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(train(Path(sys.argv[1]), Path(sys.argv[2]), **json.loads(sys.argv[3])).stopped)
