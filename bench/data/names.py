"""Names of cells, genes and datasets: clean, unique, safe to print and to use in a path."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.errors import BadInput

MAX_LENGTH = 200
"""Characters; longer names are data in the wrong place."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def safe_name(text: str) -> str:
    """A name made of letters, digits, `.`, `_` and `-` only, that cannot be an option or a hidden file."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _UNSAFE.sub("-", plain).strip("-.")[:MAX_LENGTH] or "unnamed"


def stem(path: Path) -> str:
    """Name of a file without its suffix, as text that can be stored: bytes that are not Unicode are replaced."""
    return os.fsencode(path.stem).decode("utf-8", "replace")


def clean(names: Iterable[object], what: str) -> list[str]:
    """Names as NFC-normalised text.

    Parameters
    ----------
    names
        Any objects; each is turned into text.
    what
        Whose names they are, for messages: `"dataset x: gene name"`.

    Raises
    ------
    BadInput
        If a name holds control characters or is longer than `MAX_LENGTH`.
    """
    result = []
    for position, name in enumerate(names):
        text = str(name)
        if not text.isascii():
            text = unicodedata.normalize("NFC", text)
        if len(text) > MAX_LENGTH or _CONTROL.search(text):
            fault = "is longer than 200 characters" if len(text) > MAX_LENGTH else "holds control characters"
            raise BadInput(f"{what} {text[:40]!a} (position {position}) {fault}; rename it in the file.")
        result.append(text)
    return result


def unique(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Make names unique: a repeated name gets `-1`, `-2`, ... in order of appearance.

    Returns
    -------
    The new names, and the old ones of those that were changed.
    """
    originals = set(names)
    if len(originals) == len(names):
        return list(names), []
    seen: set[str] = set()
    counters: Counter[str] = Counter()
    result, changed = [], []
    for name in names:
        new = name
        while new in seen or (new != name and new in originals):
            counters[name] += 1
            new = f"{name}-{counters[name]}"
        if new != name:
            changed.append(name)
        seen.add(new)
        result.append(new)
    return result, changed
