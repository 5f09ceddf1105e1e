"""What is said of genes in the training cells is what numpy and scanpy say of the same cells in memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.data.cells import statistics
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.intervals import OF_ALL, OF_GENE, Intervals
from bench.data.cells.statistics import GeneStatistics, Scale, variable_rank
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput

Dataset = Callable[[np.ndarray], CellDataset]
matrices = hnp.arrays(
    np.float32, st.tuples(st.integers(2, 8), st.integers(1, 5)), elements=st.sampled_from([0, 0, 1, 2, 7, 60_000])
)


@pytest.fixture
def dataset(written: Callable[..., Path]) -> Dataset:
    """Cells x genes as a dataset."""

    def make(matrix: np.ndarray) -> CellDataset:
        store = store_of(written(matrix))
        return CellDataset([store], Vocabulary.of([store]))

    return make


def dense(data: CellDataset, cells: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Counts of all genes of the vocabulary, and totals, float64."""
    read = data.__getitems__(np.arange(len(data)) if cells is None else cells)
    matrix = np.zeros((len(read), len(data.vocabulary)))
    matrix[np.repeat(np.arange(len(read)), np.diff(read.offsets)), read.genes] = read.counts
    return matrix, read.totals.astype(np.float64)


def real(shared: Path, name: str) -> CellDataset:
    store = store_of(shared / "data" / f"{name}.h5ad")
    return CellDataset([store], Vocabulary.of([store]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(matrix=matrices.filter(lambda m: m.any(axis=1).all()))
def test_moments_and_medians_are_those_of_the_matrix_in_memory(dataset: Dataset, matrix: np.ndarray) -> None:
    found = GeneStatistics.of(dataset(matrix))
    scaled = matrix / matrix.sum(axis=1, keepdims=True, dtype=np.float64) * 1e4
    np.testing.assert_array_equal(found.cells, (matrix > 0).sum(axis=0))
    np.testing.assert_allclose(found.mean, np.log1p(scaled).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.variance, np.log1p(scaled).var(axis=0, ddof=1), rtol=1e-5, atol=1e-10)
    for gene in np.flatnonzero(matrix.any(axis=0)):
        exact = np.median(scaled[scaled[:, gene] > 0, gene])
        np.testing.assert_allclose(found.medians[gene], exact, rtol=0.008)


def test_hardly_any_variance_is_not_lost_in_large_means(dataset: Dataset) -> None:
    matrix = np.full((50, 2), 10_000, dtype=np.float32)
    matrix[0] += [1, -1]
    scaled = matrix.astype(np.float64) / 20_000 * 1e4
    np.testing.assert_allclose(
        GeneStatistics.of(dataset(matrix)).variance, np.log1p(scaled).var(axis=0, ddof=1), rtol=2e-2
    )


def test_a_gene_of_no_cell_has_the_median_of_the_others(dataset: Dataset) -> None:
    found = GeneStatistics.of(dataset(np.array([[1, 0, 3], [1, 0, 3]], dtype="f4")))
    np.testing.assert_allclose(found.medians, [2500, 5000, 7500], rtol=0.008)


def test_only_the_cells_that_are_given_count(dataset: Dataset) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.poisson(1.0, size=(40, 6)).astype("f4") + 1
    train = np.flatnonzero(rng.random(40) < 0.5)
    others = matrix.copy()
    others[np.setdiff1d(np.arange(40), train)] = 9  # what is in validation and test does not matter
    ours, same = GeneStatistics.of(dataset(matrix), train), GeneStatistics.of(dataset(others), train)
    for name in ("cells", "mean", "variance", "medians", "hvg_rank"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(same, name))
    assert ours.n_cells == len(train)


def test_parts_that_are_read_one_by_one_make_no_difference(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(np.random.default_rng(0).poisson(1.0, size=(50, 6)).astype("f4") + 1)
    whole = GeneStatistics.of(data)
    monkeypatch.setattr(statistics, "_CHUNK", 7)
    parts = GeneStatistics.of(data)
    for name in ("cells", "mean", "variance", "medians", "hvg_rank"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


@pytest.mark.parametrize("name", ["pbmc68k_reduced_counts", "pbmc_10x_3chem"])
def test_the_most_variable_genes_are_those_of_scanpy(shared: Path, name: str) -> None:
    data = real(shared, name)
    matrix, totals = dense(data)
    cells = ad.AnnData((matrix / totals[:, None] * 1e4).astype(np.float32))
    sc.pp.log1p(cells)
    n = min(2000, cells.n_vars // 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.highly_variable_genes(cells, n_top_genes=n, flavor="seurat")
    expected = np.flatnonzero(cells.var["highly_variable"])
    np.testing.assert_array_equal(np.flatnonzero(GeneStatistics.of(data).hvg_rank < n), expected)


def test_medians_of_real_cells_are_within_a_hundredth(shared: Path) -> None:
    data = real(shared, "pbmc_10x_3chem")
    matrix, totals = dense(data)
    scaled = matrix / totals[:, None] * 1e4
    exact = np.array([np.median(gene[gene > 0]) if gene.any() else np.nan for gene in scaled.T])
    seen = ~np.isnan(exact)
    np.testing.assert_allclose(GeneStatistics.of(data).medians[seen], exact[seen], rtol=0.008)


def test_genes_that_do_not_vary_are_ranked_last() -> None:
    rank = variable_rank(np.array([1.0, 0.0, 2.0, 1.5]), np.array([1.0, 0.0, 0.0, 4.0]))
    assert sorted(rank) == [0, 1, 2, 3]
    assert set(np.flatnonzero(rank >= 2)) == {1, 2}


@pytest.mark.parametrize("scale", ["raw", "depth"])
def test_bins_hold_equally_many_values_where_these_differ(shared: Path, scale: Scale) -> None:
    data = real(shared, "pbmc_10x_3chem")
    matrix, totals = dense(data)
    values = np.log1p(matrix if scale == "raw" else matrix / totals[:, None] * 1e4)[matrix > 0]
    edges = GeneStatistics.of(data).edges(10, scale)
    assert edges.dtype == np.float32
    assert (np.diff(edges) > 0).all()
    sizes = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    assert (sizes > 0).all()
    if scale == "depth":
        np.testing.assert_allclose(sizes / len(values), 0.1, atol=0.005)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(matrix=matrices.filter(lambda m: m.any(axis=1).all()), n_bins=st.integers(2, 60))
def test_edges_of_counts_are_quantiles_and_lie_between_counts(
    dataset: Dataset, matrix: np.ndarray, n_bins: int
) -> None:
    counts = np.sort(matrix[matrix > 0])
    quantiles = np.quantile(counts, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    expected = np.unique(quantiles[quantiles < counts[-1]])
    edges = np.expm1(GeneStatistics.of(dataset(matrix)).edges(n_bins, "raw").astype(np.float64))
    assert len(edges) == len(expected) <= n_bins - 1
    np.testing.assert_array_equal(counts[np.searchsorted(counts, edges) - 1], expected)
    np.testing.assert_allclose(edges % 1, 0.5, atol=0.1)


def test_equal_counts_are_in_one_bin(dataset: Dataset) -> None:
    assert len(GeneStatistics.of(dataset(np.ones((4, 3), dtype="f4"))).edges(50, "raw")) == 0


@given(st.floats(2**-13, 2**13, width=32))
def test_an_interval_holds_the_value_that_was_counted_in_it(value: float) -> None:
    for intervals in (OF_GENE, OF_ALL):
        counts = np.zeros((1, len(intervals)), dtype=np.int64)
        intervals.add(np.array([value], dtype=np.float32), counts)
        number = np.flatnonzero(counts[0])
        assert intervals.starts(number) <= value < intervals.starts(number + 1)
        assert abs(intervals.centres(number) - value) <= value / 2 ** (intervals.bits + 1)


def test_what_is_outside_all_intervals_goes_into_the_outermost() -> None:
    intervals = Intervals(0, 2, 1)
    counts = np.zeros((2, len(intervals)), dtype=np.uint32)
    intervals.add(np.array([1e-30, 1.0, 1.5, 3.9, 4.0, 3e38], dtype="f4"), counts, np.array([0, 1, 1, 1, 1, 0], "i4"))
    np.testing.assert_array_equal(counts, [[1, 0, 0, 1], [1, 1, 0, 2]])


def test_statistics_are_written_and_read_as_they_are(dataset: Dataset, tmp_path: Path) -> None:
    data = dataset(np.random.default_rng(0).poisson(1.0, size=(50, 6)).astype("f4") + 1)
    found = GeneStatistics.of(data)
    found.write(tmp_path / "statistics.parquet")
    same = GeneStatistics.read(tmp_path / "statistics.parquet", data.vocabulary)
    for name in ("vocabulary", "n_cells", "cells", "mean", "variance", "medians", "hvg_rank"):
        np.testing.assert_array_equal(getattr(found, name), getattr(same, name))
        assert np.asarray(getattr(found, name)).dtype == np.asarray(getattr(same, name)).dtype
    for scale in statistics.SCALES:
        np.testing.assert_array_equal(found.edges(7, scale), same.edges(7, scale))


def test_statistics_of_another_vocabulary_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    GeneStatistics.of(dataset(np.ones((2, 3), dtype="f4"))).write(tmp_path / "statistics.parquet")
    with pytest.raises(BadInput, match="of another vocabulary"):
        GeneStatistics.read(tmp_path / "statistics.parquet", Vocabulary("symbol", ("a", "b", "c")))


@pytest.mark.parametrize("content", [None, b"PAR1", "table"])
def test_a_file_that_holds_no_statistics_is_refused(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "statistics.parquet"
    if content == "table":
        pd.DataFrame({"cells": [1]}).to_parquet(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(BadInput, match="cannot read gene statistics"):
        GeneStatistics.read(path, Vocabulary("symbol", ("a",)))


def test_no_cells_have_no_statistics(dataset: Dataset) -> None:
    with pytest.raises(BadInput, match="0 training cells without a gene"):
        GeneStatistics.of(dataset(np.ones((2, 3), dtype="f4")), np.empty(0, dtype=np.int64))
