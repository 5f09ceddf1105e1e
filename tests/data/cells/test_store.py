"""A store is read by memory map, in any process, and is what it says or is refused."""

from __future__ import annotations

import json
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.data.cells.convert import store_of
from bench.data.cells.store import CellStore
from bench.errors import BadInput

COUNTS = np.random.default_rng(0).poisson(2.0, (50, 20)).astype(np.float32)


@pytest.fixture
def path(written: Callable[..., Path]) -> Path:
    obs = pd.DataFrame({"batch": list("ab") * 25, "cell_type": ["T"] * 50}, index=[f"c{k}" for k in range(50)])
    return written(COUNTS, obs=obs)


@pytest.fixture
def store(path: Path) -> CellStore:
    return store_of(path)


def mapped(array: np.ndarray) -> bool:
    base = array
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap) and base.base is not None:
        base = base.base
    return isinstance(base, np.memmap)


def test_arrays_are_mapped_and_cannot_be_written_to(store: CellStore) -> None:
    arrays = [store.indptr, store.indices, store.counts, store.totals, store.codes("batch")[0]]
    assert all(mapped(array) and type(array) is np.ndarray and not array.flags.writeable for array in arrays)
    assert store.indices is store.indices
    assert store.codes("batch")[0] is store.codes("batch")[0]


def test_what_is_in_it(store: CellStore, path: Path) -> None:
    assert (store.n_cells, store.n_genes, store.nnz) == (50, 20, np.count_nonzero(COUNTS))
    assert (store.name, store.source, store.columns) == ("cells", path, ("batch", "cell_type"))
    assert store.codes("batch")[1] == ("a", "b")
    assert len(store.identity) == 64
    assert list(store.genes.columns) == ["gene_symbol", "ensembl_id"]
    assert list(store.obs["batch"]) == list("ab") * 25


def test_a_column_that_is_not_there_names_those_that_are(store: CellStore) -> None:
    with pytest.raises(BadInput, match=r"unknown obs column of cells: 'batsh'\. Did you mean 'batch'\?"):
        store.codes("batsh")


def test_another_process_opens_its_own_maps(store: CellStore) -> None:
    store.codes("batch")
    sent = pickle.dumps(store)
    assert len(sent) < 2000
    received = pickle.loads(sent)
    assert received == store
    np.testing.assert_array_equal(received.counts, store.counts)
    assert mapped(received.counts)


def test_a_store_is_opened_by_its_folder(store: CellStore) -> None:
    assert CellStore.open(store.path) == store


def test_a_file_that_was_only_touched_has_not_changed(store: CellStore, path: Path) -> None:
    os.utime(path, ns=(1, 1))
    assert CellStore.open(store.path) == store


def test_a_file_that_is_gone_is_not_missed(store: CellStore, path: Path) -> None:
    path.unlink()
    assert CellStore.open(store.path) == store


def test_what_has_taken_the_place_of_a_file_but_is_none_is_no_change_of_it(store: CellStore, path: Path) -> None:
    path.unlink()
    path.mkdir()
    assert CellStore.open(store.path) == store
    file = store.path / "meta.json"
    meta = json.loads(file.read_text())
    meta["source"]["path"] = "no path\0here"
    file.write_text(json.dumps(meta))
    assert CellStore.open(store.path).n_cells == 50


ARRAYS = ["indptr.npy", "indices.npy", "counts.npy", "totals.npy", "codes/1.npy"]


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("left", [0, 60, 150])
def test_an_array_that_was_cut_short_is_found_on_opening(store: CellStore, name: str, left: int) -> None:
    os.truncate(store.path / name, left)
    with pytest.raises(BadInput, match=rf"is damaged \({name}: .*remove that folder"):
        CellStore.open(store.path)


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_of_another_kind_or_length_is_found_on_opening(store: CellStore, name: str) -> None:
    whole = np.load(store.path / name)
    for other in (whole[:-1], whole.astype(np.float64), whole[:, None], whole.astype(">i4")):
        np.save(store.path / name, other)
        with pytest.raises(BadInput, match="is damaged"):
            CellStore.open(store.path)


def test_an_array_that_would_run_code_is_not_read(store: CellStore) -> None:
    np.save(store.path / "counts.npy", np.array([{"any": "object"}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match=r"counts\.npy"):
        CellStore.open(store.path)


def test_row_ends_of_another_store_are_found_on_opening(store: CellStore) -> None:
    np.save(store.path / "indptr.npy", store.indptr + 1)
    with pytest.raises(BadInput, match=r"indptr\.npy does not end where the counts do"):
        CellStore.open(store.path)


@pytest.mark.parametrize("name", ["genes.parquet", "obs.parquet"])
def test_a_damaged_table_is_refused_when_it_is_read(store: CellStore, name: str) -> None:
    (store.path / name).write_bytes(b"PAR1 and then nothing of the kind")
    with pytest.raises(BadInput, match=rf"is damaged \({name}"):
        getattr(store, name.removesuffix(".parquet"))
    pd.DataFrame({"x": [1]}).to_parquet(store.path / name)
    with pytest.raises(BadInput, match="has 1 rows"):
        getattr(store, name.removesuffix(".parquet"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "is a store of format 2, this bench reads 1"),
        ({"nnz": None}, "is damaged"),
        ({"nnz": "many"}, "is damaged"),
        ({"n_cells": 10**15}, "is damaged"),
        ({"columns": ["batch"]}, "is damaged"),
        ({"columns": {"batch": ["a"], "cell_type": [], "more": []}}, r"is damaged \(codes/2\.npy"),
        ({"source": "x"}, "is damaged"),
    ],
)
def test_a_meta_file_that_says_something_else_is_refused(store: CellStore, change: dict, words: str) -> None:
    file = store.path / "meta.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(BadInput, match=words):
        CellStore.open(store.path)


@pytest.mark.parametrize("text", ["", "[]", "{", "\udcff"])
def test_a_meta_file_that_is_none_is_refused(store: CellStore, text: str) -> None:
    (store.path / "meta.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadInput, match=r"is damaged|is a store of format None"):
        CellStore.open(store.path)


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is no store of cells .* give a \.h5ad file"):
        CellStore.open(tmp_path)


def test_more_open_files_than_allowed_is_no_damage(store: CellStore) -> None:
    _, most = allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/dev/fd"))) + 1
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, most))
        with pytest.raises(BadInput, match="as many files open as it may; raise the limit with ulimit -n"):
            [CellStore.open(store.path) for _ in range(used)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
