"""Where the counts of an `.h5ad` file are, found by the rules of `bench.data.counts` without reading it whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.data import counts, layout
from bench.data.cells import tables
from bench.data.cells.blocks import Dense, Matrix, Rows
from bench.data.cells.columns import Columns
from bench.data.cells.progress import watched
from bench.data.tally import Tally
from bench.errors import BadInput

if TYPE_CHECKING:
    import h5py


@dataclass(frozen=True)
class Place:
    """A place where counts could be, all its values seen."""

    origin: str
    """`X`, the name of a layer, or `raw`."""
    var: str
    """The table of its genes in the file."""
    matrix: Matrix
    tally: Tally
    fault: str
    """Why these are not counts; empty where every finite value is an integer."""


def find(file: h5py.File, layer: str, where: str) -> Place:
    """The matrix of counts, integers all of them; `bench.data.counts.find` says which it is, and what is raised.

    Whether they are negative, not finite or too large is in its `tally`.
    """
    try:
        items = _items(file)
    except (KeyError, TypeError) as error:
        raise BadInput(f"{where} is not AnnData as anndata writes it ({error}); write it again.") from None
    n_cells = tables.shape(file, "obs", where)[0]

    def look(name: str) -> Place:
        item, var = items[name]
        return _look(name, var, _matrix(item, f"{name} of {where}", (n_cells, tables.shape(file, var, where)[0])))

    return counts.choose(items, layer, look, where)


def _items(file: h5py.File) -> dict[str, tuple[Any, str]]:
    """Group or dataset, and the table of its genes, by the names that `--layer` takes."""
    found: dict[str, tuple[Any, str]] = {}
    for name in layout.layers(file):
        if name == "X" and "X" in file:
            found[name] = (file["X"], "var")
        elif name in file.get("layers", ()):
            found.setdefault(name, (file["layers"][name], "var"))
        else:
            found[name] = (file["raw/X" if "raw/X" in file else "raw.X"], "raw/var")
    return {name: item for name, item in found.items() if getattr(item[0], "shape", ()) is not None}  # None: no X


def _look(origin: str, var: str, matrix: Matrix) -> Place:
    tally = Tally(matrix.shape[0] * matrix.shape[1])
    if matrix.dtype.kind not in "biuf":
        return Place(origin, var, matrix, tally, f"holds {matrix.dtype}, not numbers")
    for values in watched(matrix.values(), f"checking {matrix.where}", matrix.stored, len):
        tally.add(values)
    return Place(origin, var, matrix, tally, tally.fault())


def _matrix(item: Any, where: str, shape: tuple[int, int]) -> Matrix:
    """A dense dataset, or a sparse group of this or an older way of writing one, as large as its tables say.

    Those have been found to fit into memory: so will a cell, or the ends of the genes.
    """
    if not hasattr(item, "keys"):
        _require_shape(where, item.shape, shape)
        return Dense(where, item)
    form = item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", ""))
    form = (form.decode(errors="replace") if isinstance(form, bytes) else str(form)).removesuffix("_matrix")
    forms: dict[str, type[Rows] | type[Columns]] = {"csr": Rows, "csc": Columns}
    arrays = [item.get(name) for name in ("data", "indices", "indptr")]
    if form not in forms or not all(hasattr(array, "dtype") for array in arrays):
        raise BadInput(f"{where} is no matrix as anndata writes it; write the file again with anndata.")
    _require_shape(where, item.attrs.get("shape", item.attrs.get("h5sparse_shape", ())), shape)
    return forms[form](where, shape, *arrays)


def _require_shape(where: str, found: Any, shape: tuple[int, int]) -> None:
    if tuple(np.asarray(found).tolist()) != shape:
        raise BadInput(f"{where} is not as long and wide as obs and var; write the file again with anndata.")
