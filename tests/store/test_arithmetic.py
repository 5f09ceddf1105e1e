"""Means, votes and skill, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.store.arithmetic import Column, columns, complete, mean, skill, spread

BIO = [Column("nmi", group="bio"), Column("ari", group="bio")]
BATCH = [Column("ilisi", group="batch")]
WEIGHTS = {"bio": 0.6, "batch": 0.4}
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "floor", "ceiling", "sign", "expected"),
    [
        (0.5, 0.0, 1.0, 1, 0.5),
        (0.6, 0.2, 0.7, 1, 0.8),
        (0.1, 0.2, 0.7, 1, -0.2),  # worse than the floor, not clipped
        (0.9, 0.2, 0.7, 1, 1.4),  # better than the ceiling, not clipped
        (0.5, 2.0, 0.0, -1, 0.75),  # an error: less is better
        (3.0, 2.0, 0.0, -1, -0.5),
        (0.5, 0.4, 0.4, 1, None),  # no room between the controls
        (0.5, 0.7, 0.2, 1, None),  # the ceiling is worse than the floor
        (None, 0.0, 1.0, 1, None),
        (0.5, None, 1.0, 1, None),
        (0.5, 0.0, None, 1, None),
    ],
)
def test_skill(
    value: float | None, floor: float | None, ceiling: float | None, sign: int, expected: float | None
) -> None:
    found = skill(value, floor, ceiling, sign)
    assert found == (None if expected is None else pytest.approx(expected))


@given(FINITE, FINITE, FINITE, st.sampled_from([1, -1]))
def test_skill_is_finite_or_missing(value: float, floor: float, ceiling: float, sign: int) -> None:
    found = skill(value, floor, ceiling, sign)
    assert found is None or math.isfinite(found)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.sampled_from([1, -1]))
def test_floor_has_skill_0_and_ceiling_1(floor: float, gap: float, sign: int) -> None:
    ceiling = floor + sign * gap
    assert skill(floor, floor, ceiling, sign) == 0
    assert skill(ceiling, floor, ceiling, sign) == 1


def test_every_metric_of_a_group_is_one_vote() -> None:
    values = {"nmi": 0.8, "ari": 0.4, "ilisi": 0.5}
    aggregate, bio, batch, *own = complete(values, BIO + BATCH, WEIGHTS)
    assert (bio, batch) == (pytest.approx(0.6), 0.5)
    assert aggregate == pytest.approx(0.6 * 0.6 + 0.4 * 0.5)
    assert own == [0.8, 0.4, 0.5]
    assert [c.name for c in columns(BIO + BATCH, WEIGHTS)] == ["aggregate", "bio", "batch", "nmi", "ari", "ilisi"]


@pytest.mark.parametrize("values", [{"nmi": 0.8, "ari": None, "ilisi": 0.5}, {"nmi": 0.8, "ilisi": 0.5}])
def test_an_aggregate_with_a_missing_metric_is_missing(values: dict[str, float | None]) -> None:
    aggregate, bio, batch, *_ = complete(values, BIO + BATCH, WEIGHTS)
    assert (aggregate, bio, batch) == (None, None, 0.5)


def test_a_group_without_metrics_leaves_no_aggregate() -> None:
    assert complete({"nmi": 0.8, "ari": 0.4}, BIO, WEIGHTS)[0] is None


def test_less_is_better_enters_a_group_mirrored_within_its_bounds() -> None:
    error = Column("error", higher_is_better=False, lower=0.0, upper=2.0, group="bio")
    assert complete({"error": 0.5}, [error], {"bio": 1.0})[:2] == (1.5, 1.5)
    unbounded = Column("error", higher_is_better=False, lower=0.0, upper=None, group="bio")
    assert complete({"error": 0.5}, [unbounded], {"bio": 1.0}) == (None, None, 0.5)


def test_a_task_without_groups_has_only_its_metrics() -> None:
    assert complete({"nmi": 0.8}, BIO, {}) == (0.8, None)


def test_spread_tells_folds_from_seeds() -> None:
    found = spread({"a": [0.1, 0.3], "b": [0.6, 0.6]})
    assert found.mean == pytest.approx(0.4)
    assert found.sd_folds == pytest.approx(math.sqrt(2 * 0.2**2))  # of 0.2 and 0.6
    assert found.sd_seeds == pytest.approx(math.sqrt((0.02 + 0.0) / 2))
    assert spread({"a": [0.5]}) == spread({"a": [0.5], "b": []})
    assert spread({"a": [0.5]}).sd_folds is None
    assert spread({}).mean is None


def test_each_fold_has_one_vote() -> None:
    assert spread({"a": [0.0, 0.0, 0.0], "b": [1.0]}).mean == 0.5


@given(FINITE, st.integers(1, 9))
def test_the_mean_of_equal_values_is_that_value(value: float, n: int) -> None:
    assert mean([value] * n) == value
