"""When two answers count as the same.

Bit for bit is demanded first. The same sum over the same numbers may still differ in its last digits where an
array has another shape: matrix products of BLAS and of torch block their sums by shape, so half of the cells
need not give the bits that all of them give (relative rounding of float32: 6e-8 per operation). A difference
of up to `TOLERANCE`, relative to the largest number of the reference, is therefore accepted where shapes or
orders differ, and said. What depends on other cells or on positions differs by far more.
"""

from __future__ import annotations

import numpy as np

from bench.conformance.check import Failure

TOLERANCE = 1e-5
SIMILAR = 0.95
"""Least correlation of distances that counts as the same after a fit on cells in another order. A method that starts
from k-means keeps 0.990 to 0.994 on the probe (8 seeds), one that does not 1.0000, permuted rows 0."""
N_PAIRS = 5000


def identical(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have the same shape and values, NaN being equal to itself."""
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=True)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference relative to the largest absolute value of `b`; inf where shapes or gaps differ."""
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    finite = np.isfinite(b)
    if not finite.any():
        return 0.0
    scale = float(np.abs(b[finite]).max())
    largest = float(np.abs(a[finite].astype(np.float64) - b[finite]).max())
    return largest / scale if scale else largest


def repeated(a: np.ndarray, b: np.ndarray, device: str) -> bool:
    """Whether the same computation gave the same: bit for bit on a CPU; a GPU may add in another order each time."""
    return identical(a, b) or (device != "cpu" and difference(a, b) <= TOLERANCE)


def same(a: np.ndarray, b: np.ndarray, complaint: str) -> str:
    """How equal two answers are, as a sentence.

    Raises
    ------
    Failure
        With the complaint and the difference, if they differ by more than rounding.
    """
    if identical(a, b):
        return "equal bit for bit"
    apart = difference(a, b)
    if apart <= TOLERANCE:
        return f"equal within {apart:.0e} of its scale"
    raise Failure(f"{complaint} ({_apart(a, b)})")


def same_rows(a: np.ndarray, b: np.ndarray, complaint: str) -> str:
    """As `same`, for answers whose rows should stand for the same cells; tells when they only lie elsewhere.

    Raises
    ------
    Failure
        With `row order changed`, if the rows are the same ones in another order; else with the complaint.
    """
    try:
        return same(a, b, complaint)
    except Failure:
        moved = _moved(a, b)
        if moved:
            raise Failure(
                f"row order changed: {moved:,} of {len(a):,} rows belong to other cells;"
                " return the rows in the order of the cells given"
            ) from None
        raise


def same_geometry(a: np.ndarray, b: np.ndarray, complaint: str) -> str:
    """As `same`, but the distances between cells may stand for the answer.

    A fit may start from an order-dependent guess (k-means) and may turn or mirror its axes. What must not
    depend on the order of the cells is who lies near whom: the correlation of the distances of 5,000 pairs.

    Raises
    ------
    Failure
        With the complaint, if the distances correlate by less than `SIMILAR`.
    """
    apart = difference(a, b)
    if apart <= TOLERANCE:
        return f"after a new fit equal within {apart:.0e} of its scale"
    if len(a) != len(b):
        raise Failure(f"{complaint} ({len(a):,} rows instead of {len(b):,})")
    pairs = np.random.default_rng(0).integers(0, len(a), (2, N_PAIRS))
    ours, theirs = (np.linalg.norm(x[pairs[0]] - x[pairs[1]], axis=1) for x in (a, b))
    correlation = float(np.corrcoef(ours, theirs)[0, 1]) if ours.std() and theirs.std() else 0.0
    if correlation >= SIMILAR:
        return f"after a new fit the distances between cells correlate by {correlation:.4f}"
    raise Failure(f"{complaint} (the distances between cells correlate by {correlation:.2f}, not by {SIMILAR})")


def _apart(a: np.ndarray, b: np.ndarray) -> str:
    if a.shape != b.shape:
        return f"shape {a.shape} instead of {b.shape}"
    apart = difference(a, b)
    return f"differs by {apart:.1e} of its scale" if np.isfinite(apart) else "NaN or Inf in other places"


def _moved(a: np.ndarray, b: np.ndarray) -> int:
    """How many rows of `a` are rows of `b` that stand elsewhere; 0 where some are no rows of `b` at all."""
    if a.shape != b.shape or a.ndim != 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return 0
    from scipy.spatial import cKDTree

    distance, nearest = cKDTree(b).query(a)
    if distance.max() > TOLERANCE * max(float(np.abs(b).max()), 1e-30) * np.sqrt(b.shape[1]):
        return 0
    elsewhere = np.abs(a - b).max(axis=1) > TOLERANCE * float(np.abs(b).max())
    return int((elsewhere & (nearest != np.arange(len(a)))).sum())
