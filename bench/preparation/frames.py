"""Tables of a source as AnnData can write them: columns of one kind, names that HDF5 can take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from bench.data.roles import map_roles
from bench.wording import listed

ORIGINAL = "original_"
"""Before the name of a column that another one replaces."""


def obs_of(
    source: pd.DataFrame, roles: pd.DataFrame, asked: Mapping[str, str], keep_all: bool, notices: list[str]
) -> pd.DataFrame:
    """The columns of a source and those of the roles, as `bench run` finds them again by their names.

    A column that is named like a role without being it is kept as `original_ROLE`.

    Parameters
    ----------
    source
        `obs` as it came.
    roles
        From `bench.data.obs.canonical_obs`: one column per role, for the same cells in the same order.
    asked
        Role -> column of the source.
    keep_all
        Whether columns without a role are kept.
    notices
        What was changed is appended.
    """
    source = source.reset_index(drop=True)  # names may repeat
    columns: dict[str, Any] = {}
    names = [str(name) for name in source.columns]
    taken = {*roles, *map_roles(names, {}, "")}
    for position, name in enumerate(names):
        if name in taken and asked.get(name) != name:
            columns[ORIGINAL + name] = source.iloc[:, position]
        elif name not in roles:
            columns[name] = source.iloc[:, position]
    if not keep_all:
        if columns:
            notices.append(f"{len(columns):,} obs columns that are not a role left out: {listed(columns)}.")
        columns = {}
    elif renamed := [name for name in columns if name.startswith(ORIGINAL) and name not in source.columns]:
        notices.append(f"obs columns named like a role that is read elsewhere, or not at all: now {listed(renamed)}.")
    others = writable(pd.DataFrame(columns, index=source.index), "obs", notices)
    return pd.concat([roles.astype("category"), others.set_axis(roles.index, axis=0)], axis=1)


def var_of(source: pd.DataFrame, var: pd.DataFrame, notices: list[str]) -> pd.DataFrame:
    """The columns of `var`, then those of a source that it does not replace; rows by position."""
    source = source.reset_index(drop=True)  # names may repeat
    names = [str(name) for name in source.columns]
    others = {name: source.iloc[:, k] for k, name in enumerate(names) if name not in var.columns}
    frame = writable(pd.DataFrame(others, index=source.index), "var", notices)
    return pd.concat([var, frame.set_axis(var.index, axis=0)], axis=1)


def writable(frame: pd.DataFrame, what: str, notices: list[str]) -> pd.DataFrame:
    """The same table with columns of one kind each, under names that can be written; what cannot be is left out."""
    columns: dict[str, Any] = {}
    texts, left_out = [], []
    for name in map(str, frame.columns):
        column = frame[name].infer_objects()  # numbers that were joined with nothing are numbers
        if not _printable(name) or name == "_index":
            left_out.append(name)
        elif _is_plain(column):
            columns[name] = column
        else:
            columns[name] = _as_text(column)
            if not all(isinstance(value, str) for value in column.dropna()):
                texts.append(name)
    if texts:
        notices.append(f"{what} columns of mixed values written as text: {listed(texts)}.")
    if left_out:
        notices.append(f"{what} columns with names that cannot be written left out: {listed(left_out)}.")
    return pd.DataFrame(columns, index=frame.index)


def embeddings(obsm: Mapping[str, Any], keep: np.ndarray, notices: list[str]) -> dict[str, np.ndarray]:
    """Tables of numbers in `obsm`, for the cells that are kept."""
    found: dict[str, np.ndarray] = {}
    for key, value in obsm.items():
        array = value.toarray() if sparse.issparse(value) else np.asarray(value)
        if array.ndim == 2 and array.dtype.kind in "biuf" and _printable(str(key)):
            found[str(key)] = array[keep]
    lost = [str(key) for key in obsm if str(key) not in found]
    if lost:
        notices.append(f"obsm left out, being no tables of numbers: {listed(lost)}.")
    return found


def _is_plain(column: pd.Series) -> bool:
    """Numbers and booleans, and text categories that need no change."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return all(isinstance(word, str) and _clean(word) == word for word in column.cat.categories)
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"


def _as_text(column: pd.Series) -> pd.Categorical:
    """A categorical of text, missing where a value is missing."""
    missing = np.array([_is_missing(value) for value in column], dtype=bool)
    values = np.empty(len(column), dtype=object)
    values[:] = [None if gone else _clean(value) for value, gone in zip(column, missing, strict=True)]
    return pd.Categorical(values, categories=sorted({value for value in values if value is not None}))


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value  # NaN alone differs from itself


def _clean(value: object) -> str:
    """Text that HDF5 can hold: valid UTF-8 without NUL."""
    return str(value).encode("utf-8", "replace").decode().replace("\x00", "")


def _printable(name: str) -> bool:
    return bool(name) and "/" not in name and name not in {".", ".."} and name.isprintable()
