"""What an AnnData file holds, read with h5py: names of columns, layers and embeddings, number of cells.

Both ways of writing are read: groups (anndata >= 0.7) and compound tables (before, as in the file that
scanpy ships).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data import modalities, safety
from bench.errors import BadInput

if TYPE_CHECKING:
    import h5py

    from bench.specs import DatasetSpec

_ORGANISMS = {"human", "mouse"}


@dataclass(frozen=True)
class Layout:
    """The outline of one file."""

    n_obs: int
    obs: tuple[str, ...]
    """Columns, without the index."""
    var: tuple[str, ...]
    layers: tuple[str, ...]
    """What `--layer` accepts: `X`, names of layers, `raw`."""
    modalities: frozenset[str]
    study: str
    """From `uns/bench_source`; empty where the file does not say."""
    species: str


def read(path: Path) -> Layout:
    """Outline a file, having checked that it is safe (see `bench.data.safety`).

    Raises
    ------
    BadInput
        If the file is refused, or its tables are not those of AnnData.
    """
    with safety.opened(path) as file:
        try:
            return Layout(
                n_obs=length(file["obs"]),
                obs=columns(file["obs"]),
                var=columns(file["var"]),
                layers=layers(file),
                modalities=_modalities(file["var"]),
                study=_source(file, "study"),
                species=_species(file),
            )
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise BadInput(f"{path} is not AnnData as anndata writes it ({error}); write it again.") from None


def obs_columns(spec: DatasetSpec) -> tuple[str, ...]:
    """Columns of `obs` of a dataset that is one `.h5ad` file; none of any other."""
    path = Path(str(spec.params.get("path", "")))
    return read(path).obs if path.suffix == ".h5ad" and path.is_file() else ()


def _index(table: Any) -> str:
    """Name of the column that holds the row names."""
    if _is_compound(table):
        return table.dtype.names[0]
    name = table.attrs.get("_index", "_index")
    return name.decode() if isinstance(name, bytes) else str(name)


def length(table: Any) -> int:
    """Number of rows of `obs` or `var`."""
    if _is_compound(table):
        return int(table.shape[0])
    index = table[_index(table)]
    if hasattr(index, "keys"):  # nullable strings (pandas 3), or a categorical
        index = index["values" if "values" in index else "codes"]
    return int(index.shape[0])


def columns(table: Any) -> tuple[str, ...]:
    """Names of the columns of `obs` or `var`, without the index."""
    hidden = {_index(table), "__categories"}
    if _is_compound(table):
        return tuple(name for name in table.dtype.names if name not in hidden)
    order = [str(name) for name in table.attrs.get("column-order", ())]
    return tuple(name for name in (*order, *(k for k in table if k not in order)) if name not in hidden)


def layers(file: h5py.File) -> tuple[str, ...]:
    """Where counts could be, by the names that `--layer` takes."""
    raw = any(key in file for key in ("raw/X", "raw.X"))
    return (*(["X"] if "X" in file else []), *file.get("layers", ()), *(["raw"] if raw else []))


def _modalities(var: Any) -> frozenset[str]:
    for column in modalities.COLUMNS:
        if column in columns(var):
            return frozenset(modalities.modality(word, column) for word in _words(var, column))
    return frozenset({modalities.GENE_EXPRESSION})


def _words(table: Any, column: str) -> set[str]:
    """The different values of a text column; what is not text counts as missing."""
    import h5py

    values = table[column]
    if hasattr(values, "keys"):
        if "codes" not in values:  # nullable strings
            return {_text(word) for word in values["values"][:].tolist()}
        codes, words = values["codes"], values["categories"]
    elif isinstance(values.attrs.get("categories"), h5py.Reference):  # anndata 0.7
        codes, words = values, table.file[values.attrs["categories"]]
    else:
        return {_text(word) for word in values[:].tolist()}
    texts = words[:].tolist()
    return {_text(texts[code]) for code in set(codes[:].tolist()) if code >= 0} or {""}  # unused ones do not count


def _species(file: h5py.File) -> str:
    organism = _source(file, "organism").lower()
    return organism if organism in _ORGANISMS else ""


def _source(file: h5py.File, key: str) -> str:
    """A simple string below `uns/bench_source`, on one line; empty where there is none."""
    item: Any = file.get(f"uns/bench_source/{key}")
    if getattr(item, "shape", None) != ():
        return ""
    return re.sub(r"\s+", " ", _text(item[()])).strip()


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _is_compound(table: Any) -> bool:
    return getattr(getattr(table, "dtype", None), "names", None) is not None
