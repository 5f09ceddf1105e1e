"""Matrices as 10x Genomics' Cell Ranger writes them: HDF5 and Matrix Market.

Layout of the HDF5 file (as scanpy 1.11 `readwrite.py` reads it): group `matrix` with `data, indices, indptr,
shape` (features x cells, by cells) and `barcodes`, and `features` with `id, name, feature_type`.
A Matrix Market folder holds `matrix.mtx`, `barcodes.tsv` and `genes.tsv` (Cell Ranger 2: id, name) or
`features.tsv` (3 and later: id, name, type), each possibly gzipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data import safety
from bench.errors import BadInput

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np
    import pandas as pd

_H5 = (
    "matrix/data", "matrix/indices", "matrix/indptr", "matrix/shape", "matrix/barcodes",
    "matrix/features/id", "matrix/features/name", "matrix/features/feature_type",
)  # fmt: skip

_BYTES_PER_ENTRY = 32
"""Of a Matrix Market file while it is read: row, column and value, then the same as CSR."""


def load_h5(path: str) -> ad.AnnData:
    """All features of a filtered feature-barcode matrix.

    Parameters
    ----------
    path
        A file of Cell Ranger 3 or later, or of Cell Ranger ARC.

    Returns
    -------
    `X` CSR (n_cells, n_features) counts; `var` indexed by name, with `gene_ids` and `feature_types`.

    Raises
    ------
    BadInput
        If the file is another one or damaged.
    """
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    from bench_datasets.loaders import hdf5

    found = hdf5.read_arrays(Path(path), _H5)
    parts = {name.rpartition("/")[2]: values for name, values in found.items()}
    try:
        n_features, n_cells = (int(n) for n in parts["shape"])
        matrix = sparse.csr_matrix((parts["data"], parts["indices"], parts["indptr"]), shape=(n_cells, n_features))
        matrix.check_format(full_check=True)
        var = pd.DataFrame(
            {"gene_ids": _of_genes(parts["id"], parts["feature_type"]), "feature_types": parts["feature_type"]},
            index=pd.Index(parts["name"]),
        )
        return ad.AnnData(matrix, obs=pd.DataFrame(index=pd.Index(parts["barcodes"])), var=var)
    except ValueError as error:
        raise BadInput(f"{path} is a damaged 10x matrix ({error}); delete it and fetch it again.") from None


def load_mtx(path: str) -> ad.AnnData:
    """The one Matrix Market folder below a folder.

    Parameters
    ----------
    path
        Where a `.tar.gz` of 10x was unpacked.

    Raises
    ------
    BadInput
        If there is no such folder below it, or more than one, or its files do not go together.
    """
    found = sorted(p for p in Path(path).rglob("*matrix.mtx*") if p.is_file())
    if len(found) != 1:
        raise BadInput(f"{path} holds {len(found)} files matrix.mtx where one was expected; fetch it again.")
    features = _beside(found[0], ("features.tsv", "genes.tsv"))
    return read_mtx(found[0], _beside(found[0], ("barcodes.tsv",)), features)


def load_labelled_mtx(path: str, labels: str, column: str) -> ad.AnnData:
    """A Matrix Market folder, with labels from an `.h5ad` beside it that holds the same barcodes.

    Parameters
    ----------
    path
        Folder of both.
    labels
        Name of the `.h5ad`.
    column
        Column of its `obs` to take over; cells it does not have stay unlabelled.

    Raises
    ------
    BadInput
        If a file is missing or has no such column, or no barcode is in both.
    """
    from bench.data.files import load_h5ad
    from bench.data.roles import require_column

    cells, labelled = load_mtx(path), load_h5ad(str(Path(path) / labels))
    require_column([str(name) for name in labelled.obs.columns], column, labels)
    cells.obs[column] = labelled.obs[column].astype(object).reindex(cells.obs_names)
    if cells.obs[column].isna().all():
        raise BadInput(f"{path}: no barcode of {labels} is among the cells; fetch both again.")
    return cells


def read_mtx(matrix: Path, barcodes: Path, features: Path) -> ad.AnnData:
    """One Matrix Market matrix (features x cells, or the other way round) with its names.

    Raises
    ------
    BadInput
        If a file is damaged, or the matrix has another shape than the names.
    """
    import anndata as ad
    import pandas as pd
    from scipy import io, sparse

    cells, named = _table(barcodes), _table(features)
    try:
        _require_sparse(matrix, *io.mminfo(matrix)[2:5])
        values: Any = io.mmread(matrix)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{matrix} is not a Matrix Market file ({error}); delete it and fetch it again.") from None
    wanted = (len(cells), len(named))
    if values.shape == wanted[::-1]:
        values = values.T
    if values.shape != wanted:
        raise BadInput(f"{matrix} is {values.shape}, but there are {wanted[0]:,} cells and {wanted[1]:,} features.")
    var = pd.DataFrame(index=pd.Index(named.iloc[:, min(1, named.shape[1] - 1)].to_numpy(dtype=object)))
    if named.shape[1] > 2:
        var["feature_types"] = named[2].to_numpy(dtype=object)
    if named.shape[1] > 1:
        var["gene_ids"] = _of_genes(named[0].to_numpy(dtype=object), var.get("feature_types"))
    obs = pd.DataFrame(index=pd.Index(cells[0].to_numpy(dtype=object)))
    return ad.AnnData(sparse.csr_matrix(values), obs=obs, var=var)


def _require_sparse(matrix: Path, entries: int, layout: str, field: str) -> None:
    """Refuse what counts are never written as, and a number of entries that the memory does not hold."""
    if layout != "coordinate" or field == "complex":
        raise BadInput(f"{matrix} is of layout {layout} and type {field}, as counts never are; fetch it again.")
    needed, available = entries * _BYTES_PER_ENTRY, safety.available_memory()
    if needed > available:
        raise BadInput(
            f"{matrix} holds {entries:,} entries, which need {needed / 2**30:,.1f} GiB in memory, and"
            f" {available / 2**30:,.1f} GiB are available; use a larger machine."
        )


def stacked(parts: Mapping[str, ad.AnnData], column: str) -> ad.AnnData:
    """Cells of several runs below each other.

    Parameters
    ----------
    parts
        Run -> its cells; barcodes are unique within a run only and get it as a suffix.
    column
        Column of `obs` that names the run.

    Raises
    ------
    BadInput
        If the runs do not have the same features in the same order.
    """
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    runs = list(parts.values())
    for run, cells in parts.items():
        if not cells.var_names.equals(runs[0].var_names):
            raise BadInput(f"run {run} has other features than the first; fetch the files again.")
    obs = pd.concat(
        [
            c.obs.set_axis(pd.Index([f"{n}-{run}" for n in c.obs_names])).assign(**{column: run})
            for run, c in parts.items()
        ]
    )
    return ad.AnnData(sparse.vstack([c.X for c in runs], format="csr"), obs=obs, var=runs[0].var.copy())


def joined(left: ad.AnnData, right: ad.AnnData) -> ad.AnnData:
    """Two kinds of features side by side, for the cells both have, in the order of the first."""
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    shared = left.obs_names[left.obs_names.isin(right.obs_names)]
    left, right = left[shared], right[shared]
    var = pd.concat([left.var, right.var])
    return ad.AnnData(sparse.hstack([left.X, right.X], format="csr"), obs=left.obs.copy(), var=var)


def antibodies(counts: Any, cells: pd.Index, names: list[str]) -> ad.AnnData:
    """Counts (n_cells, n_antibodies) as AnnData."""
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    var = pd.DataFrame({"feature_types": "Antibody Capture"}, index=pd.Index(names))
    return ad.AnnData(sparse.csr_matrix(counts), obs=pd.DataFrame(index=cells), var=var)


def _of_genes(ids: np.ndarray, kinds: Any) -> np.ndarray:
    """The ids of genes, empty for other features, whose "id" is a place on a chromosome or the name of a tag."""
    import numpy as np

    return ids if kinds is None else np.where(np.asarray(kinds) == "Gene Expression", ids, "")


def _beside(matrix: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        for path in (matrix.with_name(name), matrix.with_name(f"{name}.gz")):
            if path.is_file():
                return path
    raise BadInput(f"{matrix.parent} has no {' or '.join(names)}; fetch it again.")


def _table(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path, sep="\t", header=None, dtype=str, keep_default_na=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path} is not a table of names ({error}); delete it and fetch it again.") from None
