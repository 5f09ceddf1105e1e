"""A fingerprint is the first expressed genes of a cell in one order for all files, and is read as it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from bench.data import fingerprints
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.vocabulary import Vocabulary
from bench.data.fingerprints import Fingerprints
from bench.errors import BadInput

GENES = [f"GENE{k}" for k in range(60)]


def canonical(counts: Any, names: list[str] | None = None, kinds: str = "Gene Expression") -> ad.AnnData:
    """Cells as models get them."""
    matrix = sparse.csr_matrix(np.asarray(counts, dtype="f4"))
    names = names or GENES[: matrix.shape[1]]
    var = pd.DataFrame(
        {"gene_symbol": names, "ensembl_id": "", "feature_types": kinds}, index=[f"v{k}" for k in range(len(names))]
    )
    obs = pd.DataFrame(index=[f"c{k}" for k in range(matrix.shape[0])])
    return ad.AnnData(matrix, obs=obs, var=var)


def plain(prints: Fingerprints, cell: int) -> list[tuple[int, int]]:
    """(hash of gene, count) of a cell, in order."""
    held = slice(prints.offsets[cell], prints.offsets[cell + 1])
    genes = prints.genes[prints.places[held]]
    return [(int(gene), int(count)) for gene, count in zip(genes, prints.counts[held], strict=True)]


COUNTS = hnp.arrays(np.int64, st.tuples(st.integers(1, 5), st.just(60)), elements=st.sampled_from([0, 0, 0, 1, 2, 300]))


@settings(max_examples=60, deadline=None)
@given(counts=COUNTS, longest=st.integers(1, 30))
def test_a_fingerprint_is_the_first_expressed_genes_with_their_counts(counts: np.ndarray, longest: int) -> None:
    cells = canonical(counts)
    hashes = fingerprints.gene_hashes(GENES)
    csr = (cells.X.indptr, cells.X.indices, cells.X.data)
    prints = fingerprints._sketches("x", "symbol", GENES, longest, csr, np.ones(len(counts), bool))
    for cell, row in enumerate(counts):
        expressed = sorted((int(hashes[g]), min(int(n), 255)) for g, n in enumerate(row) if n)
        assert plain(prints, cell) == expressed[:longest]


@settings(max_examples=30, deadline=None)
@given(counts=COUNTS, seed=st.integers(0, 99))
def test_neither_the_order_of_genes_nor_blocks_matter(counts: np.ndarray, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(60)
    one = fingerprints.of_anndata(canonical(counts), "x", "symbol")
    other = fingerprints.of_anndata(canonical(counts[:, order], [GENES[g] for g in order]), "x", "symbol")
    assert [plain(one, c) for c in range(len(counts))] == [plain(other, c) for c in range(len(counts))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprints, "_BLOCK", 7)
        blocks = fingerprints.of_anndata(canonical(counts), "x", "symbol")
    np.testing.assert_array_equal(blocks.places, one.places)
    np.testing.assert_array_equal(blocks.offsets, one.offsets)


def test_genes_without_a_name_of_their_own_and_other_features_are_left_out() -> None:
    names = ["A", "", "B", "B", "CD3"]
    prints = fingerprints.of_anndata(canonical([[1, 1, 1, 1, 1]], names), "x", "symbol")
    assert len(prints.genes) == len(plain(prints, 0)) == 2
    cells = canonical([[1, 1, 1, 1, 1]], names)
    cells.var["feature_types"] = ["Gene Expression"] * 4 + ["Antibody Capture"]
    assert len(fingerprints.of_anndata(cells, "x", "symbol").genes) == 1
    assert len(fingerprints.of_anndata(cells, "x", "ensembl").genes) == 0


def test_a_stored_file_and_the_same_cells_in_memory_have_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    counts = np.random.default_rng(0).poisson(0.8, (30, 60))
    for name, part in (("a", counts[:10]), ("b", counts[10:])):
        cells = canonical(part)
        cells.var_names = GENES
        cells.write_h5ad(tmp_path / f"{name}.h5ad")
    stores = [store_of(tmp_path / f"{name}.h5ad") for name in "ab"]
    found = fingerprints.of_dataset(CellDataset(stores, Vocabulary.of(stores)), unseen=np.array([3, 10, 29]))
    whole = fingerprints.of_anndata(canonical(counts), "x", "symbol")
    assert [one.name for one in found] == ["a", "b"]
    assert [plain(one, c) for one in found for c in range(len(one))] == [plain(whole, c) for c in range(30)]
    assert np.flatnonzero(~np.concatenate([one.seen for one in found])).tolist() == [3, 10, 29]


def test_more_cells_have_shorter_fingerprints() -> None:
    lengths = [fingerprints._longest(n) for n in (1, 10_000, 200_000, 1_000_000, 100_000_000)]
    assert lengths == [256, 256, 111, 48, 48]


@settings(max_examples=25, deadline=None)
@given(files=st.lists(st.tuples(COUNTS, st.integers(40, 60)), min_size=1, max_size=4))
def test_what_is_written_is_read(files: list[tuple[np.ndarray, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    made = [fingerprints.of_anndata(canonical(c[:, :n]), f"f{k}", "symbol") for k, (c, n) in enumerate(files)]
    path = tmp_path_factory.mktemp("prints") / "fingerprints.npz"
    fingerprints.write(path, made)
    for one, read in zip(made, fingerprints.read(path), strict=True):
        assert (one.name, one.kind, one.longest) == (read.name, read.kind, read.longest)
        for array in ("genes", "offsets", "places", "counts", "seen"):
            ours, theirs = getattr(one, array), getattr(read, array)
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype


def test_places_beyond_16_bits_are_kept(tmp_path: Path) -> None:
    genes = np.arange(1, 80_001, dtype=np.uint64)
    places = np.array([5, 79_999, 0, 70_000], dtype=np.uint32)
    one = Fingerprints(
        "x", "ensembl", genes, 48, np.array([0, 2, 2, 4]), places, np.ones(4, np.uint8), np.ones(3, bool)
    )
    fingerprints.write(tmp_path / "x.npz", [one])
    (read,) = fingerprints.read(tmp_path / "x.npz")
    assert (read.places.tolist(), read.offsets.tolist()) == (places.tolist(), [0, 2, 2, 4])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"about": np.frombuffer(b"{", dtype=np.uint8)}, "holds no fingerprints"),
        ({"about": np.frombuffer(b"[[1]]", dtype=np.uint8)}, "holds no fingerprints"),
        ({"about": None}, "holds no fingerprints"),
        ({"about": np.frombuffer(b'[["x", "symbol", 0, 0]]', dtype=np.uint8)}, "file 0 is not described"),
        ({"0/counts": np.ones(1, np.uint8)}, "does not end where its cells do"),
        ({"0/seen": np.ones(9, bool)}, "does not end where its cells do"),
        ({"0/steps": np.zeros(4, "f4")}, "is of other kinds"),
        ({"0/steps": np.full(4, 60_000, np.uint16)}, "has genes that it did not measure"),
        ({"0/lengths": np.full(2, 2**32 - 1, np.uint32)}, "does not end where its cells do"),
        ({"genes/0": np.array([[1]], np.uint64)}, "is of other kinds"),
        ({"genes/0": np.array([{}], dtype=object)}, "arrays of objects, which are code"),
    ],
)
def test_strangers_arrays_are_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "x.npz"
    fingerprints.write(path, [fingerprints.of_anndata(canonical([[1, 2, 0], [0, 1, 1]]), "x", "symbol")])
    with np.load(path) as held:
        kept = {**held, **change}
    np.savez(path, **{name: array for name, array in kept.items() if array is not None})
    with pytest.raises(BadInput, match=said):
        list(fingerprints.read(path))


def test_what_a_file_is_of_stands_in_it_as_text(tmp_path: Path) -> None:
    fingerprints.write(tmp_path / "x.npz", [fingerprints.of_anndata(canonical([[1]]), "pbmc", "symbol")])
    with np.load(tmp_path / "x.npz") as held:
        assert json.loads(held["about"].tobytes()) == [["pbmc", "symbol", 256, 0]]
