"""What is left of a training when it has ended; light, for who asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

Stopped = Literal["max_steps", "early stopping", "stop_after", "max_time", "interrupted"]
"""Why a training ended. After the last three it can be resumed; one that was interrupted wrote a checkpoint only."""


class Best(NamedTuple):
    """The best validation."""

    loss: float
    step: int


@dataclass(frozen=True)
class Fitted:
    """A training that has ended."""

    folder: Path
    steps: int
    """Made in all, those before it was resumed included."""
    best: Best | None
    """None where nothing was validated."""
    stopped: Stopped
    notices: tuple[str, ...] = ()
    """What whoever asked for it should know."""
