"""The genes of a model that has an input for each: how they are chosen, and how they are read from other cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse

from bench.data.cells import kernels
from bench.data.cells.dataset import CellDataset
from bench.data.cells.dense import DenseBatch
from bench.data.cells.options import PanelConfig
from bench.data.cells.statistics import GeneStatistics
from bench.data.cells.vocabulary import Vocabulary
from bench.data.modalities import GENE_EXPRESSION
from bench.errors import BadInput
from bench.wording import counted, percent

if TYPE_CHECKING:
    import anndata as ad


def chosen(dataset: CellDataset, train: np.ndarray, statistics: GeneStatistics, config: PanelConfig) -> np.ndarray:
    """The most variable genes, int64 (G,) ascending positions in the vocabulary.

    They are ranked among the genes that files with a share of the training cells measure, by what varies where they
    are measured (`GeneStatistics.hvg_rank`, scanpy's flavour "seurat"). A gene that no training cell has is none.

    Parameters
    ----------
    dataset
        Its stores matter, and its vocabulary.
    train
        int64 positions of the training cells.
    statistics
        Of the genes in them.
    config
        How many, and the share.

    Raises
    ------
    BadInput
        If no gene is measured so widely.
    """
    shares = dataset.of_each_store(train) @ dataset.measured / len(train)
    usable = np.flatnonzero((shares >= config.measured) & (statistics.cells > 0))
    if not len(usable):
        raise BadInput(
            f"no gene is in files with {percent(config.measured)} of the training cells (panel.measured"
            f"={config.measured:g}); lower it, or leave out the file that has other genes."
        )
    ranked = usable[np.argsort(statistics.hvg_rank[usable], kind="stable")]
    return np.sort(ranked[: config.n_genes or None])


def notices(panel: np.ndarray, config: PanelConfig) -> list[str]:
    """What must be known of a panel that is not as large as was asked for."""
    if len(panel) >= config.n_genes:
        return []
    where = f"files with {percent(config.measured)} of the training cells"
    return [f"the model reads {counted(len(panel), 'gene')}, not {config.n_genes:,}: no more are in {where}."]


def batches(cells: ad.AnnData, panel: Vocabulary, size: int) -> Iterator[DenseBatch]:
    """Canonical cells in order, as a model sees them whose genes are `panel`; those they lack are `hidden` in all.

    Parameters
    ----------
    cells
        See `bench.data.canonical`. Features that are no genes are left out.
    panel
        The genes, in the model's order.
    size
        Of a batch.

    Raises
    ------
    BadInput
        If hardly a gene is there: see `Vocabulary.positions`.
    """
    are_genes = (cells.var["feature_types"] == GENE_EXPRESSION).to_numpy(dtype=bool)
    columns = np.full(cells.n_vars, -1, dtype=np.int32)
    columns[are_genes] = panel.positions(cells.var[are_genes], "these cells")
    lacking = torch.ones(len(panel), dtype=torch.bool)
    lacking[columns[columns >= 0]] = False
    counts: Any = sparse.csr_matrix(cells.X, dtype=np.float32)  # itself, where it is one
    for start in range(0, cells.n_obs, size):
        part = counts[start : start + size]
        dense = np.zeros((part.shape[0], len(panel)), dtype=np.float32)
        kernels.spread(part.indptr.astype(np.int64), part.indices.astype(np.int32), part.data, columns, dense)
        yield DenseBatch(
            cells=torch.arange(start, start + len(dense)),
            counts=torch.from_numpy(dense),
            totals=torch.from_numpy(part @ are_genes.astype(np.float32)),
            hidden=lacking.expand(dense.shape) if lacking.any() else None,
        )
