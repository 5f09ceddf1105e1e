"""Public `.h5ad` files that need one step more: found in an archive, relabelled, or cut to some donors."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.files import load_h5ad
from bench.data.roles import require_column
from bench.errors import BadInput

if TYPE_CHECKING:
    import anndata as ad

CONTROL = "control"


def load_member(path: str, member: str) -> ad.AnnData:
    """One `.h5ad` of an unpacked archive.

    Parameters
    ----------
    path
        The folder.
    member
        A pattern for the file's name that exactly one file fits, such as `"pbmc*12k*"`; case does not matter.

    Raises
    ------
    BadInput
        If no file or several files fit; the message lists what there is.
    """
    found = sorted(Path(path).rglob("*.h5ad"))
    fitting = [p for p in found if fnmatch.fnmatch(p.stem.lower(), member.lower().removesuffix(".h5ad"))]
    if len(fitting) != 1:
        names = ", ".join(p.name for p in found) or "none"
        raise BadInput(
            f"{len(fitting)} .h5ad files in {path} fit {member!r}; there are: {names}."
            " Choose with --data-set member=NAME."
        )
    return load_h5ad(str(fitting[0]))


def load_perturbed(path: str, column: str, controls: str, separator: str = "", unassigned: str = "") -> ad.AnnData:
    """A screen whose unperturbed cells go by another name than `"control"`.

    Parameters
    ----------
    path
        The file.
    column
        Column of `obs` that names the perturbation of a cell.
    controls
        Comma-separated values (after the cut) of unperturbed cells.
    separator
        Only what stands before its first occurrence counts: guides of one gene then are one perturbation.
    unassigned
        Comma-separated values (after the cut) of cells whose perturbation is not known: read as missing.

    Returns
    -------
    The file, with `obs["perturbation"]`.

    Raises
    ------
    BadInput
        If the file has no such column, or no cell of it is a control.
    """
    import numpy as np

    data = load_h5ad(path)
    require_column([str(name) for name in data.obs.columns], column, Path(path).name)
    column_values = data.obs[column]
    missing = column_values.isna().to_numpy()
    texts = np.array([_before(str(value), separator) for value in column_values], dtype=object)
    texts[np.isin(texts, _words(controls))] = CONTROL
    if not (texts[~missing] == CONTROL).any():
        raise BadInput(f"{Path(path).name}: no cell has {' or '.join(_words(controls))} in obs[{column!r}].")
    texts[missing | np.isin(texts, _words(unassigned))] = np.nan
    data.obs["perturbation"] = texts
    return data


def load_donors(path: str, first_donor: int) -> ad.AnnData:
    """An atlas whose donors are numbered in the order they joined, from one number on.

    Parameters
    ----------
    path
        A file with `obs["donor_id"]` such as `"TSP17"`.
    first_donor
        Donors with a smaller number are left out: those a model may have been pretrained on.

    Raises
    ------
    BadInput
        If donors have no number, or none is left.
    """
    import numpy as np
    import pandas as pd

    data = load_h5ad(path)
    require_column([str(name) for name in data.obs.columns], "donor_id", Path(path).name)
    numbers = pd.to_numeric(data.obs["donor_id"].astype(str).str.extract(r"(\d+)$")[0], errors="coerce")
    if numbers.isna().any():
        raise BadInput(f"{Path(path).name}: {int(numbers.isna().sum()):,} cells have a donor_id without a number.")
    keep = np.asarray(numbers >= first_donor)
    if not keep.any():
        raise BadInput(
            f"{Path(path).name}: no donor from {first_donor} on (the last is {int(numbers.max())});"
            " set --data-set first_donor=NUMBER."
        )
    left = int((~keep).sum())
    data = data[keep].copy()
    if left:
        data.uns["notices"] = [f"{left:,} cells of donors before number {first_donor} left out."]
    return data


def load_protein(path: str, key: str) -> ad.AnnData:
    """Counts of genes in `X` and of antibodies in a table of `obsm`, as one AnnData told apart by `feature_types`.

    Raises
    ------
    BadInput
        If `obsm[key]` is no table with names.
    """
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    data = load_h5ad(path)
    table = data.obsm.get(key)
    if not isinstance(table, pd.DataFrame):
        raise BadInput(f"{Path(path).name}: obsm[{key!r}] is no table of antibody counts with names.")
    var = pd.concat(
        [
            data.var.assign(feature_types="Gene Expression"),
            pd.DataFrame({"feature_types": "Antibody Capture"}, index=[str(name) for name in table.columns]),
        ]
    )
    counts = sparse.hstack([sparse.csr_matrix(data.X), sparse.csr_matrix(table.to_numpy())], format="csr")
    return ad.AnnData(counts, obs=data.obs.copy(), var=var)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _before(text: str, separator: str) -> str:
    return text.partition(separator)[0] if separator else text
