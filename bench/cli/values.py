"""How option values are written: lists, seeds, durations, sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.errors import BadInput

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


MOST_SEEDS = 10_000


def names(values: Sequence[str] | None) -> list[str]:
    """Split repeated and comma-separated names."""
    return [part.strip() for value in values or () for part in value.split(",") if part.strip()]


def seeds(values: Sequence[str] | None) -> list[int]:
    """Read seeds: `0`, `0,1`, `0..4` (both ends included)."""
    result: list[int] = []
    for part in names(values):
        match = re.fullmatch(r"(-?\d+)(?:\.\.(-?\d+))?", part)
        if not match:
            raise BadInput(f"--seed {part!r} must be a number or a range such as 0..4.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first >= MOST_SEEDS:
            raise BadInput(f"--seed {part!r} must go from a smaller to a larger seed, {MOST_SEEDS:,} at most.")
        result += range(first, last + 1)
    return list(dict.fromkeys(result)) or [0]


def duration(value: str | None) -> float | None:
    """Read a duration in seconds: `90`, `90s`, `30m`, `2h`."""
    return _scaled(value, "--timeout", r"[smhd]?", _SECONDS, "90s, 30m or 2h")


def size(value: str | None) -> int | None:
    """Read a size in bytes: `16G`, `500M`."""
    result = _scaled(value, "--max-memory", r"[KMGT]?", _BYTES, "16G or 500M")
    return None if result is None else int(result)


def available(device: str) -> str:
    """The device, if it is there.

    Raises
    ------
    BadInput
        If a GPU is asked for and torch sees none.
    """
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise BadInput("--device cuda: torch sees no GPU here; use --device cpu.")
    return device


def _scaled(value: str | None, flag: str, unit: str, units: dict[str, int], example: str) -> float | None:
    if value is None:
        return None
    match = re.fullmatch(rf"(\d+(?:\.\d+)?)({unit})(?:i?B)?", value.strip())
    if not match or float(match[1]) == 0:
        raise BadInput(f"{flag} {value!r} must be a positive amount such as {example}.")
    return float(match[1]) * units[match[2]]
