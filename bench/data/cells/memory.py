"""Canonical cells in memory as a model that was trained on stored ones reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from bench.data.cells import kernels
from bench.data.cells.batch import Cells, Draw
from bench.data.modalities import GENE_EXPRESSION

if TYPE_CHECKING:
    import anndata as ad

    from bench.data.cells.vocabulary import Vocabulary

_ONCE = np.zeros(1, dtype=np.int64)
_CHUNK = 4096
"""Cells looked at together."""


class CellsInMemory:
    """Canonical cells, read by position; the matrix is not copied, only the cells of a draw are.

    What is made of a cell does not depend on where it stands: its key, from which its random numbers come, is a hash
    of its counts, and its genes are in the order of the vocabulary, whatever theirs was. Two equal cells are read
    alike.

    Parameters
    ----------
    cells
        See `bench.data.canonical`. Features that are no genes are left out.
    vocabulary
        Which genes are read, and in what order they count.
    categories
        Column of `obs` -> what its codes stand for, as a model has learned it. Other words count as missing, as does
        a column that the cells do not have.
    previous
        Whether cells come with one of the previous time point: there is none, so it has no genes.

    Raises
    ------
    BadInput
        If hardly a gene is in the vocabulary: see `Vocabulary.positions`.
    """

    def __init__(
        self,
        cells: ad.AnnData,
        vocabulary: Vocabulary,
        categories: Mapping[str, Sequence[str]] | None = None,
        *,
        previous: bool = False,
    ) -> None:
        self._matrix: sparse.csr_matrix = sparse.csr_matrix(cells.X)  # itself, where it is one
        self._measured = (cells.var["feature_types"] == GENE_EXPRESSION).to_numpy(dtype=bool)
        self._genes = np.full(cells.n_vars, -1, dtype=np.int32)
        self._genes[self._measured] = vocabulary.positions(cells.var[self._measured], "these cells")
        # of their names, not of their places: the same counts have the same key in any vocabulary
        self._names = pd.util.hash_array(np.array(vocabulary.names, dtype=object), categorize=False)
        self._codes = {column: _codes(cells.obs, column, words) for column, words in (categories or {}).items()}
        self._previous = previous

    def __len__(self) -> int:
        return int(self._matrix.shape[0])

    @cached_property
    def lengths(self) -> np.ndarray:
        """Genes of the vocabulary with counts, int64 (n,), of every cell."""
        known, ends = self._genes >= 0, self._matrix.indptr
        lengths = np.empty(len(self), dtype=np.int64)
        for start in range(0, len(self), _CHUNK):
            within = ends[start : start + _CHUNK + 1]
            entries = slice(within[0], within[-1])
            found = known[self._matrix.indices[entries]] & (self._matrix.data[entries] > 0)
            lengths[start : start + _CHUNK] = np.diff(np.concatenate([[0], found.cumsum()])[within - within[0]])
        return lengths

    def __call__(self, draw: Draw) -> Cells:
        """The cells of a draw, in its order."""
        n, matrix = len(draw.cells), self._matrix[draw.cells]
        of_cell = np.repeat(np.arange(n), np.diff(matrix.indptr))
        totals = np.bincount(of_cell, matrix.data * self._measured[matrix.indices], minlength=n).astype(np.float32)
        kept = np.flatnonzero((self._genes[matrix.indices] >= 0) & (matrix.data > 0))
        genes, of_cell = self._genes[matrix.indices[kept]], of_cell[kept]
        order = np.lexsort((genes, of_cell))
        genes, counts = genes[order], matrix.data[kept][order].astype(np.float32)
        offsets = np.searchsorted(of_cell, np.arange(n + 1))  # cells stay in their order
        return Cells(
            cells=draw.cells,
            offsets=offsets,
            genes=genes,
            counts=counts,
            totals=totals,
            keys=_keys(_content(offsets, self._names[genes], counts), draw),
            codes={column: codes[draw.cells] for column, codes in self._codes.items()},
            previous=_nothing(draw.cells) if self._previous else None,
        )


def _content(offsets: np.ndarray, names: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """A number for each cell, int64 (n,): the sum of hashes of its genes with their counts, in any order."""
    hashes = np.empty(len(names), dtype=np.uint64)
    bits = counts.view(np.uint32).astype(np.uint64) << np.uint64(32)
    kernels.keys_of((names ^ bits).view(np.int64), 0, _ONCE, hashes)
    sums = np.zeros(len(names) + 1, dtype=np.uint64)
    np.cumsum(hashes, out=sums[1:])  # modulo 2**64, as are the differences
    return np.diff(sums[offsets]).view(np.int64)


def _keys(content: np.ndarray, draw: Draw) -> np.ndarray:
    """uint64 (n,), see `Cells.keys`."""
    keys = np.empty(len(content), dtype=np.uint64)
    kernels.keys_of(content, draw.epoch, _ONCE if draw.repeats is None else draw.repeats, keys)
    return keys


def _codes(obs: pd.DataFrame, column: str, words: Sequence[str]) -> np.ndarray:
    """int64 (n,) codes of a column among some words, -1 where it says something else, or nothing."""
    if column not in obs:
        return np.full(len(obs), -1, dtype=np.int64)
    found: Any = pd.Index(list(words), dtype=object).get_indexer(pd.Index(obs[column].astype(object)))
    return np.asarray(found, dtype=np.int64)


def _nothing(cells: np.ndarray) -> Cells:
    """Cells without genes."""
    n, nothing = len(cells), np.empty(0, dtype=np.float32)
    zeros = np.zeros(n, dtype=np.float32)
    offsets, genes = np.zeros(n + 1, dtype=np.int64), np.empty(0, dtype=np.int32)
    return Cells(cells, offsets, genes, nothing, zeros, np.zeros(n, dtype=np.uint64))
