"""What a file really is, by its first bytes: servers answer with error pages and pointers instead of files."""

from __future__ import annotations

import re
from pathlib import Path

from bench.downloads.archives import is_tar
from bench.downloads.sizes import shown

HEAD = 4096
"""Bytes that are looked at."""

_POINTER = b"version https://git-lfs.github.com/spec/"
_MAGIC = {
    "gzip": (b"\x1f\x8b",),
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_AT = (0, 512, 1024, 2048)
"""Where the signature may stand: a user block before it is a power of two."""


def impostor(path: Path) -> str:
    """What stands in for a file: `"a git-LFS pointer, 130 bytes (to a file of 1.2 GB)"`; empty where nothing does."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    size = shown(path.stat().st_size)
    if head.startswith(_POINTER):
        real = re.search(rb"^size (\d{1,18})$", head, re.MULTILINE)
        return f"a git-LFS pointer, {size}" + (f" (to a file of {shown(int(real[1]))})" if real else "")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")) or (text.startswith(b"<") and b"<html" in text):
        return f"an HTML page, {size}"
    if text.startswith(b"<?xml") and b"<error>" in text:
        return f"an XML error message, {size}"
    return "an empty file" if not head else ""


def mismatch(path: Path, kind: str) -> str:
    """Why a file is not of its kind (see `RemoteFile.kind`); empty where it is."""
    return "" if _is(path, kind) else f"a file that is not {kind} ({shown(path.stat().st_size)}, bad signature)"


def _is(path: Path, kind: str) -> bool:
    if kind == "tar":
        return is_tar(path)
    with path.open("rb") as file:
        head = file.read(HEAD)
        if kind == "parquet":  # the word stands at both ends
            file.seek(max(path.stat().st_size - 4, 4))
            return head.startswith(b"PAR1") and file.read() == b"PAR1"
    if kind == "hdf5":
        return any(head[at : at + len(_HDF5)] == _HDF5 for at in _HDF5_AT)
    if kind == "text":
        return b"\0" not in head
    return kind == "" or head.startswith(_MAGIC[kind])
