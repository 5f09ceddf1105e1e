"""Genes and surface proteins of the same cells, in the files GEO has of them."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import io as matrices
from scipy import sparse

from bench.data import canonical
from bench.errors import BadInput
from bench.specs import DatasetSpec
from bench_datasets.loaders import stained

GENES = [("ENSG00000198851", "CD3E", "Gene Expression"), ("ENSG00000010610", "CD4", "Gene Expression")]
PEAK = ("chr1:10-20", "chr1:10-20", "Peaks")
RNA = np.array([[1, 2, 9], [3, 0, 9], [0, 4, 9]])
"""3 cells x (2 genes, 1 peak)."""
ADT = {"AAAC": [5, 0], "AAAT": [0, 6], "GGGG": [1, 1]}
"""Of two of these cells, and of an empty droplet."""


def packed(path: Path, content: bytes | str) -> None:
    path.write_bytes(gzip.compress(content.encode() if isinstance(content, str) else content))


def packed_matrix(path: Path, values: np.ndarray) -> None:
    buffer = io.BytesIO()
    matrices.mmwrite(buffer, sparse.coo_matrix(values))
    packed(path, buffer.getvalue())


def write_dogma(folder: Path, run: str, number: int, genes: list = GENES) -> None:
    rna, adt = folder / f"GSM50655{number}_{run}_GExp_ATAC_filtered", folder / f"GSM50655{number + 1}_{run[:4]}"
    packed(Path(f"{rna}_barcodes.tsv.gz"), "AAAC-1\nAAAG-1\nAAAT-1\n")
    packed(Path(f"{rna}_features.tsv.gz"), "".join("\t".join((*f, "chr1", "1", "2")) + "\n" for f in [*genes, PEAK]))
    packed_matrix(Path(f"{rna}_matrix.mtx.gz"), RNA.T)
    stem = f"{adt}{run[4:].lower()}_ADT_allCounts"
    packed(Path(f"{stem}.barcodes.txt.gz"), "\n".join(ADT) + "\n")
    packed(Path(f"{stem}.proteins.txt.gz"), "CD3\nCD4\n")
    packed_matrix(Path(f"{stem}.mtx.gz"), np.array(list(ADT.values())))


def test_runs_of_dogma_seq_are_stacked_and_their_antibodies_joined_by_barcode(tmp_path: Path) -> None:
    write_dogma(tmp_path, "LLL_CTRL", 25)
    write_dogma(tmp_path, "LLL_STIM", 28)
    params = {"path": str(tmp_path), "runs": "LLL_CTRL,LLL_STIM"}
    roles = {"batch": "batch", "perturbation": "perturbation"}
    target = "bench_datasets.loaders.stained:load_dogma"
    data = canonical.load(DatasetSpec("x", "cells", target, params=params, roles=roles))
    assert list(data.obs_names) == ["AAAC-1-LLL_CTRL", "AAAT-1-LLL_CTRL", "AAAC-1-LLL_STIM", "AAAT-1-LLL_STIM"]
    assert list(data.obs["perturbation"]) == ["control", "control", "stim", "stim"]
    assert list(data.var_names) == ["CD3E", "CD4", "CD3", "CD4 (Antibody Capture)"]
    assert np.array_equal(data.X.toarray(), [[1, 2, 5, 0], [0, 4, 0, 6]] * 2)
    assert any("peaks left out" in notice for notice in data.uns["notices"])


def test_runs_with_other_genes_or_missing_files_are_refused(tmp_path: Path) -> None:
    write_dogma(tmp_path, "LLL_CTRL", 25)
    write_dogma(tmp_path, "LLL_STIM", 28, GENES[::-1])
    with pytest.raises(BadInput, match="run LLL_STIM has other features than the first"):
        stained.load_dogma(str(tmp_path), "LLL_CTRL,LLL_STIM")
    with pytest.raises(BadInput, match=r"holds 0 files \*_DIG_CTRL_GExp_ATAC_filtered_matrix"):
        stained.load_dogma(str(tmp_path), "DIG_CTRL")


def write_tea(folder: Path) -> None:
    matrix = sparse.csc_matrix(RNA.T)
    with h5py.File(folder / "GSM4949911_X061_tea_cellranger-arc_filtered_feature_bc_matrix.h5", "w") as file:
        group = file.create_group("matrix")
        for part in ("data", "indices", "indptr"):
            group[part] = getattr(matrix, part).astype(np.int64)
        group["shape"] = np.array(matrix.shape)
        group["barcodes"] = np.array(["AAAC-1", "AAAG-1", "AAAT-1"], dtype="S")
        for column, key in enumerate(("id", "name", "feature_type")):
            group[f"features/{key}"] = np.array([f[column] for f in [*GENES, PEAK]], dtype="S")
    rows = "".join(f"{cell},{sum(counts)},{counts[0]},{counts[1]}\n" for cell, counts in ADT.items())
    packed(folder / "GSM4949911_X061_tea_adt_counts.csv.gz", "cell_barcodes,total,CD3,CD4\n" + rows)


def test_a_well_of_tea_seq(tmp_path: Path) -> None:
    write_tea(tmp_path)
    data = stained.load_tea(str(tmp_path))
    assert list(data.obs_names) == ["AAAC-1", "AAAT-1"]
    assert list(data.var_names) == ["CD3E", "CD4", "CD3", "CD4"]
    assert np.array_equal(data.X.toarray(), [[1, 2, 5, 0], [0, 4, 0, 6]])


def test_a_well_without_its_table_is_refused(tmp_path: Path) -> None:
    write_tea(tmp_path)
    table = tmp_path / "GSM4949911_X061_tea_adt_counts.csv.gz"
    packed(table, "cell_barcodes,total,CD3\nAAAC,1,much\n")
    with pytest.raises(BadInput, match="is no table of antibody counts"):
        stained.load_tea(str(tmp_path))
    table.unlink()
    with pytest.raises(BadInput, match=r"holds 0 files \*_adt_counts.csv"):
        stained.load_tea(str(tmp_path))
