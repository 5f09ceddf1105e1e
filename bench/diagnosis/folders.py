"""Findings about the results folder, the cache, the disk and the environment variables."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bench.data.cache import cache_dir
from bench.diagnosis.finding import Finding, Level
from bench.errors import StoreError
from bench.store import schema
from bench.store.index import NAME, Store
from bench.wording import counted, listed, size

RESULTS, CACHE, ENVIRONMENT = "results", "cache", "environment"
LEAST_FREE = 2 * 2**30
MOST_FILES = 200_000

VARIABLES: Mapping[str, str] = {
    "BENCH_RESULTS": "results folder",
    "BENCH_CACHE_DIR": "cache folder",
    "BENCH_OFFLINE": "the network is not used",
    "BENCH_GENE_TABLES": "folder of gene tables",
    "BENCH_STRICT_PLUGINS": "a broken plugin stops everything",
    "BENCH_DEBUG": "tracebacks are shown",
    "BENCH_SHARED": "folder of test data",
}
"""Environment variables that people set, and what they do."""
INTERNAL = frozenset({"BENCH_SUPERVISOR", "BENCH_CONTROLS"})


def results(folder: Path) -> list[Finding]:
    """Whether results can be stored, how many there are, and whether the index follows them."""
    if not folder.exists():
        parent = _nearest(folder)
        if os.access(parent, os.W_OK):
            return [Finding("ok", RESULTS, f"no results folder at {folder} yet; the first run makes it")]
        return [Finding("error", RESULTS, f"no results folder at {folder}, and {parent} cannot be written to")]
    if not folder.is_dir():
        return [Finding("error", RESULTS, f"{folder} is a file, not a folder; name another with --results DIR")]
    if not os.access(folder, os.R_OK | os.X_OK):
        return [Finding("error", RESULTS, f"{folder} cannot be read; change its permissions")]
    found = [*_records(folder), *_index(folder), *_lock(folder)]
    if not os.access(folder, os.W_OK):
        text = f"{folder} cannot be written to: what is there can be looked at, runs cannot be stored"
        found.append(Finding("error", RESULTS, text))
    return found


def cache() -> list[Finding]:
    """Whether the cache can be written to, and how large it is."""
    folder = cache_dir()
    if not os.access(_nearest(folder), os.W_OK):
        text = f"{folder} cannot be written to: nothing is kept between runs; name another with BENCH_CACHE_DIR"
        return [Finding("warning", CACHE, text)]
    if not folder.exists():
        return [Finding("ok", CACHE, f"{folder}: not there yet")]
    return [Finding("ok", CACHE, f"{folder}: {_size_of(folder)}")]


def disk(folder: Path) -> list[Finding]:
    """Free space where results and cache are."""
    found = []
    for subject, place in ((RESULTS, folder), (CACHE, cache_dir())):
        try:
            free = shutil.disk_usage(_nearest(place)).free
        except OSError:
            continue  # said above, as it cannot be used
        level: Level = "ok" if free >= LEAST_FREE else "warning"
        found.append(Finding(level, subject, f"{size(free)} of disk space are free"))
    return found


def environment(variables: Mapping[str, str]) -> list[Finding]:
    """Which variables of bench are set, and which look misspelt."""
    found = []
    for name in sorted(set(variables) - INTERNAL):
        if not name.startswith("BENCH_"):
            continue
        if name in VARIABLES:
            found.append(Finding("ok", ENVIRONMENT, f"{name}={variables[name]}: {VARIABLES[name]}"))
            continue
        near = difflib.get_close_matches(name, VARIABLES, n=1)
        if near:
            text = f"{name} is set but nothing reads it; did you mean {near[0]}?"
            found.append(Finding("warning", ENVIRONMENT, text))
    return found or [Finding("ok", ENVIRONMENT, "no BENCH_ variable is set")]


def _records(folder: Path) -> list[Finding]:
    """How many records there are, and which files are none."""
    from bench.store.rows import load

    bad: list[str] = []
    paths = sorted((folder / "records").rglob("*.json"))
    for path in paths:
        try:
            load(path)
        except (ValueError, StoreError, OSError) as error:
            bad.append(f"{path.relative_to(folder)}: {error}")
    found = [Finding("ok", RESULTS, f"{folder}: {counted(len(paths) - len(bad), 'record')}")]
    if bad:
        text = f"{counted(len(bad), 'file')} in records/ that are no records, left out everywhere ({listed(bad, 3)})"
        found.append(Finding("error", RESULTS, f"{text}; move them away"))
    return found


def _index(folder: Path) -> list[Finding]:
    """Whether the index can be read and follows the records; it is not touched."""
    store = Store(folder, wait_s=0.0)
    on_disk = {path.relative_to(folder).as_posix() for path in (folder / "records").rglob("*.json")}
    if not store.path.exists():
        return (
            [Finding("note", RESULTS, "no index yet; it is made when it is needed", "bench index")] if on_disk else []
        )
    import duckdb

    try:
        with store.connection() as connection:
            version = connection.execute("SELECT version FROM bench_index").fetchone()
            known = {path for (path,) in connection.execute("SELECT path FROM records").fetchall()}
    except StoreError as error:
        return [Finding("error", RESULTS, str(error), "bench index --rebuild")]
    except duckdb.Error as error:
        text = f"{store.path} is not an index of bench ({str(error).splitlines()[0][:120]})"
        return [Finding("error", RESULTS, text, "bench index --rebuild")]
    if version is None or version[0] > schema.VERSION:
        text = f"{store.path} has index version {version and version[0]}, this bench reads up to {schema.VERSION}"
        return [Finding("error", RESULTS, f"{text}: upgrade bench-harness, or make it anew", "bench index --rebuild")]
    behind = len(on_disk ^ known)
    if version[0] < schema.VERSION or behind:
        text = f"the index is {counted(behind, 'record')} behind; the next question brings it up to date"
        return [Finding("note", RESULTS, text, "bench index")]
    return [Finding("ok", RESULTS, "the index holds every record")]


def _lock(folder: Path) -> list[Finding]:
    """Whether another process is at the index."""
    import filelock

    path = folder / f"{NAME}.lock"
    if not path.exists() or not os.access(path, os.W_OK):
        return []
    try:
        with filelock.FileLock(path, timeout=0):
            return []
    except filelock.Timeout:
        return [Finding("note", RESULTS, "another process holds the index; questions are answered from the records")]


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())


def _size_of(folder: Path) -> str:
    """What a folder holds, counted up to a limit."""
    total = 0
    for number, path in enumerate(folder.rglob("*")):
        if number >= MOST_FILES:
            return f"more than {size(total)}"
        if path.is_file() and not path.is_symlink():
            total += path.stat().st_size
    return size(total)
