"""A bar on stderr for what takes minutes, where a person looks; nothing where a log is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Part = TypeVar("Part")


def watched(parts: Iterable[Part], what: str, total: int, size: Callable[[Part], int]) -> Iterator[Part]:
    """The same parts, a bar moving as they are worked off.

    Parameters
    ----------
    what
        What is being done: `"converting x.h5ad"`.
    total
        Sum of all sizes.
    size
        Of a part.
    """
    if not sys.stderr.isatty():
        yield from parts
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    looks = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*looks, console=Console(stderr=True, highlight=False), transient=True) as bars:
        bar = bars.add_task(what, total=total)
        for part in parts:
            yield part
            bars.advance(bar, size(part))


def note(text: str) -> None:
    """Say one sentence on stderr."""
    print(text, file=sys.stderr, flush=True)
