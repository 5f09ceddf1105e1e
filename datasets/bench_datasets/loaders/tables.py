"""Counts that were published as tables: the pancreas of Baron et al., and competition files of Kaggle.

Baron: one `.csv.gz` per donor, `GSM2230757_human1_umifm_counts.csv.gz`, with a nameless first column of cell
names, then `barcode`, `assigned_cluster` and one column per gene.
Kaggle: pandas tables in HDF5, a group with `axis0` (features), `axis1` (cells) and `block0_values`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BadInput

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

_DONOR = re.compile(r"GSM\d+_((?:human|mouse)\d+)_umifm_counts\.csv(\.gz)?")
_BLOCK = 500
"""Cells read at once: bounds the dense memory."""


def load_baron(path: str, species: str) -> ad.AnnData:
    """Cells of all donors of one species.

    Parameters
    ----------
    path
        Where `GSE84133_RAW.tar` was unpacked.
    species
        `"human"` or `"mouse"`.

    Returns
    -------
    `X` CSR float32 counts; `obs` `cell_type`, `donor`.

    Raises
    ------
    BadInput
        If there is no file of that species, or one of another form.
    """
    import anndata as ad
    import numpy as np
    import pandas as pd
    from scipy import sparse

    matches = [(_DONOR.fullmatch(p.name), p) for p in sorted(Path(path).rglob("*umifm_counts.csv*"))]
    donors = {m[1]: p for m, p in matches if m and m[1].startswith(species)}
    if not donors:
        raise BadInput(f"{path} holds no *_{species}*_umifm_counts.csv.gz; delete it and fetch it again.")
    genes: list[str] = []
    counts, obs = [], []
    for donor, file in donors.items():
        for block in _blocks(file):
            found = [str(name) for name in block.columns[2:]]
            if genes and found != genes:
                raise BadInput(f"{file} has other genes than the files before it; delete it and fetch it again.")
            genes = found
            counts.append(sparse.csr_matrix(block.iloc[:, 2:].to_numpy(dtype=np.float32)))
            labels = {"cell_type": block["assigned_cluster"].astype(str).to_numpy(), "donor": donor}
            obs.append(pd.DataFrame(labels, index=block.index.astype(str)))
    return ad.AnnData(sparse.vstack(counts, format="csr"), obs=pd.concat(obs), var=pd.DataFrame(index=genes))


def _blocks(file: Path) -> Iterator[pd.DataFrame]:
    import pandas as pd

    try:
        with pd.read_csv(file, index_col=0, chunksize=_BLOCK) as reader:
            for block in reader:
                if list(block.columns[:2]) != ["barcode", "assigned_cluster"]:
                    raise BadInput(f"{file} is no table of Baron et al.: its columns are {list(block.columns[:2])}.")
                yield block
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{file} cannot be read ({error}); delete it and fetch it again.") from None


def load_kaggle(path: str, genes: str, others: str, kind: str) -> ad.AnnData:
    """Raw counts of the competition Open Problems - Multimodal Single-Cell Integration (2022).

    Parameters
    ----------
    path
        The folder with the two tables and `metadata.csv`.
    genes, others
        Names of the tables of gene counts and of the other features.
    kind
        What the other features measure: `"Antibody Capture"` or `"Peaks"`.

    Returns
    -------
    `X` CSR counts; `obs` as in `metadata.csv`: `cell_type`, `donor`, `day`.

    Raises
    ------
    BadInput
        If a file is missing or of another form, or the tables do not hold the same cells.
    """
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    folder = Path(path)
    left, cells, names = _pandas_table(folder / genes)
    right, others_cells, others_names = _pandas_table(folder / others)
    if cells != others_cells:
        raise BadInput(f"{genes} and {others} do not hold the same cells in the same order; fetch both again.")
    try:
        metadata = pd.read_csv(folder / "metadata.csv", index_col="cell_id", dtype=str).reindex(cells)
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder / 'metadata.csv'} cannot be read ({error}); get it from the competition.") from None
    ids, _, symbols = zip(*(name.partition("_") for name in names), strict=True)  # "ENSG00000121410_A1BG"
    var = pd.DataFrame(
        {
            "gene_ids": [*ids, *[""] * len(others_names)],
            "feature_types": ["Gene Expression"] * len(names) + [kind] * len(others_names),
        },
        index=[*(symbol or name for symbol, name in zip(symbols, names, strict=True)), *others_names],
    )
    return ad.AnnData(sparse.hstack([left, right], format="csr"), obs=metadata, var=var)


def _pandas_table(file: Path) -> tuple[Any, list[str], list[str]]:
    """CSR values, names of rows and of columns of a table that pandas wrote."""
    import h5py
    from scipy import sparse

    from bench_datasets.loaders import hdf5

    group = file.name.removesuffix(".h5")
    names = hdf5.read_arrays(file, [f"{group}/axis0", f"{group}/axis1"])
    columns, rows = (list(map(str, names[f"{group}/{axis}"])) for axis in ("axis0", "axis1"))
    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401 - lets h5py read the compression (Blosc) of these files
    try:
        with h5py.File(file, "r") as opened:
            values: Any = hdf5.dataset(file, opened, f"{group}/block0_values")
            if values.shape != (len(rows), len(columns)):
                raise BadInput(f"{file}: block0_values is {values.shape}, not {(len(rows), len(columns))}.")
            blocks = [sparse.csr_matrix(values[start : start + _BLOCK]) for start in range(0, len(rows), _BLOCK)]
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error}); its compression may need: pip install hdf5plugin.") from None
    return sparse.vstack(blocks, format="csr"), rows, columns
