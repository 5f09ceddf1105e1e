"""Numbers as a reader of a table wants them; None, which is never a number, as empty text."""

from __future__ import annotations

from bench import wording


def score(value: float | None) -> str:
    """Three decimals; three significant digits where that would hide the number."""
    if value is None:
        return ""
    if value == 0 or 0.0005 <= abs(value) < 1000:
        return f"{value:.3f}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def deviation(value: float | None) -> str:
    """A standard deviation, two significant digits in fixed notation where it is small."""
    if value is None:
        return ""
    return f"±{value:.3f}" if value < 1000 else f"±{value:.2g}"


def seconds(value: float | None) -> str:
    """A duration: `0.4 s`, `12 s`, `3.1 min`, `2.5 h`."""
    return "" if value is None else wording.duration(value)


def rate(value: float | None) -> str:
    """Cells per second, with thousands apart."""
    return "" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def size(value: int | None) -> str:
    """Bytes as MiB or GiB."""
    return "" if value is None else wording.size(value)
