"""scVI trained by our loop is scVI: the same loss, the same quality; what it wrote embeds any cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scvi
import torch
from scvi import REGISTRY_KEYS
from scvi.module import VAE
from sklearn.linear_model import LogisticRegression

from bench import config
from bench.conformance.examine import requested
from bench.conformance.request import rows
from bench.data.cells.dense import DenseBatch
from bench.data.cells.module import CellDataModule
from bench.data.cells.options import DataConfig, PanelConfig
from bench.data.cells.parts import PartsConfig
from bench.data.cells.recipe import Dense
from bench.errors import BadInput
from bench.training.begun import LOGS
from bench.training.folder import read_card, read_state
from bench.training.loggers import read
from bench.training.panel import panel_of
from bench_scvi import training
from bench_scvi.options import BATCHES, VaeConfig
from bench_scvi.plugin import PretrainedConfig
from bench_scvi.pretrained import ScviPretrained
from bench_scvi.pretraining import ElboLearner, warmup
from bench_scvi.vae import latent, vae
from bench_scvi.vocabulary import MODELS

pytestmark = pytest.mark.slow  # scvi-tools alone takes 5 s to import

Pretrain = Callable[..., Path]
EPOCHS, BATCH_SIZE = 20, 64
SMALL = {"panel.n_genes": 200, "data.batch_size": BATCH_SIZE, "parts.by": "cells", "parts.test": 0.0}
SHORT = SMALL | {"trainer.max_steps": 12, "trainer.val_every": 5}


def divided(files: tuple[Path, Path], batch: str = "store") -> CellDataModule:
    """The data of the trainings here."""
    parts = PartsConfig(by="cells", test=0.0)
    data = CellDataModule(list(files), Dense(PanelConfig(n_genes=200), batch), DataConfig(batch_size=BATCH_SIZE), parts)
    data.setup()
    return data


@pytest.fixture(scope="module")
def folder(pretrain: Pretrain) -> Path:
    return pretrain("scvi", SMALL | {"trainer.max_steps": EPOCHS * (630 // BATCH_SIZE), "trainer.val_every": 60})


def model(weights: Path | str, **options: Any) -> ScviPretrained:
    chosen: Any = weights
    return ScviPretrained(config.build(PretrainedConfig, options, "x"), weights=chosen, seed=0, device="cpu")


def tensors(batch: DenseBatch, origin: torch.Tensor) -> dict[str, torch.Tensor]:
    """A batch as scvi-tools' own training gets it."""
    return {
        REGISTRY_KEYS.X_KEY: batch.counts,
        REGISTRY_KEYS.BATCH_KEY: origin[:, None],
        REGISTRY_KEYS.LABELS_KEY: torch.zeros_like(origin)[:, None],
    }


