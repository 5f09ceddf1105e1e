"""Quality of cells and genes, in the words of scanpy, and the filters on it.

Metrics are those of `scanpy.pp.calculate_qc_metrics`, over all features that measure genes and before any gene is
dropped: `n_genes_by_counts`, `total_counts`, `total_counts_mt`, `pct_counts_mt`. So it does not matter in which order
the filters of cells are applied; a cell is booked under the first that it fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.errors import BadInput
from bench.preparation.options import MIN_GENES, Options
from bench.preparation.report import Account

if TYPE_CHECKING:
    from scipy import sparse

COLUMNS = ("n_genes_by_counts", "total_counts", "total_counts_mt", "pct_counts_mt")


def metrics(counts: sparse.csr_matrix, genes: np.ndarray, mitochondrial: np.ndarray) -> pd.DataFrame:
    """The quality of every cell.

    Parameters
    ----------
    counts
        (n_cells, n_features) float32.
    genes, mitochondrial
        (n_features,) bool: features that measure genes, and those of them that are mitochondrial.

    Returns
    -------
    (n_cells, 4) table of `COLUMNS`; without the last two where no gene is mitochondrial, without any where no
    feature measures a gene.
    """
    import anndata as ad
    import scanpy as sc

    if not genes.any():
        return pd.DataFrame(index=range(counts.shape[0]))
    names = pd.Index([str(k) for k in range(int(genes.sum()))])
    data = ad.AnnData(counts[:, genes], var=pd.DataFrame({"mt": mitochondrial[genes]}, index=names))
    with_mt = ["mt"] if mitochondrial.any() else []
    cells, _ = sc.pp.calculate_qc_metrics(data, qc_vars=with_mt, percent_top=None, log1p=False, inplace=False)
    return cells.fillna(0.0).reset_index(drop=True)  # a cell without counts has no share of them


def filter_cells(
    quality: pd.DataFrame, options: Options, account: Account, keep: np.ndarray, names: list[str], where: str
) -> np.ndarray:
    """(n_cells,) bool: cells of `keep` that pass every filter.

    Raises
    ------
    BadInput
        If a filter needs what the data does not have, or the default of `--min-genes` would drop most cells.
    """
    _require_metrics(quality, options, where)
    if quality.empty or not len(quality.columns):
        account.notices.append("no feature measures a gene: cells are not filtered by genes or counts.")
        return keep
    if "pct_counts_mt" not in quality:
        account.notices.append("no mitochondrial gene is known (no symbol begins with MT-): no pct_counts_mt.")
    _require_sensible_default(quality["n_genes_by_counts"].to_numpy(), options, keep, where)
    for step, column, low, high in (
        ("--min-counts", "total_counts", options.min_counts, None),
        ("--min-genes", "n_genes_by_counts", options.least_genes, None),
        ("--max-genes", "n_genes_by_counts", None, options.max_genes),
        ("--max-percent-mt", "pct_counts_mt", None, options.max_percent_mt),
    ):
        bound = low if high is None else high
        if bound is None:
            continue
        values = quality[column].to_numpy()
        passes = values >= bound if high is None else values <= bound
        why = f"{column} {'below' if high is None else 'above'} {bound:g}"
        keep = account.drop_cells(step, why, keep, passes, names)
    return keep


def filter_genes(
    counts: sparse.csr_matrix, genes: np.ndarray, options: Options, account: Account, keep: np.ndarray, names: list[str]
) -> np.ndarray:
    """(n_features,) bool: features of `keep` seen in enough of the given cells; what is no gene stays.

    Parameters
    ----------
    counts
        (n_cells, n_features) of the cells that are kept.
    """
    import anndata as ad
    import scanpy as sc

    candidates = np.flatnonzero(keep & genes)
    if not options.least_cells or not len(candidates):
        return keep
    enough, _ = sc.pp.filter_genes(ad.AnnData(counts[:, candidates]), min_cells=options.least_cells, inplace=False)
    passes = np.ones(len(keep), dtype=bool)
    passes[candidates] = enough
    return account.drop_features("--min-cells", f"seen in fewer than {options.least_cells} cells", keep, passes, names)


def summary(quality: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Metric -> minimum, median and maximum."""
    return {
        str(column): {
            "min": round(float(values.min()), 4),
            "median": round(float(values.median()), 4),
            "max": round(float(values.max()), 4),
        }
        for column, values in quality.items()
        if len(values)
    }


def _require_metrics(quality: pd.DataFrame, options: Options, where: str) -> None:
    asked = options.min_genes or options.max_genes or options.min_counts
    if "n_genes_by_counts" not in quality and asked:
        raise BadInput(f"{where}: no feature measures a gene, so cells cannot be filtered by genes or counts.")
    if "pct_counts_mt" not in quality and options.max_percent_mt is not None:
        other = "" if options.needs_table else ", or let --map-genes find them by their chromosome"
        raise BadInput(
            f"{where}: no mitochondrial gene is known (no symbol begins with MT-), so --max-percent-mt cannot be"
            f" applied; leave it out{other}."
        )


def _require_sensible_default(n_genes: np.ndarray, options: Options, keep: np.ndarray, where: str) -> None:
    """Refuse to drop most cells by a number that nobody chose: panels measure few genes."""
    few = n_genes[keep] < MIN_GENES
    if options.min_genes is None and 2 * few.sum() > len(few):
        raise BadInput(
            f"{where}: {few.sum():,} of {len(few):,} cells have fewer than {MIN_GENES} genes, the default of"
            f" --min-genes (their median: {np.median(n_genes[keep]):.0f}); say how many they must have, such as"
            " --min-genes 0."
        )
