"""Real cells as embeddings with labels and batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from bench.data.features import ExpressionPCA


@dataclass(frozen=True)
class Embedded:
    """Principal components of real cells, and what is known of them."""

    x: np.ndarray
    labels: np.ndarray
    batches: np.ndarray

    def some(self, n: int, types: list[str]) -> Embedded:
        """n random cells of some types."""
        rows = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(self.labels, types)))[:n]
        return Embedded(self.x[rows], self.labels[rows], self.batches[rows])


def embedded(path: Path) -> Embedded:
    """The unintegrated principal components of a file."""
    cells = ad.read_h5ad(path)
    x = ExpressionPCA(50).fit(cells).transform(cells)
    return Embedded(x, np.array(cells.obs["cell_type"].astype(str)), np.array(cells.obs["batch"].astype(str)))


@pytest.fixture(scope="session")
def kang(shared: Path) -> Embedded:
    """12,261 blood cells of 8 donors, each its own batch, 8 types."""
    return embedded(shared / "data" / "pbmc_kang_ctrl_8donors.h5ad")


@pytest.fixture(scope="session")
def chemistries(shared: Path) -> Embedded:
    """2,000 blood cells, 3 chemistries, 3 types."""
    return embedded(shared / "data" / "pbmc_10x_3chem.h5ad")
