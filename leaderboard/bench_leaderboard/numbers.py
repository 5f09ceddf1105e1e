"""Numbers as a reader of a table wants them; None, which is never a number, as empty text."""

from __future__ import annotations


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
    if value is None:
        return ""
    for size, unit in ((3600, "h"), (60, "min")):
        if value >= 2 * size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def rate(value: float | None) -> str:
    """Cells per second, with thousands apart."""
    return "" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def size(value: int | None) -> str:
    """Bytes as decimal megabytes or gigabytes."""
    if value is None:
        return ""
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"
