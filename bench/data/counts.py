"""Where the integer counts of an AnnData are: found by inspection, or refused with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from bench.errors import BadInput, unknown

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

LARGEST = 2**24
"""Largest count float32 holds exactly together with all smaller ones."""


@dataclass(frozen=True)
class Counts:
    """The counts of a source."""

    matrix: sparse.csr_matrix
    """(n_cells, n_genes) float32, sorted indices, no stored zeros; a copy."""
    var: pd.DataFrame
    """Of the genes of `matrix`: `raw` may have other genes than `X`."""
    origin: str
    """`X`, the name of a layer, or `raw`."""
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """One place where counts could be, looked at."""

    origin: str
    """`X`, the name of a layer, or `raw`."""
    matrix: sparse.csr_matrix | None
    """None where there are no numbers, or a damaged matrix."""
    fault: str
    """Why these are not counts; empty where every finite value is an integer."""


def find(raw: ad.AnnData, layer: str, where: str) -> Counts:
    """The counts of a dataset.

    With `layer`: that place. Otherwise the first that holds integers of `X`, `layers["counts"]`, the only
    other layer with integers, `raw.X`.

    Parameters
    ----------
    raw
        As the source gave it.
    layer
        `"X"`, the name of a layer, `"raw"`, or empty.
    where
        The dataset, for messages.

    Raises
    ------
    BadInput
        If no place holds integers, several layers could, or the integers are negative, not finite, or
        larger than float32 holds exactly.
    """
    sources = _sources(raw)
    if layer and layer not in sources:
        raise unknown(f"layer of {where}:", layer, sources)
    looks: list[Look] = []
    for stage in [[layer]] if layer else _stages(sources):
        seen = [_look(name, sources[name][0]) for name in stage]
        fit = [look for look in seen if not look.fault]
        if len(fit) > 1:
            names = ", ".join(repr(look.origin) for look in fit)
            raise BadInput(f"{where}: several layers hold integers ({names}); say which are counts with --layer.")
        if fit:
            return _checked(fit[0], raw, sources, named=bool(layer), where=where)
        looks += seen
    found = "; ".join(f"{look.origin} {look.fault}" for look in looks) or "X is missing"
    raise BadInput(f"{where}: {found}; give raw counts, and their place with --layer.")


def survey(raw: ad.AnnData, layer: str = "") -> list[Look]:
    """Every place where counts could be, in the order `find` tries them; only `layer` where it is named and exists."""
    sources = _sources(raw)
    places = [layer] if layer in sources else [name for stage in _stages(sources) for name in stage]
    return [_look(name, sources[name][0]) for name in places]


def faults(look: Look, cells: pd.Index, genes: pd.Index) -> list[str]:
    """What is wrong with integers that are to be counts: not finite, negative, too large; with number and first place.

    Parameters
    ----------
    look
        With a matrix.
    cells, genes
        Names of its rows and columns.
    """
    matrix, found = look.matrix, []
    assert matrix is not None  # as is said above
    for bad, kind in (
        (~np.isfinite(matrix.data), "NaN or infinite"),
        (matrix.data < 0, "negative"),
        (matrix.data > LARGEST, f"too large (above {LARGEST:,}) to be"),
    ):
        if bad.any():
            cell, gene = _first(matrix, bad)
            place = f"cell {str(cells[cell])!r}, gene {str(genes[gene])!r}"
            found.append(f"{look.origin} has {np.count_nonzero(bad):,} {kind} values (first: {place})")
    return found


def _sources(raw: ad.AnnData) -> dict[str, tuple[Any, pd.DataFrame]]:
    """Places by the names `--layer` takes."""
    sources: dict[str, tuple[Any, pd.DataFrame]] = {}
    if raw.X is not None:
        sources["X"] = (raw.X, raw.var)
    for name, values in raw.layers.items():
        sources.setdefault(str(name), (values, raw.var))
    if raw.raw is not None:
        sources.setdefault("raw", (raw.raw.X, raw.raw.var))
    return sources


def _stages(sources: dict[str, Any]) -> list[list[str]]:
    stages = [["X"], ["counts"], [name for name in sources if name not in {"X", "counts", "raw"}], ["raw"]]
    return [[name for name in stage if name in sources] for stage in stages]


def _look(origin: str, values: Any) -> Look:
    dtype = np.dtype(getattr(values, "dtype", object))
    if dtype.kind not in "biuf":
        return Look(origin, None, f"holds {dtype}, not numbers")
    matrix = sparse.csr_matrix(values)
    try:
        matrix.check_format(full_check=True)  # indices from a file may point outside the matrix
    except ValueError as error:
        return Look(origin, None, f"is a damaged sparse matrix ({error})")
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return Look(origin, matrix, _not_integers(matrix))


def _not_integers(matrix: sparse.csr_matrix) -> str:
    """Why the finite values are not integers; empty where they are."""
    if matrix.dtype.kind != "f":
        return ""
    values = matrix.data[np.isfinite(matrix.data)]
    fractional = values != np.rint(values)
    if not fractional.any():
        return ""
    low, high = (min(values.min(), 0), max(values.max(), 0)) if matrix.nnz < _size(matrix) else _range(values)
    share = 100 * np.count_nonzero(fractional) / np.count_nonzero(values)
    return f"is not integer counts (min {low:.4g}, max {high:.4g}, {share:.3g}% of its values non-integer)"


def _size(matrix: sparse.csr_matrix) -> int:
    return matrix.shape[0] * matrix.shape[1]


def _range(values: np.ndarray) -> tuple[float, float]:
    return values.min(), values.max()


def _checked(
    look: Look, raw: ad.AnnData, sources: dict[str, tuple[Any, pd.DataFrame]], *, named: bool, where: str
) -> Counts:
    """The counts as float32, once they are known to be non-negative, finite and exact."""
    matrix, (values, var) = look.matrix, sources[look.origin]
    assert matrix is not None  # a look without a fault has a matrix
    wrong = faults(look, raw.obs_names, var.index)
    if wrong:
        raise BadInput(f"{where}: {'; '.join(wrong)}; give raw counts.")
    counts = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    counts.eliminate_zeros()
    notices = [] if named or look.origin == "X" else [f"counts taken from {look.origin!r}: X holds no integers."]
    if getattr(values, "format", "csr") != "csr":
        notices.append(f"converted {values.format.upper()} to CSR.")
    return Counts(counts, var, look.origin, tuple(notices))


def _first(matrix: sparse.csr_matrix, bad: np.ndarray) -> tuple[int, int]:
    """Row and column of the first stored value that is marked."""
    position = int(np.flatnonzero(bad)[0])
    return int(np.searchsorted(matrix.indptr, position, side="right")) - 1, int(matrix.indices[position])
