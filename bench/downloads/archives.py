"""Unpacking archives of strangers: nothing leaves the folder, nothing but files and folders, no bombs.

pooch's own processors extract without looking at names, kinds or sizes first, so they are not used.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import re
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from bench.downloads.sizes import FULL, no_room, shown
from bench.errors import BadInput

MAX_MEMBERS = 200_000
MAX_RATIO, RATIO_FROM = 500, 10_000_000
"""A result of at least `RATIO_FROM` bytes may be this many times larger than the archive: tables of counts stay
below 50, a bomb of zeros reaches 1,000 (deflate) or 1,000,000 (bzip2)."""

_CHUNK = 1 << 20
_PACKED_TARS: Mapping[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, ValueError, KeyError, RuntimeError),  # zipfile: unknown compression, bad names, passwords
    *(MemoryError, OverflowError),  # sizes that cannot be
)


def unpack(archive: Path, target: Path) -> int:
    """Unpack a gzip file to the file `target`, a zip or tar archive to the folder `target`.

    The content appears whole or not at all; there must be nothing at `target`.

    Returns
    -------
    Bytes of the content.

    Raises
    ------
    BadInput
        If the archive is damaged, of no known kind, leads out of its folder, holds links or devices, or is a bomb;
        or if the disk is full.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    budget = _Budget(archive, target.parent)
    try:
        _extract(archive, temporary, budget)
        os.replace(temporary, target)
    except _DAMAGED as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{archive.name} is a damaged archive ({reason[:200]}); fetch it again.") from None
    except OSError as error:
        if error.errno in FULL:
            raise no_room(target.parent, f"{archive.name} is larger unpacked") from None
        raise BadInput(f"{archive.name} cannot be unpacked: {error.strerror or error}.") from None
    finally:
        remove(temporary)
    return budget.used


def remove(path: Path) -> None:
    """Remove a file or a folder, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class _Budget:
    """Counts what comes out of an archive, and stops a bomb before it has filled the disk."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self._name = archive.name
        self._folder = folder
        self._packed = max(archive.stat().st_size, 1)
        self._free = shutil.disk_usage(folder).free
        self.used = 0
        self.members = 0

    def take(self, size: int) -> None:
        """Count `size` more bytes."""
        self.used += size
        if self.used >= RATIO_FROM and self.used > MAX_RATIO * self._packed:
            raise self.refused(
                f"it holds over {MAX_RATIO} times its own size of {shown(self._packed)}, as a decompression bomb does"
            )
        if self.used > self._free:
            raise no_room(self._folder, f"{self._name} is larger unpacked than the {shown(self._free)} that are free")

    def member(self, name: str, size: int, kind: str) -> None:
        """Check one member before it is extracted; `kind` is empty for plain files and folders."""
        self.members += 1
        if size < 0:
            raise self.refused(f"{name[:100]!r} is of {size:,} bytes")
        if kind:
            raise self.refused(f"{name[:100]!r} is a {kind}; only files and folders are unpacked")
        if self.members > MAX_MEMBERS:
            raise self.refused(f"it holds more than {MAX_MEMBERS:,} files")
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name):
            raise self.refused(f"{name[:100]!r} leaves the folder")
        if any(ord(c) < 32 for c in name) or any(len(os.fsencode(part)) > 255 for part in parts) or not name:
            raise self.refused(f"{name[:100]!r} is not a file name")
        self.take(size)

    def refused(self, why: str) -> BadInput:
        """The error for an archive that is not unpacked."""
        return BadInput(f"archive refused: {why} ({self._name}).")


def _extract(archive: Path, temporary: Path, budget: _Budget) -> None:
    with archive.open("rb") as file:
        head = file.read(4)
    if head.startswith(b"PK"):
        _unzip(archive, temporary, budget)
    elif is_tar(archive):
        _untar(archive, temporary, budget)
    elif head.startswith(b"\x1f\x8b"):
        with gzip.open(archive, "rb") as source:
            _copy(source, temporary, budget)
    else:
        raise BadInput(f"{archive.name} is no gzip, zip or tar archive; fetch it again.")
    if not budget.used:
        raise budget.refused("there is nothing in it")


def _copy(source: IO[bytes] | gzip.GzipFile, target: Path, budget: _Budget) -> None:
    with target.open("xb") as out:
        while block := source.read(_CHUNK):
            budget.take(len(block))
            out.write(block)
        out.flush()
        os.fsync(out.fileno())  # the name it gets says that it is whole


def _unzip(archive: Path, temporary: Path, budget: _Budget) -> None:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            budget.member(info.orig_filename, info.file_size, _zip_kind(info))
        temporary.mkdir()
        for info in packed.infolist():  # reads no more than the size that was counted, and compares checksums
            packed.extract(info, temporary)


def _zip_kind(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 1:
        return "file behind a password"
    kind = stat.S_IFMT(info.external_attr >> 16)
    return "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "link or device"


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, perhaps a compressed one."""
    try:
        with _tar(path):
            return True
    except (*_DAMAGED, OSError):  # whatever it is, it does not begin as a tar does
        return False


def _untar(archive: Path, temporary: Path, budget: _Budget) -> None:
    temporary.mkdir()
    with _tar(archive) as (packed, stream):
        for info in packed:  # one pass: a compressed tar has no list of its members
            budget.member(info.name, info.size, _tar_kind(info))
            packed.extract(info, temporary, set_attrs=False)
        while stream.read(_CHUNK):  # to the end of the compressed stream, where its checksum is compared
            pass


@contextlib.contextmanager
def _tar(archive: Path) -> Iterator[tuple[tarfile.TarFile, _Sips]]:
    with archive.open("rb") as file:
        head = file.read(6)
    packing: Callable[..., Any] = next((how for magic, how in _PACKED_TARS.items() if head.startswith(magic)), open)
    with packing(archive, "rb") as source:
        stream: Any = _Sips(source)
        with tarfile.TarFile(fileobj=stream) as packed:
            # The library's own filter is a second wall; Pythons before 3.11.4 have none.
            packed.extraction_filter = getattr(tarfile, "data_filter", None)
            yield packed, stream


class _Sips:
    """Bytes of a tar, a few at a time: tarfile reads a header of any size it claims into memory."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.seek, self.tell = source.seek, source.tell

    def read(self, size: int) -> bytes:
        """Bytes of the source; `tarfile.ReadError` where too many are wanted at once."""
        if not 0 <= size <= _CHUNK:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._source.read(size)


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "link"
    return "" if info.isfile() or info.isdir() else "device"
