"""What genes are like in the training cells: all that a collator must know of data before it sees a batch.

Everything comes from one pass over the cells; memory does not grow with them (8 kB for each gene). Cells of
validation and test must not be among them, or a model would be told of what it is tested on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from bench.atomic import replacing
from bench.data.cells import kernels
from bench.data.cells.dataset import CellDataset
from bench.data.cells.intervals import OF_ALL, OF_GENE
from bench.data.cells.progress import watched
from bench.errors import BadInput
from bench.wording import counted

if TYPE_CHECKING:
    from bench.data.cells.batch import Cells
    from bench.data.cells.vocabulary import Vocabulary

FORMAT = 2
"""Of what is computed: a change of it is a change of this."""
Scale = Literal["raw", "depth"]
SCALES: tuple[Scale, ...] = ("raw", "depth")

DEPTH = 1e4
"""Counts to which cells are scaled."""
HVG_BINS = 20
"""Of mean expression, within which genes are compared."""

_CHUNK = 1024
"""Cells read at once."""
_COLUMNS = ("cells", "mean", "variance", "median", "hvg_rank")


@dataclass(frozen=True)
class GeneStatistics:
    """Of the genes of a vocabulary in some cells; arrays are (V,), in its order."""

    vocabulary: str
    """Its sha256."""
    n_cells: int
    cells: np.ndarray
    """int64, how many have counts of the gene."""
    mean: np.ndarray
    """float64, of log1p counts per 10,000, zeros included, as is the next. A zero is what a file has measured: cells of
    files without the gene do not count."""
    variance: np.ndarray
    """float64, with n - 1."""
    medians: np.ndarray
    """float32, of the counts per 10,000 where there are any, within 0.8 %, above 0; of a gene that no cell has, the
    median of the others' medians. Theodoris et al. (2023), https://doi.org/10.1038/s41586-023-06139-9: Geneformer
    ranks the genes of a cell by counts over these."""
    hvg_rank: np.ndarray
    """int64, 0 for the most variable gene; see `variable_rank`."""
    values: Mapping[Scale, np.ndarray]
    """int64, how many values above 0, of all genes, lie in each interval; for `edges`."""

    @classmethod
    def of(cls, dataset: CellDataset, cells: np.ndarray | None = None) -> GeneStatistics:
        """Read cells once, in parts.

        Parameters
        ----------
        dataset
            Its stores and vocabulary matter.
        cells
            int64 positions of the training cells, which may be a memory map, fastest when sorted; None: all.

        Raises
        ------
        BadInput
            If there are none, or none has a gene of the vocabulary.
        """
        n = len(dataset) if cells is None else len(cells)
        plain = CellDataset(dataset.stores, dataset.vocabulary)  # without labels and earlier cells
        tally = _Tally(len(dataset.vocabulary))
        for start in watched(range(0, n, _CHUNK), "statistics of genes", n, lambda _: _CHUNK):
            stop = min(start + _CHUNK, n)
            tally.add(plain.__getitems__(np.arange(start, stop) if cells is None else np.asarray(cells[start:stop])))
        if not tally.logs[:, 0].any():
            raise BadInput(f"{counted(n, 'training cell')} without a gene of the vocabulary; give others, or another.")
        measured = dataset.of_each_store(cells) @ dataset.measured
        mean, variance = _with_zeros(tally.logs, measured)
        return cls(
            vocabulary=dataset.vocabulary.sha256,
            n_cells=n,
            cells=tally.logs[:, 0].astype(np.int64),
            mean=mean,
            variance=variance,
            medians=_medians(tally.by_gene),
            hvg_rank=variable_rank(*_with_zeros(tally.scaled, measured)),
            values=tally.values,
        )

    def edges(self, n_bins: int, scale: Scale) -> np.ndarray:
        """Where bins of values above 0 end, so that these fall into bins as evenly as they can.

        A value is in bin 1 + number of edges that are not above it; bin 0 is for no counts. Edges of counts lie
        between two counts. Where so many values are alike that quantiles coincide, there are fewer bins.

        Parameters
        ----------
        n_bins
            Of the values above 0.
        scale
            Of log1p counts (`"raw"`), or of log1p counts per 10,000 (`"depth"`).

        Returns
        -------
        float32 (at most n_bins - 1,), ascending.
        """
        ends = np.cumsum(self.values[scale])
        quantiles = np.searchsorted(ends, ends[-1] * np.arange(1, n_bins) / n_bins)
        last = np.flatnonzero(self.values[scale])[-1]
        found = np.unique(quantiles[quantiles < last])
        above = OF_ALL.starts(found + 1)
        return np.log1p(np.ceil(above) - 0.5 if scale == "raw" else above).astype(np.float32)

    def write(self, path: Path) -> None:
        """Write a Parquet file, whole or not at all: a row for each gene, the rest in its metadata."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrays = (self.cells, self.mean, self.variance, self.medians, self.hvg_rank)
        found = {scale: np.flatnonzero(values) for scale, values in self.values.items()}
        about = {
            "vocabulary": self.vocabulary,
            "n_cells": self.n_cells,
            "values": {s: [at.tolist(), self.values[s][at].tolist()] for s, at in found.items()},
        }
        table = pa.table(dict(zip(_COLUMNS, arrays, strict=True))).replace_schema_metadata({"about": json.dumps(about)})
        with replacing(path) as temporary:
            pq.write_table(table, temporary)

    @classmethod
    def read(cls, path: Path, vocabulary: Vocabulary) -> GeneStatistics:
        """Read what `write` wrote.

        Raises
        ------
        BadInput
            If it is no such file, or of another vocabulary.
        """
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
            about = json.loads((table.schema.metadata or {})[b"about"])
            cells, mean, variance, medians, rank = (table[name].to_numpy() for name in _COLUMNS)
            values = {scale: _dense(*about["values"][scale]) for scale in SCALES}
            found = cls(about["vocabulary"], about["n_cells"], cells, mean, variance, medians, rank, values)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            reason = (str(error).splitlines() or [""])[0][:200]
            raise BadInput(f"cannot read gene statistics from {path} ({reason}); make them again.") from None
        if found.vocabulary != vocabulary.sha256:
            raise BadInput(f"{path} is of another vocabulary; make the statistics of these genes again.")
        return found


