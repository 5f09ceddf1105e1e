"""Canonical AnnData: the one form in which tasks and models get data.

- `X`: CSR float32 holding non-negative integer counts, sorted indices, every cell with a count
- `obs`: role columns only (see `bench.specs.ROLES`), as `str`, NaN where missing; unique names
- `var`: `gene_symbol`, `ensembl_id` (empty: missing), `feature_types` (10x words); unique names
- `uns["notices"]`: sentences that say what was changed to get there; they are stored with every run
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from bench import config
from bench.data import counts, genes, safety
from bench.data import obs as cells
from bench.data.identity import content_sha256
from bench.data.options import DataOptions
from bench.errors import BadInput, unknown
from bench.specs import DatasetSpec, load_target


def load(spec: DatasetSpec) -> ad.AnnData:
    """Load a dataset and make it canonical.

    Raises
    ------
    BadInput
        If its parameters, file or content are refused, or the file is not the one the spec was made of.
    """
    return canonicalise(_source(spec), spec)


def canonicalise(raw: ad.AnnData, spec: DatasetSpec) -> ad.AnnData:
    """A new, canonical AnnData (see the module) of what a dataset's loader returned.

    Parameters
    ----------
    raw
        Counts anywhere, any columns; sentences in `uns["notices"]` are taken over. Not changed.
    spec
        Says which columns have which role, where the counts are, and what to do with imperfect data.

    Raises
    ------
    BadInput
        With what is wrong, where, and how to mend it.
    """
    where = f"dataset {spec.name}"
    options: DataOptions = config.build(DataOptions, spec.options, where)
    if 0 in raw.shape:
        raise BadInput(f"{where} is empty: {raw.n_obs:,} cells x {raw.n_vars:,} genes; give one with both.")
    notices = [str(notice) for notice in raw.uns.get("notices", ())]
    found = counts.find(raw, spec.layer, where)
    notices += found.notices
    var = genes.canonical_var(found.var, options, where, notices)
    matrix, var = genes.settle_duplicates(found.matrix, var, options.duplicate_genes, where, notices)
    obs = cells.canonical_obs(raw.obs, spec.roles, where, notices)
    keep = cells.wanted(obs, _totals(matrix, axis=1), options, where, notices)
    return _assemble(matrix[keep], obs[keep], var, notices)


def load_embedding(spec: DatasetSpec, key: str) -> tuple[Sequence[str], np.ndarray]:
    """An embedding the dataset brings with it.

    Returns
    -------
    Names of all cells of the source, as canonical data names them (a superset of its cells where some were
    dropped), and float32 (n_cells, n_dims).

    Raises
    ------
    BadInput
        If `obsm` has no such key, or what is there is not a table of numbers.
    """
    raw = _source(spec)
    where = f"dataset {spec.name}"
    if key not in raw.obsm:
        raise unknown(f"embedding of {where}:", key, map(str, raw.obsm), "These are the keys of its obsm.")
    value: Any = raw.obsm[key]
    array = value.toarray() if sparse.issparse(value) else np.asarray(value)
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "biuf":
        raise BadInput(
            f"{where}: obsm[{key!r}] is {array.dtype} {array.shape}; give a table of numbers, cells x width."
        )
    return tuple(cells.cell_names(raw.obs, where, [])), array.astype(np.float32)


def _source(spec: DatasetSpec) -> ad.AnnData:
    """What the dataset's own loader returns, in memory."""
    where = f"dataset {spec.name}"
    loader = load_target(spec.target)
    try:
        inspect.signature(loader).bind(**spec.params)
    except TypeError as error:
        raise BadInput(f"{where}: {error}; see bench show dataset {spec.name}.") from None
    if spec.sha256 and "path" in spec.params and content_sha256(spec) != spec.sha256:
        raise BadInput(f"{where}: {spec.params['path']} is not the file it was (sha256 differs); plan the run again.")
    raw = loader(**spec.params)
    if not isinstance(raw, ad.AnnData):
        raise BadInput(f"{where}: {spec.target} returned {type(raw).__name__}; it must return an AnnData.")
    return _in_memory(raw) if raw.isbacked else raw


def _in_memory(raw: ad.AnnData) -> ad.AnnData:
    """What a loader has opened on disk; every task needs it whole."""
    safety.check(Path(str(raw.filename)))  # says so if it is too large
    data = raw.to_memory()
    data.uns["notices"] = [*data.uns.get("notices", ()), "opened on disk (backed): read into memory."]
    return data


def _totals(matrix: sparse.csr_matrix, axis: int) -> np.ndarray:
    return np.asarray(matrix.sum(axis=axis, dtype=np.float64)).ravel()


def _assemble(matrix: sparse.csr_matrix, obs: pd.DataFrame, var: pd.DataFrame, notices: list[str]) -> ad.AnnData:
    matrix.sort_indices()
    silent = int((_totals(matrix, axis=0) == 0).sum())
    if silent:
        notices.append(f"{silent:,} genes have no counts in any cell; kept.")
    return ad.AnnData(X=matrix, obs=obs, var=var, uns={"notices": notices})
