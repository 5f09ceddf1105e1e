"""Batches of one column per gene: the counts as they are, masked by cell, a panel of genes that are measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from bench.data.cells.batch import Draw
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.dense import STORE, DenseBatch, DenseCollator
from bench.data.cells.module import CellDataModule
from bench.data.cells.options import DataConfig, PanelConfig
from bench.data.cells.panel import batches, chosen, notices
from bench.data.cells.parts import PartsConfig
from bench.data.cells.recipe import Dense
from bench.data.cells.statistics import GeneStatistics
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput

N = (60, 40)
"""Cells of the two files."""
OWN = (range(0, 30), range(5, 30))
"""Their genes: the second file does not measure the first five."""


@pytest.fixture
def files(written: Callable[..., Path]) -> list[Path]:
    """100 cells of two files, 30 genes and 25 of them."""
    rng = np.random.default_rng(0)
    means = rng.lognormal(0, 1, 30)
    paths = []
    for name, n, genes in zip(("first", "second"), N, OWN, strict=True):
        counts = rng.poisson(rng.lognormal(0, 0.5, (n, 1)) * means, (n, 30)).astype(np.float32)
        counts[:, 29] += 1
        obs = pd.DataFrame(
            {"donor": rng.choice(list("abcdefgh"), n), "chemistry": rng.choice(["v2", "v3"], n)},
            index=[f"{name}{k}" for k in range(n)],
        )
        var = pd.DataFrame(index=[f"GENE{k:02d}" for k in genes])
        paths.append(written(sparse.csr_matrix(counts[:, list(genes)]), name=name, obs=obs, var=var))
    return paths


@pytest.fixture
def dataset(files: list[Path]) -> CellDataset:
    stores = [store_of(path) for path in files]
    return CellDataset(stores, Vocabulary.of(stores), ("chemistry",))


def in_memory(files: list[Path]) -> np.ndarray:
    """All counts, (100, 30), NaN where not measured."""
    counts = np.full((sum(N), 30), np.nan)
    start = 0
    for path, genes in zip(files, OWN, strict=True):
        read: Any = ad.read_h5ad(path)
        counts[start : start + read.n_obs, list(genes)] = read.X.toarray()
        start += read.n_obs
    return counts


def module(files: list[Path], recipe: Dense, **options: Any) -> CellDataModule:
    data = CellDataModule(files, recipe, DataConfig(**{"batch_size": 8, **options}), PartsConfig(val=0.2, test=0.1))
    data.setup()
    return data


def taken(loader: Any, n: int) -> list[DenseBatch]:
    return [batch for batch, _ in zip(loader, range(n), strict=False)]


def test_counts_of_the_panel_come_as_they_are(files: list[Path], dataset: CellDataset) -> None:
    panel = np.array([2, 7, 11, 29])
    cells = np.array([70, 3, 99, 0, 58])
    batch = DenseCollator(dataset, panel, ("chemistry", STORE))(dataset.__getitems__(cells))
    expected = in_memory(files)
    np.testing.assert_array_equal(batch.counts, np.nan_to_num(expected[cells][:, panel]))
    np.testing.assert_array_equal(batch.totals, np.nansum(expected[cells], axis=1))
    assert batch.hidden is not None
    np.testing.assert_array_equal(batch.hidden, np.isnan(expected[cells][:, panel]))
    assert batch.scored is None
    assert batch.codes[STORE].tolist() == [1, 0, 1, 0, 0]
    np.testing.assert_array_equal(batch.codes["chemistry"], dataset.codes("chemistry", cells))


def test_nothing_is_hidden_of_genes_that_every_file_has(dataset: CellDataset) -> None:
    batch = DenseCollator(dataset, np.arange(5, 30))(dataset.__getitems__(np.arange(100)))
    assert batch.hidden is None
    assert batch.seen is batch.counts


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    cells=st.lists(st.integers(0, 99), min_size=1, max_size=20, unique=True),
    share=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    epoch=st.integers(0, 3),
)
def test_masks_are_of_the_cell_alone_and_of_measured_genes(
    dataset: CellDataset, cells: list[int], share: float, epoch: int
) -> None:
    collate = DenseCollator(dataset, np.arange(30), masked=(share, share), seed=3)
    batch = collate(dataset.__getitems__(Draw(np.array(cells), epoch)))
    assert batch.hidden is not None
    assert batch.scored is not None
    for row, cell in enumerate(cells):
        alone = collate(dataset.__getitems__(Draw(np.array([cell]), epoch)))
        assert alone.scored is not None
        assert torch.equal(alone.scored[0], batch.scored[row])
        measured = torch.ones(30, dtype=torch.bool)
        measured[:5] = cell < N[0]
        assert int(batch.scored[row].sum()) == round(share * int(measured.sum()))
        assert not (batch.scored[row] & ~measured).any()
        assert torch.equal(batch.hidden[row], batch.scored[row] | ~measured)
        assert not batch.seen[row][batch.scored[row]].any()


def test_every_epoch_and_seed_masks_other_genes_each_as_often(dataset: CellDataset) -> None:
    def masks(epoch: int, seed: int) -> torch.Tensor:
        collate = DenseCollator(dataset, np.arange(5, 30), masked=(0.4, 0.4), seed=seed)
        scored = collate(dataset.__getitems__(Draw(np.arange(100), epoch))).scored
        assert scored is not None
        return scored

    assert not torch.equal(masks(0, 0), masks(1, 0))
    assert not torch.equal(masks(0, 0), masks(0, 1))
    often = torch.stack([masks(epoch, 0) for epoch in range(40)]).float().mean(dim=(0, 1))
    assert (often - 0.4).abs().max() < 4 * np.sqrt(0.24 / 4000)


def test_shares_of_masked_genes_are_drawn_between_their_bounds(dataset: CellDataset) -> None:
    collate = DenseCollator(dataset, np.arange(5, 30), masked=(0.2, 0.8))
    scored = collate(dataset.__getitems__(np.arange(100))).scored
    assert scored is not None
    shares = scored.float().mean(dim=1)
    assert 0.2 <= shares.min() < 0.3
    assert 0.7 < shares.max() <= 0.8


def test_the_panel_is_ranked_by_training_cells_among_genes_every_file_has(files: list[Path]) -> None:
    data = module(files, Dense(PanelConfig(n_genes=8)))
    assert data.statistics is not None
    panel = data.collator.panel  # type: ignore[attr-defined]
    assert panel.min() >= 5
    assert len(panel) == 8
    best = [gene for gene in np.argsort(data.statistics.hvg_rank) if gene >= 5][:8]
    assert panel.tolist() == sorted(best)
    assert data.statistics.n_cells == len(data.parts.train)


def test_a_share_of_the_training_cells_may_do(dataset: CellDataset) -> None:
    train, statistics = np.arange(100), GeneStatistics.of(dataset)
    widest = chosen(dataset, train, statistics, PanelConfig(n_genes=0, measured=0.6))
    narrow = chosen(dataset, train, statistics, PanelConfig(n_genes=0, measured=0.61))
    assert widest.tolist() == list(range(30))
    assert narrow.tolist() == list(range(5, 30))
    assert notices(narrow, PanelConfig(n_genes=26))[0].startswith("the model reads 25 genes, not 26: no more are in")
    assert notices(narrow, PanelConfig(n_genes=25)) == []


def test_files_without_common_genes_have_no_panel(written: Callable[..., Path]) -> None:
    counts = np.ones((4, 3), dtype=np.float32)
    stores = [
        store_of(written(counts, name=name, var=pd.DataFrame(index=[f"{name}{k}" for k in range(3)])))
        for name in ("GENEA", "GENEB")
    ]
    data = CellDataset(stores, Vocabulary.of(stores))
    with pytest.raises(BadInput, match=r"no gene is in files with 100 % of the training cells \(panel.measured=1\)"):
        chosen(data, np.arange(8), GeneStatistics.of(data), PanelConfig())


def test_a_zero_that_nobody_measured_does_not_count_as_variance(files: list[Path], dataset: CellDataset) -> None:
    counts = in_memory(files)
    logs = np.log1p(counts / np.nansum(counts, axis=1, keepdims=True) * 1e4)
    found = GeneStatistics.of(dataset)
    np.testing.assert_allclose(found.mean, np.nanmean(logs, axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.variance, np.nanvar(logs, axis=0, ddof=1), rtol=1e-4)


def test_workers_change_nothing_and_a_checkpoint_goes_on_with_the_next_batch(files: list[Path]) -> None:
    recipe = Dense(PanelConfig(n_genes=8), batch="chemistry", masked=(0.5, 0.5))
    data, helped = module(files, recipe), module(files, recipe, workers=2)
    ours, theirs = data.train_dataloader(), helped.train_dataloader()
    whole = [*taken(ours, 99), *taken(ours, 99)]
    for one, other in zip(whole, [*taken(theirs, 99), *taken(theirs, 99)], strict=True):
        assert one.scored is not None
        assert other.scored is not None
        assert torch.equal(one.cells, other.cells)
        assert torch.equal(one.counts, other.counts)
        assert torch.equal(one.scored, other.scored)
    begun = module(files, recipe)
    for batch in begun.train_dataloader():
        assert torch.equal(batch.cells, whole[0].cells)
        break
    state = begun.state_dict()
    resumed = module(files, recipe)
    resumed.load_state_dict(state)
    after = taken(resumed.train_dataloader(), 1)[0]
    assert after.scored is not None
    assert whole[1].scored is not None
    assert torch.equal(after.cells, whole[1].cells)
    assert torch.equal(after.scored, whole[1].scored)
    assert state["origin"]["categories"] == {"chemistry": ("v2", "v3")}


def test_validation_is_masked_alike_each_time_and_prediction_not_at_all(files: list[Path]) -> None:
    data = module(files, Dense(PanelConfig(n_genes=8), masked=(0.5, 0.5)))
    first, second = (list(data.val_dataloader()) for _ in range(2))
    assert all(torch.equal(a.scored, b.scored) for a, b in zip(first, second, strict=True))
    predicted = list(data.predict_dataloader())
    assert torch.cat([batch.cells for batch in predicted]).tolist() == list(range(100))
    assert all(batch.scored is None and batch.hidden is None for batch in predicted)


def test_other_data_are_read_with_the_panel_of_a_model(files: list[Path]) -> None:
    trained = module(files, Dense(PanelConfig(n_genes=8)))
    panel = trained.collator.panel  # type: ignore[attr-defined]
    other = CellDataModule(files[1:], Dense(panel), DataConfig(batch_size=8), vocabulary=trained.vocabulary)
    other.setup("predict")
    counts = torch.cat([batch.counts for batch in other.predict_dataloader()])
    np.testing.assert_array_equal(counts, in_memory(files)[N[0] :, panel])
    unknown = CellDataModule(files[1:], Dense(PanelConfig()), DataConfig(batch_size=8))
    with pytest.raises(BadInput, match="a panel is chosen by genes of training cells; to predict, give the panel"):
        unknown.setup("predict")


class TestCanonicalCells:
    """Read with the genes of a model."""

    PANEL = Vocabulary("symbol", ("GENE07", "GENE03", "ELSEWHERE", "GENE20"))

    @pytest.fixture
    def cells(self, files: list[Path]) -> ad.AnnData:
        counts = np.nan_to_num(in_memory(files)).astype(np.float32)
        names = [f"GENE{k:02d}" for k in range(30)]
        types = ["Gene Expression"] * 29 + ["Antibody Capture"]
        var = pd.DataFrame({"gene_symbol": names, "ensembl_id": "", "feature_types": types}, index=names)
        return ad.AnnData(sparse.csr_matrix(counts), var=var)

    def test_counts_are_found_by_name_and_genes_that_lack_are_hidden(self, cells: ad.AnnData) -> None:
        found = list(batches(cells, self.PANEL, 32))
        assert [len(batch.cells) for batch in found] == [32, 32, 32, 4]
        whole: Any = cells.X
        counts = torch.cat([batch.counts for batch in found]).numpy()
        np.testing.assert_array_equal(counts[:, [0, 1, 3]], whole.toarray()[:, [7, 3, 20]])
        for batch in found:
            assert batch.hidden is not None
            assert batch.hidden.all(dim=0).tolist() == [False, False, True, False]
        totals = torch.cat([batch.totals for batch in found])
        np.testing.assert_array_equal(totals, whole[:, :29].sum(axis=1).A1)

    def test_order_of_genes_and_cells_changes_nothing(self, cells: ad.AnnData) -> None:
        rng = np.random.default_rng(0)
        order, genes = rng.permutation(100), rng.permutation(30)
        panel = Vocabulary("symbol", tuple(cells.var_names[:29]))
        whole = torch.cat([batch.counts for batch in batches(cells, panel, 7)])
        again = torch.cat([batch.counts for batch in batches(cells[order][:, genes].copy(), panel, 100)])
        assert torch.equal(again, whole[torch.from_numpy(order)])

    def test_cells_without_the_genes_are_refused(self, cells: ad.AnnData) -> None:
        with pytest.raises(BadInput, match=r"these cells: only 0 of 29 genes \(first: 'GENE00'\) are among the 2 of"):
            list(batches(cells, Vocabulary("ensembl", ("ENSG1", "ENSG2")), 8))
