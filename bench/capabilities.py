"""What a model can do: one protocol per `bench.specs.Cap`.

A model class is constructed as `Class(config, *, weights, seed, device)` and implements the protocols
its spec declares. It always gets canonical AnnData: `X` holds integer counts (CSR), `obs` only the
roles it may see, `var` the columns `gene_symbol`, `ensembl_id`, `feature_types`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np
    import pandas as pd

Weights = Path | Literal["untrained"] | None


class ModelClass(Protocol):
    """How every model is made."""

    def __call__(self, config: Any, *, weights: Weights, seed: int, device: str) -> Any: ...


@runtime_checkable
class EmbedsCells(Protocol):
    """Turns cells into vectors."""

    def fit(self, cells: ad.AnnData) -> None:
        """Learn from cells; a zero-shot model does nothing here."""

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_dims), rows in the order given."""
        ...


@runtime_checkable
class EmbedsGenes(Protocol):
    """Turns genes into vectors."""

    def embed_genes(self, ids: Sequence[str]) -> pd.DataFrame:
        """Return a frame (gene x dimension); genes the model does not know are left out."""
        ...


@runtime_checkable
class PredictsLabels(Protocol):
    """Names the type of a cell."""

    def fit(self, cells: ad.AnnData) -> None:
        """Learn from `cells.obs["cell_type"]`; cells where it is missing are unlabelled."""

    def predict(self, cells: ad.AnnData) -> pd.DataFrame:
        """Return probabilities (obs_names x classes)."""
        ...


@runtime_checkable
class PredictsModality(Protocol):
    """Predicts one modality of a cell from another."""

    def fit(self, source: ad.AnnData, target: ad.AnnData) -> None:
        """Learn from cells measured in both."""

    def predict(self, source: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_target_features)."""
        ...


@runtime_checkable
class PredictsPerturbation(Protocol):
    """Predicts mean expression after a perturbation."""

    def fit(self, cells: ad.AnnData) -> None:
        """Learn from `cells.obs["perturbation"]`."""

    def predict(self, controls: ad.AnnData, conditions: Sequence[str]) -> pd.DataFrame:
        """Return a frame (condition x gene)."""
        ...
