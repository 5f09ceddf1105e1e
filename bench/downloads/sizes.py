"""Sizes as a reader wants them, and room on the disk."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from bench.errors import BadInput

FULL = {errno.ENOSPC, errno.EDQUOT}
"""Error numbers of a full disk, and of a quota that is used up."""


class NoRoom(BadInput):
    """The disk is full, or would be."""


def shown(size: int | None) -> str:
    """`130 bytes`, `1.2 kB`, `34.0 MB`: in powers of ten, as publishers give them."""
    if size is None:
        return "size not known"
    if size < 1000:
        return f"{size} bytes"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:,.1f} {unit}"


def require_room(folder: Path, needed: int, what: str) -> None:
    """Refuse what does not fit on the disk, before it is written.

    Raises
    ------
    NoRoom
        If fewer than `needed` bytes are free where `folder` is.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise no_room(folder, f"{what} needs {shown(needed)}, {shown(free)} are free")


def no_room(folder: Path, found: str) -> NoRoom:
    """The error for a full disk."""
    return NoRoom(f"no room in {folder}: {found}; free some, or set BENCH_CACHE_DIR to a folder on a larger disk.")
