"""Embeddings learned from expression alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.data.features import ExpressionPCA, VariableGenes

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np

    from bench.capabilities import Weights
    from bench_baselines.plugin import GenesConfig, PCAConfig


class PCAEmbedder:
    """Principal components, see `bench.data.features.ExpressionPCA`."""

    def __init__(self, config: PCAConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._pca = ExpressionPCA(config.n_components, config.n_genes, config.scale, seed)

    def fit(self, cells: ad.AnnData) -> None:
        """Learn genes, scaling and components."""
        self._pca.fit(cells)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_components); raises `BadInput` where a gene it needs is missing."""
        return self._pca.transform(cells)


class VariableGenesEmbedder:
    """Log-normalised expression of variable genes, not scaled.

    The baseline that zero-shot evaluations of foundation models compare with (Kedzierska et al. 2025,
    doi:10.1186/s13059-025-03574-x).
    """

    def __init__(self, config: GenesConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._features = VariableGenes(config.n_genes, scale=False)

    def fit(self, cells: ad.AnnData) -> None:
        """Choose the genes."""
        self._features.fit(cells)

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_genes); raises `BadInput` where a gene it needs is missing."""
        return self._features.transform(cells)
