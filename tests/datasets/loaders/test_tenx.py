"""10x matrices as Cell Ranger writes them, and what is refused of files that only look like them."""

from __future__ import annotations

import gzip
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

from bench.data import canonical
from bench.errors import BadInput
from bench.specs import DatasetSpec
from bench_datasets.loaders import hdf5, tenx

COUNTS = np.array([[3, 0, 1, 0], [0, 2, 0, 5], [1, 1, 0, 0]])
"""3 cells x 4 features."""
NAMES = ["CD3E", "CD4", "CD4", "chr1:10-20"]
IDS = ["ENSG00000198851", "ENSG00000010610", "CD4_TotalSeqB", "chr1:10-20"]
KINDS = ["Gene Expression", "Gene Expression", "Antibody Capture", "Peaks"]
CELLS = ["AAAC-1", "AAAG-1", "AAAT-1"]


def write_h5(path: Path, counts: np.ndarray = COUNTS, cells: list[str] = CELLS) -> Path:
    """Features x cells by columns (CSC), as Cell Ranger 3 and ARC do."""
    matrix = sparse.csc_matrix(counts.T)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"] = matrix.data.astype(np.int32), matrix.indices.astype(np.int64)
        group["indptr"], group["shape"] = matrix.indptr.astype(np.int64), np.array(matrix.shape, dtype=np.int32)
        group["barcodes"] = np.array(cells, dtype="S")
        features = group.create_group("features")
        features["name"], features["id"] = np.array(NAMES, dtype="S"), np.array(IDS, dtype="S")
        features["feature_type"] = np.array(KINDS, dtype="S")
        features["_all_tag_keys"] = np.array([b"genome"])
    return path


def write_mtx(folder: Path, features: str = "genes.tsv") -> None:
    folder.mkdir(parents=True)
    io.mmwrite(folder / "matrix.mtx", sparse.coo_matrix(COUNTS[:, :2].T))
    (folder / "barcodes.tsv").write_text("\n".join(CELLS) + "\n")
    (folder / features).write_text("".join(f"{i}\t{n}\n" for i, n in zip(IDS[:2], NAMES[:2], strict=True)))


def test_all_kinds_of_features_are_read_and_told_apart(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "x.h5")
    data = canonical.load(DatasetSpec("x", "cells", "bench_datasets.loaders.tenx:load_h5", params={"path": str(path)}))
    assert list(data.obs_names) == CELLS
    assert list(data.var_names) == ["CD3E", "CD4", "CD4 (Antibody Capture)", "chr1:10-20"]
    assert list(data.var["feature_types"]) == KINDS
    assert list(data.var["ensembl_id"]) == [*IDS[:2], "", ""]
    assert np.array_equal(data.X.toarray(), COUNTS)


def test_it_reads_what_scanpy_reads(tmp_path: Path) -> None:
    import scanpy

    path = write_h5(tmp_path / "x.h5")
    theirs = scanpy.read_10x_h5(path, gex_only=False)
    ours = tenx.load_h5(str(path))
    assert (ours.X != theirs.X).nnz == 0
    assert list(ours.obs_names) == list(theirs.obs_names)
    assert list(ours.var["gene_ids"])[:2] == list(theirs.var["gene_ids"])[:2]


def test_a_file_that_is_no_10x_matrix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="dataset file not found"):
        tenx.load_h5(str(tmp_path / "no.h5"))
    (tmp_path / "page.h5").write_text("<html>")
    with pytest.raises(BadInput, match="not a readable HDF5 file"):
        tenx.load_h5(str(tmp_path / "page.h5"))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["matrix"] = 1
    with pytest.raises(BadInput, match="has no dataset 'matrix/data'"):
        tenx.load_h5(str(tmp_path / "other.h5"))


@pytest.mark.parametrize("part", ["indices", "indptr", "barcodes"])
def test_a_damaged_matrix_is_refused(tmp_path: Path, part: str) -> None:
    path = write_h5(tmp_path / "x.h5")
    with h5py.File(path, "a") as file:
        values = file[f"matrix/{part}"][:]
        del file[f"matrix/{part}"]
        file[f"matrix/{part}"] = values[:-1] if part == "barcodes" else values + 100
    with pytest.raises(BadInput, match="is a damaged 10x matrix"):
        tenx.load_h5(str(path))


