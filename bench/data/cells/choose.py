"""Which genes of a cell become tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bench.data.cells import kernels
from bench.data.cells.corrupt import Rows
from bench.data.cells.options import CollatorConfig, GeneChoice
from bench.data.cells.statistics import GeneStatistics

NEED_STATISTICS: frozenset[GeneChoice] = frozenset({"hvg_fixed", "hvg_weighted", "rank_top"})
"""Choices that ask what the genes are like in the training cells."""
_ORDERED: frozenset[GeneChoice] = frozenset({"nonzero_top", "rank_top", "nonzero_and_zeros"})
"""Choices after which the place of a token says something of its counts."""


@dataclass(frozen=True)
class Tokens:
    """Chosen genes of R rows, the first `sizes` of each row; the rest says nothing."""

    entries: np.ndarray
    """int32 (R, L) positions among the entries of all rows, or ~gene where a row has no entry for the gene."""
    sizes: np.ndarray
    """int64 (R,)."""


class Chooser:
    """Chooses genes by what is seen of a row, never by what is to be predicted.

    Where the order of tokens would tell what is hidden, a value or a gene, they are shuffled.

    Parameters
    ----------
    config
        `genes`, `zeros`, `hide` and `length` are read.
    n_genes
        Of the vocabulary.
    statistics
        Of the genes in the training cells, for `NEED_STATISTICS`.
    """

    def __init__(self, config: CollatorConfig, n_genes: int, statistics: GeneStatistics | None) -> None:
        self._name, self._zeros, self._n_genes = config.genes, config.zeros, n_genes
        self._shuffles = config.genes in _ORDERED or config.hide == "gene"
        self._weights = np.ones(n_genes, dtype=np.float32)
        self._fixed = np.empty(0, dtype=np.int32)
        if statistics is not None and config.genes == "rank_top":
            self._weights = inverse_medians(statistics)
        elif statistics is not None and config.genes == "hvg_weighted":
            self._weights = hvg_weights(statistics)
        elif statistics is not None and config.genes == "hvg_fixed":
            self._fixed = np.argsort(statistics.hvg_rank, kind="stable")[: config.length].astype(np.int32)

    def __call__(self, rows: Rows, length: int) -> Tokens:
        """Choose at most `length` genes of each row."""
        tokens = _CHOICES[self._name](self, rows, length)
        if self._shuffles:
            kernels.shuffle(rows.starts, tokens.entries, tokens.sizes)
        return tokens

    def _nonzero_random(self, rows: Rows, length: int) -> Tokens:
        tokens = _empty(rows, length)
        kernels.choose_nonzero(rows.starts, rows.offsets, rows.seen, tokens.entries, tokens.sizes)
        return tokens

    def _nonzero_top(self, rows: Rows, length: int) -> Tokens:
        tokens = _empty(rows, length)
        kernels.choose_top(
            rows.starts, rows.offsets, rows.genes, rows.seen, self._weights, tokens.entries, tokens.sizes
        )
        return tokens

    def _nonzero_and_zeros(self, rows: Rows, length: int) -> Tokens:
        tokens = _empty(rows, length)
        kernels.choose_nonzero_and_zeros(
            rows.starts,
            rows.offsets,
            rows.genes,
            rows.seen,
            self._n_genes,
            self._zeros,
            tokens.entries,
            tokens.sizes,
        )
        return self._found(rows, tokens)

    def _all_random(self, rows: Rows, length: int) -> Tokens:
        tokens = self._of_all(rows, length)
        kernels.choose_any(rows.starts, self._n_genes, tokens.entries)
        return self._found(rows, tokens)

    def _hvg_weighted(self, rows: Rows, length: int) -> Tokens:
        tokens = self._of_all(rows, length)
        kernels.choose_weighted(rows.starts, self._weights, tokens.entries)
        return self._found(rows, tokens)

    def _hvg_fixed(self, rows: Rows, length: int) -> Tokens:
        tokens = self._of_all(rows, length)
        tokens.entries[:] = ~self._fixed[: tokens.entries.shape[1]]
        return self._found(rows, tokens)

    def _of_all(self, rows: Rows, length: int) -> Tokens:
        """Room for genes of the vocabulary, as many in each row."""
        tokens = _empty(rows, min(length, self._n_genes))
        tokens.sizes[:] = tokens.entries.shape[1]
        return tokens

    def _found(self, rows: Rows, tokens: Tokens) -> Tokens:
        """The same genes, as entries of the row where it has them."""
        kernels.find_entries(rows.offsets, rows.genes, self._n_genes, tokens.entries, tokens.sizes)
        return tokens


def inverse_medians(statistics: GeneStatistics) -> np.ndarray:
    """1 over the gene's median, float32 (V,): ranks are of counts times these (Geneformer).

    Theodoris et al. (2023), https://doi.org/10.1038/s41586-023-06139-9. The depth of a cell is the same for all its
    genes and changes no rank.
    """
    return (1 / statistics.medians).astype(np.float32)


def hvg_weights(statistics: GeneStatistics) -> np.ndarray:
    """exp(log10(variance) / 5), float32 (V,), 0 where there is no variance.

    gdewael/bento-sc, the weights of its gene sampling, https://doi.org/10.1101/2025.04.02.646825.
    """
    variance = np.asarray(statistics.variance, dtype=np.float64)
    powers = np.log10(variance, out=np.full_like(variance, -np.inf), where=variance > 0) / 5
    return np.exp(powers).astype(np.float32)


def _empty(rows: Rows, length: int) -> Tokens:
    return Tokens(np.empty((len(rows), length), dtype=np.int32), np.empty(len(rows), dtype=np.int64))


_CHOICES: Mapping[GeneChoice, Callable[[Chooser, Rows, int], Tokens]] = {
    "nonzero_top": Chooser._nonzero_top,
    "nonzero_random": Chooser._nonzero_random,
    "all_random": Chooser._all_random,
    "nonzero_and_zeros": Chooser._nonzero_and_zeros,
    "hvg_fixed": Chooser._hvg_fixed,
    "hvg_weighted": Chooser._hvg_weighted,
    "rank_top": Chooser._nonzero_top,
}
