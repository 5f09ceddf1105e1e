"""Numbers that look random and are a function of what they are for: no state, so that any of them can be had again."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from bench.data.cells import kernels

_ONCE = np.zeros(1, dtype=np.int64)


@lru_cache(maxsize=64)
def key(*numbers: int) -> int:
    """A number of 63 bits that has nothing to do with that of other numbers, nor of more or fewer: of their SHA-256."""
    digest = hashlib.sha256(repr([int(number) for number in numbers]).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def shuffled(start: int, stop: int, size: int, key: int) -> np.ndarray:
    """Entries `start` to `stop` of a random order of 0 to size - 1, int64."""
    return permuted(np.arange(start, stop), size, key)


def permuted(places: np.ndarray, size: int, key: int) -> np.ndarray:
    """Entries of the same order at some places (int64), int64 (n,)."""
    entries = np.empty(len(places), dtype=np.int64)
    kernels.permute(places, size, key, entries)
    return entries


def uniform(numbers: np.ndarray, key: int) -> np.ndarray:
    """float64 (n,) in [0, 1), one for each of the int64 numbers, the same for the same."""
    words = np.empty(len(numbers), dtype=np.uint64)
    kernels.keys_of(numbers, key, _ONCE, words)
    return (words >> np.uint64(11)) * 2.0**-53
