"""The 700 PBMC that scanpy ships, as counts, and a semi-simulated batch effect on them.

The file holds `X` (scaled) and `raw` (log1p of counts per 10,000 UMI of the whole transcriptome), of 765
variable genes. A cell's UMI total over all genes is in `obs["n_counts"]`, so that

    count = expm1(raw) * n_counts / 10,000

is an integer up to the rounding of float32. The panel holds only 11 to 28 % of a cell's UMI, so neither the
sum over it nor 10,000 can stand in for `n_counts`.
"""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
from scipy import sparse

from bench.data.files import load_h5ad
from bench.errors import BadInput

TARGET_SUM = 1e4
TOLERANCE = 1e-3
"""Largest relative distance of a recovered count from an integer; measured: 7.6e-4."""


def load(path: str) -> ad.AnnData:
    """Integer counts of the shipped file.

    Parameters
    ----------
    path
        scanpy's `10x_pbmc68k_reduced.h5ad`.

    Returns
    -------
    `X` (700 cells x 765 genes) CSR float32 counts, `obs["bulk_labels"]`: the type whose bulk profile a
    cell resembles most.

    Raises
    ------
    BadInput
        If the file is another one: no `raw`, no `n_counts`, or no integers behind it.
    """
    shipped = load_h5ad(path)
    if shipped.raw is None or "n_counts" not in shipped.obs:
        raise BadInput(f"{path} is not the file scanpy ships: no raw or no obs['n_counts']; reinstall scanpy.")
    counts, residual = recovered(shipped.raw.X, shipped.obs["n_counts"].to_numpy())
    if residual > TOLERANCE:
        raise BadInput(
            f"{path}: no integer counts behind raw (relative residual {residual:.1e}, limit {TOLERANCE});"
            " reinstall scanpy."
        )
    var = shipped.raw.var.iloc[:, :0]
    notice = f"counts recovered from raw (log1p of counts per 10,000); relative residual {residual:.1e}."
    return ad.AnnData(counts, obs=shipped.obs[["bulk_labels"]].copy(), var=var.copy(), uns={"notices": [notice]})


def recovered(normalised: Any, totals: np.ndarray) -> tuple[sparse.csr_matrix, float]:
    """Counts behind log1p of counts per 10,000.

    Parameters
    ----------
    normalised
        (n_cells, n_genes), sparse or dense.
    totals
        (n_cells,) UMI of each cell over all genes, also those not in `normalised`.

    Returns
    -------
    CSR float32 counts, and the largest relative distance of one from an integer.
    """
    matrix = sparse.csr_matrix(normalised, dtype=np.float64)
    exact = np.expm1(matrix.data) * np.repeat(totals / TARGET_SUM, np.diff(matrix.indptr))
    whole = np.rint(exact)
    residual = float(np.max(np.abs(exact - whole) / np.maximum(whole, 1), initial=0))
    counts = sparse.csr_matrix((whole.astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)
    return counts, residual


def load_semisimulated(path: str, strength: float, seed: int) -> ad.AnnData:
    """The cells of `load` in two disjoint random halves, the second of them thinned.

    Every UMI of gene g in half "b" survives with probability

        min(1, exp(strength * (z_g - 1))),  z_g ~ Normal(0, 1)

    (binomial thinning with log-normal factors, capped at 1), so counts stay counts. `strength` 0 removes
    nothing: the halves then differ by chance alone. Both halves hold all types in about equal parts, and
    no cell is in both.

    Raises
    ------
    BadInput
        If the strength is negative, or the file is refused.
    """
    if not strength >= 0:
        raise BadInput(f"dataset pbmc68k-semisim: strength {strength} must be 0 or more.")
    cells = load(path)
    random = np.random.default_rng(seed)
    in_b = np.zeros(cells.n_obs, dtype=bool)
    in_b[random.permutation(cells.n_obs)[: cells.n_obs // 2]] = True
    survival = np.minimum(1, np.exp(strength * (random.standard_normal(cells.n_vars) - 1)))
    counts: Any = cells.X.copy()
    thinned = np.repeat(in_b, np.diff(counts.indptr))
    full = counts.data[thinned].astype(np.int64)
    counts.data[thinned] = random.binomial(full, survival[counts.indices[thinned]])
    counts.eliminate_zeros()
    cells.X = counts
    cells.obs["half"] = np.where(in_b, "b", "a")
    cells.uns["notices"] = [
        *cells.uns["notices"],
        f"semi-simulated: half 'b' thinned, on average {survival.mean():.0%} of a gene's UMI kept.",
    ]
    return cells
