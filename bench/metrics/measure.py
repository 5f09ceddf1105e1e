"""What a metric returns: a value, the cells behind it, and its value on each independent unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import SupportsFloat


@dataclass(frozen=True)
class Measured:
    """One measured value; `None` where the metric is not defined on these cells."""

    metric: str
    value: float | None
    n: int
    """Number of cells behind the value."""
    units: Mapping[str, float] = field(default_factory=dict)
    unit_kind: str = ""
    """What a unit is: `"class"`, `"batch"`; empty where there are no units."""


def measured(
    metric: str, value: SupportsFloat | None, n: int, units: Mapping[str, float] | None = None, unit_kind: str = ""
) -> Measured:
    """Make a `Measured` of plain floats: a value that is not finite becomes None, such units are left out."""
    kept = {str(name): float(v) for name, v in (units or {}).items() if math.isfinite(v)}
    number = None if value is None else float(value)
    defined = number is not None and math.isfinite(number)
    return Measured(metric, number if defined else None, int(n), kept, unit_kind if kept else "")
