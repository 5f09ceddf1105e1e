"""What tests of stored cells share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd
import pytest
from scipy import sparse

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