class TestLoss:
    @pytest.mark.parametrize("likelihood", ["zinb", "nb", "poisson"])
    def test_it_and_its_gradient_are_those_of_scvi_tools(self, files: tuple[Path, Path], likelihood: Any) -> None:
        data = divided(files)
        collate: Any = data.collator
        batch = collate(data.dataset.__getitems__(np.arange(400, 450)))
        torch.manual_seed(0)
        ours = vae(200, 2, VaeConfig(gene_likelihood=likelihood))
        theirs = VAE(200, n_batch=2, gene_likelihood=likelihood)
        theirs.load_state_dict(ours.state_dict(), strict=False)
        learner = ElboLearner(ours, "store", lambda step: 0.3)
        torch.manual_seed(1)
        losses = learner.losses(batch, 7)
        torch.manual_seed(1)
        _, _, expected = theirs(tensors(batch, batch.codes["store"]), loss_kwargs={"kl_weight": 0.3})
        torch.testing.assert_close(losses.total, expected.loss, rtol=1e-6, atol=0)
        losses.total.backward()
        expected.loss.backward()
        own = {name: weight.grad for name, weight in ours.named_parameters() if weight.grad is not None}
        assert own.keys() == {name for name, weight in ours.named_parameters() if weight.requires_grad}
        for name, weight in theirs.named_parameters():
            if name in own:
                torch.testing.assert_close(own[name], weight.grad, rtol=1e-4, atol=1e-6)

    def test_in_validation_it_is_the_whole_bound(self, files: tuple[Path, Path]) -> None:
        data = divided(files)
        collate: Any = data.collator
        batch = collate(data.dataset.__getitems__(np.arange(50)))
        learner = ElboLearner(vae(200, 2, VaeConfig()), "store", lambda step: 0.0)
        assert learner.losses(batch, 0).weights == {"reconstruction": 1.0, "kl": 0.0}
        assert learner.eval().losses(batch, 0).weights == {"reconstruction": 1.0, "kl": 1.0}

    def test_cells_without_counts_in_the_panel_are_not_scored(self, files: tuple[Path, Path]) -> None:
        data = divided(files)
        collate: Any = data.collator
        batch = collate(data.dataset.__getitems__(np.arange(50)))
        learner = ElboLearner(vae(200, 2, VaeConfig()), "store", lambda step: 1.0).eval()
        batch.counts[10:] = 0
        losses = learner.losses(batch, 0)
        assert int(losses.counts["kl"]) == 10
        assert torch.isfinite(losses.total)
        losses.total.backward()
        grads = [weight.grad for weight in learner.parameters() if weight.grad is not None]
        assert all(torch.isfinite(grad).all() for grad in grads)

    def test_the_divergence_comes_in_with_the_epochs_as_in_scvi_tools(self) -> None:
        from scvi.train._trainingplans import _compute_kl_weight

        weight = warmup(4, 10)
        for step in range(60):
            assert weight(step) == _compute_kl_weight(step // 10, step, 4, None)
        assert warmup(0, 10)(0) == 1.0


class TestPretraining:
    def test_it_is_as_good_as_scvi_tools_own_training(
        self, folder: Path, files: tuple[Path, Path], pbmc: ad.AnnData
    ) -> None:
        """Same cells, genes, division and epochs; other random numbers. Of 12,000 cells the two differ as two seeds."""
        data = divided(files)
        collate: Any = data.collator
        batch = collate(data.dataset.__getitems__(np.arange(700)))
        origin = batch.codes["store"].numpy().astype(str)
        cells = ad.AnnData(batch.counts.numpy(), obs=pd.DataFrame({"batch": origin}, index=pbmc.obs_names))
        with training.quiet():
            training.seed(0)
            scvi.model.SCVI.setup_anndata(cells, batch_key="batch")
            theirs = scvi.model.SCVI(cells)
            parts = [np.array(data.parts.train), np.array(data.parts.val), np.empty(0, dtype=int)]
            theirs.train(
                EPOCHS,
                batch_size=BATCH_SIZE,
                check_val_every_n_epoch=EPOCHS,
                datasplitter_kwargs={"external_indexing": parts},
                **training.trainer_options("cpu"),
            )
            vectors = theirs.get_latent_representation()
        ours = model(folder)
        assert ours._trained is not None
        with torch.inference_mode():
            own = latent(ours._trained[0].eval(), batch).numpy()
        bound = [row["val/total"] for row in read(folder / LOGS) if "val/total" in row][-1]
        assert bound == pytest.approx(theirs.history["elbo_validation"].iloc[-1, 0], rel=0.02)
        labels = pbmc.obs["cell_type"].to_numpy()
        scores = [_accuracy(z, labels, data) for z in (own, vectors)]
        assert scores[0] > scores[1] - 0.1
        assert scores[0] > (labels == pbmc.obs["cell_type"].mode()[0]).mean() + 0.1

    @pytest.mark.usefixtures("one_thread")
    def test_a_resumed_training_is_the_whole_one(self, pretrain: Pretrain, tmp_path: Path) -> None:
        whole = read_state(pretrain("scvi", SHORT))
        pretrain("scvi", SHORT | {"trainer.stop_after": 7}, out=tmp_path / "parts")
        parts = read_state(pretrain("scvi", SHORT, out=tmp_path / "parts", resume=True))
        assert whole.keys() == parts.keys()
        assert all(np.array_equal(whole[name], parts[name]) for name in whole)

    @pytest.mark.parametrize(("batch", "n_batches"), [("store", 2), ("donor", 8), ("", 1)])
    def test_the_decoder_is_told_files_or_a_column_or_nothing(
        self, pretrain: Pretrain, batch: str, n_batches: int
    ) -> None:
        """A column may be missing for some cells, so it has one more."""
        short = SHORT | {"trainer.max_steps": 2, "trainer.val_every": 0, "data.batch": batch}
        card = read_card(pretrain("scvi", short), MODELS)
        assert card.extra[BATCHES] == n_batches
        named = {"store": ("first", "second"), "donor": tuple(f"d{k}" for k in range(7))}
        assert card.categories == ({batch: named[batch]} if batch else {})


class TestEmbedding:
    @pytest.mark.parametrize("weights", ["trained", "untrained"])
    def test_a_cell_is_embedded_alike_in_any_company_and_any_order_of_genes(
        self, folder: Path, asked: ad.AnnData, weights: str
    ) -> None:
        ours = model(folder if weights == "trained" else weights)
        whole = ours.embed(asked)
        assert whole.dtype == np.float32
        assert whole.shape == (700, 10)
        rng = np.random.default_rng(0)
        order, turned = rng.permutation(700)[:90], rng.permutation(asked.n_vars)
        np.testing.assert_allclose(ours.embed(asked[order][:, turned].copy()), whole[order], rtol=1e-4, atol=1e-5)

    def test_missing_genes_are_zeros(self, folder: Path, asked: ad.AnnData) -> None:
        ours, kept = model(folder), np.arange(asked.n_vars) % 5 > 0
        emptied: Any = asked.copy()
        emptied.X = emptied.X.multiply(kept).tocsr()
        np.testing.assert_allclose(ours.embed(asked[:, kept].copy()), ours.embed(emptied), rtol=1e-5, atol=1e-5)

    def test_it_passes_the_kit(self, folder: Path) -> None:
        found = list(rows(requested("scvi-pretrained", "model", {}, str(folder), 0, "cpu"), {}))
        assert {row.check: row.found for row in found if row.result != "ok"} == {}

    def test_it_reads_what_either_name_wrote_and_nothing_else(self, folder: Path) -> None:
        card = read_card(folder, MODELS)
        assert card.model == "scvi"
        assert len(panel_of(card, folder)) == 200
        with pytest.raises(BadInput, match="holds a trained scvi, not mae-mlp; give a folder of that"):
            read_card(folder, ("mae-mlp",))
        with pytest.raises(BadInput, match=r"n_latent=3 is of an untrained model; .* has 10, leave n_latent out"):
            model(folder, n_latent=3)


def _accuracy(vectors: np.ndarray, labels: np.ndarray, data: CellDataModule) -> float:
    """Of unseen cells, by a linear probe."""
    train, val = np.array(data.parts.train), np.array(data.parts.val)
    probe = LogisticRegression(max_iter=1000).fit(vectors[train], labels[train])
    return float(probe.score(vectors[val], labels[val]))
