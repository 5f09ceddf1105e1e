"""The genes of a model that has an input for each: how they are chosen, and how they are read from other cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from bench.data.cells import kernels
from bench.data.cells.dataset import CellDataset
from bench.data.cells.dense import DenseBatch
from bench.data.cells.options import PanelConfig
from bench.data.cells.statistics import GeneStatistics
from bench.data.modalities import GENE_EXPRESSION
from bench.errors import BadInput
from bench.wording import counted, percent

if TYPE_CHECKING:
    import anndata as ad

_COLUMNS = {"ensembl": "ensembl_id", "symbol": "gene_symbol"}


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


@dataclass(frozen=True)
class Panel:
    """The genes of a trained model by name, in its order."""

    kind: Literal["ensembl", "symbol", ""]
    """What the names are; empty: those of `var_names`."""
    names: tuple[str, ...]

    @classmethod
    def of(cls, cells: ad.AnnData) -> Panel:
        """Every gene of canonical cells by its name in `var_names`, sorted, so that their order does not matter."""
        return cls("", tuple(sorted(cells.var_names[_are_genes(cells)])))

    def batches(self, cells: ad.AnnData, size: int) -> Iterator[DenseBatch]:
        """Canonical cells, in order; genes that they lack are `hidden` in all of them. Of genes of one name, the first.

        Parameters
        ----------
        cells
            With counts in `X`.
        size
            Of a batch.

        Raises
        ------
        BadInput
            If the cells have none of the genes.
        """
        columns, lacking = self._columns(cells)
        counts: Any = sparse.csr_matrix(cells.X, dtype=np.float32)
        are_genes = _are_genes(cells)
        for start in range(0, cells.n_obs, size):
            part = counts[start : start + size]
            dense = np.zeros((part.shape[0], len(self.names)), dtype=np.float32)
            kernels.spread(part.indptr.astype(np.int64), part.indices.astype(np.int32), part.data, columns, dense)
            totals = np.asarray(part @ are_genes.astype(np.float32)).ravel()
            hidden = np.broadcast_to(lacking, dense.shape).copy() if lacking.any() else None
            yield DenseBatch(
                cells=torch.arange(start, start + len(dense)),
                counts=torch.from_numpy(dense),
                totals=torch.from_numpy(totals),
                hidden=None if hidden is None else torch.from_numpy(hidden),
            )

    def _columns(self, cells: ad.AnnData) -> tuple[np.ndarray, np.ndarray]:
        """Column of the panel for each feature of the cells, int32, -1 for none; and genes that are not there, bool."""
        names = pd.Index(cells.var[_COLUMNS[self.kind]] if self.kind else cells.var_names)
        columns = pd.Index(self.names).get_indexer(names)
        columns[~_are_genes(cells) | names.duplicated()] = -1
        lacking = np.ones(len(self.names), dtype=bool)
        lacking[columns[columns >= 0]] = False
        if lacking.all():
            raise BadInput(
                f"the cells have none of the {counted(len(self.names), 'gene')} that the model reads (first:"
                f" {self.names[0]!r}); give cells of the same species, with names of the same kind."
            )
        return columns.astype(np.int32), lacking


def _are_genes(cells: ad.AnnData) -> np.ndarray:
    return (cells.var["feature_types"] == GENE_EXPRESSION).to_numpy(dtype=bool)
