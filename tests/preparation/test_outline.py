"""`bench.preparation.outline`: what is said of a file is so, and matrices are not read for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.preparation.conftest import source

from bench.data import files
from bench.data.identity import file_sha256
from bench.diagnosis.columns import named_like
from bench.errors import BadInput
from bench.preparation.outline import outline

Write = Callable[[ad.AnnData], Path]


def full() -> ad.AnnData:
    data = source()
    data.layers["log"] = np.log1p(data.X.toarray())
    data.layers["csc"] = sparse.csc_matrix(data.X)
    data.obsm["X_pca"] = np.zeros((60, 5), dtype=np.float32)
    data.obs["age"] = data.obs["age"].astype(float).where(np.arange(60) > 2)
    data.raw = data
    return data


def test_a_file_is_described(write: Write) -> None:
    path = write(full())
    found = outline(path)
    assert (found.cells, found.features) == (60, {"Gene Expression": 32})
    assert found.sha256 == file_sha256(path)
    assert found.bytes == path.stat().st_size
    assert found.roles == {"batch": "batch"}
    assert found.suggested == {"cell_type": ["annotation"]}
    assert found.gene_names == "symbol"
    assert {m.name: (m.shape, m.stored) for m in found.matrices} == {
        "X": ((60, 32), "csr float32"),
        "log": ((60, 32), "dense float32"),
        "csc": ((60, 32), "csc float32"),
        "raw": ((60, 32), "csr float32"),
    }
    looks = {m.name: m.looks for m in found.matrices}
    assert looks["X"].startswith("integers (1 to ")
    assert looks["log"].startswith("not integers")
    assert [(m.name, m.shape) for m in found.obsm] == [("X_pca", (60, 5))]


def test_columns_are_described(write: Write) -> None:
    columns = {c.column: c for c in outline(write(full())).obs}
    assert (columns["annotation"].kind, columns["annotation"].different) == ("category", 2)
    assert columns["annotation"].examples == "B (30), T (30)"
    assert (columns["age"].kind, columns["age"].missing) == ("float64", 3)
    assert " to " in columns["age"].examples
    names = {c.column: c for c in outline(write(full())).var}
    assert names["gene_symbol"].examples == "GENE1, GENE2, GENE3, GENE4"


def test_the_matrix_is_not_read_unless_asked(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(full())
    monkeypatch.setattr(files, "load_h5ad", lambda *_: pytest.fail("loaded"))
    found = outline(path)
    assert not found.whole
    assert (found.counts, found.canonical, found.notices) == ("", None, ())


def test_all_of_it_says_where_the_counts_are_and_what_a_run_changes(write: Write) -> None:
    data = full()
    data.X = data.X.multiply(0.37).tocsr()
    data.layers["counts"] = source().X
    data.layers["counts"][0, :] = 0
    found = outline(write(data), whole=True)
    assert found.whole
    assert found.counts == "counts"
    assert found.canonical == (59, 32)
    assert any("1 cells have no counts" in notice for notice in found.notices)


def test_data_that_a_run_refuses_are_described_all_the_same(write: Write) -> None:
    data = source()
    data.X = data.X.multiply(0.37).tocsr()
    found = outline(write(data), whole=True)
    assert found.cells == 60
    assert (found.counts, found.canonical) == ("", None)
    assert "not integer counts" in found.notices[0]


def test_values_that_are_no_counts_are_named(write: Write) -> None:
    data = source()
    data.X[0, 0], data.X[1, 1] = -1, np.nan
    (matrix,) = outline(write(data)).matrices
    assert matrix.looks.startswith("negative values, NaN or infinite values, integers (-1 to ")


def test_features_of_several_kinds_are_counted(write: Write) -> None:
    data = source()
    data.var["feature_type"] = ["ADT"] * 2 + ["protein_coding"] * 30
    assert outline(write(data)).features == {"Gene Expression": 30, "Antibody Capture": 2}


def test_a_set_is_loaded_to_be_seen(write: Write, tmp_path: Path) -> None:
    path = write(source())
    (tmp_path / "set.toml").write_text(
        f'name = "two"\n[[files]]\npath = "{path.name}"\n[[files]]\npath = "{path.name}"\n'
    )
    found = outline(tmp_path / "set.toml")
    assert (found.name, found.cells, found.whole, found.counts) == ("two", 120, True, "X")


def test_a_registered_dataset_is_described() -> None:
    found = outline("pbmc68k")
    assert (found.cells, found.roles) == (700, {"cell_type": "bulk_labels"})


def test_files_written_long_ago_are_described() -> None:
    """scanpy ships one whose tables are compound HDF5 datasets."""
    import scanpy

    path = Path(scanpy.__file__).parent / "datasets" / "10x_pbmc68k_reduced.h5ad"
    found = outline(path)
    assert (found.cells, found.whole) == (700, True)
    assert found.suggested["cell_type"] == ["bulk_labels", "louvain"]


def test_names_that_do_not_print_do_not_reach_the_terminal(write: Write) -> None:
    data = source()
    data.obs["note"] = "\x1b[31mred" + "x" * 100
    (column,) = [c for c in outline(write(data)).obs if c.column == "note"]
    assert "\x1b" not in column.examples
    assert len(column.examples) < 60


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.write_bytes(b"\x00" * 100), "not an HDF5/AnnData file"),
        (lambda p: p.mkdir(), "is a directory"),
        (lambda p: None, "dataset file not found"),
    ],
)
def test_what_is_no_dataset_is_refused(tmp_path: Path, make: Callable[[Path], Any], message: str) -> None:
    make(tmp_path / "x.h5ad")
    with pytest.raises(BadInput, match=message):
        outline(tmp_path / "x.h5ad")


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        (
            ("x.zarr/.zgroup",),
            r"give a \.h5ad file, made of a Zarr store with anndata\.read_zarr\(\.\.\.\)\.write_h5ad",
        ),
        (("store/zarr.json",), "Zarr store"),
        (("x.zarr/empty",), "Zarr store"),
        (("outs/matrix.mtx.gz",), r"made of 10x Genomics' matrix with scanpy\.read_10x_mtx"),
        (("folder/else",), r"is a directory; give a \.h5ad file"),
    ],
)
def test_folders_are_told_what_they_are(tmp_path: Path, marks: tuple[str, ...], message: str) -> None:
    for mark in marks:
        (tmp_path / mark).parent.mkdir()
        (tmp_path / mark).touch()
    with pytest.raises(BadInput, match=message):
        outline((tmp_path / marks[0]).parent)


def test_suggestions_know_how_columns_are_spelled() -> None:
    columns = ["Cell.Type", "Sample-ID", "Donor ID", "leiden", "cell_type_ontology_term_id"]
    assert named_like(columns, "cell_type") == ["Cell.Type", "leiden"]
    assert named_like(columns, "batch") == ["Sample-ID"]
    assert named_like(columns, "donor") == ["Donor ID"]
    assert named_like(["leiden", "my_annot_v2", "author_cell_type"], "cell_type") == [
        "author_cell_type",
        "my_annot_v2",
        "leiden",
    ]


def test_a_wide_dense_matrix_is_only_looked_at(write: Write) -> None:
    data = ad.AnnData(np.ones((30, 20_000), dtype=np.float32), obs=pd.DataFrame(index=[f"c{k}" for k in range(30)]))
    (matrix,) = outline(write(data)).matrices
    assert matrix.values == 600_000
    assert "in the first 100,000 values" in matrix.looks
