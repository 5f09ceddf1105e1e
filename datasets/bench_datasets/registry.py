"""The registry of public datasets: one TOML file per dataset or family, read without anything heavy.

    name = "kang18"
    summary = "24,673 blood cells, half of them stimulated with interferon beta"
    [roles]
    cell_type = "cell_type"
    [[files]]
    name = "kang_2018.h5ad"
    urls = ["https://exampledata.scverse.org/pertpy/kang_2018.h5ad"]
    kind = "hdf5"

The keys are the fields of `DatasetSpec`, but for `loader` (its `target`, a module and function of
`bench_datasets.loaders`; empty: a plain `.h5ad`). A family has a table `members` (name -> id at the publisher):
it stands for one dataset per member, with `{member}` and `{id}` replaced in `name`, `summary`, `params` and files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.errors import BadInput, unknown
from bench.specs import ROLES, DatasetSpec, RemoteFile

FOLDER = Path(__file__).with_name("registry")
H5AD = "bench.data.files:load_h5ad"
LOADERS = "bench_datasets.loaders."

_TEXT = (
    "name", "summary", "loader", "layer", "species", "gene_ids", "study", "manual", "unverified", "version", "source",
    "reference", "licence",
)  # fmt: skip
_KEYS: Mapping[str, type] = {
    **dict.fromkeys(_TEXT, str),
    **dict.fromkeys(("params", "roles", "options", "members"), dict),
    **dict.fromkeys(("modalities", "files"), list),
    **dict.fromkeys(("semi_simulated", "simulated"), bool),
    "n_obs": int,
}
_FILE_KEYS: Mapping[str, type] = {
    **dict.fromkeys(("name", "sha256", "md5", "kind"), str),
    "urls": list,
    "size": int,
    "unpack": bool,
}


def registry(folder: Path = FOLDER) -> list[DatasetSpec]:
    """The datasets of all TOML files of a folder, in the order of the file names.

    Raises
    ------
    BadInput
        If a file is not TOML, has an unknown key, a value of the wrong type, or no name, summary or file.
    """
    return [spec for path in sorted(folder.glob("*.toml")) for spec in read(path)]


def read(path: Path) -> list[DatasetSpec]:
    """The dataset of one file, or those of a family; raises `BadInput` as `registry` does."""
    try:
        entry = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"registry {path.name} cannot be read: {error}.") from None
    _check(entry, _KEYS, f"registry {path.name}")
    for position, file in enumerate(entry.get("files", ()), start=1):
        where = f"file {position} of registry {path.name}"
        if not isinstance(file, dict):
            raise BadInput(f"{where} must be a table, as in [[files]].")
        _check(file, _FILE_KEYS, where)
    for key in ("name", "summary", "files"):
        if not entry.get(key):
            raise BadInput(f"registry {path.name} must set {key!r}.")
    for role in entry.get("roles", ()):
        if role not in ROLES:
            raise unknown(f"role of registry {path.name}:", role, ROLES)
    return [_spec(member) for member in _members(entry)]


def _check(values: Mapping[str, Any], known: Mapping[str, type], where: str) -> None:
    for key, value in values.items():
        if key not in known:
            raise unknown(f"key of {where}:", key, known)
        if type(value) is not known[key]:  # a bool is an int, and no size
            raise BadInput(f"{where}: {key!r} must be {known[key].__name__}, not {type(value).__name__}.")


def _members(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    members = entry.pop("members", None)
    if members is None:
        yield entry
        return
    for member, identifier in members.items():
        replaced = {key: _filled(entry[key], member, str(identifier)) for key in _FILLED if key in entry}
        yield {**entry, **replaced}


_FILLED = ("name", "summary", "params", "files", "manual", "source")


def _filled(value: Any, member: str, identifier: str) -> Any:
    """The value with `{member}` and `{id}` replaced in every text."""
    if isinstance(value, str):
        return value.replace("{member}", member).replace("{id}", identifier)
    if isinstance(value, list):
        return [_filled(item, member, identifier) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, member, identifier) for key, item in value.items()}
    return value


def _spec(entry: dict[str, Any]) -> DatasetSpec:
    loader = entry.get("loader", "")
    rest = {key: value for key, value in entry.items() if key not in {"loader", "files", "modalities"}}
    if "modalities" in entry:
        rest["modalities"] = frozenset(entry["modalities"])
    files = tuple(RemoteFile(**{**file, "urls": tuple(file.get("urls", ()))}) for file in entry["files"])
    return DatasetSpec(target=f"{LOADERS}{loader}" if loader else H5AD, files=files, **rest)
