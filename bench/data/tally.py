"""What the values of a matrix are: counts, or not and why; seen at once or part by part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

LARGEST = 2**24
"""Largest count float32 holds exactly together with all smaller ones."""

_WRONG: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "NaN or infinite": lambda values: ~np.isfinite(values),
    "negative": lambda values: values < 0,
    f"too large (above {LARGEST:,}) to be": lambda values: values > LARGEST,
}
"""What integers that are to be counts must not be."""


@dataclass
class Tally:
    """What the values of a matrix are, seen at once or part by part."""

    size: int
    """Cells x genes: more than values are added where zeros are not stored."""
    seen: int = 0
    nonzero: int = 0
    """Finite ones, as are those below."""
    fractional: int = 0
    low: float = np.inf
    high: float = -np.inf
    wrong: dict[str, tuple[int, int]] = field(default_factory=dict)
    """What is wrong -> how many values, and which was the first of all that were added."""

    def add(self, values: np.ndarray) -> None:
        """See the next values, (n,) of any kind of number."""
        for kind, test in _WRONG.items():
            bad = test(values)
            if bad.any():
                many, first = self.wrong.get(kind, (0, self.seen + int(bad.argmax())))
                self.wrong[kind] = (many + int(np.count_nonzero(bad)), first)
        self.seen += len(values)
        if self.wrong:
            values = values[np.isfinite(values)]
        if len(values):
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
            self.nonzero += int(np.count_nonzero(values))
        if values.dtype.kind == "f":
            self.fractional += int(np.count_nonzero(values != np.rint(values)))

    def fault(self) -> str:
        """Why the finite values are not integers; empty where they are."""
        if not self.fractional:
            return ""
        low, high = (min(self.low, 0), max(self.high, 0)) if self.seen < self.size else (self.low, self.high)
        share = 100 * self.fractional / self.nonzero
        return f"is not integer counts (min {low:.4g}, max {high:.4g}, {share:.3g}% of its values non-integer)"

    def faults(self, origin: str, place: Callable[[int], tuple[object, object]]) -> list[str]:
        """What is wrong with integers, with number and first place.

        Parameters
        ----------
        origin
            Where they are: `X`, the name of a layer, `raw`.
        place
            Names of the cell and of the gene of a value, by its position among all that were added.
        """
        found = []
        for kind, (many, first) in self.wrong.items():
            cell, gene = place(first)
            where = f"cell {str(cell)!r}, gene {str(gene)!r}"
            found.append(f"{origin} has {many:,} {kind} values (first: {where})")
        return found
