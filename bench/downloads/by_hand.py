"""The sentences for those who have no network, or whom a login or a licence stops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.downloads.addresses import resolved
from bench.downloads.kept import packed_path
from bench.downloads.places import offline
from bench.errors import BadInput
from bench.specs import RemoteFile

_NAMED = 4
"""Files that are named one by one."""


def route(files: Sequence[RemoteFile], folder: Path, manual: str = "") -> str:
    """How to get files by hand: address, place and name, checksum."""
    steps = [manual.rstrip(". ")] if manual else []
    open_, closed = [f for f in files if f.urls], [f for f in files if not f.urls]
    steps += [f"download {resolved(f.urls[0])} and save it as {_place(f, folder)}" for f in open_[:_NAMED]]
    if len(open_) > _NAMED:
        steps.append(f"and so for {len(open_) - _NAMED} more files (bench show tells their addresses)")
    if closed:
        names = (_place(f, folder).removeprefix(f"{folder}/") for f in closed)
        steps.append(f"put {', '.join(names)} into {folder}")
    return f"By hand: {'; '.join(steps)}; then run the same command again."


def require_route(files: Sequence[RemoteFile], folder: Path, what: str, manual: str) -> None:
    """Refuse to go to the network where it is forbidden, or where there is nowhere to go.

    Raises
    ------
    BadInput
        With the manual route.
    """
    closed = [file for file in files if not file.urls]
    if closed:
        raise BadInput(f"{what} cannot be downloaded by a program. {route(closed, folder, manual)}")
    if offline():
        raise BadInput(
            f"{what} is not on this machine, and BENCH_OFFLINE forbids the network. {route(files, folder, manual)}"
        )


def _place(file: RemoteFile, folder: Path) -> str:
    """Where to put a file, and how to know that it is the right one."""
    kind, value = ("sha256", file.sha256) if file.sha256 else ("md5", file.md5)
    return f"{packed_path(file, folder)}" + (f" ({kind} {value})" if value else "")
