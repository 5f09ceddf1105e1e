"""Cells in memory are read as stored ones are, wherever they stand and in whatever company."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from bench.data.canonical import canonicalise
from bench.data.cells.batch import Cells, Draw
from bench.data.cells.collate import Collator
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.memory import CellsInMemory
from bench.data.cells.options import CollatorConfig
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput
from bench.specs import DatasetSpec

GENES = [f"g{k}" for k in range(6)]
COUNTS = np.array([[1, 0, 2, 0, 0, 7], [0, 3, 0, 0, 1, 0], [1, 0, 2, 0, 0, 7], [0, 0, 0, 5, 0, 0]], dtype=np.float32)


def canonical(counts: Any, genes: list[str] = GENES, **obs: list[Any]) -> ad.AnnData:
    var = {"gene_symbol": genes, "ensembl_id": "", "feature_types": "Gene Expression"}
    names = [f"c{k}" for k in range(len(counts))]
    return ad.AnnData(
        sparse.csr_matrix(counts),
        obs=pd.DataFrame(obs, index=names),
        var=pd.DataFrame(var, index=pd.Index(genes, dtype=object), dtype=object),
    )


def of(cells: Cells) -> list[dict[int, float]]:
    """Each cell as gene -> counts."""
    ends = cells.offsets
    return [dict(zip(cells.genes[a:b].tolist(), cells.counts[a:b].tolist(), strict=True)) for a, b in pairwise(ends)]


def test_it_reads_what_a_store_of_the_same_cells_holds(pbmc: sparse.csr_matrix, written: Callable[..., Path]) -> None:
    genes = pd.DataFrame(index=[f"GENE{k}" for k in range(pbmc.shape[1])])
    path = written(pbmc, var=genes)
    stored = CellDataset([store_of(path)], Vocabulary("symbol", tuple(genes.index[::2])))
    spec = DatasetSpec("blood", "", "a:b")
    read = CellsInMemory(canonicalise(ad.read_h5ad(path), spec), stored.vocabulary)
    draw = Draw(np.array([5, 699, 5, 0]))
    ours, theirs = read(draw), stored.__getitems__(draw)
    assert of(ours) == of(theirs)
    assert (ours.totals == theirs.totals).all()
    assert (ours.cells == theirs.cells).all()
    assert (read.lengths[draw.cells] == np.diff(ours.offsets)).all()


def test_the_key_of_a_cell_is_of_its_counts_and_the_epoch() -> None:
    read = CellsInMemory(canonical(COUNTS), Vocabulary("symbol", tuple(GENES)))
    keys = read(Draw(np.arange(4))).keys
    assert keys[0] == keys[2]
    assert len(set(keys.tolist())) == 3
    assert (read(Draw(np.array([3, 1]))).keys == keys[[3, 1]]).all()
    assert not set(read(Draw(np.arange(4), epoch=1)).keys.tolist()) & set(keys.tolist())
    again = read(Draw(np.array([1, 1]), repeats=np.array([0, 1]))).keys
    assert again[0] == keys[1] != again[1]


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(6)), st.permutations(range(4)))
def test_order_of_genes_and_cells_changes_nothing(genes: list[int], order: list[int]) -> None:
    """Nor do features that are not in the vocabulary, but that their counts are in the total."""
    vocabulary = Vocabulary("symbol", ("g0", "g1", "g2", "g3", "g4", "other"))
    moved = canonical(COUNTS[np.ix_(order, genes)], [GENES[k] for k in genes])
    plain = CellsInMemory(canonical(COUNTS), vocabulary)(Draw(np.array(order)))
    turned = CellsInMemory(moved, vocabulary)(Draw(np.arange(4)))
    assert of(turned) == of(plain)
    assert (turned.keys == plain.keys).all()
    assert turned.totals.tolist() == COUNTS[order].sum(1).tolist()


@pytest.mark.parametrize("genes", ["nonzero_random", "all_random"])
def test_a_batch_is_the_same_in_any_company(genes: str, pbmc: sparse.csr_matrix) -> None:
    """Also where genes are drawn at random."""
    names = [f"GENE{k}" for k in range(pbmc.shape[1])]
    vocabulary = Vocabulary("symbol", tuple(names))
    config = CollatorConfig(length=48, genes=genes, corruption="none")  # type: ignore[arg-type]
    collate = Collator(config, len(vocabulary), 3)
    whole = collate(CellsInMemory(canonical(pbmc.toarray(), names), vocabulary)(Draw(np.arange(60)))).inputs
    part = canonical(pbmc.toarray()[[40, 7]], names)
    few = collate(CellsInMemory(part, vocabulary)(Draw(np.arange(2)))).inputs
    assert (few.genes == whole.genes[[40, 7]]).all()
    assert (few.values == whole.values[[40, 7]]).all()
    assert (few.depth == whole.depth[[40, 7]]).all()


def test_the_key_does_not_depend_on_the_vocabulary() -> None:
    """Untrained models know the genes of the cells they are given, whatever these are."""
    wide = canonical(np.pad(COUNTS, ((0, 0), (3, 0))), ["a", "b", "c", *GENES])
    narrow = canonical(COUNTS)
    first, second = (
        CellsInMemory(cells, Vocabulary.of_genes(cells.var))(Draw(np.arange(4))) for cells in (wide, narrow)
    )
    assert (first.keys == second.keys).all()


def test_codes_are_those_the_model_learned() -> None:
    cells = canonical(COUNTS, batch=["b", "a", "new", np.nan])
    read = CellsInMemory(cells, Vocabulary("symbol", tuple(GENES)), {"batch": ("a", "b"), "donor": ("x",)})
    codes = read(Draw(np.array([3, 0, 1, 2]))).codes
    assert codes["batch"].tolist() == [-1, 1, 0, -1]
    assert codes["donor"].tolist() == [-1] * 4


def test_features_that_are_no_genes_are_not_read() -> None:
    cells = canonical(COUNTS)
    cells.var["feature_types"] = ["Gene Expression"] * 5 + ["Antibody Capture"]
    assert Vocabulary.of_genes(cells.var).names == tuple(GENES[:5])
    read = CellsInMemory(cells, Vocabulary.of_genes(cells.var))(Draw(np.arange(4)))
    assert read.totals.tolist() == COUNTS[:, :5].sum(1).tolist()
    assert max(max(cell) for cell in of(read)) < 5


def test_before_a_cell_in_memory_there_is_none() -> None:
    read = CellsInMemory(canonical(COUNTS), Vocabulary("symbol", tuple(GENES)), previous=True)
    batch = Collator(CollatorConfig(length=4, previous=True, corruption="none"), 6)(read(Draw(np.arange(4))))
    assert batch.inputs.present[:, :2].any(1).all()
    assert not batch.inputs.present[:, 2:].any()


def test_data_that_name_genes_the_other_way_are_read_where_a_vocabulary_knows_both() -> None:
    """Models are trained on files with Ensembl ids, and asked about files that have symbols alone."""
    ids = tuple(f"ENSG{k:011d}" for k in range(6))
    named = canonical(COUNTS)
    named.var["ensembl_id"] = ids
    vocabulary = Vocabulary.of_genes(named.var)
    assert (vocabulary.names, vocabulary.others) == (ids, tuple(GENES))
    by_id, by_symbol = (CellsInMemory(cells, vocabulary)(Draw(np.arange(4))) for cells in (named, canonical(COUNTS)))
    assert of(by_symbol) == of(by_id)
    assert (by_symbol.keys == by_id.keys).all()


def test_genes_of_another_kind_are_refused_in_words() -> None:
    with pytest.raises(BadInput, match=r"these cells: only 0 of 6 genes \(first: 'g0'\) are among the 9 of the"):
        CellsInMemory(canonical(COUNTS), Vocabulary("ensembl", tuple(f"ENSG{k:011d}" for k in range(9))))


def test_a_vocabulary_of_genes_is_sorted_and_of_the_better_kind() -> None:
    var = canonical(COUNTS).var
    assert Vocabulary.of_genes(var.iloc[::-1]) == Vocabulary("symbol", tuple(GENES))
    var["ensembl_id"] = [f"ENSG{9 - k:011d}" for k in range(6)]
    assert Vocabulary.of_genes(var).kind == "ensembl"
    assert list(Vocabulary.of_genes(var).names) == sorted(var["ensembl_id"])
