"""From an `.h5ad` file to a store of cells: once, block by block, and whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock

from bench.atomic import flush
from bench.data import safety
from bench.data.cache import cache_dir
from bench.data.cells import contents
from bench.data.cells.progress import note
from bench.data.cells.store import FORMAT, META, CellStore, name_of
from bench.data.identity import file_sha256
from bench.data.options import DataOptions
from bench.downloads.sizes import FULL, no_room, require_room, shown
from bench.errors import BadInput

_FULL = FULL | {errno.EFBIG}
"""And of a file that is larger than this process may write."""


def store_of(source: Path, *, layer: str = "", options: DataOptions | None = None) -> CellStore:
    """The store of a file: found in the cache by the file's content, or converted into it.

    Parameters
    ----------
    source
        A `.h5ad` file.
    layer
        Where the counts are: `"X"`, a layer, `"raw"`; empty: found as `bench.data.counts.find` does.
    options
        What to do about names that repeat and cells without counts; labels do not matter here.

    Raises
    ------
    BadInput
        If the file is refused, holds no counts or no genes, or changes meanwhile; if there is no room for the store,
        or one that is there is damaged. Nothing half-written is ever used.
    """
    source = Path(source).expanduser().absolute()
    options = options or DataOptions()
    safety.require_file(source)
    stamp = _stamp(source)  # before its content is read: a change after that is noticed
    sha256 = file_sha256(source)
    key = _key(sha256, layer, options)
    target = cache_dir() / "stores" / key
    if not target.exists():
        with _alone(target, source):
            if not target.exists():
                _convert(source, target, layer, options, {"identity": key, "source": {**stamp, "sha256": sha256}})
    return CellStore.of_content(target, source)


def _key(sha256: str, layer: str, options: DataOptions) -> str:
    """Of all that decides what is in a store."""
    chosen = {name: value for name, value in asdict(options).items() if name != "unlabelled"}
    key = {"content": sha256, "layer": layer, "options": chosen, "format": FORMAT}
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _stamp(source: Path) -> dict[str, Any]:
    """What tells that a file may have changed."""
    state = source.stat()
    return {"path": str(source), "size": state.st_size, "mtime_ns": state.st_mtime_ns}


@contextmanager
def _alone(target: Path, source: Path) -> Iterator[None]:
    """Hold a store against a second conversion, what killed ones have left behind removed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        lock = filelock.FileLock(_lock(target.parent, target.name))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            note(f"{source.name}: another process is converting it; waiting")
            lock.acquire()
    except OSError as error:
        raise BadInput(
            f"cannot write to {target.parent}: {error.strerror or error}; set BENCH_CACHE_DIR to another folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _lock(folder: Path, key: str) -> Path:
    return folder / f".{key}.lock"


def _sweep(folder: Path) -> None:
    """Remove unfinished stores that nobody works on: a process that was killed holds no lock."""
    for path in folder.glob(".*.tmp"):
        lock = filelock.FileLock(_lock(folder, path.name.split(".")[1]))
        with suppress(filelock.Timeout), lock.acquire(timeout=0):
            shutil.rmtree(path, ignore_errors=True)


def _convert(source: Path, target: Path, layer: str, options: DataOptions, about: dict[str, Any]) -> None:
    """Write a store beside its place and move it there when all of it is on disk."""
    with safety.opened(source, whole=False) as file:
        folder = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
        needed = 0
        try:
            plan = contents.plan(file, layer, options, str(source))
            needed = plan.needed
            require_room(target.parent, needed, f"converting {source.name}")
            folder.mkdir()
            meta = contents.write(plan, file, options, folder)
            _require_same(source, about["source"])
            meta = {"format": FORMAT, "name": name_of(source), **about, **meta}
            (folder / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
            for path in (*folder.rglob("*"), folder):
                flush(path)
            os.replace(folder, target)
            flush(target.parent)
        except (OSError, RuntimeError) as error:  # h5py raises both about the file, the first without a number
            raise _failed(error, source, target.parent, needed) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _require_same(source: Path, stamp: dict[str, Any]) -> None:
    """Refuse a file that was written to since its content was first read."""
    if {**stamp, **_stamp(source)} != stamp:
        raise BadInput(f"{source} has changed while it was converted; run the same command when it is complete.")


def _failed(error: OSError | RuntimeError, source: Path, folder: Path, needed: int) -> BadInput:
    """What became of a conversion that met the disk, or a damaged part of its file."""
    number = getattr(error, "errno", None)
    if number in _FULL:
        free = shutil.disk_usage(folder).free
        return no_room(folder, f"converting {source.name} needs about {shown(needed)}, {shown(free)} are free")
    if number is not None:
        return BadInput(f"cannot convert {source} to {folder}: {os.strerror(number)}; check the disk and permissions.")
    reason = (str(error).splitlines() or [""])[0][:200]
    return BadInput(f"{source} is damaged ({reason}); fetch or write it again.")
