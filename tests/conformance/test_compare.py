"""When two answers count as the same."""

from __future__ import annotations

import numpy as np
import pytest

from bench.conformance.check import Failure
from bench.conformance.compare import difference, identical, same, same_geometry, same_rows

X = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)


def test_the_same_bits_are_said_to_be_so() -> None:
    assert same(X.copy(), X, "other") == "equal bit for bit"


def test_rounding_is_accepted_and_said() -> None:
    scale = float(np.abs(X).max())
    assert same(X + np.float32(3e-7) * scale, X, "other").startswith("equal within ")


@pytest.mark.parametrize("shift", [1e-4, 1.0])
def test_more_than_rounding_is_refused_with_its_size(shift: float) -> None:
    with pytest.raises(Failure, match=r"other \(differs by \d\.\de[-+]\d\d of its scale\)"):
        same(X + np.float32(shift), X, "other")


def test_another_shape_is_refused() -> None:
    with pytest.raises(Failure, match=r"shape \(200, 5\) instead of \(200, 6\)"):
        same(X[:, :5], X, "other")


def test_gaps_in_the_same_places_are_the_same() -> None:
    gap = X.copy()
    gap[3] = np.nan
    assert identical(gap, gap.copy())
    assert difference(gap, X) == np.inf


def test_rows_that_only_moved_are_told_from_rows_that_changed() -> None:
    with pytest.raises(Failure, match="row order changed: 200 of 200 rows"):
        same_rows(np.roll(X, 1, axis=0), X, "other")
    with pytest.raises(Failure, match="other"):
        same_rows(X * np.float32(1.1), X, "other")


def test_a_turned_and_mirrored_cloud_has_the_same_geometry() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))
    assert "correlate by 1.0000" in same_geometry((X @ turn).astype(np.float32), X, "other")


def test_moved_rows_have_another_geometry() -> None:
    with pytest.raises(Failure, match="correlate by"):
        same_geometry(np.roll(X, 1, axis=0), X, "other")
