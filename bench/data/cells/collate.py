"""Cells as they are stored, made into a batch for a model: the one place where something is hidden from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bench.data.cells import choose, express, kernels
from bench.data.cells.batch import CellBatch, Cells, Inputs, Targets
from bench.data.cells.chance import key
from bench.data.cells.choose import Chooser
from bench.data.cells.corrupt import Rows, spoiled, views
from bench.data.cells.express import Expression, Read
from bench.data.cells.options import CollatorConfig
from bench.data.cells.statistics import GeneStatistics
from bench.errors import BadInput
from bench.wording import counted


class Collator:
    """Makes batches of cells.

    What becomes of a cell is a function of the seed and the cell's key alone: not of the cells beside it, their order,
    the process that does it, or what was done before. Every random number is a hash of what it is for (see
    `bench.data.cells.kernels.word`).

    With `config.previous` the first half of the tokens is of the cell, the second half of the one that precedes it.
    That one is context: viewed, thinned and chosen from like the cell itself, but never masked or scored.

    Ranks are those among the chosen genes; where values are hidden, what is seen has its rank among what is seen, or
    the ranks left out would be known to be those of the hidden genes.

    Parameters
    ----------
    config
        What is made of a cell.
    n_genes
        Of the vocabulary.
    seed
        From 0.
    statistics
        Of the genes in the training cells, where the config needs them.

    Raises
    ------
    BadInput
        If the config needs statistics that are not given, or those are of another vocabulary.
    """

    def __init__(
        self, config: CollatorConfig, n_genes: int, seed: int = 0, statistics: GeneStatistics | None = None
    ) -> None:
        _require_statistics(config, n_genes, statistics)
        self.config, self.n_genes, self.seed = config, n_genes, seed
        self._seed = key(seed)
        self._choose = Chooser(config, n_genes, statistics)
        self._express = Expression(config, statistics)
        self._length = config.length // 2 if config.previous else config.length

    def __call__(self, cells: Cells) -> CellBatch:
        """Make a batch of cells.

        Raises
        ------
        BadInput
            If the cells come without a column, or without previous ones, or have genes outside the vocabulary.
        """
        rows, read = self._read(cells, cells.keys, 0, shown=False)
        if self.config.previous:
            _, before = self._read(_previous(cells), cells.keys, 1, shown=True)
            read = Read._make(map(np.hstack, zip(read, before, strict=True)))
        views = 1 if self.config.view == "none" else 2
        inputs = Inputs(
            genes=torch.from_numpy(read.genes),
            values=torch.from_numpy(read.values),
            present=torch.from_numpy(read.present),
            hidden=torch.from_numpy(read.hidden),
            depth=torch.from_numpy(rows.seen_totals),
            target_depth=torch.from_numpy(rows.wanted_totals),
            covariates=_codes(cells, self.config.covariates, views),
            segments=torch.arange(self.config.length) // self._length if self.config.previous else None,
            padded=not read.present.all(),
        )
        targets = Targets(
            genes=torch.from_numpy(read.target_genes),
            counts=torch.from_numpy(read.counts),
            classes=torch.from_numpy(read.classes),
            scored=torch.from_numpy(read.scored),
            offset=torch.from_numpy(rows.log_ratio),
            labels=_codes(cells, self.config.labels, views),
        )
        return CellBatch(torch.from_numpy(np.tile(cells.cells, views)), inputs, targets, views)

    def _read(self, cells: Cells, keys: np.ndarray, segment: int, *, shown: bool) -> tuple[Rows, Read]:
        """Rows made of cells, and their tokens: all shown, or with what is to be predicted hidden."""
        _require_genes(cells, self.n_genes)
        rows = spoiled(views(cells, keys, self.config, self._seed, segment), self.config)
        tokens = self._choose(rows, self._length)
        read = self._express(rows, tokens, self._length)
        return rows, read if shown else self._hide(rows, tokens.sizes, read)

    def _hide(self, rows: Rows, sizes: np.ndarray, read: Read) -> Read:
        """Say which tokens are scored, and take out of `genes` or `values`, in place, what the masked withhold."""
        config = self.config
        if config.corruption == "none":
            return read
        if config.corruption != "mask":
            return read._replace(scored=read.present)
        of_genes = config.hide == "gene"
        genes = read.genes.copy() if of_genes else read.genes
        hidden, masked, shares = np.zeros_like(read.hidden), np.zeros_like(read.hidden), np.empty(len(rows))
        kernels.shares_of(rows.starts, kernels.SHARE, config.mask_low, config.mask_high, shares)
        kernels.mask(
            rows.starts, shares, sizes, config.mask_mix, of_genes, self.n_genes, genes, read.values, hidden, masked
        )
        if config.expression == "rank" and not of_genes:
            kernels.close_ranks(sizes, hidden, read.values)
        return read._replace(genes=genes, hidden=hidden, scored=masked if config.score == "hidden" else read.present)


def _codes(cells: Cells, columns: Sequence[str], views: int) -> dict[str, Tensor]:
    """Codes of columns of `obs`, int64 (B,)."""
    for column in columns:
        if column not in cells.codes:
            raise BadInput(f"the cells come without column {column!r} of obs; name it in the columns of their dataset.")
    return {column: torch.from_numpy(np.tile(cells.codes[column], views)) for column in columns}


def _previous(cells: Cells) -> Cells:
    """The cells before these in time."""
    if cells.previous is None:
        raise BadInput("the cells come without those of the previous time point; give their dataset `previous`.")
    return cells.previous


def _require_genes(cells: Cells, n_genes: int) -> None:
    """Refuse genes that the tables of the vocabulary do not have: the compiled loops do not look."""
    if len(cells.genes) and not 0 <= cells.genes.min() <= cells.genes.max() < n_genes:
        raise BadInput(
            f"the cells have gene {cells.genes.max():,}, the vocabulary has {n_genes:,}; give both the same."
        )


def _require_statistics(config: CollatorConfig, n_genes: int, statistics: GeneStatistics | None) -> None:
    """Refuse a config that needs to know the genes of the training cells, and does not."""
    for name, needing in (("genes", choose.NEED_STATISTICS), ("expression", express.NEED_STATISTICS)):
        if statistics is None and getattr(config, name) in needing:
            choice = f"{name}={getattr(config, name)}"
            raise BadInput(f"{choice} asks for statistics of the genes in the training cells; give the collator some.")
    if statistics is not None and len(statistics.medians) != n_genes:
        have = counted(len(statistics.medians), "gene")
        raise BadInput(f"the statistics are of {have}, the vocabulary has {n_genes:,}; compute them with it anew.")
