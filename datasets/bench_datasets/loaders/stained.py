"""Cells measured for genes and surface proteins at once, one run per folder or file: DOGMA-seq and TEA-seq.

File names as in GEO: DOGMA-seq (GSE166188) `GSM5065525_LLL_CTRL_GExp_ATAC_filtered_matrix.mtx.gz` and
`GSM5065526_LLL_ctrl_ADT_allCounts.mtx.gz` with their names beside them; TEA-seq (GSE158013) a Cell Ranger ARC
`.h5` and a table `*_adt_counts.csv.gz` of barcodes x antibodies that begins with a column `total`.
The antibody files name barcodes without the `-1` that Cell Ranger appends.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BadInput

if TYPE_CHECKING:
    import anndata as ad

_GENES = "Gene Expression"
_PEAKS = "the file's chromatin peaks left out: genes and antibodies only."


def load_dogma(path: str, runs: str) -> ad.AnnData:
    """The runs of a DOGMA-seq experiment.

    Parameters
    ----------
    path
        Folder of all files.
    runs
        Comma-separated names such as `"LLL_CTRL,LLL_STIM"`: the buffer, and whether the cells were stimulated.

    Returns
    -------
    Counts of genes and antibodies; `obs` `batch` (the run) and `perturbation` (`"control"` or `"stim"`).

    Raises
    ------
    BadInput
        If a file is missing or does not go with the others.
    """
    from bench_datasets.loaders import tenx

    wanted = [run.strip() for run in runs.split(",") if run.strip()]
    cells = tenx.stacked({run: _dogma_run(Path(path), run) for run in wanted}, "batch")
    cells.obs["perturbation"] = ["control" if run.endswith("CTRL") else "stim" for run in cells.obs["batch"]]
    cells.uns["notices"] = [_PEAKS]
    return cells


def _dogma_run(folder: Path, run: str) -> ad.AnnData:
    from bench_datasets.loaders import tenx

    genes = tenx.read_mtx(
        *(
            _one(folder, f"*_{run}_GExp_ATAC_filtered_{part}*")
            for part in ("matrix.mtx", "barcodes.tsv", "features.tsv")
        )
    )
    buffer, _, treatment = run.rpartition("_")
    stem = f"*_{buffer}_{treatment.lower()}_ADT_allCounts"
    proteins = tenx.read_mtx(*(_one(folder, f"{stem}.{part}*") for part in ("mtx", "barcodes.txt", "proteins.txt")))
    barcodes = proteins.obs_names + "-1"
    antibodies = tenx.antibodies(proteins.X, barcodes, list(map(str, proteins.var_names)))
    return tenx.joined(genes[:, (genes.var["feature_types"] == _GENES).to_numpy()], antibodies)


def load_tea(path: str) -> ad.AnnData:
    """One well of a TEA-seq experiment: counts of genes and antibodies.

    Parameters
    ----------
    path
        Folder of the `.h5` and the table.

    Raises
    ------
    BadInput
        If a file is missing or does not go with the other.
    """
    import pandas as pd

    from bench_datasets.loaders import tenx

    folder = Path(path)
    genes = tenx.load_h5(str(_one(folder, "*_filtered_feature_bc_matrix.h5")))
    file = _one(folder, "*_adt_counts.csv*")
    try:
        table = pd.read_csv(file, index_col=0).drop(columns="total", errors="ignore")
        antibodies = tenx.antibodies(
            table.to_numpy(dtype="float32"), table.index.astype(str) + "-1", list(map(str, table.columns))
        )
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{file} is no table of antibody counts ({error}); delete it and fetch it again.") from None
    cells = tenx.joined(genes[:, (genes.var["feature_types"] == _GENES).to_numpy()], antibodies)
    cells.uns["notices"] = [_PEAKS]
    return cells


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        raise BadInput(f"{folder} holds {len(found)} files {pattern} where one was expected; fetch the dataset again.")
    return found[0]
