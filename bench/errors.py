"""What the user is told when something is wrong.

Every message says what is wrong, where, and what to do about it. `bench` prints these without a
traceback (unless `--debug`) and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BenchError(Exception):
    """Anything `bench` can explain to its user."""

    exit_code = 3


class BadInput(BenchError):
    """The command, a file or a setting is wrong; the user can mend it."""

    exit_code = 2


class BadOutput(BenchError):
    """A model returned something that cannot be scored: wrong rows, wrong shape, NaN."""

    exit_code = 3


class StoreError(BenchError):
    """The results folder is damaged, not writable, or written by a newer version."""

    exit_code = 4


LONGEST = 200
"""Characters of a name that are repeated to who wrote it."""


def unknown(kind: str, name: str, known: Iterable[str], hint: str = "") -> BadInput:
    """The error for a name nobody registered: the nearest match, then everything that would work.

    Parameters
    ----------
    kind
        What was looked for, in the singular: `"model"`, `"option of pca"`.
    name
        What the user wrote.
    known
        The names that exist.
    hint
        A last sentence, such as the command that lists them.
    """
    known, name = sorted(known), name[:LONGEST]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    text = f"unknown {kind} {name!r}."
    if near:
        text += f" Did you mean {near[0]!r}?"
    text += f" Known: {', '.join(known[:20]) or 'none'}{', ...' if len(known) > 20 else ''}."
    return BadInput(f"{text} {hint}".strip())
