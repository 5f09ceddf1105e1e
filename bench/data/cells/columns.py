"""A matrix stored gene by gene (CSC), read cell by cell: turned around on disk first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from bench.data.cells.blocks import VALUES, Rows, damaged, line_of, parts, require_within, stored

_GENES = np.dtype(np.int32)
_ENDS = np.dtype(np.int64)


@dataclass
class Columns:
    """CSC: the values of one gene after those of another. Members as of `bench.data.cells.blocks.Rows`.

    In memory it would be turned around by one sort of all its values. Here it is read twice: once to count the
    values of each cell, once to put every value where its cell has room for it. As genes come in their order, so do
    the values of each cell.
    """

    where: str
    shape: tuple[int, int]
    data: Any
    indices: Any
    indptr: Any

    def __post_init__(self) -> None:
        self.dtype = np.dtype(self.data.dtype)
        self.stored = stored(self.where, self.indptr, self.shape[1], self.indices, self.data)
        if (np.diff(self.indptr[:].astype(np.int64)) < 0).any():
            raise damaged(self.where, "its column ends are not in order")

    def values(self) -> Iterator[np.ndarray]:
        """See `Matrix`."""
        return parts(self.data, self.stored)

    def place(self, position: int) -> tuple[int, int]:
        """See `Matrix`."""
        return int(self.indices[position]), line_of(self.indptr, position)

    def blocks(self, scratch: Path) -> Iterator[sparse.csr_matrix]:
        """See `Matrix`."""
        ends = self._row_ends(scratch)
        data = _made(scratch / "data", self.dtype, self.stored)
        genes = _made(scratch / "genes", _GENES, self.stored)
        self._scatter(_copied(ends, scratch / "free"), data, genes)
        yield from Rows(self.where, self.shape, data, genes, ends).blocks(scratch)

    def scratch_bytes(self) -> int:
        """See `Matrix`."""
        return self.stored * (self.dtype.itemsize + _GENES.itemsize) + 2 * (self.shape[0] + 1) * _ENDS.itemsize

    def _row_ends(self, scratch: Path) -> np.ndarray:
        """(n + 1,) where the values of each cell will begin and end."""
        ends = _made(scratch / "ends", _ENDS, self.shape[0] + 1)
        for cells in parts(self.indices, self.stored):
            require_within(self.where, cells, self.shape[0])
            np.add.at(ends, cells.astype(np.int64) + 1, 1)
        return np.cumsum(ends, out=ends)

    def _scatter(self, free: np.ndarray, data: np.ndarray, genes: np.ndarray) -> None:
        """Put every value into the next free place of its cell."""
        ends = np.asarray(self.indptr[:], dtype=np.int64)  # as many as genes
        start = 0
        for cells, values in zip(parts(self.indices, self.stored), parts(self.data, self.stored), strict=True):
            of_gene = np.diff(ends.clip(start, start + len(cells)))
            start += len(cells)
            order = np.argsort(cells, kind="stable")
            cells = cells[order].astype(np.int64)
            first = np.flatnonzero(np.diff(cells, prepend=-1))
            many = np.diff(first, append=len(cells))
            places = free[cells] + np.arange(len(cells)) - np.repeat(first, many)
            data[places] = values[order]
            genes[places] = np.repeat(np.arange(self.shape[1], dtype=_GENES), of_gene)[order]
            free[cells[first]] += many


def _made(path: Path, dtype: np.dtype, length: int) -> np.ndarray:
    """A mapped file of zeros, all of it written: a map over a hole would kill the process when the disk is full."""
    zeros = np.zeros(min(length, VALUES), dtype=dtype)
    with path.open("wb") as file:
        for start in range(0, length, VALUES):
            file.write(zeros[: length - start].data)
    return np.asarray(np.memmap(path, dtype, mode="r+")) if length else zeros


def _copied(array: np.ndarray, path: Path) -> np.ndarray:
    copy = _made(path, array.dtype, len(array))
    np.copyto(copy, array)
    return copy
