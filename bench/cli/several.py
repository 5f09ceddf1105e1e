"""Options that take several words, as a shell gives them for `*.h5ad`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperCommand

SEVERAL = frozenset({"--data", "-d"})


class TakesSeveral(TyperCommand):
    """A command whose `--data` takes every word up to the next option: `--data A.h5ad B.h5ad --out DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse words as if the option stood before each of its values."""
        return super().parse_args(ctx, list(spread(args)))


def spread(words: Sequence[str]) -> Iterator[str]:
    """Repeat an option of `SEVERAL` before each further word that belongs to it.

    `--data A B --out X` becomes `--data A --data B --out X`; `--data=A B` is the same. What follows the value of
    another option belongs to nothing, and stays as it is.
    """
    option, values = "", 0
    for word in words:
        if word.startswith("-") and word != "-":
            option, equals, _ = word.partition("=")
            values = len(equals)
        elif option in SEVERAL:
            values += 1
            if values > 1:
                yield option
        yield word
