"""What tests of stored cells share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bench.data.cells.batch import Cells
from bench.data.cells.store import CellStore


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BENCH_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes cells x genes as a `.h5ad` file: `written(matrix, obs=..., var=..., layers=..., name="x")`."""

    def write(matrix: Any, name: str = "cells", **parts: Any) -> Path:
        n, m = matrix.shape
        parts.setdefault("obs", pd.DataFrame(index=[f"c{k}" for k in range(n)]))
        parts.setdefault("var", pd.DataFrame(index=[f"g{k}" for k in range(m)]))
        path = tmp_path / f"{name}.h5ad"
        ad.AnnData(matrix, **parts).write_h5ad(path)
        return path

    return write


@pytest.fixture
def matrix_of() -> Callable[[CellStore], sparse.csr_matrix]:
    """All counts of a store, in memory."""

    def read(store: CellStore) -> sparse.csr_matrix:
        shape = (store.n_cells, store.n_genes)
        return sparse.csr_matrix((store.counts.astype("f4"), store.indices.astype("i4"), store.indptr), shape=shape)

    return read


@pytest.fixture(scope="session")
def cells_of() -> Callable[..., Cells]:
    """Cells as a dataset hands them over: `cells_of(counts, totals=..., codes=..., first=0)`."""

    def make(counts: Any, totals: np.ndarray | None = None, first: int = 0, **parts: Any) -> Cells:
        matrix = sparse.csr_matrix(counts)
        positions = np.arange(first, first + matrix.shape[0])
        return Cells(
            cells=positions,
            offsets=matrix.indptr.astype(np.int64),
            genes=matrix.indices.astype(np.int32),
            counts=matrix.data.astype(np.float32),
            totals=np.asarray(matrix.sum(axis=1) if totals is None else totals, dtype=np.float32).ravel(),
            keys=(positions.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15),
            **parts,
        )

    return make


@pytest.fixture(scope="session")
def pbmc() -> sparse.csr_matrix:
    """Counts of 700 real blood cells, 765 genes: the dataset `pbmc68k`."""
    from bench_datasets import pbmc68k, plugin

    return sparse.csr_matrix(pbmc68k.load(plugin._pbmc68k_path()).X)
