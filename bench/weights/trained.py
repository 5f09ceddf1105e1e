"""The files of a model that was trained here: where they are, whether they belong together, how they appear.

A trained folder holds more than the model: checkpoints, logs, curves. The files of the model are written together or
not at all. They are made in a folder of their own, which gets the name `.written` in one step: from then on they count.
What is left is to move them to their places, which whoever writes next will finish; until then they are read where
they are. `provenance.json` comes last and lists the sha256 of all others, so that files of two trainings that somebody
copied together are not taken for a model.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.atomic import flush
from bench.data.identity import file_sha256
from bench.downloads.sizes import FULL
from bench.errors import BadInput
from bench.wording import size

WEIGHTS = "model.safetensors"
CONFIG = "config.yaml"
VOCABULARY = "vocabulary.parquet"
STATISTICS = "statistics.parquet"
CATEGORIES = "categories.json"
FINGERPRINTS = "fingerprints.npz"
PROVENANCE = "provenance.json"

MODEL: tuple[str, ...] = (WEIGHTS, CONFIG, VOCABULARY, STATISTICS, CATEGORIES)
"""All that decides what the model answers: its identity. Only the statistics may be missing."""
FILES: tuple[str, ...] = (*MODEL, FINGERPRINTS, PROVENANCE)

_FULL = FULL | {errno.EFBIG}
"""And of a file that is larger than this process may write."""

_WRITTEN = ".written"
_WRITING = ".writing-"
_LARGEST: Mapping[str, int] = {
    **{CONFIG: 1 << 20, CATEGORIES: 1 << 26, PROVENANCE: 1 << 26},
    **{VOCABULARY: 1 << 28, STATISTICS: 1 << 30},
}
"""Bytes of a file that is read whole; the others are read by memory map or as far as there is memory."""


def is_trained(path: Path) -> bool:
    """Whether a path is a folder as a training here leaves it, or what remains of one."""
    return path.is_dir() and sum(_place(path, name) is not None for name in MODEL) >= 3


def identity(folder: Path) -> str:
    """sha256 of the model's own files: neither a log line nor a note of where it comes from makes another model.

    Raises
    ------
    BadInput
        If a file cannot be read or leads out of the folder.
    """
    pairs = [[name, file_sha256(found(folder, name))] for name in MODEL if has(folder, name)]
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


def has(folder: Path, name: str) -> bool:
    """Whether a file is there, and is one of those that were written together."""
    known = manifest(folder)
    return _place(folder, name) is not None and (known is None or name in (*known, PROVENANCE))


def found(folder: Path, name: str) -> Path:
    """Where one of `FILES` is.

    Raises
    ------
    BadInput
        If it is missing or no plain file, leads out of the folder, or is too large to be what it is called.
    """
    path = _place(folder, name)
    if path is None:
        raise BadInput(
            f"{folder} holds no whole trained model: {name} is missing; copy the folder again, or train (with --resume"
            " if the training was interrupted)."
        )
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"refused: {path} leads out of its folder; copy the file itself there.")
    n_bytes = path.stat().st_size
    if n_bytes > _LARGEST.get(name, n_bytes):
        raise BadInput(f"refused: {path} has {size(n_bytes)}, more than the {name} of a model ever has.")
    return path


def read_text(folder: Path, name: str) -> str:
    """Content of one of the smaller files. Raises `BadInput` as `found` does, or if it is no text."""
    path = found(folder, name)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {path}: {error}; copy the folder again.") from None


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A table in one of the JSON files.

    Raises
    ------
    BadInput
        As `found` does, or if it is no such table.
    """
    text = read_text(folder, name)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(folder, name, str(error)) from None
    if not isinstance(value, dict):
        raise damaged(folder, name, f"a {type(value).__name__}, not a table")
    return value


def manifest(folder: Path) -> dict[str, str] | None:
    """sha256 of each file as it was written; None where no provenance says so."""
    try:
        files = read_json(folder, PROVENANCE).get("files")
    except BadInput:
        return None
    whole = isinstance(files, dict) and all(isinstance(text, str) for text in files.values())
    return files if whole else None


def require_whole(folder: Path) -> None:
    """Refuse files that are not those that were written together; without a provenance nobody can tell.

    Fingerprints may be taken away, as they tell of the data: the weights then count as unverified.

    Raises
    ------
    BadInput
        With the first file that is missing or another one.
    """
    for name, sha256 in (manifest(folder) or {}).items():
        if name == FINGERPRINTS and _place(folder, name) is None:
            continue
        if name in FILES and file_sha256(found(folder, name)) != sha256:
            raise BadInput(
                f"{folder / name} is not the file that was written with the others of {folder}; copy the folder again"
                f" (without {PROVENANCE} it is read as it is, and counts as unverified)."
            )


def damaged(folder: Path, name: str, reason: str) -> BadInput:
    """The error for a file that is not as it was written."""
    first = (reason.splitlines() or [""])[0][:200]
    return BadInput(f"{folder / name} is damaged ({first}); copy the folder again, or train.")


@contextmanager
def replacing_model(folder: Path) -> Iterator[Path]:
    """Give an empty folder for all of a model's files, which then take the place of those that were there.

    The caller writes every file but `provenance.json` and leaves the latter, without its `files`, to the end. An error
    in the body, or an end of the process at any time, leaves the old model or the new one. One process writes.

    Raises
    ------
    BadInput
        If the folder cannot be written to.
    OSError
        If there is no room; `bench.training.trouble` knows what to do then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _settle(folder)
        for leftover in folder.glob(f"{_WRITING}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        temporary = folder / f"{_WRITING}{secrets.token_hex(6)}"
        temporary.mkdir()
        try:
            yield temporary
            _sign(temporary)
            for path in (*temporary.iterdir(), temporary):
                flush(path)
            os.rename(temporary, folder / _WRITTEN)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        flush(folder)
        _settle(folder)
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise BadInput(f"cannot write the model to {folder}: {error.strerror or error}; see to the disk.") from None


def _sign(folder: Path) -> None:
    """Note in the provenance which files belong together."""
    path = folder / PROVENANCE
    note = json.loads(path.read_text(encoding="utf-8"))
    note["files"] = {name: _sha256(folder / name) for name in FILES if name != PROVENANCE and (folder / name).exists()}
    path.write_text(json.dumps(note, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _settle(folder: Path) -> None:
    """Move files that count to their places, the note of what belongs together last."""
    written = folder / _WRITTEN
    if not written.is_dir():
        return
    if (written / PROVENANCE).exists():
        known = json.loads((written / PROVENANCE).read_text(encoding="utf-8"))["files"]
        for name in FILES:
            if name not in (*known, PROVENANCE):
                (folder / name).unlink(missing_ok=True)
            elif (written / name).exists():
                os.replace(written / name, folder / name)
        flush(folder)
    shutil.rmtree(written)


def _place(folder: Path, name: str) -> Path | None:
    """The newest of the places where a file may be."""
    return next((path for path in (folder / _WRITTEN / name, folder / name) if path.is_file()), None)
