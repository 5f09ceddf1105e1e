"""Histograms of positive numbers by the leading bits of float32: no logarithm, and the same relative width throughout.

A float32 is 2^e * (1 + f). Numbers that share e and the leading bits of f make an interval, so that finding it is a
shift of bits, and counting takes a few nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.data.cells import kernels

_FRACTION, _BIAS = 23, 127
"""Bits of f, and what is stored for e = 0 (IEEE 754)."""
_ONE_ROW = np.zeros(1, dtype=np.int32)


@dataclass(frozen=True)
class Intervals:
    """All intervals between two powers of 2; what is below goes into the first, what is above into the last."""

    lowest: int
    """The exponent of 2 at which they begin."""
    highest: int
    """At which they end."""
    bits: int
    """Leading bits of the fraction: 2^bits intervals from a power of 2 to the next."""

    def __len__(self) -> int:
        return (self.highest - self.lowest) << self.bits

    @property
    def first(self) -> int:
        """Leading bits of the first interval."""
        return (_BIAS + self.lowest) << self.bits

    def add(self, values: np.ndarray, counts: np.ndarray, rows: np.ndarray = _ONE_ROW) -> None:
        """Count values, float32 above 0, in `counts` (n, intervals), each in its row or all in the only one."""
        kernels.add_to_bins(rows, values.view(np.uint32), _FRACTION - self.bits, self.first, counts)

    def starts(self, numbers: np.ndarray) -> np.ndarray:
        """float64, where intervals begin; where one ends the next begins."""
        leading = (numbers + self.first).astype(np.uint32)
        return (leading << np.uint32(_FRACTION - self.bits)).view(np.float32).astype(np.float64)

    def centres(self, numbers: np.ndarray) -> np.ndarray:
        """float64, the values from which both ends of intervals are equally far, relative to these."""
        low, high = self.starts(numbers), self.starts(numbers + 1)
        return 2 * low * high / (low + high)


OF_GENE = Intervals(-14, 14, 6)
"""For medians of counts per 10,000: a centre is within 0.8 % of all values of its interval."""
OF_ALL = Intervals(-16, 25, 10)
"""For quantiles of all values: each count up to 2,048 has an interval of its own, larger ones are within 0.1 %."""
