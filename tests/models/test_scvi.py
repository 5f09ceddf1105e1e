"""scVI and scANVI on real cells: seeded, quiet, blind to what they may not read. Importing them takes 5 s."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from bench.errors import BadInput
from bench.specs import load_target
from bench_scvi import training
from bench_scvi.plugin import ScviConfig, bench_models

pytestmark = pytest.mark.slow

SPECS = {spec.name: spec for spec in bench_models() if spec.fits != "no"}
SHORT = {"max_epochs": 4, "n_genes": 300}


def fitted(name: str, cells: ad.AnnData, seed: int = 0, **options: Any) -> Any:
    """A model as the core makes it, trained for a moment unless told otherwise."""
    spec = SPECS[name]
    short = SHORT | ({"label_epochs": 2} if name == "scanvi" else {})
    model = load_target(spec.target)(spec.config(**short | options), weights=None, seed=seed, device="cpu")
    model.fit(cells)
    return model


def same_counts(one: Any, other: Any) -> bool:
    """Whether two tables hold the same numbers in the same type."""
    return one.X.dtype == other.X.dtype and (one.X != other.X).nnz == 0


@pytest.fixture(scope="module")
def train(pbmc: ad.AnnData) -> ad.AnnData:
    """Half of the cells; a third of them has no label."""
    half = pbmc[::2].copy()
    half.obs["cell_type"] = half.obs["cell_type"].where(np.arange(half.n_obs) % 3 > 0)
    return half


@pytest.fixture(scope="module")
def test(pbmc: ad.AnnData) -> ad.AnnData:
    """The other half."""
    return pbmc[1::2].copy()


@pytest.mark.parametrize("name", SPECS)
class TestBoth:
    def test_same_seed_same_bits(self, name: str, train: ad.AnnData, test: ad.AnnData) -> None:
        first, again = (fitted(name, train, seed=3).embed(test) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert first.dtype == np.float32
        assert first.shape == (test.n_obs, 10)
        assert not np.array_equal(first, fitted(name, train, seed=4).embed(test))

    def test_rows_follow_the_cells_one_by_one(self, name: str, train: ad.AnnData, test: ad.AnnData) -> None:
        model = fitted(name, train)
        whole = model.embed(test)
        order = np.random.default_rng(0).permutation(test.n_obs)[:50]
        np.testing.assert_allclose(model.embed(test[order]), whole[order], atol=1e-5)
        genes = np.random.default_rng(0).permutation(test.n_vars)
        np.testing.assert_allclose(model.embed(test[:, genes].copy()), whole, atol=1e-5)

    def test_embedding_reads_neither_label_nor_batch(self, name: str, train: ad.AnnData, test: ad.AnnData) -> None:
        model = fitted(name, train)
        other = test.copy()
        other.obs = pd.DataFrame({"cell_type": "new", "batch": "unseen"}, index=test.obs_names)
        np.testing.assert_array_equal(model.embed(other), model.embed(test))

    def test_batches_of_the_fit_do_not_bind_new_cells(self, name: str, train: ad.AnnData, test: ad.AnnData) -> None:
        batched = train.copy()
        batched.obs["batch"] = np.where(np.arange(train.n_obs) % 2, "x", "y")
        assert not np.array_equal(fitted(name, batched).embed(test), fitted(name, train).embed(test))
        ignored = fitted(name, batched, use_batch=False).embed(test)
        np.testing.assert_array_equal(ignored, fitted(name, train).embed(test))

    def test_missing_genes_are_named(self, name: str, train: ad.AnnData, test: ad.AnnData) -> None:
        with pytest.raises(BadInput, match="genes the model was fitted on are not in these cells"):
            fitted(name, train).embed(test[:, 300:].copy())

    def test_input_is_left_alone_and_nothing_is_left_behind(
        self,
        name: str,
        train: ad.AnnData,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        cells = train.copy()
        fitted(name, cells).embed(cells)
        assert same_counts(cells, train)
        pd.testing.assert_frame_equal(cells.obs, train.obs)
        assert list(cells.uns) == list(train.uns)
        assert os.listdir(tmp_path) == []
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("n_cells", [15, 129, 145])
    def test_no_batch_of_a_single_cell(self, name: str, n_cells: int, pbmc: ad.AnnData) -> None:
        """Batch normalisation cannot learn from one cell: 145 cells, 10 % validated, leave 128 + 2."""
        cells = pbmc[:n_cells].copy()
        assert np.isfinite(fitted(name, cells, early_stopping=n_cells == 145).embed(cells)).all()

    def test_cells_empty_in_the_chosen_genes_do_no_harm(self, name: str, train: ad.AnnData) -> None:
        cells: Any = train[:100].copy()
        cells.X = sparse.csr_matrix(cells.X.toarray() * (np.arange(100) >= 10)[:, None])
        assert np.isfinite(fitted(name, cells).embed(cells)).all()


class TestScvi:
    def test_labels_are_not_read(self, pbmc: ad.AnnData) -> None:
        shuffled = pbmc.copy()
        shuffled.obs["cell_type"] = np.random.default_rng(0).permutation(pbmc.obs["cell_type"].to_numpy())
        np.testing.assert_array_equal(fitted("scvi", pbmc).embed(pbmc), fitted("scvi", shuffled).embed(shuffled))

    def test_early_stopping_watches_whole_groups(self, train: ad.AnnData) -> None:
        cells = train.copy()
        cells.obs["group"] = np.arange(cells.n_obs) % 7
        model = fitted("scvi", cells)._model
        groups = cells.obs["group"].to_numpy()
        assert len(set(groups[model.validation_indices])) == 1
        assert not set(groups[model.validation_indices]) & set(groups[model.train_indices])

    def test_training_stops_early(self, train: ad.AnnData) -> None:
        history = fitted("scvi", train, max_epochs=400, patience=1)._model.history
        assert 1 < len(history["elbo_validation"]) < 100

    def test_zero_genes_means_all(self, train: ad.AnnData) -> None:
        assert fitted("scvi", train, n_genes=0)._model.summary_stats.n_vars == train.n_vars
        assert fitted("scvi", train, n_genes=200)._model.summary_stats.n_vars == 200

    def test_choosing_genes_does_not_take_more_cores(self, train: ad.AnnData) -> None:
        """numba, called on the way, would set torch's threads to all cores."""
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(7)
            fitted("scvi", train)
            assert torch.get_num_threads() == training.THREADS
        finally:
            torch.set_num_threads(before)

    def test_width_is_selectable(self, train: ad.AnnData) -> None:
        assert fitted("scvi", train, n_latent=3).embed(train).shape == (train.n_obs, 3)

    def test_defaults_separate_cell_types(self, pbmc: ad.AnnData) -> None:
        """Trained in full (about 15 s): unseen cells are recognised in ten dimensions."""
        train, test = pbmc[::2].copy(), pbmc[1::2].copy()
        spec = SPECS["scvi"]
        model = load_target(spec.target)(ScviConfig(), weights=None, seed=0, device="cpu")
        model.fit(train)
        probe = LogisticRegression(max_iter=500).fit(model.embed(train), train.obs["cell_type"])
        assert probe.score(model.embed(test), test.obs["cell_type"]) > 0.65  # the majority is .34

    def test_modelled_batches_mix(self, pbmc: ad.AnnData) -> None:
        """The second batch is thinned by gene, so that cells of one batch are nearer in counts."""
        rng = np.random.default_rng(0)
        cells: Any = pbmc.copy()
        counts = cells.X.toarray().astype(int)
        second = np.arange(cells.n_obs) % 2 == 1
        counts[second] = rng.binomial(counts[second], rng.uniform(0.2, 0.9, cells.n_vars))
        cells.X = sparse.csr_matrix(counts.astype(np.float32))
        cells.obs["batch"] = np.where(second, "b", "a")
        options = {"max_epochs": 60, "n_genes": 0}
        corrected = _same_batch(fitted("scvi", cells, **options).embed(cells), second)
        plain = _same_batch(fitted("scvi", cells, use_batch=False, **options).embed(cells), second)
        assert corrected < plain - 0.05


