"""What names a cell by its vector, and how a trained folder keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from bench.conform import checker
from bench.errors import BadInput
from bench.training.finetuning.options import WIDEST
from bench.training.folder import Card
from bench.weights.matching import match

PREFIX = "finetuned_head."
"""With this begin the names of a head's weights, beside those of the model."""
NOTE = "head"
"""Where `Card.extra` tells of a head. Not in `classes`, which are of heads that were pretrained."""

_TINY = 1e-12
"""Instead of 0, where all vectors are 0."""


class Head(nn.Module):
    """Vectors to logits: standardised, dropped out, one linear layer or two.

    Parameters
    ----------
    width
        Of the vectors.
    classes
        How many.
    hidden
        Units between; 0: none.
    dropout
        Share of each vector that is left out in training.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, classes: int, *, hidden: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.classes = classes
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.dropout = nn.Dropout(dropout)
        self.layers = (
            nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, classes))
            if hidden
            else nn.Linear(width, classes)
        )

    def standardise(self, vectors: Tensor, least: float) -> None:
        """Centre and scale by what vectors (n, width) of training cells are like; before anything is learned.

        Parameters
        ----------
        least
            By what a column is divided at least, as a share of the root mean square of all numbers. What hardly
            varies is not to be blown up: it may be rounding; and where the model learns too, a small step of it would
            be a large one for the head.
        """
        floor = least * vectors.square().mean().sqrt()
        self.mean.copy_(vectors.mean(0))
        self.deviation.copy_(vectors.std(0, correction=0).clamp(min=max(float(floor), _TINY)))

    def forward(self, vectors: Tensor) -> Tensor:
        """Float (B, classes) logits of vectors (B, width)."""
        logits: Tensor = self.layers(self.dropout((vectors.float() - self.mean) / self.deviation))
        return logits


@dataclass(frozen=True)
class StoredHead:
    """A head as it was, and what its outputs stand for."""

    classes: tuple[str, ...]
    hidden: int
    state: Mapping[str, np.ndarray]

    def restored(self, width: int, dropout: float) -> Head:
        """The same again, to learn or to predict; raises `BadInput` where it does not fit vectors of that width."""
        with torch.device("meta"):  # whatever a stranger's folder says, nothing is made before it is compared
            head = Head(width, len(self.classes), hidden=self.hidden, dropout=dropout)
        match(self.state, {name: tensor.shape for name, tensor in head.state_dict().items()}, "the stored head")
        weights = {name: torch.from_numpy(np.array(array, dtype=np.float32)) for name, array in self.state.items()}
        head.load_state_dict(weights, assign=True)
        return head


class _Note(TypedDict):
    """What a folder says of its head beside the weights."""

    column: str
    """Of `obs`, whose values it names."""
    classes: list[str]
    hidden: int


def note(column: str, classes: Sequence[str], hidden: int) -> dict[str, Any]:
    """What `Card.extra` has to say of a head."""
    return {NOTE: dict(_Note(column=column, classes=list(classes), hidden=hidden))}


def split(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights of a model, and those of its head, if it has one, each under its own names."""
    head = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
    return {name: value for name, value in state.items() if not name.startswith(PREFIX)}, head


def stored(card: Card, state: Mapping[str, np.ndarray]) -> StoredHead | None:
    """The head of a trained folder; None where it has none.

    Parameters
    ----------
    state
        All weights of the folder.

    Raises
    ------
    BadInput
        If what the folder says of it is not what a fine-tuning writes.
    """
    told = card.extra.get(NOTE)
    if told is None:
        return None
    try:
        checker(_Note)(told, NOTE)
        if not (told["classes"] and 0 <= told["hidden"] <= WIDEST):
            raise ValueError("it has no classes, or a layer of no possible width")
        if len(set(told["classes"])) < len(told["classes"]):
            raise ValueError("a class is there twice")
    except ValueError as error:
        raise BadInput(
            f"the trained {card.model} tells of a head that cannot be read ({error}); train it again."
        ) from None
    return StoredHead(tuple(told["classes"]), told["hidden"], split(state)[1])
