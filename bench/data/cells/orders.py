"""In which order cells come in an epoch, as a function of seed and epoch alone.

An order says which cells are at places `start` to `stop` of an epoch. It keeps no list of all places, so that memory
does not grow with the cells, and resuming is to ask for later places.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import numpy as np

from bench.data.cells.chance import key, permuted, shuffled, uniform

Subset = int | np.ndarray
"""Which cells of a dataset: int64 positions (n,), which may be a memory map, or how many from the first on."""

PARTITIONS = 100


class Order(ABC):
    """An order of cells.

    Parameters
    ----------
    cells
        Which cells.
    seed
        A number from 0; another one gives another order.
    """

    repeating = False
    """Whether a cell may come several times in an epoch."""

    def __init__(self, cells: Subset, seed: int = 0) -> None:
        self.n = cells if isinstance(cells, int) else len(cells)
        """Places in an epoch."""
        self.seed = seed
        self._cells = cells

    def __call__(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Positions in the dataset, int64, of the cells at places `start` to `stop` of an epoch."""
        return self._at(self._rows(epoch, start, stop))

    @property
    def words(self) -> str:
        """All that the order depends on but the cells, to tell two of them apart."""
        return f"{type(self).__name__}, seed {self.seed}"

    def _at(self, rows: np.ndarray) -> np.ndarray:
        return rows if isinstance(self._cells, int) else np.asarray(self._cells[rows], dtype=np.int64)

    @abstractmethod
    def _rows(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Positions among the cells of the order, int64."""


class AsStored(Order):
    """Cells as they are stored, in every epoch: for prediction."""

    def _rows(self, epoch: int, start: int, stop: int) -> np.ndarray:
        return np.arange(start, stop)


class Random(Order):
    """All cells in random order, another one in each epoch: for stores that memory or a fast disk holds."""

    def _rows(self, epoch: int, start: int, stop: int) -> np.ndarray:
        return shuffled(start, stop, self.n, key(self.seed, epoch))


class Blocks(Order):
    """Blocks of neighbouring cells in random order, and cells at random among the blocks of one buffer.

    A disk reads a block nearly as fast as a cell; the page cache holds a buffer until its last cell has come.
    Where cells are stored by type or donor, the buffer decides how mixed a batch is.

    Parameters
    ----------
    block
        Cells in a block.
    buffer
        Cells that are mixed with each other, rounded to whole blocks.
    """

    def __init__(self, cells: Subset, seed: int = 0, *, block: int = 128, buffer: int = 16_384) -> None:
        super().__init__(cells, seed)
        self.block = max(1, min(block, self.n))
        self.buffer = max(1, buffer // self.block) * self.block

    @property
    def words(self) -> str:
        return f"{super().words}, blocks of {self.block} in buffers of {self.buffer}"

    def _rows(self, epoch: int, start: int, stop: int) -> np.ndarray:
        return np.concatenate([self._of_buffer(epoch, *piece) for piece in _pieces(start, stop, self.buffer)])

    def _of_buffer(self, epoch: int, number: int, start: int, stop: int) -> np.ndarray:
        begin = number * self.buffer
        size = min(self.buffer, self.n - begin)
        slots = begin + shuffled(start - begin, stop - begin, size, key(self.seed, epoch, 1, number))
        blocks, within = np.divmod(slots, self.block)
        whole = self.n // self.block
        full = blocks < whole
        blocks[full] = permuted(blocks[full], whole, key(self.seed, epoch))
        first = key(self.seed, epoch, 2) % self.n  # blocks begin elsewhere in each epoch, so does what is left over
        return (first + blocks * self.block + within) % self.n


class Weighted(Order):
    """Cells drawn with replacement, those of rare categories more often; as many as there are cells.

    A cell's weight is scaler / (scaler + cells of its category): categories that are far rarer than `scaler` cells
    are drawn as they are, those far commoner equally often. Cells without a category count as one. 8 bytes for each
    cell are kept in memory. jkobject/scDataLoader, `Dataset.get_label_weights` and `LabelWeightedSampler`.

    Parameters
    ----------
    codes
        int64 (n,) categories of the cells, -1 where missing.
    scaler
        See above, in cells.
    """

    repeating = True

    def __init__(self, cells: Subset, seed: int = 0, *, codes: np.ndarray, scaler: float = 10) -> None:
        super().__init__(cells, seed)
        _, codes, counts = np.unique(codes, return_inverse=True, return_counts=True)
        self.scaler = scaler
        self._ends = np.cumsum(counts)
        self._counts = counts
        self._by_category = np.argsort(codes, kind="stable")
        shares = np.cumsum(counts / (scaler + counts))
        self._shares = shares / shares[-1]

    @property
    def words(self) -> str:
        return f"{super().words}, scaler {self.scaler:g}"

    def _rows(self, epoch: int, start: int, stop: int) -> np.ndarray:
        places = np.arange(start, stop)
        category = np.searchsorted(self._shares, uniform(places, key(self.seed, epoch)), side="right")
        within = (uniform(places, key(self.seed, epoch, 1)) * self._counts[category]).astype(np.int64)
        return self._by_category[self._ends[category] - self._counts[category] + within]


class Buckets(Order):
    """Batches of cells with similar numbers of genes, so that little is padded.

    The cells, in random order, are cut into `PARTITIONS`; each is sorted by number of genes and cut into batches,
    which come in random order. gdewael/bento-sc, `BucketBatchSampler`.

    Parameters
    ----------
    lengths
        Number of genes of the cells at some positions of the dataset.
    batch
        Cells of a batch, those of all ranks.
    """

    def __init__(
        self, cells: Subset, seed: int = 0, *, lengths: Callable[[np.ndarray], np.ndarray], batch: int
    ) -> None:
        super().__init__(cells, seed)
        self.batch = batch
        self.partition = max(1, -(-self.n // (PARTITIONS * batch))) * batch
        self._lengths = lengths
        self._last: tuple[tuple[int, int], np.ndarray] = ((-1, -1), np.empty(0, dtype=np.int64))

    @property
    def words(self) -> str:
        return f"{super().words}, batches of {self.batch}"

    def _rows(self, epoch: int, start: int, stop: int) -> np.ndarray:
        pieces = []
        for number, begin, end in _pieces(start, stop, self.partition):
            first = number * self.partition
            pieces.append(self._of_partition(epoch, number)[begin - first : end - first])
        return np.concatenate(pieces)

    def _of_partition(self, epoch: int, number: int) -> np.ndarray:
        """Its rows in order; the last partition that was asked for is kept, as its batches come one after the other."""
        if self._last[0] != (epoch, number):
            first = number * self.partition
            rows = shuffled(first, min(first + self.partition, self.n), self.n, key(self.seed, epoch))
            rows = rows[np.argsort(self._lengths(self._at(rows)), kind="stable")[::-1]]
            whole = len(rows) // self.batch
            batches = rows[: whole * self.batch].reshape(whole, self.batch)
            batches = batches[shuffled(0, whole, whole, key(self.seed, epoch, 1, number))]
            self._last = (epoch, number), np.concatenate([batches.ravel(), rows[whole * self.batch :]])
        return self._last[1]


def _pieces(start: int, stop: int, width: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and stop of the parts of `start` to `stop` that lie in intervals of some width."""
    for number in range(start // width, -(-stop // width)):
        yield number, max(start, number * width), min(stop, (number + 1) * width)
