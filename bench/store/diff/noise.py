"""Is a difference of two scores beyond noise? Answered from what was measured, or not at all.

Two sources of noise are told apart. Independent units (donors, batches, perturbations): the same units in both
runs, so their differences are paired. Seeds: the same configuration run again with another seed. Both give a
Student interval (Student 1908, doi:10.1093/biomet/6.1.1) of the difference at `LEVEL`; a difference is beyond
noise where its interval leaves out 0. Each score is judged by itself: of many, some are beyond noise by chance.
Folds count as independent, though their training parts overlap, which makes intervals somewhat too narrow
(Nadeau and Bengio 2003, doi:10.1023/A:1024068626366).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["identical", "beyond noise", "within noise", "unknown"]

LEVEL = 0.95
MIN_UNITS = 8
"""Fewer units are points; an interval over them would claim more than they know."""
MORE_SEEDS = "one value each; run more seeds (--seed 0..4)"


@dataclass(frozen=True)
class Noise:
    """The judgement on one difference, and what it rests on."""

    verdict: Verdict
    basis: str
    low: float | None = None
    """Interval of the difference, second minus first; None where there is none."""
    high: float | None = None


def over_units(first: Mapping[str, float], second: Mapping[str, float], kind: str) -> Noise | None:
    """Judge by paired differences over the units both have.

    Parameters
    ----------
    first, second
        Value of each unit.
    kind
        What a unit is, in the plural: `"donors"`.

    Returns
    -------
    None below `MIN_UNITS` shared units.
    """
    shared = sorted(first.keys() & second.keys())
    if len(shared) < MIN_UNITS:
        return None
    gaps = [second[unit] - first[unit] for unit in shared]
    error = statistics.stdev(gaps) / math.sqrt(len(gaps))
    return _judged(statistics.fmean(gaps), error, len(gaps) - 1, f"paired over {len(gaps)} {kind}")


def over_seeds(first: Sequence[float], second: Sequence[float]) -> Noise | None:
    """Judge two configurations by the spread of each over its seeds, taken to be alike.

    Returns
    -------
    None where no configuration was run with two seeds.
    """
    freedom = len(first) + len(second) - 2
    if not first or not second or freedom < 1:
        return None
    error = _pooled(first, second) * math.sqrt(1 / len(first) + 1 / len(second))
    gap = statistics.fmean(second) - statistics.fmean(first)
    return _judged(gap, error, freedom, f"means over {len(first)} and {len(second)} seeds (of these cells)")


def over_repeats(gap: float, values: Sequence[float]) -> Noise | None:
    """Judge two runs of one configuration by its spread over seeds.

    Parameters
    ----------
    gap
        Second minus first.
    values
        One score for each seed of the configuration.

    Returns
    -------
    None below three seeds: two say nothing beyond their own difference.
    """
    if len(values) < 3:
        return None
    error = statistics.stdev(values) * math.sqrt(2)
    return _judged(gap, error, len(values) - 1, f"two runs of a configuration that was run with {len(values)} seeds")


def _pooled(first: Sequence[float], second: Sequence[float]) -> float:
    """Standard deviation within both groups together."""
    squares = sum((value - statistics.fmean(group)) ** 2 for group in (first, second) for value in group)
    return math.sqrt(squares / (len(first) + len(second) - 2))


def _judged(gap: float, error: float, freedom: int, basis: str) -> Noise:
    from scipy import stats

    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    low, high = gap - reach, gap + reach
    verdict: Verdict = "within noise" if low <= 0 <= high else "beyond noise"
    return Noise(verdict, f"{basis}: {gap:+.4f}, {LEVEL:.0%} interval {low:+.4f} to {high:+.4f}", low, high)
