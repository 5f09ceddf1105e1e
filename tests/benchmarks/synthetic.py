"""A generated data set as large as is asked for: what loaders and conversion are measured on.

Counts are multinomial draws, so that they look like UMI counts: gene frequencies are log-normal, each of 30
cell types has its own, depths are log-normal around 3,300 counts. At 20,000 genes a cell has about 1,475 genes with
counts. Cells are ordered by type, as files of merged samples are.

    python tests/benchmarks/synthetic.py --cells 100000
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from bench.atomic import replacing

TYPES, BATCHES, SEED = 30, 8, 0
BLOCK = 64
"""Cells drawn at once: their dense counts fit into a processor's cache."""
QUANTILES = 2**22
"""Genes are drawn from a table of this many equally likely entries; a gene rarer than one in so many is left out."""


def h5ad(folder: Path, cells: int, genes: int = 20_000) -> Path:
    """Path of the file, which is written where it is not there yet: uncompressed CSR float32, as anndata writes it.

    The same for the same numbers, on every machine. Never whole in memory.
    """
    path = folder / f"synthetic_{cells}x{genes}.h5ad"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, tempfile.TemporaryDirectory(dir=folder) as scratch:
            _write(temporary, Path(scratch), cells, genes)
    return path


def _write(path: Path, scratch: Path, cells: int, genes: int) -> None:
    rng = np.random.default_rng(SEED)
    frequencies = np.sort(rng.lognormal(0, 2.2, genes))[::-1] * rng.lognormal(0, 1, (TYPES, genes))
    types = np.sort(rng.integers(TYPES, size=cells))
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical([f"type {t}" for t in types]),
            "batch": pd.Categorical([f"batch {b}" for b in rng.integers(BATCHES, size=cells)]),
        },
        index=[f"cell{i}" for i in range(cells)],
    )
    var = pd.DataFrame({"gene_symbol": [f"GENE{g}" for g in range(genes)]}, [f"ENSG{g:011d}" for g in range(genes)])
    ad.AnnData(obs=obs, var=var).write_h5ad(path)
    indptr = np.zeros(cells + 1, dtype=np.int64)
    values, indices = scratch / "values", scratch / "indices"
    with values.open("wb") as value_file, indices.open("wb") as index_file:
        for cell_type, frequency in enumerate(frequencies):
            table = _table(frequency)
            of_type = np.flatnonzero(types == cell_type)
            for start in range(0, len(of_type), BLOCK):
                block = of_type[start : start + BLOCK]
                rows, columns, counts = _draw(np.random.default_rng([SEED, int(block[0])]), table, len(block), genes)
                indptr[block + 1] = np.bincount(rows, minlength=len(block))
                counts.tofile(value_file)
                columns.tofile(index_file)
    np.cumsum(indptr, out=indptr)
    with h5py.File(path, "a") as file:
        group = file["X"] if "X" in file else file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (cells, genes)})
        group["indptr"] = indptr
        _copy(values, group, "data", np.float32)
        _copy(indices, group, "indices", np.int32)


def _table(frequency: np.ndarray) -> np.ndarray:
    """(`QUANTILES`,) genes, each as often as it is frequent."""
    ends = np.floor(np.cumsum(frequency / frequency.sum()) * QUANTILES).astype(np.int64)
    ends[-1] = QUANTILES
    return np.repeat(np.arange(len(frequency), dtype=np.int32), np.diff(ends, prepend=0))


def _draw(
    rng: np.random.Generator, table: np.ndarray, cells: int, genes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, gene (int32) and count (float32) of every gene with counts, by cell, then by gene."""
    depth = rng.lognormal(np.log(3300), 0.5, cells).astype(np.int64).clip(300, 60_000)
    drawn = table[rng.integers(len(table), size=depth.sum(), dtype=np.uint32)]
    places = np.repeat(np.arange(cells) * genes, depth) + drawn
    counts = np.bincount(places, minlength=cells * genes)
    places = np.flatnonzero(counts)
    return places // genes, (places % genes).astype(np.int32), counts[places].astype(np.float32)


def _copy(source: Path, group: h5py.Group, name: str, dtype: type) -> None:
    """A file of numbers as a contiguous dataset, in parts."""
    values = np.memmap(source, dtype, mode="r")
    dataset = group.create_dataset(name, values.shape, dtype)
    for start in range(0, len(values), 2**22):
        dataset[start : start + 2**22] = values[start : start + 2**22]


def main() -> None:
    """Write the file and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bench-synthetic")
    asked = parser.parse_args()
    print(h5ad(asked.folder, asked.cells))


if __name__ == "__main__":
    main()
