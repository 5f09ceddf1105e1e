"""Where `bench` keeps what it can compute again."""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """`$BENCH_CACHE_DIR`, else the platform's cache folder; not created here, possibly not writable."""
    chosen = os.environ.get("BENCH_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    folder = Path(platformdirs.user_cache_dir("bench"))
    if folder.is_absolute():
        return folder
    # A user without a home (HOME unset, no password entry): "~" stays unresolved and would become a folder
    # of that name in the working directory.
    return Path(tempfile.gettempdir()) / f"bench-{_user()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
