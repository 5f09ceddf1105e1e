"""Which data exactly: identities that survive a move of the file and change with its content."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import config
from bench.atomic import replacing
from bench.data import safety
from bench.data.cache import cache_dir
from bench.data.options import DataOptions
from bench.downloads import receipt
from bench.errors import BadInput

if TYPE_CHECKING:
    import anndata as ad

    from bench.data.sets import Member
    from bench.specs import DatasetSpec

_SETTLED_NS = 2_000_000_000
"""A file changed less than this ago may change again within one tick of its clock: not memoised."""


def dataset_identity(spec: DatasetSpec) -> str:
    """sha256 over content, version, parameters, roles, layer and options of a dataset.

    A parameter `path` counts by the content it names, not by where it is; options that are spelled out
    with their defaults count as left out; generated data has no content but its parameters.

    Raises
    ------
    BadInput
        If a file is missing or an option does not exist.
    """
    options = config.as_dict(config.build(DataOptions, spec.options, f"dataset {spec.name}"))
    key = {
        "content": content_sha256(spec),
        "target": spec.target,
        "version": spec.version,
        "params": {name: value for name, value in spec.params.items() if name != "path"},
        "roles": dict(spec.roles),
        "layer": spec.layer,
        "options": options,
    }
    return _json_sha256(key)


def content_sha256(spec: DatasetSpec) -> str:
    """sha256 of the file, of all files of a set or a folder; what the spec declares where there is no file."""
    path = spec.params.get("path")
    if not path:
        return spec.sha256
    if str(path).endswith(".toml"):
        from bench.data import sets  # sets describes files, so it cannot be imported from here at the top

        members = sets.read(Path(path)).members
        return _json_sha256([_member_key(member) for member in members])
    return path_sha256(path)


def _member_key(member: Member) -> dict[str, Any]:
    """What a file of a set is, and what is made of it; without maps as it was before there were any."""
    key = {"sha256": file_sha256(member.path), "as": member.modality, "obs": member.obs}
    return {**key, "maps": member.maps} if member.maps else key


def path_sha256(path: str | Path) -> str:
    """sha256 of a file, or of a folder; raises `BadInput` as these do."""
    return folder_sha256(path) if Path(path).is_dir() else file_sha256(path)


def folder_sha256(path: str | Path) -> str:
    """sha256 of the relative names and the contents of all files of a folder, those behind links included.

    Hidden files and the receipts of `bench fetch` say nothing about the content and do not count.

    Raises
    ------
    BadInput
        If a file or folder cannot be read.
    """
    folder = Path(path)
    names = sorted(_file_names(folder))
    counted = [n for n in names if n != receipt.NAME and not n.startswith(".") and "/." not in n]
    return _json_sha256([[name, file_sha256(folder / name)] for name in counted])


def _file_names(folder: Path) -> Iterator[str]:
    """Relative names of all files of a folder; `Path.rglob` would leave out linked folders and closed ones."""
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        above = {os.path.realpath(parent) for parent in (Path(place), *Path(place).parents)}
        folders[:] = [name for name in folders if os.path.realpath(Path(place, name)) not in above]  # a circle of links
        yield from (Path(place, name).relative_to(folder).as_posix() for name in files)


def _refuse(error: OSError) -> None:
    raise BadInput(f"cannot read {error.filename}: {error.strerror or error}; check its permissions.")


def file_sha256(path: str | Path) -> str:
    """sha256 of a file's bytes, memoised by path, size and time of change.

    `bench fetch` calls this when a file has come: what takes minutes of a large dataset is done when a run is planned.

    Raises
    ------
    BadInput
        If the file is missing or cannot be read.
    """
    path = Path(path).absolute()
    safety.require_file(path)
    try:
        state = path.stat()
        note = _memo(f"{_movable(path)}|{state.st_size}|{state.st_mtime_ns}")
        known = _recall(note)
        if known:
            return known
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}; check its permissions.") from None
    if time.time_ns() - state.st_mtime_ns > _SETTLED_NS:
        _remember(note, digest)
    return digest


def cells_hash(cells: ad.AnnData, columns: Sequence[str] = ()) -> str:
    """sha256 of row names, gene names, the matrix and the given columns of `obs`.

    Parameters
    ----------
    cells
        Canonical data: `X` is CSR with sorted indices.
    columns
        Columns of `obs` that matter too.
    """
    import numpy as np
    import pandas as pd

    digest = hashlib.sha256()
    for names in (cells.obs_names, cells.var_names):
        _add_texts(digest, names)
    matrix: Any = cells.X
    for array, kind in ((matrix.indptr, "<i8"), (matrix.indices, "<i8"), (matrix.data, "<f4")):
        digest.update(np.ascontiguousarray(array, dtype=kind).data)
    for column in columns:
        values = cells.obs[column]
        _add_texts(digest, [column])
        _add_texts(digest, np.where(pd.isna(values), "", values.astype(object)))
        digest.update(np.asarray(pd.isna(values)).tobytes())
    return digest.hexdigest()


def _add_texts(digest: Any, texts: Any) -> None:
    # JSON tells ["ab", "c"] from ["a", "bc"]
    digest.update(json.dumps([str(text) for text in texts]).encode())


def _json_sha256(value: Mapping[str, Any] | list[Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _movable(path: Path) -> Path:
    """A path that stays the same when the cache, which holds the memory too, is moved or mounted elsewhere."""
    return path.relative_to(cache_dir()) if path.is_relative_to(cache_dir()) else path


def _memo(key: str) -> Path:
    return cache_dir() / "sha256" / hashlib.sha256(os.fsencode(key)).hexdigest()


def _recall(note: Path) -> str:
    try:
        text = note.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if len(text) == 64 else ""


def _remember(note: Path, digest: str) -> None:
    """Store a digest; a cache that cannot be written to only means hashing again next time."""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        with replacing(note) as temporary:
            temporary.write_text(digest, encoding="ascii")
    except OSError:
        pass
