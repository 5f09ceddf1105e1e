"""A file becomes a store that holds the very counts that canonical data has, and is converted once."""

from __future__ import annotations

import shutil
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from scipy import sparse

from bench.data import canonical
from bench.data.cells import blocks, columns, contents
from bench.data.cells.convert import store_of
from bench.data.cells.progress import watched
from bench.data.cells.store import CellStore
from bench.data.files import describe
from bench.data.modalities import GENE_EXPRESSION
from bench.data.options import DataOptions
from bench.errors import BadInput

pytestmark = pytest.mark.filterwarnings("ignore:.*names are not unique:UserWarning")  # repeated names are a subject
COUNTS = np.random.default_rng(0).poisson(0.4, (60, 23)).astype(np.float32)
COUNTS[COUNTS.sum(axis=1) == 0, 0] = 1
Read = Callable[[CellStore], sparse.csr_matrix]
Write = Callable[..., Path]


def same_as_canonical(path: Path, read: Read, **options: Any) -> None:
    """Counts, names and roles of a store are those of canonical data."""
    store = store_of(path, options=DataOptions(**options))
    spec = describe(path, obs={}, options={"unlabelled": "keep", **options})
    data = canonical.load(spec)
    data = data[:, (data.var["feature_types"] == GENE_EXPRESSION).to_numpy()]
    assert (read(store) != data.X).nnz == 0
    np.testing.assert_array_equal(store.totals, np.asarray(data.X.sum(axis=1)).ravel())
    assert list(store.obs.index) == list(data.obs_names)
    pd.testing.assert_frame_equal(store.genes, data.var[["gene_symbol", "ensembl_id"]].astype(object))
    for role, column in spec.roles.items():
        codes, words = store.codes(column)
        pd.testing.assert_series_equal(
            pd.Series(np.array([*words, np.nan], dtype=object)[codes], data.obs_names),
            data.obs[role],
            check_names=False,
        )


def files(shared: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted((shared / "data").glob("*.h5ad"))}


@pytest.mark.parametrize("name", ["pbmc68k_reduced_counts", "bmmc_cite.rna", "cardio_ipsc_day2_day5"])
def test_a_real_file_is_as_canonical_data(name: str, shared: Path, matrix_of: Read) -> None:
    same_as_canonical(files(shared)[name], matrix_of)


@pytest.mark.slow
def test_every_real_file_is_as_canonical_data_or_refused_for_its_reason(shared: Path, matrix_of: Read) -> None:
    fractional = {"pancreas_3tech_acinar_gamma", "pancreas_9tech_tiny"}
    for name, path in files(shared).items():
        reason = "is not integer counts" if name in fractional else "holds no genes but" if "rna" not in name else ""
        if name in fractional or name.endswith((".adt", ".atac")):
            with pytest.raises(BadInput, match=reason):
                store_of(path)
        else:
            same_as_canonical(path, matrix_of)


@pytest.mark.filterwarnings("ignore")  # anndata's, about the age of the file
def test_a_file_older_than_anndata_07_is_as_canonical_data(tmp_path: Path, matrix_of: Read) -> None:
    spec = find_spec("scanpy")
    assert spec is not None
    path = tmp_path / "old.h5ad"
    shutil.copy(Path(str(spec.origin)).parent / "datasets" / "10x_pbmc68k_reduced.h5ad", path)
    with h5py.File(path, "a") as file:
        file["raw.X/data"][:] = np.ceil(file["raw.X/data"][:])
    same_as_canonical(path, matrix_of)
    store = store_of(path)
    assert store.notices[0] == "counts taken from 'raw': X holds no integers."
    assert "CD34+" in store.codes("bulk_labels")[1]


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "u1", ">f4", "f2"])
def test_counts_of_any_form_become_one_store(
    form: Any, dtype: str, written: Write, matrix_of: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (blocks, columns):
        monkeypatch.setattr(module, "VALUES", 50)
    path = written(form(COUNTS))
    with h5py.File(path, "a") as file:
        where = "X" if form is np.asarray else "X/data"
        values, attributes = file[where][:].astype(dtype), dict(file[where].attrs)
        del file[where]
        file[where] = values
        file[where].attrs.update(attributes)
    store = store_of(path)
    np.testing.assert_array_equal(matrix_of(store).toarray(), COUNTS)
    assert (store.indptr.dtype, store.indices.dtype, store.counts.dtype) == (np.int64, np.uint16, np.uint16)
    assert ("converted CSC to CSR." in store.notices) is (form is sparse.csc_matrix)


@st.composite
def sources(draw: st.DrawFn) -> ad.AnnData:
    n, m = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    values = np.array(draw(st.lists(st.sampled_from([0, 0, 0, 1, 2, 250]), min_size=n * m, max_size=n * m)), dtype="f8")
    if draw(st.integers(0, 5)) == 0:
        values[draw(st.integers(0, n * m - 1))] = draw(st.sampled_from([np.nan, np.inf, -1, 0.5, 1e300, 70_000]))
    form = draw(st.sampled_from([np.asarray, sparse.csr_matrix, sparse.csc_matrix]))
    names = st.sampled_from(["CD3E", "CD4", "ENSG00000000001.2", "ENSG00000000002", "ñ"])
    labels = st.sampled_from(["T", "B", "", "nan", None, "🧬"])
    obs = pd.DataFrame({"cell_type": pd.Categorical(draw(st.lists(labels, min_size=n, max_size=n)))})
    obs.index = pd.Index(draw(st.lists(st.sampled_from(["a", "b", "a-1"]), min_size=n, max_size=n)), dtype=object)
    var = pd.DataFrame(index=pd.Index(draw(st.lists(names, min_size=m, max_size=m)), dtype=object))
    if draw(st.booleans()):
        kinds = st.sampled_from(["Gene Expression", "Gene Expression", "Antibody Capture"])
        var["feature_types"] = draw(st.lists(kinds, min_size=m, max_size=m))
    return ad.AnnData(form(values.reshape(n, m)), obs=obs, var=var)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=sources(), duplicates=st.sampled_from(["sum", "first"]))
