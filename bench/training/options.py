"""How a training runs and how weights are changed: the two sections of options that all models share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.config import option

Precision = Literal["auto", "32-true", "bf16-mixed"]
PRECISION = "auto: bf16-mixed on a GPU, 32-true on a CPU"


def precision_on(device: str, asked: Precision) -> Literal["32-true", "bf16-mixed"]:
    """The numbers it is computed in on a device, `"cpu"` or `"cuda"`, maybe with a number."""
    if asked != "auto":
        return asked
    return "bf16-mixed" if device.startswith("cuda") else "32-true"


@dataclass(frozen=True)
class TrainerConfig:
    """How long, how exactly, and how often it is looked at."""

    max_steps: int = option(10_000, "steps; the learning rate ends its way there", low=1)
    stop_after: int = option(0, "stop cleanly after so many steps, to be resumed; 0: never", low=0)
    max_time: str = option("", "stop cleanly after DD:HH:MM:SS, to be resumed; empty: never")
    precision: Precision = option("auto", PRECISION)
    clip: float = option(1.0, "longest gradient, larger ones are scaled down; 0: as they are", low=0)
    accumulate: int = option(1, "batches of which gradients are averaged for a step", low=1)
    val_every: int = option(500, "steps between validations; 0: none", low=0)
    val_batches: int = option(0, "batches of a validation; 0: all", low=0)
    patience: int = option(5, "validations without a better loss after which it stops; 0: never", low=0)
    checkpoint_every: int = option(500, "steps between checkpoints to resume from", low=1)
    keep: int = option(3, "checkpoints with the best validation loss to keep, beside the last", low=1)
    log_every: int = option(10, "steps between lines of the log", low=1)
    strategy: Literal["auto", "ddp", "fsdp"] = option("auto", "how several devices share the work")
    compile: bool = option(False, "compile the network, which takes minutes and pays on a GPU")

    def __post_init__(self) -> None:
        parts = self.max_time.split(":")
        if self.max_time and (len(parts) != 4 or not all(part.isdecimal() for part in parts)):
            example = "00:12:00:00 for twelve hours"
            raise ValueError(f"max_time={self.max_time!r} must look like DD:HH:MM:SS, such as {example}.")

    @property
    def max_seconds(self) -> float:
        """`max_time`; without one, infinite."""
        if not self.max_time:
            return float("inf")
        days, hours, minutes, seconds = map(int, self.max_time.split(":"))
        return ((days * 24 + hours) * 60 + minutes) * 60.0 + seconds


@dataclass(frozen=True)
class OptimConfig:
    """AdamW, and the way of the learning rate: up, then down a cosine."""

    lr: float = option(3e-4, "learning rate at its highest", low=0)
    beta1: float = option(0.9, "memory of gradients", low=0, high=0.9999)
    beta2: float = option(0.95, "memory of squared gradients", low=0, high=0.999999)
    eps: float = option(1e-8, "added to the root of squared gradients", low=0)
    weight_decay: float = option(0.05, "of matrices only: no norm, no embedding, no bias", low=0)
    warmup_steps: int = option(500, "steps on the way up, at least", low=0)
    warmup_share: float = option(0.05, "of max_steps, if those are more", low=0, high=1)
    schedule: Literal["cosine", "constant"] = option("cosine", "the way after that")
    final: float = option(0.1, "learning rate at the end of the cosine, as a share of `lr`", low=0, high=1)
