"""What the doctor says: one finding each, and how numbers are put into words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note", "ok"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note", "ok")
"""Worst first. An error stops a run; a warning makes its scores mean less than they seem to."""

PLACEHOLDER = re.compile(r"(?i)(unknown|unassigned|unclassified|unannotated|undefined|undetermined|other|none|n/?a)")
"""What a table says where it has no value: read as a value all the same."""

_INSTANT = "under 1 s"
_FLAG = re.compile(r"--(?:obs|data-set|task-set) [\w.-]+=(?!COLUMN\b)[\w.-]*\w|bench fetch \w+ [\w.-]*\w")


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    level: Level
    subject: str
    """What it is about: `"counts"`, `"genes"`, `"model pca"`."""
    text: str
    """What was found, with numbers."""
    mend: str = ""
    """The option or command that mends it, ready to be pasted; empty where there is none."""


def flag_in(message: str) -> str:
    """The first option, with its value, or download that a message advises; empty where it leaves something open."""
    match = _FLAG.search(message)
    return match[0] if match else ""


def listed(names: Iterable[object], most: int = 5) -> str:
    """Names separated by commas, the first few of many."""
    every = [str(name) for name in names]
    rest = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def percent(share: float) -> str:
    """A share as whole percent; what is not quite none or all is not called so."""
    if 0 < share < 0.005:
        return "under 1 %"
    if 0.995 <= share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def counted(n: int, noun: str) -> str:
    """`1 cell`, `2 cells`, `3 batches`."""
    plural = f"{noun}es" if noun.endswith(("ch", "s", "x")) else f"{noun}s"
    return f"{n:,} {noun if n == 1 else plural}"


def size(n_bytes: float) -> str:
    """Bytes as a person says it."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.1f} {unit}"
    return f"{n_bytes / 2**10:.0f} KiB"


def duration(low: float, high: float | None = None) -> str:
    """Seconds as a person says it: `about 5 s`, or a range where its ends would be said differently."""
    first = _duration(low)
    last = first if high is None else _duration(high)
    if first == last:
        return first if first == _INSTANT else f"about {first}"
    return f"up to {last}" if first == _INSTANT else f"about {first} to {last}"


def worst(findings: Sequence[Finding]) -> Level:
    """The gravest level among findings; `"ok"` where there is none."""
    return min((finding.level for finding in findings), key=LEVELS.index, default="ok")


def _duration(seconds: float) -> str:
    for unit, scale in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * scale:
            return f"{seconds / scale:.1f} {unit}" if seconds < 10 * scale else f"{seconds / scale:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else _INSTANT
