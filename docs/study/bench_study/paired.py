"""Means and paired differences over independent units, with intervals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

FEWEST = 8
"""Units below which there is a point and no interval, as everywhere in bench."""
LEVEL = 0.95

Verdict = Literal["better", "worse", "not distinguishable", "undecided"]


@dataclass(frozen=True)
class Estimate:
    """A mean over units, and where the mean of more such units would be."""

    mean: float
    low: float | None
    high: float | None
    n: int


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean and Student's t interval (n - 1 degrees of freedom) of `LEVEL`; None of nothing.

    The interval takes units as independent. Folds share most of their training cells, so it is of these donors as test
    sets rather than of new trainings on new donors.
    """
    from scipy import stats

    if not values:
        return None
    mean, n = statistics.fmean(values), len(values)
    if n < FEWEST:
        return Estimate(mean, None, None, n)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * statistics.stdev(values) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def difference(one: Mapping[str, float], other: Mapping[str, float]) -> Estimate | None:
    """Of one minus the other, unit by unit, over the units that both have."""
    return estimate([one[unit] - other[unit] for unit in sorted(one.keys() & other.keys())])


def verdict(found: Estimate | None) -> Verdict:
    """What a difference of a score says, of which more is better: only an interval without 0 decides."""
    if found is None or found.low is None or found.high is None:
        return "undecided"
    return "better" if found.low > 0 else "worse" if found.high < 0 else "not distinguishable"
