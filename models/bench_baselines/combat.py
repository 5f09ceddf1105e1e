"""ComBat (Johnson et al. 2007) on variable genes, then principal components."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.data.batches import CorrectedCells, batch_labels
from bench.data.features import VariableGenes

if TYPE_CHECKING:
    import anndata as ad

    from bench.capabilities import Weights
    from bench_baselines.plugin import CombatConfig

CLIP = 10.0
"""Largest standardised value, as in `pca`."""


class Combat:
    """Components of corrected expression of the cells it was fitted on; it has nothing to say about others.

    Each gene's mean and variance in a batch are drawn to those of all cells; how far, is estimated from
    all genes together (empirical Bayes; `scanpy.pp.combat`). No covariates: the model is not shown labels.
    """

    def __init__(self, config: CombatConfig, *, weights: Weights, seed: int, device: str) -> None:
        self._config, self._seed = config, seed

    def fit(self, cells: ad.AnnData) -> None:
        """Correct log-normalised expression over `obs["batch"]` and compute components.

        Raises
        ------
        BadInput
            If there are not two batches of two cells, or the batch of a cell is missing.
        """
        from sklearn.decomposition import PCA

        batches = batch_labels(cells, "ComBat", smallest=2)
        values = corrected(VariableGenes(self._config.n_genes, scale=False).fit(cells).transform(cells), batches)
        if self._config.scale:
            values = _standardised(values)
        width = min(self._config.n_components, min(values.shape))
        vectors = PCA(width, random_state=self._seed).fit_transform(values)
        self._cells = CorrectedCells("ComBat", cells.obs_names.copy(), vectors.astype(np.float32))

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_components) of cells that were in `fit`; raises `BadInput` for others."""
        return self._cells.of(cells)


def corrected(values: np.ndarray, batches: np.ndarray) -> np.ndarray:
    """Expression (n_cells, n_genes) with ComBat's estimate of the batch effect taken away.

    Genes that vary within no batch are left out: they tell nothing but the batch, and one of them would end
    scanpy's iteration for all genes after its first step (0/0 compares as converged).

    Parameters
    ----------
    values
        (n_cells, n_genes) log-normalised expression; not changed.
    batches
        (n_cells,) str, each at least twice.
    """
    import anndata as ad
    import pandas as pd
    import scanpy as sc

    varies = np.any([np.ptp(values[batches == name], axis=0) > 0 for name in np.unique(batches)], axis=0)
    obs = pd.DataFrame({"batch": pd.Categorical(batches)}, index=[str(row) for row in range(len(values))])
    table = ad.AnnData(values[:, varies], obs=obs)
    with np.errstate(divide="ignore"):  # a gene constant in one batch starts from variance 0; the prior mends it
        return np.asarray(sc.pp.combat(table, "batch", inplace=False))


def _standardised(values: np.ndarray) -> np.ndarray:
    deviation = values.std(axis=0, ddof=1)
    centred = values - values.mean(axis=0)
    return np.clip(centred / np.where(deviation > 0, deviation, 1), -CLIP, CLIP)
