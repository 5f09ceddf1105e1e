"""Remote files into a folder: what is missing is downloaded, what is there is verified, all of it has a receipt.

pooch retrieves and compares checksums; resume, mirrors, content checks and safe unpacking are ours (see
`bench.downloads.transfer` and `bench.downloads.archives`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bench.downloads import receipt
from bench.downloads.places import kept_path, present
from bench.specs import RemoteFile


class Progress(Protocol):
    """Whoever shows how far a download is."""

    def moved(self, name: str, done: int, total: int | None) -> None:
        """`done` bytes of the file are here, of `total` where the server says so."""

    def note(self, text: str) -> None:
        """One sentence the user should know."""


class Silent:
    """Shows nothing."""

    def moved(self, name: str, done: int, total: int | None) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


def located(files: Sequence[RemoteFile], folder: Path) -> Path | None:
    """What a loader gets: the one file, or of several their folder; None where something is missing.

    Looks at existence and size only; `fetch` compares checksums.
    """
    receipts = receipt.read(folder)
    if not files or not all(present(file, folder, receipts) for file in files):
        return None
    return kept_path(files[0], folder) if len(files) == 1 else folder


def total_size(files: Sequence[RemoteFile]) -> int | None:
    """Bytes to download; None where a size is not known."""
    sizes = [file.size for file in files]
    return None if None in sizes else sum(size or 0 for size in sizes)


def fetch(
    files: Sequence[RemoteFile],
    folder: Path,
    *,
    what: str,
    manual: str = "",
    progress: Progress | None = None,
    force: bool = False,
) -> list[Path]:
    """Download what is missing, verify what is there.

    Parameters
    ----------
    files
        What to have; mirrors are asked in the order of `urls`.
    folder
        Where to have it; made where there is none. It also gets `fetched.json` (see `bench.downloads.receipt`).
    what
        Whose files these are, for messages: `"dataset NAME"`.
    manual
        One sentence: how to get the files where no program can.
    progress
        Is told how far a download is.
    force
        Download all of it again, and take what the address holds now.

    Returns
    -------
    Paths of the files, or of what archives were unpacked to, in the order of `files`.

    Raises
    ------
    BadInput
        If the network is not to be used (`BENCH_OFFLINE`), no address is known, the disk is full, an archive is
        refused, or a file without a published checksum is not what it was.
    DownloadFailed
        If no address gave a file: with the reason of each (see `bench.downloads.retrieve`).
    """
    from bench.downloads.folder import Folder  # archives and locks: only who fetches pays for their import

    folder = folder.expanduser().absolute()
    task = Folder(folder, what, manual, progress or Silent(), force)
    if force or not task.settled(files):
        with task.alone():
            task.complete(files)
    return [kept_path(file, folder) for file in files]
