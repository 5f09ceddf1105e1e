"""The `obs` of canonical data: role columns only, as text, missing values missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.data import names
from bench.data.roles import require_column
from bench.errors import BadInput

if TYPE_CHECKING:
    from bench.data.options import DataOptions

MISSING_WORDS = frozenset({"", "nan", "NaN", "<NA>"})
"""What a missing label turns into when a table is written as text."""


def canonical_obs(obs: pd.DataFrame, roles: Mapping[str, str], where: str, notices: list[str]) -> pd.DataFrame:
    """Role columns as `str` objects (NaN where missing), rows named uniquely.

    Parameters
    ----------
    obs
        Of the source, all its cells.
    roles
        Role -> column.
    where
        The dataset, for messages.
    notices
        What was changed is appended.

    Raises
    ------
    BadInput
        If a column is missing or holds neither text, numbers nor booleans throughout.
    """
    columns = {}
    for role, column in roles.items():
        require_column([str(name) for name in obs.columns], column, where)
        columns[role] = labels(obs[column], role, where, notices)
    named = sorted(role for role, column in roles.items() if role == column)
    if named:
        notices.append(f"roles read from columns of the same name: {', '.join(named)}.")
    return pd.DataFrame(columns, index=cell_names(obs, where, notices), dtype=object)


def cell_names(obs: pd.DataFrame, where: str, notices: list[str]) -> pd.Index:
    """Names of all cells of a source as unique text."""
    unique, changed = names.unique(names.clean(obs.index, f"{where}: cell name"))
    if changed:
        notices.append(f"{len(changed):,} repeated cell names made unique (first: {changed[0]!r}).")
    return pd.Index(unique, dtype=object)


def wanted(obs: pd.DataFrame, totals: np.ndarray, options: DataOptions, where: str, notices: list[str]) -> np.ndarray:
    """Which cells stay: (n_cells,) bool, without those that have no counts or, as chosen, no label.

    Raises
    ------
    BadInput
        If cells are empty under `strict`, cells are unlabelled and not to be dropped, or none is left.
    """
    keep = totals > 0
    empty = obs.index[~keep]
    if len(empty):
        text = f"{len(empty):,} cells have no counts (first: {str(empty[0])!r})"
        if options.strict:
            raise BadInput(f"{where}: {text}; drop them from the file, or leave out --data-set strict=true.")
        notices.append(f"{text}; dropped.")
    if "cell_type" in obs:
        unlabelled = keep & obs["cell_type"].isna().to_numpy()
        if unlabelled.any():
            _settle_unlabelled(int(unlabelled.sum()), options, where, notices)
            keep = keep if options.unlabelled == "keep" else keep & ~unlabelled
    if not keep.any():
        raise BadInput(f"{where} is empty after filtering: 0 of {len(obs):,} cells left ({' '.join(notices)})")
    return keep


def _settle_unlabelled(count: int, options: DataOptions, where: str, notices: list[str]) -> None:
    if options.unlabelled == "error":
        raise BadInput(f"{where}: cell_type is missing for {count:,} cells; use --data-set unlabelled=drop (or keep).")
    fate = "kept, never scored" if options.unlabelled == "keep" else "dropped"
    notices.append(f"{count:,} cells without cell_type {fate}.")


def labels(column: pd.Series, role: str, where: str, notices: list[str]) -> np.ndarray:
    """A column as text: (n_cells,) object array of `str`, NaN where missing.

    Parameters
    ----------
    role
        What the column is, for notices.
    notices
        Where words were read as missing, that is appended.

    Raises
    ------
    BadInput
        If it holds neither text, numbers nor booleans throughout.
    """
    if column.dtype in (np.float16, np.float32):  # 0.1 in four bytes would be "0.10000000149011612"
        column = column.map({value: float(str(value)) for value in column.unique()})
    try:
        codes, values = pd.factorize(column.astype(object))
    except TypeError:  # unhashable: lists, arrays
        codes, values = np.zeros(len(column), dtype=int), np.array([object()], dtype=object)
    texts = np.empty(len(values) + 1, dtype=object)  # the last is for code -1: missing
    texts[:] = [_text(value) for value in values] + [np.nan]
    kinds = {type(value) for value in values}
    mixed = str in kinds and len(kinds) > 1
    bad = [k for k, value in enumerate(values) if texts[k] is None or (mixed and not isinstance(value, str))]
    if bad:
        raise BadInput(
            f"{where}: obs column {str(column.name)!r} has mixed or unsupported values"
            f" ({', '.join(sorted(kind.__name__ for kind in kinds))}; first bad row"
            f" {int(np.flatnonzero(np.isin(codes, bad))[0])}); make it text throughout."
        )
    spelled = [k for k, text in enumerate(texts) if isinstance(text, str) and text.strip() in MISSING_WORDS]
    if spelled:
        notices.append(f"{role} is empty or 'nan' in {np.isin(codes, spelled).sum():,} cells: read as missing.")
        texts[spelled] = np.nan
    return texts[codes]


def _text(value: Any) -> str | None:
    """A label as text: 101.0 is donor "101"; None for what is no label."""
    if isinstance(value, str):
        return names.clean([value], "label")[0]
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return str(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 2**53 else str(number)  # not 1e300 in digits
    return None
