"""Where the counts of an `.h5ad` file are, found by the rules of `bench.data.counts` without reading it whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.data import counts, layout
from bench.data.cells.blocks import Dense, Matrix, Rows, damaged
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
    items = _items(file)
    return counts.choose(items, layer, lambda name: _look(name, items[name], f"{name} of {where}"), where)


def _items(file: h5py.File) -> dict[str, tuple[Any, str]]:
    """Group or dataset, and the table of its genes, by the names that `--layer` takes."""
    found: dict[str, tuple[Any, str]] = {}
    for name in layout.layers(file):
        if name == "X":
            found[name] = (file["X"], "var")
        elif name in file.get("layers", ()):
            found.setdefault(name, (file["layers"][name], "var"))
        else:
            found[name] = (file["raw/X" if "raw/X" in file else "raw.X"], "raw/var")
    return {name: item for name, item in found.items() if getattr(item[0], "shape", ()) is not None}  # None: no X


def _look(name: str, item: tuple[Any, str], where: str) -> Place:
    matrix = _matrix(item[0], where)
    tally = Tally(matrix.shape[0] * matrix.shape[1])
    if matrix.dtype.kind not in "biuf":
        return Place(name, item[1], matrix, tally, f"holds {matrix.dtype}, not numbers")
    for values in watched(matrix.values(), f"checking {where}", matrix.stored, len):
        tally.add(values)
    return Place(name, item[1], matrix, tally, tally.fault())


def _matrix(item: Any, where: str) -> Matrix:
    """A dense dataset, or a sparse group of this or an older way of writing one."""
    if not hasattr(item, "keys"):
        if len(item.shape) != 2:
            raise BadInput(f"{where} is no table of numbers, cells x genes; write the file again with anndata.")
        return Dense(where, item)
    form = str(item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", ""))).removesuffix("_matrix")
    shape = np.asarray(item.attrs.get("shape", item.attrs.get("h5sparse_shape", ())))
    forms: dict[str, type[Rows] | type[Columns]] = {"csr": Rows, "csc": Columns}
    if form not in forms or shape.shape != (2,) or any(name not in item for name in ("data", "indices", "indptr")):
        raise BadInput(f"{where} is no matrix as anndata writes it; write the file again with anndata.")
    arrays = [item[name] for name in ("data", "indices", "indptr")]
    if not all(hasattr(array, "dtype") for array in arrays):
        raise damaged(where, "its arrays are groups")
    return forms[form](where, (int(shape[0]), int(shape[1])), *arrays)
