"""Which weights a model gets, and what tells them from others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from bench.data.cache import cache_dir
from bench.data.identity import file_sha256, path_sha256
from bench.downloads import receipt
from bench.downloads.fetch import located, total_size
from bench.downloads.places import kept_name, kept_path, weights_folder
from bench.downloads.sizes import shown
from bench.errors import BadInput
from bench.specs import ModelSpec, RemoteFile
from bench.weights import trained


def find(spec: ModelSpec, asked: str) -> Path:
    """The folder or file of a model's weights: the one asked for, else the one `bench fetch weights` made.

    Raises
    ------
    BadInput
        If there is none: with every way to get them.
    """
    assert spec.weights is not None, "asked for the weights of a model that has none"
    fetched = weights_folder(spec.name)
    if asked:
        path = Path(asked).expanduser().resolve()
        try:
            if path.is_file() or any(path.iterdir()):
                return path
            found = f"no weights in {path}: the folder is empty."
        except FileNotFoundError:
            found = f"weights not found: {path}."
        except OSError as error:
            raise BadInput(f"cannot read weights {path}: {error.strerror or error}; check its permissions.") from None
    else:
        if located(spec.weights.files, fetched):
            return fetched
        found = "needs weights."
    raise BadInput(f"model {spec.name}: {found} {spec.weights.summary} {_ways(spec)}")


def _ways(spec: ModelSpec) -> str:
    """How to get weights, in the order of effort."""
    assert spec.weights is not None, "asked for the weights of a model that has none"
    files, source = spec.weights.files, spec.weights.source or "its authors"
    fetch = f"Run bench fetch weights {spec.name} ({shown(total_size(files))}), or get" if _fetchable(files) else "Get"
    return (
        f"{fetch} them from {source} and name the folder with --weights DIR, or ask for an untrained model with"
        " --weights untrained."
    )


def _fetchable(files: Sequence[RemoteFile]) -> bool:
    return bool(files) and all(file.urls for file in files)


def identity(path: Path, files: Sequence[RemoteFile]) -> str:
    """sha256 of weights, wherever they are kept.

    Weights that hold every declared file with its published checksum are known by these checksums, so that a
    README beside them changes nothing; a model reads only the files its spec declares. A model that was trained here
    is known by its own files, see `bench.weights.trained`. All others are known by the names and contents of all
    their files.

    Parameters
    ----------
    path
        A file, or a folder.
    files
        What the model's spec declares.
    """
    if files and _complete(path, files):
        return _declared(files)
    return trained.identity(path) if trained.is_trained(path) else path_sha256(path)


def published(sha256: str, files: Sequence[RemoteFile]) -> bool:
    """Whether an `identity` is that of the declared files."""
    return bool(files) and all(file.sha256 for file in files) and sha256 == _declared(files)


def _declared(files: Sequence[RemoteFile]) -> str:
    if len(files) == 1:
        return files[0].sha256.lower()
    pairs = sorted([file.name, file.sha256.lower()] for file in files)
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


def _complete(path: Path, files: Sequence[RemoteFile]) -> bool:
    """Whether every declared file is there with its published checksum."""
    if path.is_file():
        return len(files) == 1 and not files[0].unpack and _same(path, files[0])
    return all(_unpacked(path, f) if f.unpack else _same(kept_path(f, path), f) for f in files)


def _same(path: Path, file: RemoteFile) -> bool:
    fits = bool(file.sha256) and path.is_file() and file.size in (None, path.stat().st_size)
    return fits and file_sha256(path) == file.sha256.lower()


def _unpacked(folder: Path, file: RemoteFile) -> bool:
    """Whether what is kept is what came out of the published archive, as its receipt says.

    Only receipts in the cache are believed: a stranger's folder may bring one of its own.
    """
    if not folder.is_relative_to(cache_dir()):
        return False
    path, noted = kept_path(file, folder), receipt.read(folder).get(kept_name(file))
    if not noted or not file.sha256 or noted.sha256 != file.sha256.lower():
        return False
    return path.exists() and path_sha256(path) == noted.kept_sha256