class TestScanvi:
    def test_labels_shape_the_embedding(self, train: ad.AnnData, test: ad.AnnData) -> None:
        shuffled = train.copy()
        shuffled.obs["cell_type"] = np.random.default_rng(0).permutation(train.obs["cell_type"].to_numpy())
        assert not np.array_equal(fitted("scanvi", train).embed(test), fitted("scanvi", shuffled).embed(test))

    def test_types_stand_farther_apart_than_in_scvi(self, train: ad.AnnData, test: ad.AnnData) -> None:
        options = {"max_epochs": 30}
        labels = test.obs["cell_type"].to_numpy()
        aware = fitted("scanvi", train, label_epochs=20, **options).embed(test)
        assert _same_type(aware, labels) > _same_type(fitted("scvi", train, **options).embed(test), labels)

    def test_fully_labelled_cells_are_fine(self, pbmc: ad.AnnData) -> None:
        assert np.isfinite(fitted("scanvi", pbmc).embed(pbmc)).all()

    def test_no_label_is_refused(self, train: ad.AnnData) -> None:
        cells = train.copy()
        cells.obs["cell_type"] = None
        with pytest.raises(BadInput, match="learns from labels"):
            fitted("scanvi", cells)
        cells.obs = pd.DataFrame(index=cells.obs_names)
        with pytest.raises(BadInput, match="learns from labels"):
            fitted("scanvi", cells)


def _neighbours(vectors: np.ndarray) -> np.ndarray:
    return NearestNeighbors(n_neighbors=16).fit(vectors).kneighbors(return_distance=False)


def _same_batch(vectors: np.ndarray, batch: np.ndarray) -> float:
    return float((batch[_neighbours(vectors)] == batch[:, None]).mean())


def _same_type(vectors: np.ndarray, labels: np.ndarray) -> float:
    return float((labels[_neighbours(vectors)] == labels[:, None]).mean())
