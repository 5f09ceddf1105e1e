"""Features of cells from counts: log-normalised expression, highly variable genes, PCA.

Fitted on the cells it is given and on no others, so that a test part never shapes its own features.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from bench.errors import BadInput

if TYPE_CHECKING:
    import anndata as ad

TARGET_SUM = 1e4
"""Counts per cell after normalisation (scanpy's and Seurat's customary value)."""


def lognorm(counts: Any, target_sum: float = TARGET_SUM) -> sparse.csr_matrix:
    """log1p of counts scaled to `target_sum` per cell (scanpy `normalize_total` + `log1p`).

    Parameters
    ----------
    counts
        (n_cells, n_genes), sparse or dense, non-negative.
    target_sum
        Sum of each cell after scaling; cells without counts stay zero.

    Returns
    -------
    New float32 CSR matrix of the same shape; the input is not changed.
    """
    matrix = sparse.csr_matrix(counts, dtype=np.float32, copy=True)
    totals = np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()
    scale = np.divide(target_sum, totals, out=np.zeros_like(totals), where=totals > 0)
    matrix.data *= np.repeat(scale, np.diff(matrix.indptr)).astype(np.float32)
    np.log1p(matrix.data, out=matrix.data)
    return matrix


def highly_variable(cells: ad.AnnData, n_genes: int) -> np.ndarray:
    """Positions of the most variable genes, ascending (scanpy, flavour seurat, on log-normalised counts).

    All genes with counts are returned where there are no more than `n_genes` of them.
    """
    import anndata as ad
    import scanpy as sc

    expressed = np.flatnonzero(np.asarray(cells.X.sum(axis=0)).ravel() > 0)
    if len(expressed) <= n_genes:
        return expressed
    normalised = ad.AnnData(lognorm(cells.X)[:, expressed])
    sc.pp.highly_variable_genes(normalised, n_top_genes=n_genes, flavor="seurat")
    return expressed[np.flatnonzero(normalised.var["highly_variable"].to_numpy())]


@dataclass
class VariableGenes:
    """Scaled log-normalised expression of the most variable genes.

    Parameters
    ----------
    n_genes
        How many genes to keep.
    scale
        Whether to centre genes, divide by their standard deviation and clip at 10 (as in scanpy's
        tutorials); the statistics are those of the cells given to `fit`.
    """

    n_genes: int = 2000
    scale: bool = True
    genes: np.ndarray = field(init=False, repr=False)
    """Names of the genes kept."""

    def fit(self, cells: ad.AnnData) -> VariableGenes:
        """Choose genes and learn their mean and spread."""
        kept = highly_variable(cells, self.n_genes)
        self.genes = np.asarray(cells.var_names)[kept]
        values = lognorm(cells.X)[:, kept]
        mean = np.asarray(values.mean(axis=0, dtype=np.float64)).ravel()
        square = np.asarray(values.multiply(values).mean(axis=0, dtype=np.float64)).ravel()
        deviation = np.sqrt(np.maximum(square - mean**2, 0) * (values.shape[0] / max(values.shape[0] - 1, 1)))
        self._mean = mean.astype(np.float32)
        self._scale = np.where(deviation > 0, deviation, 1).astype(np.float32)
        return self

    def transform(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_kept_genes).

        Raises
        ------
        BadInput
            If the cells lack a gene that was chosen.
        """
        values = lognorm(cells.X)[:, gene_positions(cells, self.genes)].toarray()
        if self.scale:
            values -= self._mean
            values /= self._scale
            np.clip(values, -10, 10, out=values)
        return values


@dataclass
class ExpressionPCA:
    """Principal components of scaled variable genes: the field's default embedding.

    Parameters
    ----------
    n_components
        Width; reduced where there are fewer cells or genes.
    n_genes, scale
        As in `VariableGenes`.
    seed
        Of the randomised solver, which scikit-learn takes for all but small data.
    """

    n_components: int = 50
    n_genes: int = 2000
    scale: bool = True
    seed: int = 0

    def fit(self, cells: ad.AnnData) -> ExpressionPCA:
        """Learn genes, scaling and components from these cells."""
        from sklearn.decomposition import PCA

        self._features = VariableGenes(self.n_genes, self.scale).fit(cells)
        values = self._features.transform(cells)
        width = min(self.n_components, min(values.shape))
        self._pca = PCA(width, random_state=self.seed).fit(values)
        return self

    def transform(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_components)."""
        return self._pca.transform(self._features.transform(cells)).astype(np.float32)


def gene_positions(cells: ad.AnnData, genes: np.ndarray) -> np.ndarray:
    """Positions (n_genes,) of the genes a model was fitted on, by name.

    Raises
    ------
    BadInput
        If the cells lack one of them.
    """
    positions = cells.var_names.get_indexer(genes)
    if (positions < 0).any():
        absent = genes[positions < 0]
        raise BadInput(
            f"{len(absent)} of {len(genes)} genes the model was fitted on are not in these cells"
            f" (first: {str(absent[0])!r}); give it the same genes."
        )
    return positions
