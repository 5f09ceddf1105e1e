"""Blocks of cells from a matrix in an `.h5ad` file: what is in memory at once does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from bench.errors import BadInput

VALUES = 2**21
"""Values in memory at once, or those of one cell: 8 MiB of float32."""
CELLS = 2**14
"""Ends of rows in memory at once."""


class Matrix(Protocol):
    """Cells x genes on disk, in one of the forms that anndata writes."""

    where: str
    """The file and the place in it, for messages."""
    shape: tuple[int, int]
    stored: int
    """Number of values in the file: all of them, or those of a sparse matrix."""
    dtype: np.dtype

    def values(self) -> Iterator[np.ndarray]:
        """All stored values in the order of the file, in parts."""
        ...

    def place(self, position: int) -> tuple[int, int]:
        """Row and column of a stored value, by its place in that order."""
        ...

    def blocks(self, scratch: Path) -> Iterator[sparse.csr_matrix]:
        """All cells in order, some at a time; values and genes of a cell as they are in the file.

        Parameters
        ----------
        scratch
            An empty folder for what has to be kept on disk meanwhile, see `scratch_bytes`.
        """
        ...

    def scratch_bytes(self) -> int:
        """Room on disk that `blocks` needs."""
        ...


@dataclass
class Dense:
    """Rows of numbers."""

    where: str
    array: Any
    """h5py dataset (n, m)."""

    def __post_init__(self) -> None:
        self.shape = tuple(self.array.shape)
        self.stored = self.shape[0] * self.shape[1]
        self.dtype = np.dtype(self.array.dtype)

    def values(self) -> Iterator[np.ndarray]:
        """See `Matrix`."""
        for block in self._parts():
            yield block.reshape(-1)

    def place(self, position: int) -> tuple[int, int]:
        """See `Matrix`."""
        return divmod(position, self.shape[1])

    def blocks(self, scratch: Path) -> Iterator[sparse.csr_matrix]:
        """See `Matrix`."""
        for block in self._parts():
            yield sparse.csr_matrix(block)

    def scratch_bytes(self) -> int:
        """See `Matrix`."""
        return 0

    def _parts(self) -> Iterator[np.ndarray]:
        """Whole chunks of the file, up to four times `VALUES`: a chunk is unpacked anew at every visit."""
        step = max(1, VALUES // max(self.shape[1], 1))
        chunk = self.array.chunks[0] if self.array.chunks else 1
        step = max(step // chunk, 1) * chunk if chunk <= 4 * step else step
        for start in range(0, self.shape[0], step):
            yield native(self.array[start : start + step])


@dataclass
class Rows:
    """CSR: the values of one cell after those of another."""

    where: str
    shape: tuple[int, int]
    data: Any
    """(stored,) numbers: h5py dataset or memory map, as are the next two."""
    indices: Any
    """(stored,) columns."""
    indptr: Any
    """(n + 1,) ends of rows."""

    def __post_init__(self) -> None:
        self.dtype = np.dtype(self.data.dtype)
        self.stored = stored(self.where, self.indptr, self.shape[0], self.indices, self.data)

    def values(self) -> Iterator[np.ndarray]:
        """See `Matrix`."""
        return parts(self.data, self.stored)

    def place(self, position: int) -> tuple[int, int]:
        """See `Matrix`."""
        return line_of(self.indptr, position), int(self.indices[position])

    def blocks(self, scratch: Path) -> Iterator[sparse.csr_matrix]:
        """See `Matrix`; raises `BadInput` where rows or columns are none."""
        for start in range(0, self.shape[0], CELLS):
            ends = np.asarray(self.indptr[start : start + CELLS + 1], dtype=np.int64)
            if (np.diff(ends) < 0).any() or ends[0] < 0 or ends[-1] > self.stored:
                raise damaged(self.where, "its row ends are not in order")
            first = 0
            while first < len(ends) - 1:
                last = max(first + 1, int(np.searchsorted(ends, ends[first] + VALUES, side="right")) - 1)
                yield self._block(ends[first : last + 1])
                first = last

    def scratch_bytes(self) -> int:
        """See `Matrix`."""
        return 0

    def _block(self, ends: np.ndarray) -> sparse.csr_matrix:
        begin, end = int(ends[0]), int(ends[-1])
        if end - begin > max(VALUES, self.shape[1]):
            raise damaged(self.where, "a cell has more values than there are genes")
        columns = native(self.indices[begin:end])
        require_within(self.where, columns, self.shape[1])
        shape = (len(ends) - 1, self.shape[1])
        return sparse.csr_matrix((native(self.data[begin:end]), columns, ends - begin), shape=shape)


def parts(array: Any, end: int) -> Iterator[np.ndarray]:
    """The first `end` entries of an array on disk, some at a time."""
    for start in range(0, end, VALUES):
        yield native(array[start : min(start + VALUES, end)])


def native(values: np.ndarray) -> np.ndarray:
    """Numbers that scipy can compute with: in this machine's byte order, halves as float32."""
    half = values.dtype.kind == "f" and values.dtype.itemsize == 2
    return np.asarray(values, dtype=np.float32 if half else values.dtype.newbyteorder("="))


def stored(where: str, indptr: Any, lines: int, indices: Any, data: Any) -> int:
    """Number of values of a sparse matrix, its three arrays being such as belong together."""
    kinds = all(np.dtype(array.dtype).kind in "iu" and len(array.shape) == 1 for array in (indptr, indices))
    if not kinds or indptr.shape != (lines + 1,) or indices.shape != data.shape:
        raise damaged(where, "its arrays do not belong together")
    last = int(indptr[lines])
    if int(indptr[0]) != 0 or not 0 <= last <= indices.shape[0]:
        raise damaged(where, "its ends are not those of its values")
    return last


def line_of(indptr: Any, position: int) -> int:
    """The row (CSR) or column (CSC) of a stored value."""
    for start in range(0, indptr.shape[0], CELLS):
        ends = np.asarray(indptr[start : start + CELLS])
        if ends[-1] > position:
            return start + int(np.searchsorted(ends, position, side="right")) - 1
    raise IndexError(position)


def require_within(where: str, numbers: np.ndarray, limit: int) -> None:
    """Refuse rows or columns that the matrix does not have."""
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= limit):
        raise damaged(where, "it has values outside its rows and columns")


def damaged(where: str, what: str) -> BadInput:
    """The error for a sparse matrix that is none."""
    return BadInput(f"{where} is a damaged sparse matrix ({what}); fetch or write the file again.")
