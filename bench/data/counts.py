"""Where the integer counts of an AnnData are: found by inspection, or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from scipy import sparse

from bench.data.tally import Tally
from bench.errors import BadInput, unknown

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

_BY = "with --layer (in training --set data.layer)"


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
    tally: Tally = field(default_factory=lambda: Tally(0))


class _Seen(Protocol):
    """What `choose` has to know of a place that was looked at."""

    @property
    def origin(self) -> str: ...
    @property
    def fault(self) -> str: ...


Seen = TypeVar("Seen", bound=_Seen)


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
    look = choose(sources, layer, lambda name: _look(name, sources[name][0]), where)
    return _checked(look, raw, sources, layer=layer, where=where)


def choose(places: Collection[str], layer: str, look: Callable[[str], Seen], where: str) -> Seen:
    """The place that holds the counts, looking at no more places than is needed to know; see `find`.

    Parameters
    ----------
    places
        Names that `layer` takes.
    look
        Looks at a place.
    """
    if layer and layer not in places:
        raise unknown(f"layer of {where}:", layer, places)
    looks: list[Seen] = []
    for stage in [[layer]] if layer else _stages(places):
        seen = [look(name) for name in stage]
        fit = [each for each in seen if not each.fault]
        if len(fit) > 1:
            names = ", ".join(repr(each.origin) for each in fit)
            raise BadInput(f"{where}: several layers hold integers ({names}); say which are counts {_BY}.")
        if fit:
            return fit[0]
        looks += seen
    found = "; ".join(f"{each.origin} {each.fault}" for each in looks) or "X is missing"
    raise BadInput(f"{where}: {found}; give raw counts, and their place {_BY}.")


def require_counts(faults: list[str], where: str) -> None:
    """Refuse integers that are no counts, for what `Tally.faults` found."""
    if faults:
        raise BadInput(f"{where}: {'; '.join(faults)}; give raw counts.")


def notices(origin: str, layer: str, form: str) -> list[str]:
    """What is to be said of where counts were found without being asked for there, and of what was converted.

    Parameters
    ----------
    form
        `"csr"`, `"csc"` or another that scipy knows.
    """
    found = [] if layer or origin == "X" else [f"counts taken from {origin!r}: X holds no integers."]
    return found + ([f"converted {form.upper()} to CSR."] if form != "csr" else [])


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
    matrix = look.matrix
    assert matrix is not None  # as is said above

    def place(position: int) -> tuple[object, object]:
        cell, gene = _place(matrix, position)
        return cells[cell], genes[gene]

    return look.tally.faults(look.origin, place)


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


def _stages(sources: Iterable[str]) -> list[list[str]]:
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
    tally = Tally(matrix.shape[0] * matrix.shape[1])
    tally.add(matrix.data)
    return Look(origin, matrix, tally.fault(), tally)


def _checked(
    look: Look, raw: ad.AnnData, sources: dict[str, tuple[Any, pd.DataFrame]], *, layer: str, where: str
) -> Counts:
    """The counts as float32, once they are known to be non-negative, finite and exact."""
    matrix, (values, var) = look.matrix, sources[look.origin]
    assert matrix is not None  # a look without a fault has a matrix
    require_counts(faults(look, raw.obs_names, var.index), where)
    counts = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    counts.eliminate_zeros()
    return Counts(counts, var, look.origin, tuple(notices(look.origin, layer, getattr(values, "format", "csr"))))


def _place(matrix: sparse.csr_matrix, position: int) -> tuple[int, int]:
    """Row and column of a stored value."""
    return int(np.searchsorted(matrix.indptr, position, side="right")) - 1, int(matrix.indices[position])
