"""How a gene's counts are told to the model: as they are, as a bin, as a rank."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.data.cells import kernels
from bench.data.cells.choose import Tokens, inverse_medians
from bench.data.cells.corrupt import Rows
from bench.data.cells.options import CollatorConfig
from bench.data.cells.statistics import DEPTH, GeneStatistics

NEED_STATISTICS: frozenset[str] = frozenset({"bins", "rank"})
"""Expressions that ask what the genes are like in the training cells."""


class Read(NamedTuple):
    """Tokens of R rows, L each: arrays (R, L) of what becomes `Inputs` and `Targets`."""

    genes: np.ndarray
    values: np.ndarray
    present: np.ndarray
    hidden: np.ndarray
    target_genes: np.ndarray
    counts: np.ndarray
    classes: np.ndarray
    scored: np.ndarray


class Expression:
    """Reads chosen tokens: what is seen of them, what is to be predicted, both told alike.

    Parameters
    ----------
    config
        `expression`, `scale` and `n_bins` are read.
    statistics
        Of the genes in the training cells, for `NEED_STATISTICS`.
    """

    def __init__(self, config: CollatorConfig, statistics: GeneStatistics | None) -> None:
        self._name, self._by_depth = config.expression, config.scale == "depth"
        self._shares = np.linspace(0, 1, config.n_bins)
        self._edges, self._weights = np.empty(0), np.empty(0, dtype=np.float32)
        if statistics is not None and config.expression == "bins":
            self._edges = np.array(statistics.edges(config.n_bins, config.scale), dtype=np.float64)
        elif statistics is not None and config.expression == "rank":
            self._weights = inverse_medians(statistics)

    def __call__(self, rows: Rows, tokens: Tokens, length: int) -> Read:
        """Read the tokens, filled up with absent ones to `length`: nothing is hidden yet, and nothing scored."""
        shape = len(rows), length
        genes, present = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=bool)
        values, counts = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
        kernels.fill(tokens.entries, tokens.sizes, rows.genes, rows.seen, rows.wanted, genes, values, counts, present)
        classes = np.zeros(shape, dtype=np.int64)
        if self._name != "counts":
            classes = self._told(rows, tokens.sizes, genes, counts, wanted=True)
            # what is the same is told alike, also where chance decides
            seen = classes if rows.seen is rows.wanted else self._told(rows, tokens.sizes, genes, values, wanted=False)
            values = seen.astype(np.float32)
        nothing = np.zeros(shape, dtype=bool)
        return Read(genes, values, present, nothing, genes, counts, classes, nothing)

    def _told(
        self, rows: Rows, sizes: np.ndarray, genes: np.ndarray, counts: np.ndarray, *, wanted: bool
    ) -> np.ndarray:
        """Bins or ranks, int64 (R, L), of counts (R, L), either those wanted or those seen."""
        told = np.zeros(counts.shape, dtype=np.int64)
        if self._name == "bins":
            totals = rows.wanted_totals if wanted else rows.seen_totals
            factors = DEPTH / np.maximum(totals, 1) if self._by_depth else np.ones_like(totals)
            kernels.bin_by_edges(sizes, counts, factors, self._edges, told)
        elif self._name == "cell_bins":
            own, ties = (rows.wanted, kernels.WANTED_TIES) if wanted else (rows.seen, kernels.TIES)
            kernels.bin_by_cell(rows.starts, ties, rows.offsets, own, self._shares, sizes, genes, counts, told)
        else:
            kernels.rank(sizes, genes, counts, self._weights, told)
        return told
