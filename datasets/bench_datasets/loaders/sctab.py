"""scTab (Fischer et al. 2024, 10.1038/s41467-024-51059-5): 22 million human cells, 164 types, split by donor.

Layout of the export, as written by theislab/scTab `notebooks/store_creation/03_write_store_merlin.ipynb`:
folders `train`, `val` and `test` with files `part.N.parquet` in row groups of 1,024 cells; column `X` holds a cell's
19,331 values (float32, log1p of counts per 10,000 over these genes), the others integer codes, whose labels are
in `categorical_lookup/COLUMN.parquet`; `var.parquet` names the genes (`feature_id`, `feature_name`). A donor of
one dataset (`tech_sample`) is in one part only. Only the row groups that are needed are read, one at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import wording
from bench.data import safety
from bench.errors import BadInput, unknown

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np
    import pandas as pd
    from scipy import sparse

PARTS = ("train", "val", "test")
ATLASES = {
    "hlca": "9f222629-9e39-47d0-b83f-e08d610c7479",
    "pbmc": "2a498ace-872a-4935-984b-1afa70fd9886",
    "tabula-sapiens": "53d208b0-2cfd-4366-9866-c3c6114081bc",
}
"""CELLxGENE ids of three of its datasets, as theislab/ssl_in_scg `Tutorial_Get_Dataset_ID.ipynb` names them."""

_CODES = ("cell_type", "tech_sample", "dataset_id", "assay")
_BYTES_PER_CELL = 16_000
"""Of a cell as CSR: about 2,000 genes with counts, 8 bytes each."""


@dataclass
class _Sample:
    """Cells taken so far from one part."""

    counts: list[sparse.csr_matrix] = field(default_factory=list)
    obs: list[pd.DataFrame] = field(default_factory=list)
    size: int = 0
    dropped: int = 0


def load(path: str, parts: str, n_cells: int, atlas: str, unrecovered: str, seed: int) -> ad.AnnData:
    """A random sample of the cells, with integer counts and the published split.

    Parameters
    ----------
    path
        Where the archive was unpacked.
    parts
        Comma-separated, of `"train"`, `"val"`, `"test"`.
    n_cells
        About how many, dealt to the parts by their sizes; 0: all of them.
    atlas
        Only cells of one dataset: a name of `ATLASES` or a CELLxGENE id; empty: of all.
    unrecovered
        What to do with cells whose counts cannot be recovered exactly: `"error"` or `"drop"`.
    seed
        Of the row groups that are read.

    Returns
    -------
    `X` (n_cells, n_genes) CSR float32 counts; `obs` `cell_type`, `tech_sample` (donor), `dataset_id`, `assay`, `split`;
    `var` indexed by Ensembl id, with `feature_name`.

    Raises
    ------
    BadInput
        If the folder is another one, an option is wrong, or counts cannot be recovered.
    """
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    root = _root(Path(path))
    wanted = _parts(parts)
    if n_cells < 0 or unrecovered not in ("error", "drop"):
        raise BadInput("dataset sctab: n_cells must be 0 or more, and unrecovered one of error, drop.")
    var = _read(root / "var.parquet", ["feature_id", "feature_name"])
    lookups = {column: _lookup(root, column) for column in _CODES}
    code = _code(lookups["dataset_id"], ATLASES.get(atlas, atlas)) if atlas else None
    groups = {part: _row_groups(root / part, seed) for part in wanted}
    quota = _quota(groups, n_cells)
    samples = {part: _take(groups[part], quota[part], len(var), code, unrecovered) for part in wanted}
    if not any(sample.size for sample in samples.values()):
        raise BadInput(f"dataset sctab: no cell of {atlas or 'any dataset'} in {', '.join(wanted)}.")
    obs = pd.concat([frame.assign(split=part) for part, sample in samples.items() for frame in sample.obs])
    labelled = {column: _named(obs[column], lookups[column], column) for column in _CODES}
    return ad.AnnData(
        sparse.vstack([block for sample in samples.values() for block in sample.counts], format="csr"),
        obs=pd.DataFrame({**labelled, "split": obs["split"].to_numpy()}, index=obs.index),
        var=pd.DataFrame({"feature_name": var["feature_name"].to_numpy()}, index=var["feature_id"].astype(str)),
        uns={"notices": _notices(samples, groups, seed)},
    )


def _root(path: Path) -> Path:
    """The folder that holds `var.parquet`: the given one, or the only such folder in it."""
    found = [path] if (path / "var.parquet").is_file() else sorted(p.parent for p in path.glob("*/var.parquet"))
    if len(found) != 1:
        raise BadInput(f"{path} is not the unpacked archive of scTab (no var.parquet); fetch it again.")
    return found[0]


def _parts(text: str) -> list[str]:
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    for part in wanted:
        if part not in PARTS:
            raise unknown("part of dataset sctab:", part, PARTS, "Set --data-set parts=train,val,test.")
    return wanted or list(PARTS)


def _read(file: Path, columns: list[str] | None = None) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(file, columns=columns)
    except (OSError, ValueError, KeyError) as error:  # pyarrow's own are ValueErrors
        raise BadInput(f"{file} cannot be read ({error}); delete the dataset and fetch it again.") from None


def _lookup(root: Path, column: str) -> dict[int, str]:
    """Code -> label; empty where the archive (the small one) has no such table."""
    file = root / "categorical_lookup" / f"{column}.parquet"
    if not file.is_file():
        return {}
    return {int(code): str(label) for code, label in _read(file)["label"].items()}


def _code(labels: dict[int, str], wanted: str) -> int:
    for code, label in labels.items():
        if label == wanted:
            return code
    known = [name for name, identifier in ATLASES.items() if identifier in labels.values()]
    raise unknown("atlas of dataset sctab:", wanted, known or ATLASES, "A CELLxGENE dataset id will do, too.")


def _named(codes: pd.Series, labels: dict[int, str], column: str) -> np.ndarray:
    import numpy as np

    return np.array([labels.get(int(code), f"{column} {code}") for code in codes], dtype=object)


def _row_groups(folder: Path, seed: int) -> list[Any]:
    """One fragment per row group, in a seeded order; only the footers of the files are read."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import dataset as arrow

    files = sorted(folder.glob("*.parquet"), key=lambda f: [int(n) for n in re.findall(r"\d+", f.name)])
    if not files:
        raise BadInput(f"{folder} holds no .parquet file; fetch the dataset again.")
    try:
        source = arrow.dataset([str(f) for f in files], format="parquet")
        groups = [group for fragment in source.get_fragments() for group in fragment.split_by_row_group()]
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInput(f"{folder} cannot be read ({error}); fetch the dataset again.") from None
    return [groups[k] for k in np.random.default_rng(seed).permutation(len(groups))]


