"""One number from many metrics: a vote per metric in its group, a weight per group.

scIB's overall score: Luecken et al. 2022, doi:10.1038/s41592-021-01336-8. A group is defined only where all
its metrics are, the aggregate only where all its groups are: missing is never 0.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol


class Votes(Protocol):
    """What is known of a metric that votes."""

    @property
    def name(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def higher_is_better(self) -> bool: ...
    @property
    def lower(self) -> float | None: ...
    @property
    def upper(self) -> float | None: ...


def group_means(
    values: Mapping[str, float | None], metrics: Sequence[Votes], weights: Mapping[str, float]
) -> list[float | None]:
    """Mean of each group of `weights`, in that order; metrics where less is better count mirrored."""
    return [_vote([_upwards(values.get(m.name), m) for m in metrics if m.group == group]) for group in weights]


def aggregate(means: Sequence[float | None], weights: Mapping[str, float]) -> float | None:
    """Weighted mean of group means."""
    defined = [weight * mean for mean, weight in zip(means, weights.values(), strict=True) if mean is not None]
    total = math.fsum(weights.values())
    return math.fsum(defined) / total if len(defined) == len(means) and total > 0 else None


def _upwards(value: float | None, metric: Votes) -> float | None:
    """A value where more is better: mirrored within its bounds if less is, None if it has no bounds."""
    if value is None or metric.higher_is_better:
        return value
    return None if metric.lower is None or metric.upper is None else metric.lower + metric.upper - value


def _vote(values: Iterable[float | None]) -> float | None:
    found = list(values)
    defined = [v for v in found if v is not None]
    return float(statistics.mean(defined)) if defined and len(defined) == len(found) else None
