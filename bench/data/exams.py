"""Cells for a model's eyes: built anew from an allow-list, so that nothing else can come along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BadInput

if TYPE_CHECKING:
    import anndata as ad

VAR_COLUMNS = ("gene_symbol", "ensembl_id", "feature_types")
"""What a model may know of a gene beside its name; canonical data has no more."""


def visible_cells(data: ad.AnnData, rows: np.ndarray, obs: Mapping[str, Any] | None = None) -> ad.AnnData:
    """Copy cells with their counts, their genes and nothing else.

    Parameters
    ----------
    data
        Canonical data; shares no memory with the result.
    rows
        Positions of the cells, in the order the result has.
    obs
        Columns that the model may see, already in the order of `rows`.

    Returns
    -------
    AnnData with `X`, the columns `VAR_COLUMNS` of `var`, and `obs`; no layers, obsm, varm, uns or raw.
    """
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    source: Any = data.X
    counts = sparse.csr_matrix(source[rows])
    names = pd.Index([str(name) for name in data.obs_names[rows]])
    genes = pd.Index([str(name) for name in data.var_names])
    known = {c: np.array(data.var[c].astype(str), dtype=object) for c in VAR_COLUMNS if c in data.var}
    columns = {name: pd.Series(np.array(values), index=names) for name, values in (obs or {}).items()}
    return ad.AnnData(
        # new arrays: those of a slice may be windows on larger ones
        X=sparse.csr_matrix((counts.data.copy(), counts.indices.copy(), counts.indptr.copy()), shape=counts.shape),
        obs=pd.DataFrame(columns, index=names),
        var=pd.DataFrame(known, index=genes),
    )


def role_values(data: ad.AnnData, role: str) -> np.ndarray:
    """Values of a role as an object array (n,) of str, None where missing.

    Raises
    ------
    BadInput
        If the data has no such column.
    """
    if role not in data.obs:
        known = ", ".join(map(str, data.obs.columns)) or "none"
        raise BadInput(f"obs has no column {role!r} (columns: {known}); name yours with --obs {role}=COLUMN.")
    column = data.obs[role]
    return np.array([None if gone else str(v) for v, gone in zip(column, column.isna(), strict=True)], dtype=object)


def is_known(values: np.ndarray) -> np.ndarray:
    """Mask (n,) of the values that are not missing."""
    return np.array([value is not None for value in values], dtype=bool)


def hide(values: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Copy of the values with all but the visible ones missing (NaN, as pandas marks it)."""
    hidden = np.array(values, dtype=object)
    hidden[~visible] = np.nan
    return hidden
