"""Which genes `ours` knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.training.folder import read_card

if TYPE_CHECKING:
    from bench.capabilities import Weights
    from bench.data.cells.vocabulary import GeneKind

MODELS = ("ours",)
"""Names under which folders of this network are written."""


def genes(config: Any, *, weights: Weights, species: str) -> dict[GeneKind, frozenset[str]] | None:
    """Names of the genes of a trained folder by kind; None: untrained, it takes any gene.

    Raises
    ------
    BadInput
        If the folder is damaged or holds another model.
    """
    return read_card(weights, MODELS).vocabulary.by_kind if isinstance(weights, Path) else None