def test_data_outside_the_file_are_refused(tmp_path: Path) -> None:
    secret = write_h5(tmp_path / "secret.h5")
    path = write_h5(tmp_path / "x.h5")
    with h5py.File(path, "a") as file:
        del file["matrix/data"]
        file["matrix/data"] = h5py.ExternalLink(str(secret), "/matrix/data")
    with pytest.raises(BadInput, match=r"refused: .* links to another place \(matrix/data\)"):
        tenx.load_h5(str(path))
    with h5py.File(path, "a") as file:
        del file["matrix/data"]
        file["matrix"].create_dataset("data", (6,), "i4", external=[(str(secret), 0, 24)])
    with pytest.raises(BadInput, match="stores data outside itself"):
        tenx.load_h5(str(path))


def test_a_size_bomb_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("x", (10**13,), "f8", chunks=(10**6,))
    with pytest.raises(BadInput, match="GiB in memory but"):
        hdf5.read_arrays(tmp_path / "bomb.h5", ["x"])


@pytest.mark.parametrize("features", ["genes.tsv", "features.tsv"])
def test_a_folder_of_either_version_is_read(tmp_path: Path, features: str) -> None:
    write_mtx(tmp_path / "filtered_gene_bc_matrices" / "hg19", features)
    data = tenx.load_mtx(str(tmp_path))
    assert np.array_equal(data.X.toarray(), COUNTS[:, :2])
    assert list(data.var_names) == NAMES[:2]
    assert list(data.var["gene_ids"]) == IDS[:2]


def test_gzipped_files_are_read_too(tmp_path: Path) -> None:
    write_mtx(tmp_path / "x")
    for file in list((tmp_path / "x").iterdir()):
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert np.array_equal(tenx.load_mtx(str(tmp_path)).X.toarray(), COUNTS[:, :2])


def test_a_folder_that_does_not_go_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds 0 files matrix.mtx"):
        tenx.load_mtx(str(tmp_path))
    write_mtx(tmp_path / "x")
    (tmp_path / "x" / "barcodes.tsv").write_text("AAAC-1\n")
    with pytest.raises(BadInput, match="1 cells and 2 features"):
        tenx.load_mtx(str(tmp_path))
    (tmp_path / "x" / "barcodes.tsv").unlink()
    with pytest.raises(BadInput, match=r"has no barcodes.tsv"):
        tenx.load_mtx(str(tmp_path))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("array real general\n100000 1000000", "of layout array and type real"),
        ("coordinate complex general\n3 2 1", "type complex"),
        ("coordinate real general\n2 3 99999999999", "99,999,999,999 entries, which need"),
    ],
)
def test_a_matrix_that_claims_too_much_is_refused(tmp_path: Path, header: str, said: str) -> None:
    write_mtx(tmp_path / "x")
    (tmp_path / "x" / "matrix.mtx").write_text(f"%%MatrixMarket matrix {header}\n1 1 1\n")
    with pytest.raises(BadInput, match=said):
        tenx.load_mtx(str(tmp_path))


def test_labels_come_from_the_file_beside(tmp_path: Path) -> None:
    write_mtx(tmp_path / "x")
    obs = pd.DataFrame({"louvain": pd.Categorical(["T", "B"])}, index=["AAAT-1", "AAAC-1"])
    ad.AnnData(np.ones((2, 1), dtype=np.float32), obs=obs).write_h5ad(tmp_path / "processed.h5ad")
    params = {"path": str(tmp_path), "labels": "processed.h5ad", "column": "louvain"}
    target = "bench_datasets.loaders.tenx:load_labelled_mtx"
    spec = DatasetSpec("x", "c", target, params=params, roles={"cell_type": "louvain"}, options={"unlabelled": "drop"})
    assert canonical.load(spec).obs["cell_type"].to_dict() == {"AAAC-1": "B", "AAAT-1": "T"}
    obs.index = ["other", "cells"]
    ad.AnnData(np.ones((2, 1), dtype=np.float32), obs=obs).write_h5ad(tmp_path / "processed.h5ad")
    with pytest.raises(BadInput, match=r"no barcode of processed.h5ad"):
        tenx.load_labelled_mtx(**params)
