"""Arithmetic of a summary: means and spreads, group votes, skill. Missing is None throughout, never 0."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.metrics.aggregate import aggregate, group_means

NO_RANGE = 1e-9
"""Floor and ceiling closer than this leave no room for a skill."""


@dataclass(frozen=True)
class Column:
    """One number of a summary: a metric, the mean of a group of metrics, or the aggregate of the groups."""

    name: str
    kind: Literal["metric", "group", "aggregate"] = "metric"
    summary: str = ""
    higher_is_better: bool = True
    lower: float | None = 0.0
    upper: float | None = 1.0
    group: str = ""
    floor: str = ""
    """The negative control of this metric; empty for what is computed from others."""

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.higher_is_better else -1

    @property
    def best(self) -> float | None:
        """The bound that cannot be surpassed; None where there is none."""
        return self.upper if self.higher_is_better else self.lower


@dataclass(frozen=True)
class Spread:
    """Mean of a score over folds and seeds, and how much each of them moves it."""

    mean: float | None = None
    sd_folds: float | None = None
    """Standard deviation (n - 1) of the fold means; None for one fold."""
    sd_seeds: float | None = None
    """Pooled standard deviation between the seeds of a fold; None for one seed."""


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean, rounded once at the end (the mean of equal values is that value); None of nothing."""
    return float(statistics.mean(values)) if values else None


def spread(by_fold: Mapping[str, Sequence[float]]) -> Spread:
    """Summarise values per seed, given by fold: each fold has one vote, however many seeds it saw."""
    means = [m for values in by_fold.values() if (m := mean(values)) is not None]
    variances = [_variance(values) for values in by_fold.values() if len(values) > 1]
    pooled = mean([v for v in variances if v is not None])
    between = _variance(means) if len(means) > 1 else None
    return Spread(mean(means), _root(between), _root(pooled))


def skill(value: float | None, floor: float | None, ceiling: float | None, sign: int) -> float | None:
    """(x - floor) / (ceiling - floor): 0 is the floor control, 1 the ceiling; not clipped.

    Parameters
    ----------
    sign
        1 where more is better, -1 where less is.

    Returns
    -------
    None where one of the three is missing, or the ceiling is not better than the floor by `NO_RANGE`.
    """
    if value is None or floor is None or ceiling is None:
        return None
    gap = sign * (ceiling - floor)
    if not gap > NO_RANGE:
        return None
    found = sign * (value - floor) / gap
    return found if math.isfinite(found) else None


def columns(metrics: Sequence[Column], weights: Mapping[str, float]) -> tuple[Column, ...]:
    """Columns of a task: the aggregate and its groups, where it has them, then its metrics."""
    if not weights:
        return tuple(metrics)
    said = " + ".join(f"{weight:g} {group}" for group, weight in weights.items())
    groups = (
        Column(group, "group", "Mean of " + ", ".join(m.name for m in metrics if m.group == group) + ".")
        for group in weights
    )
    return (Column("aggregate", "aggregate", f"{said}."), *groups, *metrics)


def complete(
    values: Mapping[str, float | None], metrics: Sequence[Column], weights: Mapping[str, float]
) -> tuple[float | None, ...]:
    """Values of `columns` from the values of the metrics, see `bench.metrics.aggregate`."""
    own = tuple(values.get(metric.name) for metric in metrics)
    if not weights:
        return own
    groups = group_means(values, metrics, weights)
    return (aggregate(groups, weights), *groups, *own)


def _variance(values: Sequence[float]) -> float | None:
    try:
        return float(statistics.variance(values))
    except OverflowError:  # of values near the largest float
        return None


def _root(variance: float | None) -> float | None:
    return None if variance is None else math.sqrt(variance)
