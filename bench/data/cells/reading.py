"""Reading cells out of several stores at once: the compiled loops, one store after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bench.data.cells import kernels
from bench.data.cells.store import CellStore, damaged


@dataclass(frozen=True)
class Part:
    """What a dataset knows of one of its stores."""

    store: CellStore
    genes: np.ndarray
    """int32 (genes of the store,) positions in the vocabulary, -1 where it has no such gene."""
    drops: bool
    """Whether there is such a -1."""
    codes: Mapping[str, np.ndarray]
    """Column of `obs` that the store has -> int64 codes in the dataset by code in the store, at last that of -1."""


Reads: TypeAlias = Sequence[tuple[Part, np.ndarray, np.ndarray]]
"""Stores, the rows (int64) to read of each, and the places (int64) in the batch where these go."""


def extents(reads: Reads, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where n cells begin in their store, int64 (n,); where in the batch, int64 (n + 1,); and their totals, float32."""
    begins, offsets = np.empty(n, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    totals = np.empty(n, dtype=np.float32)
    for part, rows, places in reads:
        store = part.store
        wrong = kernels.measure(
            rows, places, store.indptr, store.totals, store.nnz, store.n_genes, begins, offsets, totals
        )
        _require_read(store, rows, wrong, "indptr.npy")
    return begins, np.cumsum(offsets, out=offsets), totals


def genes(reads: Reads, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`offsets`, `genes`, `counts` and `totals` of `Cells`."""
    begins, offsets, totals = extents(reads, n)
    ends = np.empty(n, dtype=np.int64)
    ids, counts = np.empty(offsets[-1], dtype=np.int32), np.empty(offsets[-1], dtype=np.float32)
    for part, rows, places in reads:
        store = part.store
        wrong = kernels.gather(
            places, begins, offsets, store.indices, store.counts, part.genes, part.drops, ids, counts, ends
        )
        _require_read(store, rows, wrong, "indices.npy")
    if any(part.drops for part, _, _ in reads):
        kernels.close_gaps(offsets, ends, ids, counts)
    return offsets, ids[: offsets[-1]], counts[: offsets[-1]], totals


def codes(reads: Reads, n: int, column: str) -> np.ndarray:
    """Codes in the dataset, int64 (n,), -1 where missing or where the store has no such column."""
    found = np.full(n, -1, dtype=np.int64)
    for part, rows, places in reads:
        if column in part.codes:
            stored, _ = part.store.codes(column)
            wrong = kernels.recode(rows, places, stored, part.codes[column], found)
            _require_read(part.store, rows, wrong, f"codes of {column}")
    return found


def _require_read(store: CellStore, rows: np.ndarray, wrong: int, what: str) -> None:
    """Refuse a store of which a loop could not read a row."""
    if wrong >= 0:
        raise damaged(store.path, f"{what}: wrong at cell {rows[wrong]:,}")