def test_whatever_is_in_a_file_the_store_is_as_canonical_data_or_both_are_refused(
    data: ad.AnnData, duplicates: Literal["sum", "first"], tmp_path: Path, matrix_of: Read
) -> None:
    path = tmp_path / "x.h5ad"
    data.write_h5ad(path)
    if "feature_types" in data.var and (data.var["feature_types"] != GENE_EXPRESSION).any():
        # canonical data keeps a cell that has counts of other features only: all that is claimed is one sentence
        with suppress(BadInput):
            store_of(path, options=DataOptions(duplicate_genes=duplicates))
        return
    try:
        canonical.load(describe(path, obs={}, options={"unlabelled": "keep", "duplicate_genes": duplicates}))
    except BadInput as error:
        event(f"refused: {str(error)[:30]}")
        with pytest.raises(BadInput):
            store_of(path, options=DataOptions(duplicate_genes=duplicates))
    else:
        same_as_canonical(path, matrix_of, duplicate_genes=duplicates)


def test_a_large_count_widens_what_is_already_written(
    written: Write, matrix_of: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "VALUES", 50)
    large = COUNTS.copy()
    large[-1, -1] = 2**24
    store = store_of(written(sparse.csr_matrix(large)))
    assert store.counts.dtype == np.uint32
    np.testing.assert_array_equal(matrix_of(store).toarray(), large)


def test_totals_are_exact_where_float32_is_not(written: Write) -> None:
    deep = np.full((1, 5), 2**24, dtype="f4")
    deep[0, -1] = 1
    assert store_of(written(sparse.csr_matrix(deep))).totals.tolist() == [4 * 2**24 + 1]


def test_a_layer_may_be_called_x_where_there_is_no_x(written: Write, matrix_of: Read) -> None:
    path = written(COUNTS, layers={"X": COUNTS})
    with h5py.File(path, "a") as file:
        del file["X"]
    np.testing.assert_array_equal(matrix_of(store_of(path)).toarray(), COUNTS)


def test_many_genes_need_wider_positions(written: Write, matrix_of: Read) -> None:
    wide = sparse.csr_matrix(([3.0, 5.0], ([0, 1], [0, 70_000])), shape=(2, 70_001), dtype="f4")
    store = store_of(written(wide))
    assert store.indices.dtype == np.uint32
    assert (matrix_of(store) != wide).nnz == 0


def test_genes_that_share_a_name_are_settled_as_asked(written: Write) -> None:
    path = written(np.array([[1, 2, 255], [0, 0, 4]], dtype="u1"), var=pd.DataFrame(index=["a", "b", "a"]))
    with pytest.raises(BadInput, match=r"1 duplicate gene names .* --data-set duplicate_genes=sum"):
        store_of(path)
    added = store_of(path, options=DataOptions(duplicate_genes="sum"))
    assert (list(added.genes.index), added.counts.tolist(), added.indices.tolist()) == (
        ["a", "b"],
        [256, 2, 4],
        [0, 1, 0],
    )
    first = store_of(path, options=DataOptions(duplicate_genes="first"))
    assert (first.counts.tolist(), first.obs.index.tolist()) == ([1, 2], ["c0"])
    assert first.notices[-1] == "1 cells have no counts (first: 'c1'); dropped."


def test_only_genes_are_kept(written: Write) -> None:
    var = pd.DataFrame({"feature_types": ["Antibody Capture", "Gene Expression"]}, index=["CD4", "CD4"])
    store = store_of(written(np.array([[7.0, 2.0], [9.0, 1.0]]), var=var))
    assert (list(store.genes.index), store.counts.tolist(), store.totals.tolist()) == (["CD4"], [2, 1], [2, 1])
    assert "1 features that are no genes are left out." in store.notices