def variable_rank(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Rank (V,) of genes by how much more they vary than others of like mean, int64, 0 for the first.

    That is scanpy's flavour "seurat" (`scanpy.pp.highly_variable_genes`): the log of variance over mean, less its
    average among genes of like mean, over its standard deviation there; alone there, a gene has 1. Satija et al.
    (2015), https://doi.org/10.1038/nbt.3192. Genes that do not vary come last.

    Parameters
    ----------
    mean, variance
        (V,) of counts per 10,000, not of their logs.
    """
    mean = np.where(mean == 0, 1e-12, mean)
    ratio = variance / mean
    dispersion = pd.Series(np.log(np.where(ratio == 0, np.nan, ratio)))
    like = dispersion.groupby(pd.cut(np.log1p(mean), HVG_BINS), observed=True)
    centre, spread = like.transform("mean"), like.transform("std")
    alone = spread.isna()
    score = (dispersion - centre.where(~alone, 0)) / spread.where(~alone, centre)
    rank = np.empty(len(mean), dtype=np.int64)
    rank[np.argsort(-score.to_numpy(), kind="stable")] = np.arange(len(mean))  # NaN is sorted to the end
    return rank


class _Tally:
    """Running sums of the cells so far."""

    def __init__(self, n_genes: int) -> None:
        self.scaled = np.zeros((n_genes, 3))
        self.logs = np.zeros((n_genes, 3))
        self.by_gene = np.zeros((n_genes, len(OF_GENE)), dtype=np.uint32)
        self.values: dict[Scale, np.ndarray] = {scale: np.zeros(len(OF_ALL), dtype=np.int64) for scale in SCALES}

    def add(self, cells: Cells) -> None:
        scaled = cells.counts * np.repeat((DEPTH / cells.totals).astype(np.float32), np.diff(cells.offsets))
        kernels.add_moments(cells.genes, scaled, self.scaled)
        kernels.add_moments(cells.genes, np.log1p(scaled), self.logs)
        OF_GENE.add(scaled, self.by_gene, cells.genes)
        for scale, values in zip(SCALES, (cells.counts, scaled), strict=True):
            OF_ALL.add(values, self.values[scale][None])


def _with_zeros(moments: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of n (V,) values of each gene, of which those that are not 0 have the given moments.

    Chan, Golub, LeVeque (1983), https://doi.org/10.1080/00031305.1983.10483115, the zeros being the second sample.
    """
    number, mean, squares = moments.T
    squares = squares + mean**2 * number * (n - number) / np.maximum(n, 1)
    return mean * number / np.maximum(n, 1), squares / np.maximum(n - 1, 1)


def _medians(by_gene: np.ndarray) -> np.ndarray:
    """Medians of what was counted, within half an interval: the mean of the two middle values."""
    medians = np.full(len(by_gene), np.nan)
    for start in range(0, len(by_gene), _CHUNK):
        ends = np.cumsum(by_gene[start : start + _CHUNK], axis=1, dtype=np.int64)
        n = ends[:, -1:]
        middle = [(ends <= place).sum(axis=1)[n[:, 0] > 0] for place in ((n - 1) // 2, n // 2)]
        medians[start : start + _CHUNK][n[:, 0] > 0] = sum(OF_GENE.centres(column) for column in middle) / 2
    return np.where(np.isnan(medians), np.nanmedian(medians), medians).astype(np.float32)


def _dense(at: list[int], values: list[int]) -> np.ndarray:
    dense = np.zeros(len(OF_ALL), dtype=np.int64)
    dense[at] = values
    return dense
