"""Atlases put together from several studies, some of whose `counts` are no counts.

The integration data of scIB (Luecken et al. 2022, 10.1038/s41592-021-01336-8) hold in `layers["counts"]` what
each study published: counts, counts corrected for collisions of molecular barcodes, expected counts, RPKM or
TPM, or values normalised already. Batches of counts are kept, exactly corrected ones are restored, the others
are left out, each with a notice.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.files import load_h5ad
from bench.data.roles import require_column
from bench.errors import BadInput

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np
    from scipy import sparse

BARCODES = 256
"""K: molecular barcodes of four bases, as in CEL-seq and its successor."""
TOLERANCE = 1e-3
"""Largest distance of a restored count from an integer; measured on two batches: below 1e-4."""


def load(path: str, column: str, restore: str, round: str) -> ad.AnnData:
    """The cells of an atlas that have integer counts.

    Parameters
    ----------
    path
        A file with `layers["counts"]`.
    column
        Column of `obs` that names the batch.
    restore
        Comma-separated batches whose values are corrected for collisions: from x molecules seen the number
        of molecules was estimated as x' = -K ln(1 - x / K) (Grun et al. 2014, 10.1038/nmeth.2930), hence
        x = K (1 - exp(-x' / K)). Cells for which that is no integer are left out.
    round
        Comma-separated batches whose values are to be rounded (expected counts of an aligner); such counts
        are an approximation, and only made when asked for.

    Returns
    -------
    `X` CSR float32 counts; `obs` and `var` of the file.

    Raises
    ------
    BadInput
        If there is no such layer, column or batch, or no cell with counts.
    """
    import anndata as ad
    import numpy as np
    from scipy import sparse

    data = load_h5ad(path)
    name = Path(path).name
    if "counts" not in data.layers:
        raise BadInput(f"{name} has no layer 'counts' (layers: {', '.join(map(str, data.layers)) or 'none'}).")
    require_column([str(c) for c in data.obs.columns], column, name)
    batches = data.obs[column].astype(str).to_numpy()
    counts = sparse.csr_matrix(data.layers["counts"], dtype=np.float64)
    chosen = {"restore": _chosen(restore, batches, name), "round": _chosen(round, batches, name)}
    keep, notices = np.zeros(data.n_obs, dtype=bool), []
    for batch in np.unique(batches):
        way = next((way for way, listed in chosen.items() if batch in listed), "")
        notices += _settle(counts, keep, np.flatnonzero(batches == batch), str(batch), way)
    if not keep.any():
        raise BadInput(f"{name}: no batch of obs[{column!r}] holds counts. {' '.join(notices)}")
    whole = sparse.csr_matrix(counts[keep], dtype=np.float32)
    whole.eliminate_zeros()
    return ad.AnnData(whole, obs=data.obs[keep].copy(), var=data.var.copy(), uns={"notices": notices})


def _settle(counts: sparse.csr_matrix, keep: np.ndarray, rows: np.ndarray, batch: str, way: str) -> list[str]:
    """Turn the values of a batch into counts in place, mark the cells that have them, and say what was done."""
    import numpy as np

    places = np.concatenate([np.arange(counts.indptr[row], counts.indptr[row + 1]) for row in rows])
    values = counts.data[places]
    if way == "restore":
        values = BARCODES * (1 - np.exp(-values / BARCODES))
    whole = np.rint(values)
    off = np.abs(values - whole)
    counts.data[places] = whole
    if way == "round":
        keep[rows] = True
        return [f"batch {batch}: values rounded to integers, {np.mean(off > TOLERANCE):.0%} of them were none."]
    if way != "restore" and np.any(off > 0):
        return [f"batch {batch} left out: {len(rows):,} cells whose values are no counts."]
    sizes = np.diff(counts.indptr)[rows]
    cells = np.repeat(np.arange(len(rows)), sizes)
    exact = np.bincount(cells, weights=off > TOLERANCE, minlength=len(rows)) == 0
    keep[rows[exact]] = True
    if way != "restore":
        return []
    lost = f"; {int((~exact).sum()):,} cells left out as not exact" if not exact.all() else ""
    return [f"batch {batch}: counts before the correction for barcode collisions restored (K = {BARCODES}){lost}."]


def _chosen(text: str, batches: np.ndarray, name: str) -> set[str]:
    listed = {word.strip() for word in text.split(",") if word.strip()}
    strange = sorted(listed - set(batches))
    if strange:
        raise BadInput(f"{name} has no batch {strange[0]!r}; it has {', '.join(sorted(set(batches)))}.")
    return listed
