"""`bench data show`: what a file or a registered dataset holds. It describes and does not judge.

Of a `.h5ad` file the tables of cells and features are read, and of each matrix only its shape and its first values,
unless the whole is asked for. Sets and generated datasets have to be loaded to be seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from bench.data import canonical, files, safety
from bench.data.identity import content_sha256, dataset_identity
from bench.data.modalities import COLUMNS, GENE_EXPRESSION, modality
from bench.diagnosis.columns import named_like
from bench.errors import BadInput
from bench.genes import identify
from bench.runs.choose import resolve_dataset
from bench.specs import ROLES, DatasetSpec, load_target

if TYPE_CHECKING:
    import anndata as ad
    import h5py

SAMPLE = 100_000
"""Stored values of a matrix that are looked at."""
EXAMPLES = 4
"""Values of a column that are shown."""


@dataclass(frozen=True)
class Column:
    """A column of `obs` or `var`."""

    column: str
    kind: str
    different: int
    """Different values."""
    missing: int
    examples: str
    """The most frequent categories, or the range of numbers."""


@dataclass(frozen=True)
class Matrix:
    """`X`, a layer, `raw`, or a table of `obsm`."""

    name: str
    shape: tuple[int, ...]
    stored: str
    """`csr`, `csc`, `dense` or what else it is, and its type."""
    values: int | None
    """Stored values; None where that is not known without reading."""
    looks: str
    """What the first values say."""


@dataclass(frozen=True)
class Outline:
    """What a dataset holds."""

    name: str
    source: str
    cells: int
    features: Mapping[str, int]
    """Kind of feature -> how many."""
    gene_names: str
    species: str
    study: str
    roles: Mapping[str, str]
    suggested: Mapping[str, list[str]]
    """Role -> columns that are probably that role."""
    sha256: str
    """Of the content; of a generated dataset its identity."""
    bytes: int | None
    matrices: tuple[Matrix, ...]
    obs: tuple[Column, ...]
    var: tuple[Column, ...]
    obsm: tuple[Matrix, ...]
    whole: bool
    """Whether all values were read: because it was asked for, or because there is no other way to look at it."""
    counts: str
    """Where they are; empty where the whole was not read."""
    canonical: tuple[int, int] | None
    """Cells and features a run would see."""
    notices: tuple[str, ...]
    """What making it canonical would change, or why it cannot be; empty where the whole was not read."""


def outline(
    data: str | Path,
    *,
    obs: Mapping[str, str] | None = None,
    layer: str = "",
    data_set: Mapping[str, Any] | None = None,
    whole: bool = False,
) -> Outline:
    """Describe a dataset.

    Parameters
    ----------
    data
        A `.h5ad` file, a `.toml` set, or the name of a dataset.
    obs, layer, data_set
        As in `bench run`.
    whole
        Read all values too: says where the counts are and what making the data canonical changes.

    Raises
    ------
    BadInput
        If the data is refused before it can be described: missing, broken, dangerous, too large.
    """
    spec = resolve_dataset(str(data), obs or {}, layer, data_set or {})
    path = Path(str(spec.params.get("path", "")))
    if spec.target == files.TARGET and not whole:
        with safety.opened(path) as file:
            try:
                seen = _seen_in_file(file)
            except BadInput:
                raise
            except Exception as error:  # whatever anndata meets in a damaged or exotic file is about the file
                reason = (str(error).splitlines() or [""])[0][:200]
                raise BadInput(f"{path} cannot be read: {type(error).__name__}: {reason}; write it again.") from None
    else:
        raw = load_target(spec.target)(**spec.params)
        seen = _seen(raw.to_memory() if raw.isbacked else raw)
    return _described(spec, seen, path)


@dataclass(frozen=True)
class _Seen:
    """What was read of a dataset."""

    obs: pd.DataFrame
    var: pd.DataFrame
    matrices: tuple[Matrix, ...]
    obsm: tuple[Matrix, ...]
    raw: ad.AnnData | None
    """All of it, where it was loaded."""


def _seen_in_file(file: h5py.File) -> _Seen:
    from anndata.io import read_elem

    if not hasattr(file["obs"], "keys"):
        return _seen(files.load_h5ad(file.filename))  # tables of anndata before 0.7 are read with the whole file
    places = {"X": file.get("X"), **dict(file.get("layers", {}).items()), "raw": file.get("raw/X")}
    return _Seen(
        obs=read_elem(file["obs"]),
        var=read_elem(file["var"]),
        matrices=tuple(_stored(name, item) for name, item in places.items() if item is not None),
        obsm=tuple(_stored(name, item) for name, item in file.get("obsm", {}).items()),
        raw=None,
    )


def _seen(raw: ad.AnnData) -> _Seen:
    places = {"X": raw.X, **dict(raw.layers.items()), "raw": None if raw.raw is None else raw.raw.X}
    return _Seen(
        obs=raw.obs,
        var=raw.var,
        matrices=tuple(_loaded(str(name), item) for name, item in places.items() if item is not None),
        obsm=tuple(_loaded(str(name), item) for name, item in raw.obsm.items()),
        raw=raw,
    )


def _stored(name: str, item: Any) -> Matrix:
    """A matrix in a file, by its head."""
    if hasattr(item, "keys"):
        if "data" not in item or "indptr" not in item:
            return Matrix(name, (), str(item.attrs.get("encoding-type", "group")), None, "")
        shape = tuple(int(n) for n in item.attrs.get("shape", item.attrs.get("h5sparse_shape", ())))
        kind = str(item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", "sparse"))).removesuffix("_matrix")
        values = item["data"]
        return Matrix(name, shape, f"{kind} {values.dtype}", int(values.shape[0]), _looks(values[:SAMPLE]))
    rows = max(1, SAMPLE // max(1, int(np.prod(item.shape[1:])))) if item.shape else 1
    sample = item[:rows] if item.shape else item[()]
    return Matrix(name, tuple(item.shape), f"dense {item.dtype}", int(item.size), _looks(sample))


def _loaded(name: str, item: Any) -> Matrix:
    if sparse.issparse(item):
        return Matrix(name, item.shape, f"{item.format} {item.dtype}", int(item.nnz), _looks(item.data[:SAMPLE]))
    array = np.asarray(item)
    return Matrix(name, array.shape, f"dense {array.dtype}", int(array.size), _looks(array.ravel()[:SAMPLE]))


def _looks(values: Any) -> str:
    """What the first values are."""
    values = np.asarray(values).ravel()[:SAMPLE]
    if values.dtype.kind not in "biuf" or not values.size:
        return "no numbers" if values.size else "no values"
    finite = values[np.isfinite(values)]
    whole = bool((finite == np.rint(finite)).all())
    words = [
        "negative values" if (finite < 0).any() else "",
        "NaN or infinite values" if finite.size < values.size else "",
        "integers" if whole else "not integers",
    ]
    low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
    return f"{', '.join(filter(None, words))} ({low:.4g} to {high:.4g} in the first {values.size:,} values)"


def _described(spec: DatasetSpec, seen: _Seen, path: Path) -> Outline:
    columns, kinds = [str(column) for column in seen.obs.columns], _kinds(seen.var)
    found = _whole(spec, seen.raw) if seen.raw is not None else ("", None, ())
    return Outline(
        name=spec.name,
        source=spec.source or spec.summary,
        cells=len(seen.obs),
        features=dict(Counter(kinds).most_common()),
        gene_names=_gene_names(seen.var[[kind == GENE_EXPRESSION for kind in kinds]]),
        species=spec.species,
        study=spec.study,
        roles=dict(spec.roles),
        suggested={role: likely for role in ROLES if role not in spec.roles and (likely := named_like(columns, role))},
        sha256=content_sha256(spec) or dataset_identity(spec),
        bytes=path.stat().st_size if path.is_file() else None,
        matrices=seen.matrices,
        obs=tuple(_column(seen.obs, k) for k in range(seen.obs.shape[1])),
        var=tuple(_column(seen.var, k) for k in range(seen.var.shape[1])),
        obsm=seen.obsm,
        whole=seen.raw is not None,
        counts=found[0],
        canonical=found[1],
        notices=found[2],
    )


def _whole(spec: DatasetSpec, raw: ad.AnnData) -> tuple[str, tuple[int, int] | None, tuple[str, ...]]:
    """Where the counts are, the size of the canonical data, and what was changed to get there."""
    from bench.data import counts

    try:
        origin = counts.find(raw, spec.layer, f"dataset {spec.name}").origin
    except BadInput as error:
        return "", None, (str(error),)
    try:
        data = canonical.canonicalise(raw, spec)
    except BadInput as error:
        return origin, None, (str(error),)
    return origin, data.shape, tuple(data.uns["notices"])


def _kinds(var: pd.DataFrame) -> list[str]:
    """What every feature measures."""
    for column in COLUMNS:
        if column in var:
            return [modality("" if pd.isna(value) else str(value), column) for value in var[column]]
    return [GENE_EXPRESSION] * len(var)


def _gene_names(var: pd.DataFrame) -> str:
    """What the names of the genes are, and where other names stand; empty where there are no genes."""
    if not len(var):
        return ""
    looked = identify.look(map(str, var.index))
    other: identify.Kind = "ensembl" if looked.kind == "symbol" else "symbol"
    columns = identify.columns_with(var, other)
    return looked.kind + (f"; {other} in var column {', '.join(map(repr, columns))}" if columns else "")


def _column(table: pd.DataFrame, position: int) -> Column:
    column = table.iloc[:, position]
    missing = int(column.isna().sum())
    given = column[~column.isna()]
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        span = f"{given.min():.6g} to {given.max():.6g}" if len(given) else ""
        return Column(str(column.name), str(column.dtype), int(given.nunique()), missing, span)
    texts = [str(value) for value in given]
    counted = Counter(texts)
    most = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:EXAMPLES]
    shown = ", ".join(f"{_short(word)} ({number:,})" for word, number in most)
    if len(counted) == len(texts) > EXAMPLES:
        shown = ", ".join(map(_short, texts[:EXAMPLES]))
    return Column(str(column.name), _kind(column), len(counted), missing, shown)


def _kind(column: pd.Series) -> str:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "category"
    return "text" if column.dtype == object or pd.api.types.is_string_dtype(column.dtype) else str(column.dtype)


def _short(text: str) -> str:
    """At most 40 characters that can be printed."""
    plain = "".join(c if c.isprintable() else "?" for c in text) or "''"
    return plain if len(plain) <= 40 else plain[:39] + "…"
