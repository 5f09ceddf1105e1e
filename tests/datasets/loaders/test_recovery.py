"""Counts behind normalised values: exactly those that were there, or none."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse

from bench_datasets.loaders.recovery import recovered


def normalised(counts: np.ndarray) -> sparse.csr_matrix:
    """As scTab was written: size factors, log1p, float32."""
    counts = counts.astype(np.float32)
    totals = counts.sum(axis=1, keepdims=True)
    totals += totals == 0
    return sparse.csr_matrix(np.log1p(counts * (np.float32(10_000) / totals)).astype(np.float32))


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(2, 30)), elements=st.integers(0, 20_000)))
def test_counts_with_a_one_among_them_come_back_exactly(counts: np.ndarray) -> None:
    counts[:, 0] = 1
    found, exact = recovered(normalised(counts))
    assert exact.all()
    assert np.array_equal(found.toarray(), counts)


def test_a_smallest_count_of_two_is_seen_through() -> None:
    counts = np.array([[2, 3, 7, 0], [3, 4, 0, 5]])
    found, exact = recovered(normalised(counts))
    assert exact.all()
    assert np.array_equal(found.toarray(), counts)


def test_empty_cells_stay_empty() -> None:
    counts = np.array([[0, 0, 0], [1, 2, 0], [0, 0, 0]])
    found, exact = recovered(normalised(counts))
    assert exact.all()
    assert np.array_equal(found.toarray(), counts)
    found, exact = recovered(sparse.csr_matrix((2, 3), dtype=np.float32))
    assert exact.all()
    assert found.nnz == 0


def test_values_that_were_no_counts_are_not_made_into_counts() -> None:
    random = np.random.default_rng(0)
    counts = random.poisson(1.0, (40, 200)).astype(float)
    corrected = counts * random.uniform(0.7, 1.0, counts.shape)  # as tools do that subtract ambient RNA
    _, exact = recovered(normalised(corrected))
    assert not exact.any()


def test_a_cell_of_which_genes_are_missing_is_refused() -> None:
    counts = np.random.default_rng(0).poisson(1.0, (5, 200))
    _, exact = recovered(sparse.csr_matrix(normalised(counts)[:, :150]))
    assert not exact.any()


def test_real_cells_come_back_exactly(shared: Path) -> None:
    counts = ad.read_h5ad(shared / "data" / "pbmc_kang_ifnb_2000.h5ad").X.toarray()
    found, exact = recovered(normalised(counts))
    assert exact.all()
    assert np.array_equal(found.toarray(), counts)
