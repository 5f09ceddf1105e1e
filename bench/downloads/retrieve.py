"""One file from the first of its addresses that gives it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pooch

from bench.downloads.addresses import refusal, resolved
from bench.downloads.fetch import Progress
from bench.downloads.part import Part
from bench.downloads.transfer import Failed, download
from bench.downloads.verify import impossible
from bench.errors import BadInput, BenchError
from bench.specs import RemoteFile


class DownloadFailed(BenchError):
    """No address gave a file."""

    exit_code = 3


def retrieve(file: RemoteFile, target: Path, what: str, by_hand: str, progress: Progress) -> str:
    """Download `file` to `target`, whole and checked.

    Returns
    -------
    The address that gave it.

    Raises
    ------
    DownloadFailed
        With the reason of every address, and the route by hand.
    BadInput
        If the disk is full, or the folder cannot be written to.
    """
    failures: list[str] = []
    for url in map(resolved, file.urls):
        if failures:
            progress.note(f"{failures[-1].strip()}; asking the next address")
        try:
            _from(url, file, target, progress)
            return url
        except Failed as failure:
            failures.append(f"  {url}: {failure}")
        except OSError as error:
            raise BadInput(f"cannot write to {target.parent}: {error.strerror or error}.") from None
    raise DownloadFailed("\n".join([f"{what}: {file.name} could not be downloaded:", *failures, by_hand]))


def _from(url: str, file: RemoteFile, target: Path, progress: Progress) -> None:
    why = refusal(url)
    if why:
        raise Failed(why)
    pooch.get_logger().setLevel("WARNING")  # it announces every download on stderr
    wrong = _pooched(url, file, target, progress)
    if wrong and wrong.resumed:  # a rest that did not belong to what was here
        wrong = _pooched(url, file, target, progress)
    if wrong:
        raise Failed(f"answered with another file than the published one ({wrong.why})")


class _Wrong:
    """A file with another checksum."""

    def __init__(self, why: str, resumed: bool) -> None:
        self.why = why
        self.resumed = resumed


def _pooched(url: str, file: RemoteFile, target: Path, progress: Progress) -> _Wrong | None:
    """Let pooch retrieve with our downloader, compare checksums, and give the file its name only then."""
    known = f"sha256:{file.sha256.lower()}" if file.sha256 else f"md5:{file.md5.lower()}" if file.md5 else None
    part = Part.of(target)
    resumed = bool(part.size)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # pooch would take what is there for the file

    def downloader(url: str, output_file: str, _: Any) -> None:
        download(url, part, file, progress)
        why = impossible(part.path, file)
        if why:
            part.drop()
            raise Failed(f"answered with {why}{',' if ',' in why else ''} instead of the file")
        with part.path.open("rb") as whole:
            os.fsync(whole.fileno())
        os.replace(part.path, output_file)
        part.drop()

    try:
        pooch.retrieve(url, known_hash=known, fname=target.name, path=target.parent, downloader=downloader)
    except ValueError as error:
        found = re.search(r"but got (?:\w+:)?([0-9a-f]{32,64})", str(error))
        if not known or not found:  # not how pooch says that a checksum differs
            raise
        kind, _, expected = known.partition(":")
        return _Wrong(f"{kind} {found[1]} instead of {expected}", resumed)
    return None
