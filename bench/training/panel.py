"""Which genes a trained folder says its model has an input for. Light: asked for when runs are planned."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from bench.capabilities import Weights
from bench.data.cells.vocabulary import GeneKind, Vocabulary
from bench.errors import BadInput
from bench.training.folder import Card, read_card

PANEL = "panel"
"""In `Card.extra`: positions in the vocabulary, from first to last, as text: `"0-17,19,25-3000"`."""

_TEXT = re.compile(r"[0-9]{1,9}(-[0-9]{1,9})?(,[0-9]{1,9}(-[0-9]{1,9})?)*")


def written(positions: np.ndarray) -> str:
    """Ascending positions (int64) as text."""
    runs = np.split(positions, np.flatnonzero(np.diff(positions) != 1) + 1)
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def panel_of(card: Card, folder: Path) -> Vocabulary:
    """The genes of a trained model, in its order, by all names that its data gave them.

    Raises
    ------
    BadInput
        If the card does not say, or names positions that the vocabulary does not have.
    """
    text = card.extra.get(PANEL)
    ends = [run.split("-") for run in text.split(",")] if isinstance(text, str) and _TEXT.fullmatch(text) else []
    runs = [(int(run[0]), int(run[-1])) for run in ends]
    flat = [place for run in runs for place in run]
    if not runs or flat != sorted(flat) or flat[-1] >= len(card.vocabulary):
        raise BadInput(f"{folder}: its config.yaml does not say which genes the model reads; copy the folder again.")
    return card.vocabulary.at(np.concatenate([np.arange(first, last + 1) for first, last in runs]))


def known_genes(weights: Weights, models: Collection[str]) -> dict[GeneKind, frozenset[str]] | None:
    """For `ModelSpec.vocabulary`: names by kind of the genes that a trained folder's model reads.

    None: untrained, it takes any.

    Raises
    ------
    BadInput
        If the folder is damaged or holds none of `models`.
    """
    return panel_of(read_card(weights, models), weights).by_kind if isinstance(weights, Path) else None
