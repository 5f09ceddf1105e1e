"""Who precedes a cell in time: a cell of the same lineage that was measured earlier, or the mean of all of these.

Earlier is the latest earlier time point at which the lineage was measured. The variant of a transformer that reads
such a cell after the present one is that of easwaranramamurthy/cell-type-classification.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from bench.data.cells.batch import Cells
from bench.data.cells.chance import key, uniform
from bench.data.cells.dataset import CellDataset
from bench.errors import BadInput, unknown
from bench.wording import listed

_CHUNK = 1024
"""Cells read at once for a mean."""


class Lineages:
    """Cells by lineage and time point. 8 bytes for each cell are kept in memory.

    Parameters
    ----------
    dataset
        With `time` and `same` among its columns.
    time
        Column of time points.
    same
        Columns in which cells of one lineage agree: donor, cell line, clone. None: all cells are of one.
    order
        The time points from first to last; None: sorted as people do, day 2 before day 10.
    among
        int64 positions of the cells that may precede others; None: all.

    Raises
    ------
    BadInput
        If a column does not exist, has but one time point, or `order` does not name just the time points there are.
    """

    def __init__(
        self,
        dataset: CellDataset,
        time: str,
        same: Sequence[str] = (),
        *,
        order: Sequence[str] | None = None,
        among: np.ndarray | None = None,
    ) -> None:
        self._dataset, self._time, self._same = dataset, time, tuple(same)
        self._rank = _ranks(dataset, time, order)
        among = np.arange(len(dataset)) if among is None else among
        numbers = self._numbers(among)
        placed = np.flatnonzero(numbers >= 0)
        placed = placed[np.argsort(numbers[placed], kind="stable")]
        self.cells = among[placed]
        """Positions of the cells that have a lineage and time point, those of a group after each other."""
        groups, self.starts, self.counts = np.unique(numbers[placed], return_index=True, return_counts=True)
        self._groups = np.concatenate([[-1], groups])  # one that precedes all and is of no lineage

    def before(self, cells: np.ndarray) -> np.ndarray:
        """The group, as of `starts` and `counts`, int64 (n,), that precedes each cell; -1 where none does."""
        numbers = self._numbers(cells)
        below = np.searchsorted(self._groups, numbers) - 1
        same = self._groups[below] // len(self._rank) == numbers // len(self._rank)
        return np.where((numbers >= 0) & same, below - 1, -1)

    def _numbers(self, cells: np.ndarray) -> np.ndarray:
        """int64 (n,), higher at later time points of a lineage; -1 where a column is missing."""
        numbers, known = np.zeros(len(cells), dtype=np.int64), np.ones(len(cells), dtype=bool)
        for column in self._same:
            codes = self._dataset.codes(column, cells)
            numbers, known = numbers * len(self._dataset.categories[column]) + codes, known & (codes >= 0)
        codes = self._dataset.codes(self._time, cells)
        return np.where(known & (codes >= 0), numbers * len(self._rank) + self._rank[codes], -1)


class EarlierCell:
    """Gives each cell one of those that precede it, another one in each epoch.

    The seed and the cell's key choose it, not the batch or the worker.
    """

    def __init__(self, dataset: CellDataset, lineages: Lineages, seed: int = 0) -> None:
        self._dataset, self._lineages, self._key = dataset, lineages, key(seed, 0)

    def of(self, cells: np.ndarray, keys: np.ndarray) -> Cells:
        """See `bench.data.cells.dataset.Previous`; `cells` of the result are -1 where there is none."""
        lineages, group = self._lineages, self._lineages.before(cells)
        has = group >= 0
        drawn = (uniform(keys.view(np.int64), self._key)[has] * lineages.counts[group[has]]).astype(np.int64)
        chosen = np.full(len(cells), -1, dtype=np.int64)
        chosen[has] = lineages.cells[lineages.starts[group[has]] + drawn]
        read = self._dataset.__getitems__(chosen[has])
        lengths, totals = np.zeros(len(cells), dtype=np.int64), np.zeros(len(cells), dtype=np.float32)
        lengths[has], totals[has] = np.diff(read.offsets), read.totals
        return Cells(chosen, np.cumsum([0, *lengths]), read.genes, read.counts, totals, keys)


class EarlierMean:
    """Gives each cell the mean counts (a pseudo-bulk) of all that precede it, which are no whole numbers.

    The means of all groups are kept in memory: 8 bytes for each gene that a group has.
    """

    def __init__(self, dataset: CellDataset, lineages: Lineages) -> None:
        self._lineages = lineages
        self._means = [
            _mean(dataset, lineages.cells[start : start + count])
            for start, count in zip(lineages.starts, lineages.counts, strict=True)
        ]

    def of(self, cells: np.ndarray, keys: np.ndarray) -> Cells:
        """See `bench.data.cells.dataset.Previous`; `cells` of the result are -1, as it is none of the dataset."""
        nothing = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32), 0.0
        means = [self._means[group] if group >= 0 else nothing for group in self._lineages.before(cells)]
        return Cells(
            cells=np.full(len(cells), -1, dtype=np.int64),
            offsets=np.cumsum([0, *(len(genes) for genes, _, _ in means)]),
            genes=np.concatenate([nothing[0], *(genes for genes, _, _ in means)]),
            counts=np.concatenate([nothing[1], *(counts for _, counts, _ in means)]),
            totals=np.array([total for _, _, total in means], dtype=np.float32),
            keys=keys,
        )


def _mean(dataset: CellDataset, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Genes (int32) that any of the cells has, their mean counts (float32), and the mean total."""
    sums, total = np.zeros(len(dataset.vocabulary)), 0.0
    for start in range(0, len(cells), _CHUNK):
        read = dataset.__getitems__(cells[start : start + _CHUNK])
        sums += np.bincount(read.genes, weights=read.counts, minlength=len(sums))
        total += read.totals.sum(dtype=np.float64)
    genes = np.flatnonzero(sums).astype(np.int32)
    return genes, (sums[genes] / len(cells)).astype(np.float32), total / len(cells)


def _ranks(dataset: CellDataset, time: str, order: Sequence[str] | None) -> np.ndarray:
    """Rank in time, int64, of each category of the column of time points."""
    if time not in dataset.categories:
        raise unknown("column of the dataset:", time, dataset.columns)
    points = dataset.categories[time]
    if len(points) < 2:
        raise BadInput(f"{time} says {listed(points) or 'nothing'} for all cells; none precedes another.")
    order = sorted(points, key=_as_people_do) if order is None else list(order)
    if sorted(order) != sorted(points):
        wrong = sorted(set(order) ^ set(points)) or order
        raise BadInput(f"the order of {time} must name each of {listed(points, 20)} once; see to {listed(wrong)}.")
    return np.array([order.index(point) for point in points], dtype=np.int64)


def _as_people_do(name: str) -> list[str | float]:
    """Sorts numbers in words by size: day 2, day 2.5, day 10."""
    return [float(part) if number % 2 else part for number, part in enumerate(re.split(r"(\d+(?:\.\d+)?)", name))]
