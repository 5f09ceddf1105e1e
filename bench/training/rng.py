"""All that is random in a training but its data, which have their own: seeded, saved and put back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

KEY = "random"
"""Of a checkpoint."""


def seed(value: int, rank: int = 0) -> None:
    """Seed Python, numpy and torch; another rank gets other numbers."""
    words = np.random.SeedSequence([value, rank]).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    torch.manual_seed(int(words[2]))


def state() -> dict[str, Any]:
    """States of all generators of this process, as plain data and tensors."""
    kind, keys, position, has_gauss, cached = np.random.get_state()
    found: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state()
    return found


def restore(states: Mapping[str, Any]) -> None:
    """Put them back; what this machine has no generator for is left out."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


class Randomness(Callback):
    """Seeds each process when training begins, or goes on where a checkpoint was written."""

    def __init__(self, value: int) -> None:
        self.value = value
        self._states: list[Mapping[str, Any]] = []

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """The states of all processes, by rank."""
        own, every = state(), [None] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(every, own)
        checkpoint[KEY] = every if trainer.world_size > 1 else [own]

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep them until training begins."""
        self._states = checkpoint[KEY]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A process that was not there before is seeded anew, and differently than when training began."""
        rank = trainer.global_rank
        if rank < len(self._states):
            restore(self._states[rank])
        else:
            seed(self.value + trainer.global_step, rank)
