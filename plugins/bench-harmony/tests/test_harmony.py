"""Harmony on real cells whose second half was sequenced to half the depth."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy
from bench_harmony.model import HarmonyModel
from bench_harmony.plugin import HarmonyConfig, bench_models
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from bench.data.features import ExpressionPCA
from bench.errors import BadInput
from bench.specs import Cap, load_target

CONFIG = HarmonyConfig(n_components=20)


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """Cells that scanpy ships, each gene of the second batch thinned by a factor of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old file format
        source: Any = ad.read_h5ad(Path(str(scanpy.__file__)).parent / "datasets" / "10x_pbmc68k_reduced.h5ad")
    counts = np.rint(np.expm1(source.raw.X.toarray()) * source.obs["n_counts"].to_numpy()[:, None] / 1e4).astype(int)
    rng = np.random.default_rng(0)
    second = np.arange(len(counts)) % 2 == 1
    keep = rng.uniform(0.2, 0.9, counts.shape[1])
    counts[second] = rng.binomial(counts[second], keep)
    obs = pd.DataFrame({"batch": np.where(second, "b", "a")}, index=source.obs_names)
    return ad.AnnData(sparse.csr_matrix(counts, dtype=np.float32), obs=obs, var=source.raw.var[[]].copy())


def fitted(cells: ad.AnnData, seed: int = 0, config: HarmonyConfig = CONFIG) -> HarmonyModel:
    model = HarmonyModel(config, weights=None, seed=seed, device="cpu")
    model.fit(cells)
    return model


def same_counts(one: Any, other: Any) -> bool:
    """Whether two tables hold the same numbers in the same type."""
    return one.X.dtype == other.X.dtype and (one.X != other.X).nnz == 0


def same_batch_share(vectors: np.ndarray, cells: ad.AnnData) -> float:
    """Share of the 30 nearest cells that come from a cell's own batch."""
    near = NearestNeighbors(n_neighbors=31).fit(vectors).kneighbors(return_distance=False)
    batches = cells.obs["batch"].to_numpy()
    return float((batches[near] == batches[:, None]).mean())


def test_batches_mix_where_plain_components_kept_them_apart(cells: ad.AnnData) -> None:
    plain = ExpressionPCA(20).fit(cells).transform(cells)
    assert same_batch_share(plain, cells) > 0.8
    assert same_batch_share(fitted(cells).embed(cells), cells) < 0.65


def test_same_seed_gives_the_same_embedding(cells: ad.AnnData) -> None:
    first, again = fitted(cells, seed=3).embed(cells), fitted(cells, seed=3).embed(cells)
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert first.shape == (cells.n_obs, 20)


def test_rows_are_joined_by_name_and_input_is_left_alone(cells: ad.AnnData) -> None:
    before = cells.copy()
    model = fitted(cells)
    order = np.random.default_rng(0).permutation(cells.n_obs)[:100]
    np.testing.assert_array_equal(model.embed(cells[order]), model.embed(cells)[order])
    assert same_counts(cells, before)
    pd.testing.assert_frame_equal(cells.obs, before.obs)


def test_cells_that_were_not_in_fit_are_refused(cells: ad.AnnData) -> None:
    model = fitted(cells[:400])
    with pytest.raises(BadInput, match=r"not fitted on \(300 of 700"):
        model.embed(cells)


@pytest.mark.parametrize(
    ("batches", "message"),
    [(None, "no column 'batch'"), (["a"] * 700, "at least 2 batches"), (["a", None] * 350, "missing for 350")],
)
def test_what_it_cannot_correct_for_is_said(cells: ad.AnnData, batches: list | None, message: str) -> None:
    given = cells.copy()
    given.obs = pd.DataFrame({} if batches is None else {"batch": batches}, index=cells.obs_names)
    with pytest.raises(BadInput, match=message):
        fitted(given)


def test_a_dozen_cells_are_enough(cells: ad.AnnData) -> None:
    few = cells[:12].copy()
    assert np.isfinite(fitted(few).embed(few)).all()


def test_spec_is_what_the_class_does() -> None:
    (spec,) = bench_models()
    assert load_target(spec.target) is HarmonyModel
    assert spec.gives == {Cap.EMBEDS_CELLS}
    assert not spec.inductive
    assert not spec.per_cell


def test_plugin_module_is_light() -> None:
    heavy = "{'numpy', 'pandas', 'anndata', 'sklearn', 'harmonypy'}"
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import bench_harmony.plugin; print(*({heavy} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
