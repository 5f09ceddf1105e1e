"""The masked autoencoder learns to predict hidden genes, and embeds a cell alike in any company."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from torch.distributions import NegativeBinomial, Poisson

from bench import config
from bench.catalogue import catalogue
from bench.conformance.examine import requested
from bench.conformance.request import rows
from bench.data.cells.dense import DenseBatch
from bench.data.cells.module import CellDataModule
from bench.data.cells.options import DataConfig, PanelConfig
from bench.data.cells.parts import PartsConfig
from bench.data.cells.recipe import Dense
from bench.data.cells.statistics import DEPTH
from bench.errors import BadInput
from bench.genes.vocabulary import suitability
from bench.specs import DatasetSpec
from bench.training.begun import LOGS
from bench.training.folder import read_card, read_state
from bench.training.loggers import read
from bench.training.panel import panel_of
from bench_mae.config import Architecture, Objective
from bench_mae.models import MaeMlp
from bench_mae.network import LOSSES, MaskedAutoencoder
from bench_mae.plugin import MaeConfig
from bench_mae.pretraining import MaskedLearner
from bench_mae.vocabulary import genes

Pretrain = Callable[..., Path]
SMALL = {
    "model.latent": 16,
    "model.hidden": 64,
    "panel.n_genes": 200,
    "data.batch_size": 64,
    "parts.by": "donor",
    "optim.warmup_steps": 10,
}
LONG = SMALL | {"trainer.max_steps": 150, "trainer.val_every": 50}
SHORT = SMALL | {"trainer.max_steps": 12, "trainer.val_every": 5}


@pytest.fixture(scope="module")
def folder(pretrain: Pretrain) -> Path:
    return pretrain("mae-mlp", LONG)


def model(weights: Path | str, **options: Any) -> MaeMlp:
    chosen: Any = weights
    return MaeMlp(config.build(MaeConfig, options, "mae-mlp"), weights=chosen, seed=0, device="cpu")


def batch_of(rng: np.random.Generator, n: int = 5, n_genes: int = 7) -> DenseBatch:
    counts = torch.from_numpy(rng.poisson(2.0, (n, n_genes)).astype(np.float32))
    hidden = torch.from_numpy(rng.random((n, n_genes)) < 0.5)
    return DenseBatch(torch.arange(n), counts, counts.sum(dim=1) + 50, hidden, hidden)


def logs(counts: torch.Tensor, totals: torch.Tensor) -> torch.Tensor:
    return torch.log1p(counts / totals[:, None] * DEPTH)


class TestNetwork:
    def test_what_is_hidden_is_not_read(self) -> None:
        rng = np.random.default_rng(0)
        batch = batch_of(rng)
        assert batch.hidden is not None
        network = MaskedAutoencoder(7, Architecture(latent=3, hidden=8)).eval()
        other = torch.where(batch.hidden, torch.from_numpy(rng.poisson(9.0, (5, 7)).astype(np.float32)), batch.counts)
        changed = DenseBatch(batch.cells, other, batch.totals, batch.hidden, batch.scored)
        assert torch.equal(network(changed), network(batch))
        shown = DenseBatch(batch.cells, batch.seen, batch.totals)
        assert not torch.equal(network.embed(shown), network.embed(batch))  # a hidden gene is not one without counts

    @pytest.mark.parametrize("likelihood", LOSSES)
    def test_losses_are_those_of_the_textbook_and_of_masked_genes_alone(self, likelihood: Any) -> None:
        rng = np.random.default_rng(1)
        batch = batch_of(rng)
        assert batch.scored is not None
        predicted = torch.from_numpy(rng.normal(0, 1, (5, 7)).astype(np.float32))
        dispersion = torch.from_numpy(rng.normal(0, 1, 7).astype(np.float32))
        rate = predicted.double().exp() * batch.totals[:, None] / DEPTH
        theta = dispersion.double().exp()
        expected = {
            "mse": (predicted - logs(batch.counts, batch.totals)) ** 2,
            "poisson": -Poisson(rate).log_prob(batch.counts),
            "nb": -NegativeBinomial(theta, probs=rate / (rate + theta)).log_prob(batch.counts),
        }[likelihood]
        losses = LOSSES[likelihood](predicted, batch, dispersion)
        torch.testing.assert_close(losses.double(), expected.double(), rtol=1e-5, atol=1e-6)

        class Fixed(torch.nn.Module):
            log_dispersion = torch.nn.Parameter(dispersion)

            def forward(self, batch: DenseBatch) -> torch.Tensor:
                return predicted

        network: Any = Fixed()
        found = MaskedLearner(network, likelihood).losses(batch, 0)
        assert int(found.counts["masked"]) == int(batch.scored.sum())
        torch.testing.assert_close(found.total.double(), expected[batch.scored].mean().double(), rtol=1e-5, atol=1e-6)

    def test_bounds_of_the_mask_are_in_order(self) -> None:
        with pytest.raises(BadInput, match=r"mask_low=0\.6 is above mask_high=0\.5; swap them"):
            config.build(Objective, {"mask_low": 0.6}, "objective")

    @pytest.mark.parametrize("size", ["latent", "hidden", "layers"])
    def test_no_folder_may_ask_for_endless_layers(self, size: str) -> None:
        with pytest.raises(BadInput, match=f"option '{size}' of model"):
            config.build(Architecture, {size: 2**40}, "model")


class TestPretraining:
    def test_it_predicts_hidden_genes_better_than_their_means_do(self, folder: Path, files: tuple[Path, Path]) -> None:
        """On the validation cells, of donors that were not trained on, masked as in training."""
        losses = [row["val/total"] for row in read(folder / LOGS) if "val/total" in row]
        assert losses == sorted(losses, reverse=True)
        recipe = Dense(PanelConfig(n_genes=200), masked=(0.5, 0.5))
        data = CellDataModule(list(files), recipe, DataConfig(batch_size=64), PartsConfig(by="donor"))
        data.setup()
        collate: Any = data.collator
        train = collate(data.dataset.__getitems__(np.array(data.parts.train)))
        means = logs(train.counts, train.totals).mean(dim=0)
        squares, n = 0.0, 0
        loader: Any = data.val_dataloader()
        for batch in loader:
            wanted = logs(batch.counts, batch.totals)
            squares += float(((wanted - means) ** 2)[batch.scored].double().sum())
            n += int(batch.scored.sum())
        assert losses[-1] < 0.95 * squares / n

    def test_the_folder_says_which_genes_it_reads(self, folder: Path) -> None:
        card = read_card(folder, ("mae-mlp",))
        panel = panel_of(card, folder)
        assert len(panel) == 200
        assert len(card.vocabulary) == 765  # all that were measured, to know the cells again
        assert genes(MaeConfig(), weights=folder, species="") == {"symbol": frozenset(panel.names)}
        assert genes(MaeConfig(), weights="untrained", species="") is None

    @pytest.mark.slow
    @pytest.mark.usefixtures("one_thread")
    def test_a_resumed_training_is_the_whole_one(self, pretrain: Pretrain, tmp_path: Path) -> None:
        whole = read_state(pretrain("mae-mlp", SHORT))
        pretrain("mae-mlp", SHORT | {"trainer.stop_after": 7}, out=tmp_path / "parts")
        parts = read_state(pretrain("mae-mlp", SHORT, out=tmp_path / "parts", resume=True))
        assert whole.keys() == parts.keys()
        assert all(np.array_equal(whole[name], parts[name]) for name in whole)

    @pytest.mark.parametrize(("n_genes", "read"), [(3, 3), (0, 669)])
    def test_panels_may_be_small_or_all_genes_that_every_file_measures(
        self, pretrain: Pretrain, asked: ad.AnnData, n_genes: int, read: int
    ) -> None:
        folder = pretrain("mae-mlp", SHORT | {"panel.n_genes": n_genes, "trainer.max_steps": 2, "trainer.val_every": 0})
        assert len(panel_of(read_card(folder, ("mae-mlp",)), folder)) == read
        assert np.isfinite(model(folder).embed(asked)).all()

    def test_genes_that_not_every_file_measures_are_read_where_they_are(self, pretrain: Pretrain) -> None:
        folder = pretrain("mae-mlp", SHORT | {"panel.n_genes": 0, "panel.measured": 0.5, "objective.likelihood": "nb"})
        assert len(panel_of(read_card(folder, ("mae-mlp",)), folder)) == 765


class TestEmbedding:
    def test_cells_in_memory_get_the_vectors_of_stored_ones(
        self, folder: Path, asked: ad.AnnData, files: tuple[Path, Path]
    ) -> None:
        card = read_card(folder, ("mae-mlp",))
        positions = np.flatnonzero(np.isin(card.vocabulary.names, panel_of(card, folder).names))
        data = CellDataModule([files[0]], Dense(positions), DataConfig(batch_size=64), vocabulary=card.vocabulary)
        data.setup("predict")
        ours = model(folder)
        stored = next(iter(data.predict_dataloader()))
        assert ours._trained is not None
        with torch.inference_mode():
            expected = ours._trained[0].eval().embed(stored).numpy()
        np.testing.assert_allclose(ours.embed(asked)[:64], expected, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("weights", ["trained", "untrained"])
    def test_a_cell_is_embedded_alike_in_any_company_and_any_order_of_genes(
        self, folder: Path, asked: ad.AnnData, weights: str
    ) -> None:
        ours = model(folder if weights == "trained" else weights)
        whole = ours.embed(asked)
        assert whole.dtype == np.float32
        assert whole.shape == (700, 16 if weights == "trained" else 128)
        rng = np.random.default_rng(0)
        order, turned = rng.permutation(700)[:90], rng.permutation(asked.n_vars)
        np.testing.assert_allclose(ours.embed(asked[order][:, turned].copy()), whole[order], rtol=1e-5, atol=1e-5)

    def test_missing_genes_are_hidden_not_zero(self, folder: Path, asked: ad.AnnData) -> None:
        ours = model(folder)
        fewer = asked[:, np.arange(asked.n_vars) % 5 > 0].copy()
        emptied: Any = asked.copy()
        emptied.X = emptied.X.multiply(np.arange(asked.n_vars) % 5 > 0).tocsr()
        assert np.isfinite(ours.embed(fewer)).all()
        assert not np.allclose(ours.embed(fewer), ours.embed(emptied), atol=1e-3)
        known = panel_of(read_card(folder, ("mae-mlp",)), folder).names
        with pytest.raises(BadInput, match=r"these cells: only 0 of 5 genes .* are among the 200 of the vocabulary"):
            ours.embed(asked[:, np.flatnonzero(~asked.var_names.isin(known))[:5]].copy())

    def test_genes_are_known_by_either_name(self, pretrain: Pretrain, asked: ad.AnnData, tmp_path: Path) -> None:
        """Trained on a file with Ensembl ids and symbols, asked about one with symbols alone, as many are."""
        both = asked.copy()
        both.var["ensembl_id"] = [f"ENSG{k:011d}" for k in range(both.n_vars)]
        both.write_h5ad(tmp_path / "both.h5ad")
        short = {**SHORT, "parts.by": "cells", "trainer.max_steps": 1, "trainer.val_every": 0}
        weights = pretrain("mae-mlp", short, data=[tmp_path / "both.h5ad"])
        spec, none = catalogue().model("mae-mlp"), DatasetSpec("blood", "", "a:b")
        assert panel_of(read_card(weights, ("mae-mlp",)), weights).kind == "ensembl"
        for cells in (both, asked):
            known = suitability(cells, spec, {}, str(weights), none).coverage
            assert known is not None
            assert known.known == 200
        assert np.array_equal(model(weights).embed(asked), model(weights).embed(both))

    @pytest.mark.slow
    def test_it_passes_the_kit(self, folder: Path) -> None:
        found = list(rows(requested("mae-mlp", "model", {}, str(folder), 0, "cpu"), {}))
        assert {row.check: row.found for row in found if row.result != "ok"} == {}

    def test_folders_of_other_models_and_widths_are_refused(self, folder: Path) -> None:
        with pytest.raises(BadInput, match="holds a trained mae-mlp, not ours; give a folder of that"):
            read_card(folder, ("ours",))
        with pytest.raises(BadInput, match=r"latent=32 is of an untrained model; .* has 16, leave latent out"):
            model(folder, latent=32)
        assert model("untrained", latent=32)._config.latent == 32
