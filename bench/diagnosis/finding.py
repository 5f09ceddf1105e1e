"""What the doctor says: one finding each, and what mends it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note", "ok"]
"""An error stops a run; a warning makes its scores mean less than they seem to."""

PLACEHOLDER = re.compile(r"(?i)(unknown|unassigned|unclassified|unannotated|undefined|undetermined|other|none|n/?a)")
"""What a table says where it has no value: read as a value all the same."""

_FLAG = re.compile(
    r"--(?:obs|data-set|task-set) [\w.-]+=(?!COLUMN\b)[\w.-]*\w"  # a value ends before the full stop
    r"|--obs \w+=(?=[\s.;,)]|$)"  # no column
    r"|bench fetch \w+ [\w.-]*\w"
)


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


def option(flag: str, value: str) -> str:
    """An option with its value, as a shell takes it: names of columns may hold blanks."""
    return f"{flag} {shlex.quote(value)}"


def flag_in(message: str) -> str:
    """The first option, with its value, or download that a message advises; empty where it leaves something open."""
    match = _FLAG.search(message)
    return match[0] if match else ""
