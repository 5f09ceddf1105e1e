"""What a new plugin may be called, and everything that follows from its name."""

from __future__ import annotations

import importlib.util
import keyword
import re
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

from bench.catalogue import Shelf, catalogue
from bench.errors import BadInput

Kind = Literal["model", "task"]
KINDS: tuple[Kind, ...] = ("model", "task")
PREFIX = "bench-"
LONGEST = 40
"""Characters of a name: lines of the code made of it stay short."""
PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*")


@dataclass(frozen=True)
class Names:
    """A plugin's name in every form its files need."""

    name: str
    """In commands: `"my-model"`."""

    @property
    def distribution(self) -> str:
        """For pip, and the folder: `"bench-my-model"`."""
        return PREFIX + self.name

    @property
    def module(self) -> str:
        """For imports: `"bench_my_model"`."""
        return self.distribution.lower().replace("-", "_")

    @property
    def stem(self) -> str:
        """For file names: `"my_model"`."""
        return self.name.lower().replace("-", "_")


def new_names(name: str, kind: str) -> Names:
    """Check a name for a new plugin.

    Parameters
    ----------
    name
        Letters and digits, words joined by `-`, beginning with a letter.
    kind
        `"model"` or `"task"`.

    Raises
    ------
    BadInput
        If the kind or the name is none, or the name is taken: by a plugin, a distribution or a package.
    """
    if kind not in KINDS:
        raise BadInput(f"a plugin brings a {' or a '.join(KINDS)}, not a {kind!r}.")
    if name.lower().startswith((PREFIX, "bench_")):
        raise BadInput(f"plugin name {name!r}: leave out the prefix, it is added; write {name[len(PREFIX) :]!r}.")
    if not PATTERN.fullmatch(name) or len(name) > LONGEST:
        raise BadInput(
            f"plugin name {name[:80]!r} must be letters and digits, words joined by '-', a letter first,"
            f" {LONGEST} characters at most; such as 'my-{kind}'."
        )
    names = Names(name)
    shelf: Shelf[Any] = catalogue().models if kind == "model" else catalogue().tasks
    taken = _taken(names, shelf)
    if taken:
        raise BadInput(f"plugin name {name!r}: {taken}; choose another.")
    return names


def _taken(names: Names, shelf: Shelf[Any]) -> str:
    """Who has the name already; empty where nobody has."""
    same = [known for known in (*shelf.specs, *shelf.clashes) if known.lower() == names.name.lower()]
    if same:
        return f"{shelf.kind} {same[0]!r} is registered by {shelf.origins[same[0]]}"
    try:
        return f"{names.distribution} {metadata.version(names.distribution)} is installed"
    except metadata.PackageNotFoundError:
        pass
    if keyword.iskeyword(names.module) or importlib.util.find_spec(names.module) is not None:
        return f"there is a package {names.module!r}"
    return ""
