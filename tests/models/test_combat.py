"""ComBat on real cells whose second half was sequenced to half the depth, gene by gene."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from bench.data.features import ExpressionPCA, lognorm
from bench.errors import BadInput
from bench.specs import load_target
from bench_baselines.combat import Combat, corrected
from bench_baselines.plugin import CombatConfig, bench_models


@pytest.fixture(scope="module")
def cells(pbmc: ad.AnnData) -> ad.AnnData:
    """Two batches with the same types; each gene of the second is thinned by a factor of its own."""
    rng = np.random.default_rng(0)
    counts: Any = pbmc.X
    dense = counts.toarray().astype(int)
    second = np.arange(pbmc.n_obs) % 2 == 1
    dense[second] = rng.binomial(dense[second], rng.uniform(0.2, 0.9, pbmc.n_vars))
    obs = pd.DataFrame({"batch": np.where(second, "b", "a")}, index=pbmc.obs_names)
    return ad.AnnData(sparse.csr_matrix(dense.astype(np.float32)), obs=obs, var=pbmc.var.copy())


def fitted(cells: ad.AnnData, seed: int = 0, **options: Any) -> Combat:
    model = Combat(CombatConfig(**options), weights=None, seed=seed, device="cpu")
    model.fit(cells)
    return model


def same_batch_share(vectors: np.ndarray, cells: ad.AnnData) -> float:
    """Share of the 30 nearest cells that come from a cell's own batch."""
    near = NearestNeighbors(n_neighbors=31).fit(vectors).kneighbors(return_distance=False)
    batches = cells.obs["batch"].to_numpy()
    return float((batches[near] == batches[:, None]).mean())


def test_batches_mix_where_plain_components_kept_them_apart(cells: ad.AnnData) -> None:
    plain = ExpressionPCA(20).fit(cells).transform(cells)
    assert same_batch_share(plain, cells) > 0.8
    assert same_batch_share(fitted(cells, n_components=20).embed(cells), cells) < 0.65
    assert same_batch_share(fitted(cells, n_components=20, scale=False).embed(cells), cells) < 0.65


def test_batch_means_come_out_alike(cells: ad.AnnData) -> None:
    values = lognorm(cells.X).toarray()
    batches = cells.obs["batch"].to_numpy(dtype=str)
    first, second = (corrected(values, batches)[batches == name] for name in ("a", "b"))
    before = abs(values[batches == "a"].mean(axis=0) - values[batches == "b"].mean(axis=0))
    after = abs(first.mean(axis=0) - second.mean(axis=0))
    assert after.mean() < before.mean() / 4  # not 0: effects are drawn to their mean over genes


def test_constant_genes_do_not_stop_the_estimate(cells: ad.AnnData) -> None:
    """In scanpy one such gene ends the iteration for all."""
    values = lognorm(cells.X).toarray()[:, :200]
    batches = cells.obs["batch"].to_numpy(dtype=str)
    padded = np.column_stack([values, np.zeros(len(values)), batches == "a"])
    np.testing.assert_array_equal(corrected(padded, batches), corrected(values, batches))


def test_same_seed_gives_the_same_embedding(cells: ad.AnnData) -> None:
    first, again = fitted(cells, seed=3).embed(cells), fitted(cells, seed=3).embed(cells)
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert first.shape == (cells.n_obs, 50)


def test_rows_are_joined_by_name_and_input_is_left_alone(cells: ad.AnnData) -> None:
    given = cells.copy()
    model = fitted(given)
    order = np.random.default_rng(0).permutation(cells.n_obs)[:100]
    np.testing.assert_array_equal(model.embed(cells[order]), model.embed(cells)[order])
    counts: Any = given.X
    assert (counts != cells.X).nnz == 0
    pd.testing.assert_frame_equal(given.obs, cells.obs)


def test_cells_that_were_not_in_fit_are_refused(cells: ad.AnnData) -> None:
    with pytest.raises(BadInput, match=r"ComBat cannot embed cells it was not fitted on \(300 of 700"):
        fitted(cells[:400]).embed(cells)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (None, "no column 'batch'"),
        (["a"] * 700, "at least 2 batches"),
        (["a", None] * 350, "missing for 350"),
        (["a"] * 699 + ["b"], "at least 2 cells in every batch, batch 'b' has 1"),
    ],
)
def test_what_it_cannot_correct_for_is_said(cells: ad.AnnData, batches: list | None, message: str) -> None:
    given = cells.copy()
    given.obs = pd.DataFrame({} if batches is None else {"batch": batches}, index=cells.obs_names)
    with pytest.raises(BadInput, match=message):
        fitted(given)


def test_spec_is_what_the_class_does() -> None:
    spec = next(spec for spec in bench_models() if spec.name == "combat")
    assert load_target(spec.target) is Combat
    assert spec.obs == ("batch",)
    assert not spec.inductive
    assert not spec.per_cell
