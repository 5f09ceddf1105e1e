"""`obs` and `var` of an `.h5ad` file, and the columns of `obs` as numbers that training reads from disk."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.data import layout
from bench.data.obs import labels
from bench.errors import BadInput

if TYPE_CHECKING:
    import h5py

MOST_WORDS = 65_536
"""Categories of a column of text; with more it names cells, not groups of them."""
MOST_NUMBERS = 1000
"""Different values of a column of numbers that may be donors, time points or doses; with more it measures."""


@dataclass(frozen=True)
class Coded:
    """A column of `obs` as numbers."""

    name: str
    codes: np.ndarray
    """int32 (n_cells,), -1 where missing."""
    categories: tuple[str, ...]
    """Sorted."""


def read(file: h5py.File, name: str, where: str) -> pd.DataFrame:
    """A table of an opened file: `"obs"`, `"var"`, or `"raw/var"`, in any way that anndata has written it.

    Raises
    ------
    BadInput
        If it is missing, or not a table of anndata.
    """
    import anndata as ad

    item = _item(file, name, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old formats
            table = ad.io.read_elem(item) if hasattr(item, "keys") else _before_07(item)
    except MemoryError:
        raise
    except Exception as error:  # whatever anndata meets in a damaged or exotic table is about the table
        reason = (str(error).splitlines() or [""])[0][:200]
        raise BadInput(f"anndata cannot read {name} of {where}: {reason}; write the file again.") from None
    if not isinstance(table, pd.DataFrame):
        raise BadInput(f"{name} of {where} is no table; write the file again with anndata.")
    return table


def shape(file: h5py.File, name: str, where: str) -> tuple[int, int]:
    """Number of rows and columns of a table, without reading it; raises as `read` does."""
    item = _item(file, name, where)
    try:
        return layout.length(item), len(layout.columns(item))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise BadInput(f"{name} of {where} is no table; write the file again with anndata.") from None


def coded(obs: pd.DataFrame, where: str, notices: list[str]) -> list[Coded]:
    """The columns of text, categories or booleans, and of numbers of which there are few.

    Parameters
    ----------
    obs
        Of the cells that are kept: categories of others are none.
    where
        The file, for messages.
    notices
        Columns that cannot be coded, with the reason, are appended, as are words that mean missing.
    """
    found = []
    for name in map(str, obs.columns):
        column = obs[name]
        most = MOST_NUMBERS if _measures(column) else MOST_WORDS
        try:
            few = column.nunique() <= most
            texts = pd.Categorical(labels(column, name, where, notices)) if few else None
        except BadInput as error:  # it may never be asked for: no reason to refuse the file
            notices.append(f"{error} Not offered as a label or covariate.")
            continue
        if texts is not None:
            found.append(Coded(name, texts.codes.astype(np.int32), tuple(texts.categories)))
    return found


def storable(obs: pd.DataFrame, codes: list[Coded]) -> pd.DataFrame:
    """`obs` as Parquet can hold it: numbers as they are, the rest as categories or text, missing values missing."""
    by_name = {column.name: column for column in codes}
    columns: dict[str, Any] = {}
    for name in map(str, obs.columns):
        if _measures(obs[name]):
            columns[name] = obs[name]
        elif name in by_name:
            columns[name] = pd.Categorical.from_codes(by_name[name].codes, list(by_name[name].categories))
        else:
            columns[name] = obs[name].astype(object).map(str, na_action="ignore")
    return pd.DataFrame(columns, index=obs.index)


def _item(file: h5py.File, name: str, where: str) -> Any:
    """Group or dataset of a table; before anndata 0.7 `raw/var` was `raw.var`."""
    item = file.get(name, file.get(name.replace("/", ".")))
    if item is None:
        raise BadInput(f"{where} has no {name}; write the file again with anndata.")
    return item


def _measures(column: pd.Series) -> bool:
    """Whether a column holds numbers of a kind that Parquet knows, booleans not among them."""
    return pd.api.types.is_integer_dtype(column) or str(column.dtype).lower() in {"float32", "float64"}


def _before_07(table: h5py.Dataset) -> pd.DataFrame:
    """One compound table, the first column the index, categories in `uns` (anndata before 0.7)."""
    records = table[()]
    columns = {name: _texts(records[name]) for name in records.dtype.names}
    frame = pd.DataFrame(columns).set_index(records.dtype.names[0])
    for name in frame:
        words = table.file.get(f"uns/{name}_categories")
        codes = frame[name].to_numpy()
        if hasattr(words, "shape") and codes.dtype.kind in "iu":
            categories = _texts(np.atleast_1d(words[()]))
            if (codes < len(categories)).all():  # else they are those of a column of the same name in var
                frame[name] = pd.Categorical.from_codes(codes, list(categories))
    return frame


def _texts(values: np.ndarray) -> np.ndarray:
    """Bytes as text, other values as they are."""
    if values.dtype.kind not in "SO":
        return values
    texts = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in values.tolist()]
    return np.array(texts, dtype=object)
