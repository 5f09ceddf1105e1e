"""The cells of a test set are found among those of a training, and no others; what cannot be compared is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from bench.data import canonical, fingerprints
from bench.data.files import describe
from bench.data.fingerprints import Fingerprints
from bench.data.overlap import FEWEST, Overlap, Sought

N_GENES = 400
NAMES = np.array([f"GENE{k}" for k in range(N_GENES)])


def made(counts: np.ndarray, genes: np.ndarray) -> ad.AnnData:
    """Canonical cells that were measured on some of the genes."""
    var = pd.DataFrame({"gene_symbol": NAMES[genes], "ensembl_id": "", "feature_types": "Gene Expression"})
    return ad.AnnData(sparse.csr_matrix(counts[:, genes].astype("f4")), var=var.set_axis(NAMES[genes]))


def drawn(seed: int, n: int = 60) -> np.ndarray:
    """Counts of cells of one type: every gene has its own rate, every cell its own depth."""
    rng = np.random.default_rng(seed)
    rates = rng.gamma(0.3, 2.0, N_GENES)
    return rng.poisson(rates * rng.lognormal(0, 0.5, (n, 1)))


def expressed(cells: ad.AnnData) -> np.ndarray:
    """How many genes each cell expresses."""
    return np.asarray((cells.X > 0).sum(axis=1)).ravel()


def looked_for(cells: ad.AnnData, file: Fingerprints) -> Overlap:
    return Sought(fingerprints.of_anndata(cells, "", "symbol", whole=True)).overlap(file)


def shortened(cells: ad.AnnData, longest: int, seen: np.ndarray | None = None) -> Fingerprints:
    """Fingerprints as those of many cells are."""
    csr = (cells.X.indptr, cells.X.indices, cells.X.data)
    every = np.ones(cells.n_obs, dtype=bool)
    names = cells.var["gene_symbol"].tolist()
    return fingerprints._sketches("file", "symbol", names, longest, csr, every if seen is None else seen)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.5, 0.8, 1.0]), longest=st.sampled_from([48, 256]))
def test_the_same_cells_are_found_whatever_genes_were_left_out(seed: int, share: float, longest: int) -> None:
    rng = np.random.default_rng(seed)
    of_file, of_test = (np.flatnonzero(rng.random(N_GENES) < share) for _ in range(2))
    counts = drawn(seed)
    file, cells = made(counts[:40], of_file), made(counts[20:], rng.permutation(of_test))
    prints = shortened(file, longest)
    found = looked_for(cells, prints)
    common = np.intersect1d(of_file, of_test)
    # a full fingerprint ends somewhere: at least so many of its genes must be common
    enough = [len(np.intersect1d(prints.genes[held], hashes(common))) >= FEWEST for held in rows(prints)][20:]
    assert found.genes == len(common)
    assert found.seen[:20].tolist() == enough
    assert not found.seen[20:].any()
    assert not found.kept.any()


def hashes(genes: np.ndarray) -> np.ndarray:
    return fingerprints.gene_hashes(NAMES[genes].tolist())


def rows(prints: Fingerprints) -> Iterator[np.ndarray]:
    for start, stop in zip(prints.offsets[:-1], prints.offsets[1:], strict=True):
        yield prints.places[start:stop]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), gene=st.integers(0, 10), longest=st.sampled_from([20, 48, 256]))
def test_a_cell_that_differs_in_one_known_count_is_another(seed: int, gene: int, longest: int) -> None:
    every = np.arange(N_GENES)
    file = made(drawn(seed), every)
    prints, other = shortened(file, longest), file.copy()
    changed = [
        int(np.flatnonzero(fingerprints.gene_hashes(NAMES.tolist()) == prints.genes[held[gene]])[0])
        for held in rows(prints)
    ]
    for cell, place in enumerate(changed):
        other.X[cell, place] += 1
    assert not looked_for(other, prints).seen.any()
    assert looked_for(file, prints).seen.all()


def test_cells_that_were_kept_for_the_test_are_told_apart() -> None:
    cells = made(drawn(0), np.arange(N_GENES))
    seen = np.arange(60) % 3 > 0
    found = looked_for(cells, shortened(cells, 48, seen))
    np.testing.assert_array_equal(found.seen, seen)
    np.testing.assert_array_equal(found.kept, ~seen)
    twice = made(np.tile(drawn(0), (2, 1)), np.arange(N_GENES))  # once to train, once to test
    found = looked_for(cells, shortened(twice, 48, np.arange(120) < 60))
    assert found.seen.all()
    assert found.kept.all()


def test_cells_that_are_alike_are_all_found() -> None:
    counts = np.repeat(drawn(1, 3), 50, axis=0)
    cells = made(counts, np.arange(N_GENES))
    assert looked_for(cells, shortened(cells[:1].copy(), 48)).seen.tolist() == [True] * 50 + [False] * 100
    assert looked_for(cells[:1].copy(), shortened(cells, 48)).seen.all()


def test_blocks_of_cells_are_looked_through_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = made(drawn(2), np.arange(N_GENES))
    monkeypatch.setattr(fingerprints, "_BLOCK", 100)
    found = looked_for(cells[10:].copy(), shortened(cells[:30].copy(), 48))
    assert np.flatnonzero(found.seen).tolist() == list(range(20))


def test_too_few_genes_in_common_cannot_be_compared() -> None:
    counts = drawn(3)
    few = made(counts, np.arange(15))
    found = looked_for(few, shortened(made(counts, np.arange(N_GENES)), 256))
    assert found.comparable == pytest.approx((expressed(few) >= FEWEST).mean() ** 2)
    assert found.comparable < 0.5
    assert looked_for(made(counts, np.arange(200)), shortened(made(counts, np.arange(200, 400)), 48)).comparable == 0
    assert looked_for(made(counts, np.arange(200)), shortened(made(counts, np.arange(N_GENES)), 256)).comparable == 1


def test_names_of_another_kind_cannot_be_compared() -> None:
    cells = made(drawn(4), np.arange(N_GENES))
    by_id = cells.copy()
    by_id.var["ensembl_id"] = [f"ENSG{k:011d}" for k in range(N_GENES)]
    prints = fingerprints.of_anndata(by_id, "file", "ensembl")
    found = Sought(fingerprints.of_anndata(cells, "", "ensembl", whole=True)).overlap(prints)
    assert (found.genes, found.comparable, found.seen.any()) == (0, 0.0, False)
    assert Sought(fingerprints.of_anndata(by_id, "", "ensembl", whole=True)).overlap(prints).seen.all()


def test_nothing_is_in_nothing() -> None:
    cells = made(drawn(5), np.arange(N_GENES))
    assert looked_for(cells[:0].copy(), shortened(cells, 48)).seen.shape == (0,)
    assert looked_for(cells, shortened(cells[:0].copy(), 48)).comparable == 0


KANG = ("pbmc_kang_ctrl_8donors", "pbmc_kang_ifnb_2000", "pbmc_kang_ifnb_2donors")
OTHERS = ("pbmc_10x_3chem", "pbmc68k_reduced_counts", "bmmc_cite.rna")


def real(shared: Path, name: str) -> ad.AnnData:
    return canonical.load(describe(shared / "data" / f"{name}.h5ad", obs={}))


def barcodes(shared: Path, name: str) -> list[tuple[str, bool]]:
    """What tells the cells of the Kang study apart: barcode, and whether it is a control."""
    obs = ad.read_h5ad(shared / "data" / f"{name}.h5ad", backed="r").obs
    control = obs["condition"].astype(str).str.startswith("ctrl")
    bare = [str(index).removeprefix("ctrl_").removeprefix("stim_").split("-")[0] for index in obs.index]
    return list(zip(bare, control, strict=True))


@pytest.mark.slow
def test_shared_cells_of_real_studies_are_exactly_those_of_the_same_barcode(shared: Path) -> None:
    """954, 750 and 115 cells are in two of three files, which measure 1,287, 9,015 and 1,267 genes."""
    data = {name: real(shared, name) for name in (*KANG, *OTHERS)}
    known = {name: set(barcodes(shared, name)) for name in KANG}
    shares = set()
    for name in KANG:
        cells = Sought(fingerprints.of_anndata(data[name], name, "symbol", whole=True))
        for other in data:
            found = cells.overlap(shortened(data[other], 48))
            truth = [other in known and cell in known[other] for cell in barcodes(shared, name)]
            assert found.seen.tolist() == truth, f"{name} in {other}"
            shares |= {found.seen.sum()} if other in KANG and other != name else set()
    assert shares == {954, 750, 115}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pbmc_zheng_facs", "perturb_papalexi_thp1", "pbmc_kang_ctrl_8donors"])
def test_no_cell_is_taken_for_another_of_its_own_file(shared: Path, name: str) -> None:
    data = real(shared, name)
    rng = np.random.default_rng(0)
    half = rng.permutation(data.n_obs) < data.n_obs // 2
    for n_genes in (50, 100, 300):
        panel = data[:, rng.choice(data.n_vars, min(n_genes, data.n_vars), replace=False)]
        file, cells = panel[half].copy(), panel[~half].copy()
        found = looked_for(cells, shortened(file, 48))
        assert not found.seen.any(), f"{found.seen.sum()} on {n_genes} genes"
        assert looked_for(file, shortened(file, 48)).seen.sum() == (expressed(file) >= FEWEST).sum()
