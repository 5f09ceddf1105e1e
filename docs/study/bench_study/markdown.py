"""Numbers and tables as the report writes them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.wording import duration, size
from bench_study.paired import Estimate

NONE = "–"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """Lines of a table; so many columns of words, then numbers."""
    if not rows:
        return ["(not run)", ""]
    rule = ["---"] * words + ["---:"] * (len(header) - words)
    return [*("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)), ""]


def number(value: float | None, digits: int = 3) -> str:
    """A score; what is missing is not 0."""
    return NONE if value is None else f"{value:.{digits}f}"


def with_interval(found: Estimate | None, signed: bool = False) -> str:
    """`0.823 (0.798 to 0.848)`, or the point alone where there are too few units."""
    if found is None:
        return NONE
    form = "+.3f" if signed else ".3f"
    text = format(found.mean, form)
    if found.low is None or found.high is None:
        return text
    return f"{text} ({format(found.low, form)} to {format(found.high, form)})"


def seconds(value: float | None) -> str:
    """A time, or that there is none."""
    return NONE if value is None else duration(value)


def memory(value: float | None) -> str:
    """Bytes, or that nobody measured them."""
    return NONE if value is None else size(value)


def many(value: int) -> str:
    """A number of weights: `3.4 M`."""
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value / 1e3:.0f} k" if value >= 1e3 else str(value)
