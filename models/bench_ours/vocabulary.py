"""Which genes `ours` knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.training.folder import read_card

if TYPE_CHECKING:
    from bench.capabilities import Weights

MODELS = ("ours",)
"""Names under which folders of this network are written."""


def genes(config: Any, *, weights: Weights, species: str) -> frozenset[str] | None:
    """Names of the genes of a trained folder, of whatever kind they are; None: untrained, it takes any gene.

    Raises
    ------
    BadInput
        If the folder is damaged or holds another model.
    """
    return frozenset(read_card(weights, MODELS).vocabulary.names) if isinstance(weights, Path) else None
