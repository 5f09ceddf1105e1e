"""Random numbers of the compiled loops follow the distributions they are named for; small parts do as numpy does."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.data.cells import kernels

START = np.uint64(20240229)
DRAWS = 100_000
RARE = 1e-4
"""P-values below are taken for a wrong distribution: the seed is fixed, so that no test fails by chance."""


def drawn(kind: int, count: float, parameter: float = 0.0, draws: int = DRAWS) -> np.ndarray:
    """What becomes of a count, for as many genes."""
    counts, found = np.full(draws, count, dtype=np.float32), np.empty(draws, dtype=np.float32)
    ends, genes = np.array([0, draws]), np.arange(draws, dtype=np.int32)
    kernels.resample(kind, kernels.KEEP, np.array([START]), ends, genes, counts, np.array([parameter]), found)
    return found


def fits(found: np.ndarray, expected: stats.rv_discrete) -> float:
    """P-value of a chi-square test over about 40 intervals that are about equally likely."""
    ends = np.unique(expected.ppf(np.linspace(0, 1, 41)[1:-1]))
    likely = np.diff(np.concatenate([[0], expected.cdf(ends), [1]])) * len(found)
    observed = np.bincount(np.searchsorted(ends, found), minlength=len(ends) + 1)
    kept = likely > 5
    if not kept.all():  # what is rare is one interval more
        likely = np.append(likely[kept], max(likely[~kept].sum(), 1e-9))
        observed = np.append(observed[kept], observed[~kept].sum())
    return stats.chisquare(observed, likely, sum_check=False).pvalue if len(likely) > 1 else 1.0


def words(n: int) -> list[np.uint64]:
    """The first numbers of a stream; what a compiled function returns is a number of Python."""
    return [np.uint64(kernels.word(START, k)) for k in range(n)]


def test_a_stream_is_splitmix64() -> None:
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert [int(kernels.word(np.uint64(1234567), k)) for k in range(1, 6)] == known


def test_units_are_uniform_from_0_to_below_1() -> None:
    assert kernels.unit(np.uint64(0)) == 0
    assert kernels.unit(np.uint64(2**64 - 1)) == 1 - 2**-53
    assert stats.kstest([kernels.unit(word) for word in words(20_000)], "uniform").pvalue > RARE


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_integers_below_a_number_are_equally_likely(n: int) -> None:
    found = np.bincount([kernels.below(word, n) for word in words(20_000)], minlength=n)
    assert len(found) == n
    assert n == 1 or stats.chisquare(found).pvalue > RARE
    assert kernels.below(np.uint64(2**64 - 1), n) == n - 1


@pytest.mark.parametrize(
    ("n", "p"),
    [
        (1, 0.3), (1, 0.01), (1, 0.99), (2, 0.5), (5, 0.1), (15, 0.9),  # one trial after the other
        (16, 0.5), (40, 0.2), (1000, 0.005), (10**6, 1e-6), (10**6, 1 - 9e-6),  # by inversion
        (20, 0.5), (100, 0.1), (100, 0.9), (1000, 0.5), (10**6, 0.3), (10**6, 0.99),  # by rejection
    ],
)  # fmt: skip
def test_binomial_draws(n: int, p: float) -> None:
    found = drawn(kernels.BINOMIAL, n, p)
    assert found.min() >= 0
    assert found.max() <= n
    assert fits(found, stats.binom(n, p)) > RARE


@pytest.mark.parametrize("mean", [0.01, 0.5, 1, 3, 9.99, 10, 12.5, 50, 1e4, 1e6])
def test_poisson_draws(mean: float) -> None:
    mean = float(np.float32(mean))
    found = drawn(kernels.POISSON, mean)
    assert (found == np.round(found)).all()
    assert fits(found, stats.poisson(mean)) > RARE


@pytest.mark.parametrize("n", [1, 3, 16, 10**6])
def test_nothing_or_all_is_kept_where_that_is_asked_for(n: int) -> None:
    assert (drawn(kernels.BINOMIAL, n, 0.0, 1000) == 0).all()
    assert (drawn(kernels.BINOMIAL, n, 1.0, 1000) == n).all()


def test_gaussian_noise_is_on_log1p() -> None:
    found = np.log1p(drawn(kernels.GAUSSIAN, 1000, 0.25).astype(np.float64))
    assert stats.kstest((found - np.log1p(1000)) / 0.25, "norm").pvalue > RARE
    assert drawn(kernels.GAUSSIAN, 1, 3.0).min() == 0


def test_all_of_a_genes_counts_are_kept_or_none() -> None:
    found = drawn(kernels.GENES, 7, 0.5)
    assert set(found) == {0, 7}
    assert stats.binomtest(int((found == 7).sum()), DRAWS, 0.5).pvalue > RARE


def test_the_fraction_of_a_mean_is_kept_in_proportion() -> None:
    found = drawn(kernels.BINOMIAL, 2.5, 0.25)
    assert np.allclose(np.unique(found), [0.125, 1.125, 2.125])
    assert abs(found.mean() - 2.5 * 0.25) < 0.01
    assert np.allclose(drawn(kernels.BINOMIAL, 0.5, 0.25), 0.125)


@pytest.mark.parametrize("k", range(7))
def test_every_set_of_k_is_brought_to_the_front_as_often(k: int) -> None:
    sets = dict.fromkeys(combinations(range(6), k), 0)
    for number in range(150 * len(sets)):
        items = np.arange(6, dtype=np.int32)
        kernels.bring_to_front(items, 6, k, np.uint64(kernels.word(START, number)))
        assert sorted(items) == list(range(6))
        sets[tuple(sorted(items[:k].tolist()))] += 1
    assert len(sets) == 1 or stats.chisquare(list(sets.values())).pvalue > RARE


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.data())
def test_the_largest_come_to_the_front(scores: list[int], data: st.DataObject) -> None:
    n, k = len(scores), data.draw(st.integers(0, len(scores)))
    keys, items = np.array(scores, dtype=np.uint64), np.arange(n, dtype=np.int32)
    kernels.largest_to_front(keys, items, n, k)
    assert sorted(items) == list(range(n))
    assert sorted((scores[item] for item in items[:k]), reverse=True) == sorted(scores, reverse=True)[:k]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0, 1e6, width=32), min_size=2, max_size=30), st.integers(0, 2**32 - 1))
def test_keys_are_in_the_order_of_scores_and_then_of_their_low_bits(scores: list[float], low: int) -> None:
    keys = [int(kernels.sortable(score, np.uint64(low))) for score in scores]
    assert np.array_equal(np.argsort(keys, kind="stable"), np.argsort(scores, kind="stable"))
    assert kernels.sortable(1.0, np.uint64(0)) < kernels.sortable(1.0, np.uint64(1))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(2, 60))
def test_quantiles_are_numpys_digit_for_digit(counts: list[int], n: int) -> None:
    shares, found = np.linspace(0, 1, n), np.empty(n)
    kernels.quantiles_of(np.sort(np.array(counts, dtype=np.float32)), shares, found)
    assert np.array_equal(found, np.quantile(np.array(counts, dtype=np.float64), shares))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 9), max_size=20), st.integers(0, 10))
def test_edges_are_counted_as_numpy_does(edges: list[int], value: int) -> None:
    ascending = np.sort(np.array(edges, dtype=np.float64))
    assert kernels.number_up_to(ascending, float(value), True) == np.searchsorted(ascending, value, side="right")
    assert kernels.number_up_to(ascending, float(value), False) == np.searchsorted(ascending, value, side="left")
