"""The arrays of a store, written block after block."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from scipy import sparse

_PART = 2**22
"""Values rewritten at once."""


class NpyFile:
    """A one-dimensional `.npy` file that grows. A context: complete when that ends without an error.

    Parameters
    ----------
    path
        To be written; nothing is there yet.
    dtype
        uint16 becomes uint32 when a value asks for it.
    """

    def __init__(self, path: Path, dtype: type) -> None:
        self.path = path
        self._start(dtype)

    def __enter__(self) -> NpyFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._file.close()

    def append(self, values: np.ndarray) -> None:
        """Write the next values, (n,) integers within the type but for large ones."""
        if self.dtype == np.uint16 and len(values) and values.max() > np.iinfo(np.uint16).max:
            self._widen()
        self._file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.length += len(values)

    def _start(self, dtype: type) -> None:
        self.dtype, self.length = np.dtype(dtype), 0
        self._file = self.path.open("wb")
        self._head()

    def _finish(self) -> None:
        self._file.seek(0)
        self._head()
        self._file.close()

    def _head(self) -> None:
        """Write the header, in which numpy leaves room for any length (`numpy.lib.format.GROWTH_AXIS_MAX_DIGITS`)."""
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def _widen(self) -> None:
        """Rewrite what is there in four bytes."""
        self._finish()
        narrow = np.load(self.path, mmap_mode="r") if self.length else np.empty(0, self.dtype)
        self.path.unlink()  # the map keeps its content
        self._start(np.uint32)
        for start in range(0, len(narrow), _PART):
            self.append(narrow[start : start + _PART])


class StoreWriter:
    """Writes `indptr.npy`, `indices.npy`, `counts.npy` and `totals.npy` of a store, see `bench.data.cells.store`.

    A context, as `NpyFile`.
    """

    def __init__(self, folder: Path, n_genes: int) -> None:
        self._files = ExitStack()
        self._indptr = self._file(folder / "indptr.npy", np.int64)
        self._indices = self._file(folder / "indices.npy", np.uint16 if n_genes <= 2**16 else np.uint32)
        self._counts = self._file(folder / "counts.npy", np.uint16)
        self._totals = self._file(folder / "totals.npy", np.int64)
        self._kept: list[np.ndarray] = []
        self._indptr.append(np.zeros(1, dtype=np.int64))

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._files.__exit__(kind, error, at)

    @property
    def nnz(self) -> int:
        """Number of entries so far."""
        return self._indices.length

    def append(self, block: sparse.csr_matrix) -> None:
        """Write the cells of a block that have counts: integers above 0, by cell, genes ascending."""
        totals = np.asarray(block.astype(np.int64).sum(axis=1)).ravel()  # scipy adds up float32 in float32
        kept = totals > 0
        ends = self.nnz + block.indptr[1:].astype(np.int64)
        self._indptr.append(ends[kept])
        self._indices.append(block.indices)
        self._counts.append(block.data)
        self._totals.append(totals[kept])
        self._kept.append(kept)

    def kept(self) -> np.ndarray:
        """Which of all cells so far have counts and were written, bool (n,)."""
        return np.concatenate(self._kept)

    def _file(self, path: Path, dtype: type) -> NpyFile:
        return self._files.enter_context(NpyFile(path, dtype))
