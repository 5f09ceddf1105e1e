"""Intervals are those of the textbook, and only one without 0 decides."""

from __future__ import annotations

import numpy as np
import pytest
from bench_study.paired import FEWEST, difference, estimate, verdict
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

SCORES = st.lists(st.floats(-1, 1), min_size=FEWEST, max_size=20)


def by_fold(values: list[float]) -> dict[str, float]:
    return {f"donor={n}": value for n, value in enumerate(values)}


@given(SCORES, st.integers(0, 2**32 - 1))
def test_a_difference_is_that_of_the_paired_t_test(one: list[float], seed: int) -> None:
    other = [value + noise for value, noise in zip(one, np.random.default_rng(seed).normal(size=len(one)), strict=True)]
    found = difference(by_fold(one), by_fold(other))
    asked = stats.ttest_rel(one, other)
    low, high = asked.confidence_interval(0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert (verdict(found) != "not distinguishable") == (asked.pvalue < 0.05)


def test_only_units_that_both_have_are_compared() -> None:
    found = difference({"a": 1.0, "b": 2.0, "c": 9.0}, {"a": 0.0, "b": 0.0, "d": 5.0})
    assert found is not None
    assert (found.mean, found.n) == (1.5, 2)


def test_few_units_make_a_point_and_decide_nothing() -> None:
    found = estimate([0.1] * (FEWEST - 1))
    assert found is not None
    assert (found.low, found.high) == (None, None)
    assert verdict(found) == "undecided"
    assert estimate([]) is None
    assert verdict(None) == "undecided"


@pytest.mark.parametrize(("shift", "word"), [(0.1, "better"), (-0.1, "worse"), (0.0, "not distinguishable")])
def test_verdicts(shift: float, word: str) -> None:
    noise = [0.02, -0.02] * 4
    assert verdict(estimate([shift + value for value in noise])) == word
