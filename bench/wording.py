"""Sizes, durations, shares, counts and lists in words, the same in every message and table."""

from __future__ import annotations

from collections.abc import Iterable


def size(n_bytes: float) -> str:
    """Bytes in powers of two, as memory is counted: `2 KiB`, `1.0 MiB`, `22.9 GiB`."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:,.1f} {unit}"
    return f"{n_bytes / 2**10:.0f} KiB"


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would take: `0.4 s`, `12 s`, `3.1 min`, `2.5 h`, `4.6 d`."""
    for unit, scale in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * scale:
            return f"{seconds / scale:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def percent(share: float) -> str:
    """A share, 0 to 1, as whole percent; what is not quite none or all is not called so."""
    if 0 < share < 0.005:
        return "under 1 %"
    if 0.995 <= share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def counted(n: int, noun: str) -> str:
    """`1 cell`, `2,000 cells`, `3 batches`."""
    plural = f"{noun}es" if noun.endswith(("ch", "s", "x")) else f"{noun}s"
    return f"{n:,} {noun if n == 1 else plural}"


def listed(names: Iterable[object], most: int = 5) -> str:
    """Names separated by commas, the first few of many: `a, b and 7 more`."""
    every = [str(name) for name in names]
    rest = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest
