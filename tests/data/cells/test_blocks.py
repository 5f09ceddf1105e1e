"""A matrix on disk is read cell by cell, whatever way it is stored in, a little at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bench.data import counts
from bench.data.cells import blocks, columns, places, tables
from bench.errors import BadInput

FORMS = {"CSR": sparse.csr_matrix, "CSC": sparse.csc_matrix, "dense": np.asarray}
RANDOM = np.random.default_rng(0)
COUNTS = RANDOM.poisson(0.4, (60, 23)).astype(np.float32)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts so small that these matrices have many."""
    for module, name, value in ((blocks, "VALUES", 50), (columns, "VALUES", 50), (blocks, "CELLS", 7)):
        monkeypatch.setattr(module, name, value)


@pytest.fixture(params=FORMS)
def path(request: pytest.FixtureRequest, written: Callable[..., Path]) -> Path:
    return written(FORMS[request.param](COUNTS))


@pytest.fixture
def place(path: Path) -> Iterator[places.Place]:
    with h5py.File(path) as file:
        yield places.find(file, "", "x")


def test_the_blocks_one_after_the_other_are_the_matrix(place: places.Place, tmp_path: Path) -> None:
    parts = list(place.matrix.blocks(tmp_path))
    np.testing.assert_array_equal(sparse.vstack(parts).toarray(), COUNTS)
    assert len(parts) > 10
    assert max(part.nnz for part in parts) <= 50


def test_the_values_of_a_cell_come_in_the_order_of_genes(place: places.Place, tmp_path: Path) -> None:
    assert all(part.has_canonical_format for part in place.matrix.blocks(tmp_path))


def test_all_values_are_seen_and_each_is_found_again(place: places.Place) -> None:
    values = np.concatenate(list(place.matrix.values()))
    assert place.tally.seen == len(values) == place.matrix.stored
    for position in (0, 1, 50, len(values) - 1):
        assert COUNTS[place.matrix.place(position)] == values[position]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [0.5, np.nan, -1, np.inf, 2**25])
def test_what_is_wrong_is_said_as_of_data_in_memory(form: str, value: float, written: Callable[..., Path]) -> None:
    damaged = COUNTS.copy()
    damaged[17, 5] = damaged[40, 2] = value
    data = ad.AnnData(FORMS[form](damaged))
    (look,) = counts.survey(data)
    with h5py.File(written(data.X)) as file:
        if look.fault:
            with pytest.raises(BadInput) as error:
                places.find(file, "", "x")
            assert look.fault in str(error.value)
            return
        place = places.find(file, "", "x")
        names = [(str(cell), str(gene)) for cell, gene in map(place.matrix.place, range(place.matrix.stored))]
        found = place.tally.faults("X", names.__getitem__)
    text = " ".join(found)
    if form == "CSC":  # stored by gene: another value of the two is the first
        assert "cell '40', gene '2'" in text
    else:
        assert found == counts.faults(look, data.obs_names, data.var_names)


def test_integers_are_found_where_data_in_memory_has_them(written: Callable[..., Path]) -> None:
    logged = np.log1p(COUNTS)
    twice = written(logged, "twice", layers={"a": COUNTS, "b": COUNTS})
    for path, layer, origin in (
        (written(logged, "named", layers={"counts": COUNTS, "b": COUNTS}), "", "counts"),
        (written(logged, "only", layers={"scaled": logged, "umi": COUNTS}), "", "umi"),
        (twice, "b", "b"),
    ):
        with h5py.File(path) as file:
            assert places.find(file, layer, "x").origin == origin
    for layer, words in (("", r"several layers hold integers \('a', 'b'\)"), ("c", "unknown layer of x: 'c'")):
        with h5py.File(twice) as file, pytest.raises(BadInput, match=words):
            places.find(file, layer, "x")


def test_raw_has_genes_of_its_own(written: Callable[..., Path]) -> None:
    with h5py.File(
        written(np.log1p(COUNTS), raw={"X": COUNTS[:, :9], "var": pd.DataFrame(index=list("abcdefghi"))})
    ) as file:
        place = places.find(file, "", "x")
    assert (place.origin, place.var, place.matrix.shape) == ("raw", "raw/var", (60, 9))


@pytest.mark.parametrize("form", ["CSR", "CSC"])
@pytest.mark.parametrize(
    ("array", "at", "value", "words"),
    [
        ("indices", 3, 10_000, "outside its rows and columns"),
        ("indices", 3, -1, "outside its rows and columns"),
        ("indptr", 5, 400, "ends are not in order"),
        ("indptr", -1, 10**9, "ends are not those of its values"),
        ("indptr", 0, 1, "ends are not those of its values"),
    ],
)
def test_a_damaged_matrix_is_refused(
    form: str, array: str, at: int, value: int, words: str, written: Callable[..., Path], tmp_path: Path
) -> None:
    path = written(FORMS[form](COUNTS))
    with h5py.File(path, "a") as file:
        values = file[f"X/{array}"][:]
        values[at] = value
        file[f"X/{array}"][:] = values
    with h5py.File(path) as file, pytest.raises(BadInput, match=words):
        list(places.find(file, "", "x").matrix.blocks(tmp_path))


def test_a_cell_that_would_not_fit_into_memory_is_refused(written: Callable[..., Path], tmp_path: Path) -> None:
    path = written(sparse.csr_matrix(COUNTS))
    with h5py.File(path, "a") as file:
        file["X/indptr"][1:] = file["X/indptr"][-1]
    with h5py.File(path) as file, pytest.raises(BadInput, match="a cell has more values than there are genes"):
        list(places.find(file, "", "x").matrix.blocks(tmp_path))


@pytest.mark.parametrize("break_it", ["arrays", "shape", "group", "flat"])
def test_what_is_no_matrix_is_refused(break_it: str, written: Callable[..., Path]) -> None:
    path = written(sparse.csr_matrix(COUNTS))
    with h5py.File(path, "a") as file:
        if break_it == "arrays":
            del file["X/data"]
            file["X/data"] = np.ones(3)
        elif break_it == "shape":
            file["X"].attrs["shape"] = (1, 2, 3)
        else:
            del file["X"]
            file["X"] = np.ones(3)
            if break_it == "group":
                del file["X"]
                file.create_group("X/deeper")
    with h5py.File(path) as file, pytest.raises(BadInput, match="write"):
        places.find(file, "", "x")


@pytest.mark.filterwarnings("ignore")  # anndata's, about the age of the file
def test_an_old_file_has_the_tables_that_anndata_reads() -> None:
    """The file scanpy ships was written before anndata 0.7."""
    spec = find_spec("scanpy")
    assert spec is not None
    path = Path(str(spec.origin)).parent / "datasets" / "10x_pbmc68k_reduced.h5ad"
    known: Any = ad.read_h5ad(path)
    with h5py.File(path) as file:
        pd.testing.assert_frame_equal(tables.read(file, "obs", "x"), known.obs, check_names=False)
        pd.testing.assert_frame_equal(tables.read(file, "raw/var", "x"), known.raw.var, check_names=False)
