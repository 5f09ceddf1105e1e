"""A file to prepare, and gene tables small enough to read."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bench.genes.tables import SOURCES

SYMBOLS = {f"GENE{k}": f"ENSG{k:011d}" for k in range(1, 31)} | {
    "MT-ND1": "ENSG00000000040",
    "MT-CO1": "ENSG00000000041",
}


def write_tables(folder: Path) -> None:
    """A human gene table: odd genes code for proteins, the others are lncRNA; two are mitochondrial."""
    facts, places = [], ["chrom,start,end,gene_id,gene_name,strand"]
    for symbol, id_ in SYMBOLS.items():
        biotype = "protein_coding" if symbol.startswith("MT-") or int(symbol[4:]) % 2 else "lncRNA"
        facts.append(f"{id_},{symbol},1,900,{biotype}")
        places.append(f"{'chrM' if symbol.startswith('MT-') else 'chr1'},10,910,{id_}.1,{symbol},+")
    for file, rows in zip(SOURCES["human"].files, (facts, places), strict=True):
        (folder / file.name).write_bytes(gzip.compress("\n".join([*rows, ""]).encode()))


@pytest.fixture(autouse=True)
def own_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gene tables of the user's own, a cache of its own, no network."""
    folder = tmp_path / "tables"
    folder.mkdir()
    write_tables(folder)
    monkeypatch.setenv("BENCH_GENE_TABLES", str(folder))
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    return folder


def source(n: int = 60) -> ad.AnnData:
    """Two batches of cells, 32 genes that the tables know, all of them seen in nearly every cell."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "annotation": pd.Categorical(np.resize(["T", "B"], n)),
            "batch": np.resize(["a", "b"], n),
            "age": rng.integers(20, 60, n),
        },
        index=[f"cell{k}" for k in range(n)],
    )
    var = pd.DataFrame({"gene_symbol": list(SYMBOLS)}, index=list(SYMBOLS))
    counts = sparse.csr_matrix(rng.poisson(3.0, (n, len(SYMBOLS))).astype(np.float32))
    return ad.AnnData(counts, obs=obs, var=var)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[ad.AnnData], Path]:
    """Write an AnnData to a file."""

    def to_file(data: ad.AnnData) -> Path:
        path = tmp_path / "source.h5ad"
        data.write_h5ad(path)
        return path

    return to_file
