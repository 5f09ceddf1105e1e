"""Small `.h5ad` files with one thing wrong, as strangers send them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

Make = Callable[[Path], object]
"""Puts an input into a folder."""


def cells(n: int = 120) -> ad.AnnData:
    """Clean data: three cell types, two batches, integer counts."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {"cell_type": np.resize(["T", "B", "NK"], n), "batch": np.resize(["a", "a", "b"], n)},
        index=[f"cell{i}" for i in range(n)],
    )
    counts = sparse.csr_matrix(rng.poisson(1.0, (n, 60)).astype(np.float32))
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"GENE{i}" for i in range(60)]))


def distinct_types(data: ad.AnnData) -> None:
    """Make the types easy to tell apart, so that scores are above the controls."""
    counts = data.X.toarray()
    code = pd.factorize(data.obs["cell_type"])[0]
    counts[np.arange(60)[None, :] % 3 == code[:, None]] += 4
    data.X = sparse.csr_matrix(counts)


def edited(change: Callable[[ad.AnnData], ad.AnnData | None], name: str = "x.h5ad") -> Make:
    """A file of clean data that was changed."""

    def write(folder: Path) -> None:
        data = cells()
        changed = change(data)
        (data if changed is None else changed).write_h5ad(folder / name)

    return write


def tampered(change: Callable[[h5py.File], object]) -> Make:
    """A file of clean data whose HDF5 was changed behind anndata's back."""

    def write(folder: Path) -> None:
        edited(lambda data: None)(folder)
        with h5py.File(folder / "x.h5ad", "a") as file:
            change(file)

    return write


def random_bytes(folder: Path) -> None:
    (folder / "x.h5ad").write_bytes(b"\x00\x01" * 500)


def truncated(folder: Path) -> None:
    edited(lambda data: None)(folder)
    whole = (folder / "x.h5ad").read_bytes()
    (folder / "x.h5ad").write_bytes(whole[: len(whole) // 2])


def other_hdf5(folder: Path) -> None:
    with h5py.File(folder / "x.h5ad", "w") as file:
        file["values"] = np.arange(3)


def linked(file: h5py.File) -> None:
    del file["X"]
    file["X"] = h5py.ExternalLink("victim.h5", "/secret")


def stored_outside(file: h5py.File) -> None:
    file.create_dataset("uns/host", shape=(8,), dtype="u1", external=[("/etc/hostname", 0, 8)])


def bomb(file: h5py.File) -> None:
    file.create_dataset("layers/bomb", shape=(2_000_000_000, 4), dtype="f8", chunks=(1000, 4), compression=1)


def dense(file: h5py.File) -> None:
    del file["X"]
    file.create_dataset("X", shape=(200_000, 60_000), dtype="f8", chunks=(1000, 100))


def words(file: h5py.File) -> None:
    del file["X"]
    matrix = file.create_dataset("X", data=np.full((120, 60), "many", dtype=object), dtype=h5py.string_dtype())
    matrix.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def damaged_column(file: h5py.File) -> None:
    del file["obs/batch"]
    file.create_dataset("obs/batch", data=np.zeros((120, 2), dtype=[("a", "i4"), ("b", "f4")]))


def drop_column(data: ad.AnnData) -> None:
    del data.obs["cell_type"]
    data.obs["celltype"] = "T"


def normalise(data: ad.AnnData) -> None:
    data.X = data.X.multiply(0.37).tocsr()


def value(number: float) -> Callable[[ad.AnnData], None]:
    """One value in place of a count."""

    def put(data: ad.AnnData) -> None:
        counts = data.X.toarray()
        counts[5, 9] = number
        data.X = sparse.csr_matrix(counts)

    return put


def duplicate_genes(data: ad.AnnData) -> None:
    data.var_names = ["GENE1", "GENE1", *data.var_names[2:]]


def empty_cell(data: ad.AnnData) -> None:
    counts = data.X.toarray()
    counts[3] = 0
    data.X = sparse.csr_matrix(counts)


def all_empty(data: ad.AnnData) -> None:
    data.X = sparse.csr_matrix(data.shape, dtype=np.float32)


def unlabelled(data: ad.AnnData) -> None:
    data.obs["cell_type"] = data.obs["cell_type"].where(np.arange(data.n_obs) > 9)


def one_type(data: ad.AnnData) -> None:
    data.obs["cell_type"] = "T"


def one_batch(data: ad.AnnData) -> None:
    data.obs["batch"] = "a"


def no_batch(data: ad.AnnData) -> None:
    del data.obs["batch"]


def rare_type(data: ad.AnnData) -> None:
    del data.obs["batch"]
    data.obs["cell_type"] = ["rare", *data.obs["cell_type"][1:]]


def confounded(data: ad.AnnData) -> None:
    distinct_types(data)
    data.obs["batch"] = "of " + data.obs["cell_type"].astype(str)


def long_gene(data: ad.AnnData) -> None:
    data.var_names = ["G" * 1_000_000, *data.var_names[1:]]


def gene_with_escape(data: ad.AnnData) -> None:
    data.var_names = ["\x1b[31mGENE0", *data.var_names[1:]]


ODD_NAMES = ["\u202eGENE0", "zero\u200bwidth", "🧬", "e\u0301toile", "'); drop table scores; --", "../../etc/x"]


def odd_and_usable(data: ad.AnnData) -> None:
    """Everything that is put right, or left as it is, and said: nothing of it stops a run."""
    distinct_types(data)
    counts = data.X.toarray()
    counts[3], counts[:, 7] = 0, 0
    data.X = sparse.csc_matrix(counts)
    data.obs_names = ["cell0", "cell0", *data.obs_names[2:]]
    data.var_names = [*ODD_NAMES, *data.var_names[len(ODD_NAMES) :]]


def different_cells(folder: Path) -> None:
    """Two modalities of which 20 cells are in one only."""
    data = cells()
    data[:110].copy().write_h5ad(folder / "rna.h5ad")
    proteins = data[10:, :20].copy()
    proteins.var_names = [f"CD{i}" for i in range(20)]
    proteins.write_h5ad(folder / "adt.h5ad")
    (folder / "pair.toml").write_text(
        '[[files]]\npath = "rna.h5ad"\n[[files]]\npath = "adt.h5ad"\nmodality = "Antibody Capture"\n'
    )
