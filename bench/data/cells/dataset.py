"""Stored cells as a dataset for PyTorch: many stores as one, in one vocabulary, whole batches at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from torch.utils.data import Dataset

from bench.data.cells import kernels, reading
from bench.data.cells.batch import Cells, Draw
from bench.data.cells.reading import Part
from bench.data.cells.store import CellStore
from bench.errors import BadInput, unknown
from bench.wording import counted, listed

if TYPE_CHECKING:
    from bench.data.cells.vocabulary import Vocabulary

_ONCE = np.zeros(1, dtype=np.int64)
_CHUNK = 2**20
"""Positions looked at together."""


class Previous(Protocol):
    """Finds what precedes cells in time."""

    def of(self, cells: np.ndarray, keys: np.ndarray) -> Cells:
        """One cell for each of `cells` (positions in the dataset), without genes where there is none."""


class CellDataset(Dataset[Cells]):
    """All cells of some stores, the cells of the first before those of the second.

    Nothing is read but what is asked for. A worker process gets the tables of names and opens the stores itself.

    Parameters
    ----------
    stores
        At least one.
    vocabulary
        Which genes are read, and in what order they count.
    columns
        Columns of `obs` that come with the cells. A store without such a column has missing values there.
    categories
        Column -> what its codes shall stand for, as a model has learned it: other words count as missing, and no
        store needs to have the column. Columns that are not named here have the categories of the stores.

    Raises
    ------
    BadInput
        If no store has one of the columns, or it says nothing of any cell, and its categories are not given.
    """

    def __init__(
        self,
        stores: Sequence[CellStore],
        vocabulary: Vocabulary,
        columns: Sequence[str] = (),
        categories: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.stores, self.vocabulary, self.columns = tuple(stores), vocabulary, tuple(columns)
        self.previous: Previous | None = None
        """Gives the cell before each cell, for `Cells.previous`; see `preceded_by`."""
        self.starts = np.cumsum([0, *(store.n_cells for store in stores)])
        """int64 (stores + 1,): positions at which each store begins, and the number of cells."""
        given = categories or {}
        self.categories = {
            column: tuple(given[column]) if column in given else _categories(self.stores, column) for column in columns
        }
        """Column -> what its codes stand for; those of all stores, sorted, where they were not given."""
        seen: dict[bytes, np.ndarray] = {}
        self._parts = [self._part(store, seen) for store in self.stores]

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, cell: int) -> Cells:
        return self.__getitems__([cell])

    def __getitems__(self, cells: Draw | Sequence[int] | np.ndarray) -> Cells:
        """Cells in the order asked for, read at once.

        Raises
        ------
        BadInput
            If a store is damaged where it is read.
        IndexError
            If there is no such cell.
        """
        draw = cells if isinstance(cells, Draw) else Draw(np.asarray(cells, dtype=np.int64))
        keys = np.empty(len(draw.cells), dtype=np.uint64)
        kernels.keys_of(draw.cells, draw.epoch, _ONCE if draw.repeats is None else draw.repeats, keys)
        reads = list(self._reads(draw.cells))
        offsets, genes, counts, totals = reading.genes(reads, len(draw.cells))
        return Cells(
            cells=draw.cells,
            offsets=offsets,
            genes=genes,
            counts=counts,
            totals=totals,
            keys=keys,
            codes={column: reading.codes(reads, len(draw.cells), column) for column in self.columns},
            previous=None if self.previous is None else self.previous.of(draw.cells, keys),
        )

    def preceded_by(self, previous: Previous) -> CellDataset:
        """The same cells, each with one that precedes it in time."""
        dataset = copy.copy(self)
        dataset.previous = previous
        return dataset

    @property
    def measured(self) -> np.ndarray:
        """Bool (stores, V): genes of the vocabulary that a store has, be their counts 0 in all of its cells."""
        measured = np.zeros((len(self._parts), len(self.vocabulary)), dtype=bool)
        for row, part in zip(measured, self._parts, strict=True):
            row[part.genes[part.genes >= 0]] = True
        return measured

    def of_each_store(self, cells: np.ndarray | None = None) -> np.ndarray:
        """How many of the cells at some positions (None: of all) each store holds, int64 (stores,)."""
        if cells is None:
            return np.diff(self.starts)
        held = np.zeros(len(self.stores), dtype=np.int64)
        for start in range(0, len(cells), _CHUNK):
            numbers = np.searchsorted(self.starts, cells[start : start + _CHUNK], side="right") - 1
            held += np.bincount(numbers, minlength=len(held))
        return held

    @property
    def notices(self) -> tuple[str, ...]:
        """Columns that stores lack, and words that are not among the categories."""
        told = []
        for column, words in self.categories.items():
            for store in self.stores:
                unknown_words = sorted(set(store.categories.get(column, ())) - set(words))
                if column not in store.columns:
                    cells = counted(store.n_cells, "cell")
                    told.append(f"{store.name} has no obs column {column!r}: it counts as missing for its {cells}.")
                elif unknown_words:
                    told.append(f"{store.name}: {column} {listed(unknown_words)} not known, which counts as missing.")
        return tuple(told)

    def codes(self, column: str, cells: np.ndarray) -> np.ndarray:
        """Codes of one of `columns`, int64 (n,), -1 where missing, of the cells at some positions.

        Raises
        ------
        BadInput
            If the column is not one of the dataset's, or a store is damaged.
        """
        if column not in self.categories:
            raise unknown("column of the dataset:", column, self.columns)
        return reading.codes(list(self._reads(cells)), len(cells), column)

    def lengths(self, cells: np.ndarray) -> np.ndarray:
        """Genes with counts, int64 (n,), of the cells at some positions, those outside the vocabulary included."""
        return np.diff(reading.extents(list(self._reads(cells)), len(cells))[1])

    def _part(self, store: CellStore, seen: dict[bytes, np.ndarray]) -> Part:
        """Files of one pipeline have the same genes: their tables are the same array, which is pickled once."""
        genes = self.vocabulary.remap(store)
        genes = seen.setdefault(genes.tobytes(), genes)
        codes = {
            column: _recoding(store, column, words)
            for column, words in self.categories.items()
            if column in store.columns
        }
        return Part(store, genes, bool((genes < 0).any()), codes)

    def _reads(self, cells: np.ndarray) -> Iterator[tuple[Part, np.ndarray, np.ndarray]]:
        """Stores that hold some of the cells, with their rows there and their places among `cells`."""
        if len(cells) and not 0 <= cells.min() <= cells.max() < len(self):
            raise IndexError(f"cell {cells.min()} or {cells.max()} is none of {counted(len(self), 'cell')}.")
        if len(self._parts) == 1:
            yield self._parts[0], cells, np.arange(len(cells))
            return
        numbers = np.searchsorted(self.starts, cells, side="right") - 1
        order = np.argsort(numbers, kind="stable")
        for places in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            if len(places):
                number = numbers[places[0]]
                yield self._parts[number], cells[places] - self.starts[number], places


def _categories(stores: Sequence[CellStore], column: str) -> tuple[str, ...]:
    """What a column says in any of the stores, sorted."""
    having = [store for store in stores if column in store.columns]
    if not having:
        every = sorted({name for store in stores for name in store.columns})
        raise unknown("column of obs:", column, every, "Name columns that hold words, or few different numbers.")
    words = {word for store in having for word in store.categories[column]}
    if not words:
        raise BadInput(f"obs column {column!r} is missing for every cell; name another one.")
    return tuple(sorted(words))


def _recoding(store: CellStore, column: str, words: tuple[str, ...]) -> np.ndarray:
    """int64 codes among `words` by code in the store, -1 for other words, and last for a missing value."""
    number = {word: code for code, word in enumerate(words)}
    return np.array([*(number.get(word, -1) for word in store.categories[column]), -1], dtype=np.int64)
