"""Cells as scvi-tools wants them: counts of the chosen genes, and the columns it registers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from bench.data.features import gene_positions, highly_variable
from bench.errors import BadInput

BATCH, LABEL = "batch", "label"
UNLABELLED = "(unlabelled)"
"""scANVI's category of cells without a label."""


@dataclass
class Panel:
    """The genes and the batches a model was fitted on.

    Every table it makes is new; the cells given are never changed.
    """

    n_genes: int
    use_batch: bool
    genes: np.ndarray = field(init=False, repr=False)
    batch: str | None = field(init=False)
    """One of the batches of the fit; None where batches are not modelled."""

    def fit(self, cells: ad.AnnData) -> ad.AnnData:
        """Choose genes and return the cells to learn from.

        Cells without a count in the chosen genes are left out: their log library size is not finite.
        """
        kept = highly_variable(cells, self.n_genes) if self.n_genes else np.arange(cells.n_vars)
        self.genes = np.asarray(cells.var_names)[kept]
        counts = _counts(cells, kept)
        filled = np.asarray(counts.sum(axis=1)).ravel() > 0
        if filled.sum() < 3:
            raise BadInput(f"scVI needs at least 3 cells with counts to learn from, found {int(filled.sum())}.")
        batches = cells.obs["batch"].astype(str) if self.use_batch and "batch" in cells.obs else None
        self.batch = None if batches is None else str(batches[filled].min())
        obs = pd.DataFrame({LABEL: _labels(cells), BATCH: "all" if batches is None else batches}, cells.obs_names)
        return _table(counts[filled], obs.loc[filled], self.genes)

    def view(self, cells: ad.AnnData) -> ad.AnnData:
        """Return cells to embed.

        They carry one known batch and no label: the encoder reads neither, and scvi-tools refuses batches
        that it has not seen.

        Raises
        ------
        BadInput
            If the cells lack a gene of the panel.
        """
        counts = _counts(cells, gene_positions(cells, self.genes))
        obs = pd.DataFrame({LABEL: UNLABELLED, BATCH: self.batch or "all"}, cells.obs_names)
        return _table(counts, obs, self.genes)


def _labels(cells: ad.AnnData) -> np.ndarray:
    if "cell_type" not in cells.obs:
        return np.full(cells.n_obs, UNLABELLED)
    names = cells.obs["cell_type"]
    return np.where(names.notna(), names.astype(str), UNLABELLED)


def _counts(cells: ad.AnnData, positions: np.ndarray) -> sparse.csr_matrix:
    counts: Any = cells.X
    return sparse.csr_matrix(counts[:, positions], dtype=np.float32)


def _table(counts: sparse.csr_matrix, obs: pd.DataFrame, genes: np.ndarray) -> ad.AnnData:
    return ad.AnnData(counts, obs=obs.astype("category"), var=pd.DataFrame(index=pd.Index(genes)))
