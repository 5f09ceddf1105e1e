"""Real cells for the tests of models."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy
from scipy import sparse


@pytest.fixture(scope="session")
def pbmc() -> ad.AnnData:
    """700 real blood cells that scanpy ships, as a model gets them; do not change them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old file format
        source: Any = ad.read_h5ad(Path(str(scanpy.__file__)).parent / "datasets" / "10x_pbmc68k_reduced.h5ad")
    shares = np.expm1(source.raw.X.toarray()) / 1e4
    counts = np.rint(shares * source.obs["n_counts"].to_numpy()[:, None])
    obs = pd.DataFrame({"cell_type": source.obs["bulk_labels"].astype(str)}, index=source.obs_names)
    return ad.AnnData(sparse.csr_matrix(counts, dtype=np.float32), obs=obs, var=source.raw.var[[]].copy())


@pytest.fixture(scope="session")
def kang(shared: Path) -> ad.AnnData:
    """12,261 real blood cells of 8 donors, who are the groups; do not change them."""
    cells = ad.read_h5ad(shared / "data" / "pbmc_kang_ctrl_8donors.h5ad")
    cells.obs["group"] = cells.obs["donor"]
    return cells
