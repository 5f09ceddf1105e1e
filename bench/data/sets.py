"""Several `.h5ad` files as one dataset, described by a TOML file.

    name = "pbmc-two-runs"
    study = "10x PBMC"

    [roles]
    cell_type = "celltype"

    [[files]]
    path = "run1.h5ad"          # relative to this file
    obs = { batch = "run1" }    # a constant column for the cells of this file

    [[files]]
    path = "run2.h5ad"
    obs = { batch = "run2" }
    map = { celltype = "run2_labels.tsv" }   # other words for the values of a column of this file

Files of one modality are stacked by cells; files of different `modality` ("Gene Expression",
"Antibody Capture", "Peaks") are paired by the names of their cells. A map is a table of the set, or a
tab-separated file with the columns `label` and `becomes`; it names every value, see `bench.data.relabel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import config
from bench.data import layout, relabel, safety
from bench.data.files import checked_options, load_h5ad
from bench.data.layout import Layout
from bench.data.modalities import modality
from bench.data.names import safe_name, stem
from bench.data.roles import map_roles, require_column
from bench.errors import BadInput
from bench.specs import DatasetSpec

if TYPE_CHECKING:
    import anndata as ad

TARGET = "bench.data.sets:load_set"


@dataclass(frozen=True)
class Header:
    """The plain keys of a set."""

    name: str = config.option("", "name of the dataset; empty: that of the file")
    summary: str = config.option("", "one sentence")
    study: str = config.option("", "cells of one study never sit on both sides of a test; empty: the name")
    species: str = config.option("", "such as human")
    reference: str = config.option("", "publication")
    licence: str = config.option("", "licence of the data")
    layer: str = config.option("", "where the counts are in every file; empty: found by inspection")


@dataclass(frozen=True)
class _Entry:
    path: str
    modality: str = ""


@dataclass(frozen=True)
class Member:
    """One file of a set."""

    path: Path
    modality: str = ""
    """In 10x words; empty: the file says so itself, or holds genes."""
    obs: Mapping[str, str] = field(default_factory=dict)
    """Constant columns for the cells of this file."""
    maps: Mapping[str, relabel.Words] = field(default_factory=dict)
    """Column of this file -> other words for its values."""


@dataclass(frozen=True)
class DataSet:
    """A set as written down, checked."""

    header: Header
    roles: Mapping[str, str]
    options: Mapping[str, Any]
    members: tuple[Member, ...]


def read(path: Path) -> DataSet:
    """Read a set's TOML file; the files it names are not opened.

    Raises
    ------
    BadInput
        If it is missing or malformed, with every unknown key and wrong type at once.
    """
    safety.require_file(path)
    values = config.read(path)
    roles, options = _table(values, "roles", path), _table(values, "options", path)
    files = values.pop("files", [])
    if not isinstance(files, list) or not files or not all(isinstance(entry, dict) for entry in files):
        raise BadInput(f"set {path} must name its files, each as [[files]] with a path.")
    members, problems = [], []
    for position, entry in enumerate(files, start=1):
        try:
            members.append(_member(entry, path, position))
        except BadInput as error:
            problems.append(str(error))
    try:
        header = config.build(Header, values, f"set {path.name}")
    except BadInput as error:
        raise BadInput("\n".join([str(error), *problems])) from None
    if problems:
        raise BadInput("\n".join(problems))
    return DataSet(header, {role: str(column) for role, column in roles.items()}, options, tuple(members))


def describe_set(path: str | Path) -> DatasetSpec:
    """Make a dataset of a set's TOML file, without reading any matrix.

    Raises
    ------
    BadInput
        If the set or one of its files is refused, or a role's column is missing in one of them.
    """
    path = Path(path).expanduser().absolute()
    found = read(path)
    header = found.header
    outlines = [layout.read(member.path) for member in found.members]
    for member, outline in zip(found.members, outlines, strict=True):
        for column in member.maps:
            require_column(outline.obs, column, member.path.name)
    modalities = [_modality(*pair) for pair in zip(found.members, outlines, strict=True)]
    first = [k for k, modality in enumerate(modalities) if modality == modalities[0]]
    name = safe_name(header.name or stem(path))
    return DatasetSpec(
        name=name,
        summary=header.summary or f"set of {len(found.members)} files",
        target=TARGET,
        params={"path": str(path)},
        roles=_roles(found, [(found.members[k], outlines[k]) for k in first]),
        layer=_layer(found, outlines),
        options=checked_options(found.options, _shared([outlines[k].var for k in first]), path.name),
        modalities=frozenset().union(
            *({m.modality} if m.modality else o.modalities for m, o in zip(found.members, outlines, strict=True))
        ),
        species=header.species or _species(outlines),
        study=header.study or name,
        n_obs=sum(outlines[k].n_obs for k in first),
        source=str(path),
        reference=header.reference,
        licence=header.licence,
    )


def load_set(path: str) -> ad.AnnData:
    """Read all files of a set and join them: stacked within a modality, paired between modalities.

    Raises
    ------
    BadInput
        If a file is refused, a map does not fit its column, stacked files share no gene, or paired files do not hold
        the same cells.
    """
    from bench.data import joining

    parts, told = [], []
    for member in read(Path(path)).members:
        data, modality = load_h5ad(str(member.path)), _modality(member, layout.read(member.path))
        told += relabel.relabel(data, member.maps, member.path.name)
        parts.append(joining.Part(member.path.name, modality, bool(member.modality), member.obs, data))
    joined = joining.join(parts, Path(path).name)
    joined.uns["notices"] = [*told, *joined.uns["notices"]]
    return joined


def _modality(member: Member, outline: Layout) -> str:
    """What a file holds: as declared, else as it says itself; empty where it holds several."""
    return member.modality or (next(iter(outline.modalities)) if len(outline.modalities) == 1 else "")


def _table(values: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    table = values.pop(key, {})
    if not isinstance(table, dict):
        raise BadInput(f"set {path}: {key!r} must be a table, as in [{key}].")
    return table


def _member(entry: dict[str, Any], path: Path, position: int) -> Member:
    where = f"file {position} of set {path.name}"
    constants, maps = entry.get("obs", {}), entry.get("map", {})
    if not isinstance(constants, dict):
        raise BadInput(f'{where}: obs must be a table, as in obs = {{batch = "A"}}.')
    if not isinstance(maps, dict):
        raise BadInput(f'{where}: map must be a table, as in map = {{cell_type = "labels.tsv"}}.')
    for column in sorted(constants.keys() & maps.keys()):
        raise BadInput(f"{where}: {column!r} is both one value for all cells (obs) and mapped; keep one.")
    rest: _Entry = config.build(_Entry, {k: v for k, v in entry.items() if k not in ("obs", "map")}, where)
    return Member(
        path=path.parent / rest.path,
        modality=modality(rest.modality) if rest.modality else "",
        obs={column: str(value) for column, value in constants.items()},
        maps={c: relabel.words(given, path.parent, f"the map of {c!r} in {where}") for c, given in maps.items()},
    )


def _roles(found: DataSet, first: list[tuple[Member, Layout]]) -> dict[str, str]:
    """Roles by the columns that all files of the first modality have."""
    columns = [(*outline.obs, *member.obs) for member, outline in first]
    for own, (member, _) in zip(columns, first, strict=True):
        for column in found.roles.values():
            require_column(own, column, member.path.name)
    return map_roles(_shared(columns), found.roles, "the set")


def _layer(found: DataSet, outlines: list[Layout]) -> str:
    layer = found.header.layer
    for member, outline in zip(found.members, outlines, strict=True):
        if layer and layer not in outline.layers:
            raise BadInput(f"{member.path.name} has no layer {layer!r}; it has {', '.join(outline.layers)}.")
    return layer


def _shared(columns: list[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(column for column in columns[0] if all(column in other for other in columns))


def _species(outlines: list[Layout]) -> str:
    species = {outline.species for outline in outlines}
    return species.pop() if len(species) == 1 else ""
