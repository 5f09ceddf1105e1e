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
    steps = "; ".join(_step(file, folder) for file in files[:_NAMED])
    more = f"; and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return f"By hand: {manual.rstrip('.') + '. ' if manual else ''}{steps}{more}. Then run the same command again."


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


def _step(file: RemoteFile, folder: Path) -> str:
    where = f"download {resolved(file.urls[0])} and save it as" if file.urls else "save the file as"
    checksum = f"sha256 {file.sha256}" if file.sha256 else f"md5 {file.md5}" if file.md5 else ""
    return f"{where} {packed_path(file, folder)}" + (f" ({checksum})" if checksum else "")
