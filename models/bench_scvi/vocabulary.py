"""Which genes a pretrained scVI reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.training.panel import known_genes

if TYPE_CHECKING:
    from bench.capabilities import Weights
    from bench.data.cells.vocabulary import GeneKind

MODELS = ("scvi", "scvi-pretrained")
"""Names under which folders of this network are written."""


def genes(config: Any, *, weights: Weights, species: str) -> dict[GeneKind, frozenset[str]] | None:
    """See `bench.training.panel.known_genes`."""
    return known_genes(weights, MODELS)
