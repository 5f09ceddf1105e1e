"""Whether a file is the one that was published, or at least the one that was fetched before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from bench.data.identity import file_sha256, path_sha256
from bench.downloads import content
from bench.downloads.places import kept_name, kept_path
from bench.downloads.receipt import Receipt, now
from bench.errors import BadInput
from bench.specs import RemoteFile


def genuine(file: RemoteFile, folder: Path, receipts: Mapping[str, Receipt]) -> bool:
    """Whether a file that is present has its published checksum, or where there is none the one it came with.

    Raises
    ------
    BadInput
        If a file without a published checksum is not the one that was fetched.
    """
    path, noted = kept_path(file, folder), receipts.get(kept_name(file))
    if file.unpack:
        return noted is None or _as_unpacked(file, path, noted)
    if published(file):
        return wrong_checksum(path, file) == ""
    if noted and file_sha256(path) != noted.kept_sha256:
        raise BadInput(
            f"{path} has changed since it was fetched on {noted.date[:10]} (its sha256 was {noted.kept_sha256});"
            " fetch it again with --force, or put the old one back."
        )
    return True


def published(file: RemoteFile) -> bool:
    """Whether its publisher gives a checksum."""
    return bool(file.sha256 or file.md5)


def wrong_checksum(path: Path, file: RemoteFile) -> str:
    """How a file differs from the published checksum; empty where it does not, or where there is none."""
    if file.sha256:
        found, expected, kind = file_sha256(path), file.sha256.lower(), "sha256"
    elif file.md5:
        found, expected, kind = _md5(path), file.md5.lower(), "md5"
    else:
        return ""
    return "" if found == expected else f"{kind} {found} instead of {expected}"


def impossible(path: Path, file: RemoteFile) -> str:
    """What is wrong with downloaded bytes, before any checksum: `"an HTML page, 1.2 kB"`; empty where nothing is."""
    why = content.impostor(path) or content.mismatch(path, file.kind)
    size = path.stat().st_size
    if not why and file.size is not None and size != file.size:
        why = f"a file of {size:,} bytes instead of {file.size:,}"
    return why


def receipt_of(file: RemoteFile, url: str, arrived: Path | None, kept: Path, kept_size: int) -> Receipt:
    """The receipt of a file that arrived as `arrived`, was compared with what is published, and is `kept`.

    `arrived` is None where only the unpacked content was put there by hand: nothing can be compared then.
    """
    return Receipt(
        url=url,
        sha256=(file.sha256.lower() or file_sha256(arrived)) if arrived else "",
        size=arrived.stat().st_size if arrived else 0,
        kept_size=kept_size,
        kept_sha256=path_sha256(kept),
        status="verified" if arrived and published(file) else "unverified",
        date=now(),
    )


def _as_unpacked(file: RemoteFile, path: Path, noted: Receipt) -> bool:
    if file.sha256 and noted.sha256 and noted.sha256 != file.sha256.lower():
        return False
    return path_sha256(path) == noted.kept_sha256


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
