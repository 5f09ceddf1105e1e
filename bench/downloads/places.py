"""Where fetched files are kept and under which names, whether they are there, and whether the network may be used."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from bench.data.cache import cache_dir
from bench.downloads.receipt import Receipt
from bench.specs import RemoteFile

INCOMING = ".incoming"
"""The folder, beside the files, of what is not whole yet."""

_SUFFIXES = re.compile(r"(\.tar\.gz|\.tgz|\.tar\.bz2|\.tar\.xz|\.tar|\.zip|\.gz)$", re.IGNORECASE)
"""Of archives that are unpacked."""


def dataset_folder(name: str) -> Path:
    """Where the files of a registered dataset are kept; not created here."""
    return cache_dir() / "datasets" / name


def weights_folder(name: str) -> Path:
    """Where the published weights of a model are kept; not created here."""
    return cache_dir() / "weights" / name


def tables_folder() -> Path:
    """Where gene tables are kept; not created here."""
    return cache_dir() / "tables"


def offline() -> bool:
    """Whether `BENCH_OFFLINE` forbids the network; `0`, `no`, `off` and `false` do not."""
    return os.environ.get("BENCH_OFFLINE", "").strip().lower() not in {"", "0", "no", "off", "false"}


def kept_name(file: RemoteFile) -> str:
    """What a file is kept under, relative to its folder: an unpacked one without its suffix."""
    return _SUFFIXES.sub("", file.name) if file.unpack else file.name


def kept_path(file: RemoteFile, folder: Path) -> Path:
    """Where a file is, or will be."""
    return folder / kept_name(file)


def packed_path(file: RemoteFile, folder: Path) -> Path:
    """Where a file is put by hand before it is unpacked; the same as `kept_path` where nothing is to be unpacked."""
    kept = kept_path(file, folder)
    return kept.with_name(f"{kept.name}.packed") if file.unpack and kept_name(file) == file.name else folder / file.name


def present(file: RemoteFile, folder: Path, receipts: Mapping[str, Receipt]) -> bool:
    """Whether a file is there, by existence and size alone."""
    path = kept_path(file, folder)
    noted = receipts.get(kept_name(file))
    if file.unpack and path.is_dir():
        return any(path.iterdir())  # a folder appears whole or not at all
    if not path.is_file():
        return False
    known = noted.kept_size if noted else None
    size = known if file.unpack or file.size is None else file.size
    return size in (None, path.stat().st_size)