def _quota(groups: dict[str, list[Any]], n_cells: int) -> dict[str, int]:
    """Cells to take from each part: its share, at least one."""
    sizes = {part: sum(group.row_groups[0].num_rows for group in found) for part, found in groups.items()}
    total = sum(sizes.values())
    wanted = min(n_cells, total) if n_cells else total
    needed, available = wanted * _BYTES_PER_CELL, safety.available_memory()
    if needed > available:
        raise BadInput(
            f"dataset sctab: {wanted:,} cells need about {wording.size(needed)} and {wording.size(available)} are"
            " available; take fewer with --data-set n_cells=NUMBER."
        )
    return {part: max(1, round(wanted * size / total)) for part, size in sizes.items()}


def _take(groups: list[Any], quota: int, n_genes: int, code: int | None, unrecovered: str) -> _Sample:
    """Read row groups until there are enough cells."""
    sample = _Sample()
    for table in _tables(groups, code):
        _add(sample, table, quota, n_genes, unrecovered)
        if sample.size >= quota:
            break
    return sample


def _tables(groups: list[Any], code: int | None) -> Iterator[Any]:
    """One row group after the other, cut to the cells of one dataset; a group without any is read in part only."""
    from pyarrow import dataset as arrow

    columns = ["X", "soma_joinid", *_CODES]
    chosen = None if code is None else arrow.field("dataset_id") == code
    for group in groups:
        if chosen is not None and group.count_rows(filter=chosen) == 0:
            continue
        yield group.to_table(columns=columns, filter=chosen)


def _add(sample: _Sample, table: Any, quota: int, n_genes: int, unrecovered: str) -> None:
    import numpy as np
    import pandas as pd
    from scipy import sparse

    from bench_datasets.loaders.recovery import recovered

    cells = table.column("X").combine_chunks()
    values = cells.flatten().to_numpy(zero_copy_only=False)
    if len(values) != table.num_rows * n_genes:
        raise BadInput(f"dataset sctab: {len(values):,} values for {table.num_rows:,} cells x {n_genes:,} genes.")
    counts, exact = recovered(sparse.csr_matrix(values.reshape(table.num_rows, n_genes)))
    if not exact.all() and unrecovered == "error":
        raise BadInput(
            f"dataset sctab: no integer counts behind {int((~exact).sum()):,} of {table.num_rows:,} cells;"
            " leave such cells out with --data-set unrecovered=drop."
        )
    keep = np.flatnonzero(exact)[: quota - sample.size]
    sample.dropped += int((~exact).sum())
    sample.counts.append(counts[keep])
    frame = pd.DataFrame({column: table.column(column).to_numpy() for column in _CODES})
    frame.index = pd.Index([str(name) for name in table.column("soma_joinid").to_pylist()])
    sample.obs.append(frame.iloc[keep])
    sample.size += len(keep)


def _notices(samples: dict[str, _Sample], groups: dict[str, list[Any]], seed: int) -> list[str]:
    sizes = {part: sum(group.row_groups[0].num_rows for group in found) for part, found in groups.items()}
    taken = ", ".join(f"{samples[part].size:,} of {sizes[part]:,} {part} cells" for part in samples)
    notices = [f"sampled with seed {seed}: {taken}.", "counts recovered exactly from log1p of counts per 10,000."]
    dropped = sum(sample.dropped for sample in samples.values())
    if dropped:
        notices.append(f"{dropped:,} cells left out: no integer counts behind their values.")
    return notices