def test_cells_without_counts_are_dropped_and_the_rest_keep_their_labels(written: Write) -> None:
    sparse_cells = COUNTS.copy()
    sparse_cells[::3] = 0
    path = written(
        sparse_cells, obs=pd.DataFrame({"batch": [f"b{k}" for k in range(60)]}, index=[f"c{k}" for k in range(60)])
    )
    store = store_of(path)
    codes, words = store.codes("batch")
    assert (np.diff(store.indptr) > 0).all()
    assert [words[code] for code in codes] == [f"b{k}" for k in range(60) if k % 3] == list(store.obs["batch"])
    assert store.notices[-1] == "20 cells have no counts (first: 'c0'); dropped."
    with pytest.raises(BadInput, match=r"20 cells have no counts .* drop them"):
        store_of(path, options=DataOptions(strict=True))


def test_columns_that_name_groups_are_coded_and_others_kept(written: Write) -> None:
    n = 2000
    obs = pd.DataFrame(
        {
            "text": np.where(np.arange(n) % 2, "b", "a"),
            "category": pd.Categorical(np.where(np.arange(n) % 2, "y", "nan"), categories=["y", "nan", "unused"]),
            "flag": np.arange(n) % 2 == 0,
            "day": np.arange(n) % 3,
            "dose": np.where(np.arange(n) % 2, 0.1, 3).astype("f4"),
            "score": np.linspace(0, 1, n),
            "long": ["x" * 300] * n,
        },
        index=[f"c{k}" for k in range(n)],
    )
    store = store_of(written(np.ones((n, 2)), obs=obs))
    assert store.columns == ("text", "category", "flag", "day", "dose")
    assert [store.codes(column)[1] for column in store.columns] == [
        ("a", "b"), ("y",), ("False", "True"), ("0", "1", "2"), ("0.1", "3")
    ]  # fmt: skip
    codes = {column: store.codes(column)[0] for column in store.columns}
    np.testing.assert_array_equal(codes["category"], np.where(np.arange(n) % 2, 0, -1))
    assert all(values.dtype == np.int32 for values in codes.values())
    assert "category is empty or 'nan' in 1,000 cells: read as missing." in store.notices
    assert any("is longer than 200 characters" in notice for notice in store.notices)
    kept = store.obs
    np.testing.assert_array_equal(kept["score"], obs["score"])
    np.testing.assert_array_equal(kept["day"], obs["day"])
    assert kept["long"].tolist() == obs["long"].tolist()
    assert kept["category"].isna().sum() == 1000


def test_a_file_is_converted_once_wherever_it_is(
    written: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(COUNTS)
    store = store_of(path)
    monkeypatch.setattr(contents, "plan", None)
    assert store_of(path) == store
    moved = path.rename(tmp_path / "elsewhere.h5ad")
    path.write_bytes(b"another file took its place")
    found = store_of(moved)
    assert (found.path, found.identity) == (store.path, store.identity)
    assert (found.name, found.source) == ("elsewhere", moved)  # in messages a file is called as it was given


def test_other_choices_make_another_store(written: Write) -> None:
    path = written(COUNTS, layers={"twice": 2 * COUNTS})
    one, two = store_of(path), store_of(path, layer="twice")
    assert one.identity != two.identity
    assert 2 * one.counts.sum() == two.counts.sum()
    assert store_of(path, options=DataOptions(unlabelled="drop")) == one  # labels are not settled here


def test_of_two_conversions_at_once_one_waits(
    written: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, planned, stores = contents.plan, [], []

    def slow(*arguments: Any) -> contents.Plan:
        planned.append(1)
        time.sleep(0.3)
        return plan(*arguments)

    monkeypatch.setattr(contents, "plan", slow)
    path = written(COUNTS)
    threads = [threading.Thread(target=lambda: stores.append(store_of(path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(planned) == 1
    assert stores[0] == stores[1]
    assert "cells.h5ad: another process is converting it; waiting" in capsys.readouterr().err


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_memory_does_not_grow_with_the_number_of_cells(
    form: Any, written: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in ((blocks, "VALUES", 2**14), (columns, "VALUES", 2**14), (blocks, "CELLS", 2**8)):
        monkeypatch.setattr(module, name, value)
    peaks = []
    for n in (500, 2000):  # of obs, which is read whole, each takes 200 bytes
        path = written(form(np.tile(COUNTS[:10], (n // 10, 20))), str(n))
        shutil.rmtree(store_of(path).path)  # what is imported and memoised once
        tracemalloc.start()
        assert store_of(path).nnz > 100 * n
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_bar_on_a_terminal_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(watched(iter("abc"), "converting [x]", 3, len)) == ["a", "b", "c"]
