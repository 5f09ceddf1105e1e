"""`ours` as a model of the benchmark: what it answers, and what it refuses in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

from bench.catalogue import catalogue
from bench.conformance.examine import requested
from bench.conformance.request import rows
from bench.data.canonical import canonicalise
from bench.errors import BadInput
from bench.genes.vocabulary import suitability
from bench.runs.models import configured_model
from bench.specs import DatasetSpec, ModelSpec

BLOOD = DatasetSpec("blood", "", "a:b")


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    return catalogue().model("ours")


def made(spec: ModelSpec, weights: str | Path, seed: int = 0, **options: Any) -> Any:
    return configured_model(spec, options, str(weights), seed, "cpu")()


def test_cells_become_vectors_of_the_width_it_was_trained_with(
    spec: ModelSpec, folder: Path, asked: ad.AnnData
) -> None:
    found = made(spec, folder).embed(asked)
    assert (found.shape, found.dtype) == ((700, 32), np.float32)
    assert np.isfinite(found).all()
    assert len(np.unique(found.round(5), axis=0)) == 700


@pytest.mark.parametrize("size", [1, 37, 700])
def test_batches_change_nothing(size: int, spec: ModelSpec, folder: Path, asked: ad.AnnData) -> None:
    some = asked[:80].copy()
    whole = made(spec, folder).embed(some)
    assert abs(made(spec, folder, batch_size=size).embed(some) - whole).max() < 1e-5 * abs(whole).max()


def test_untrained_it_is_a_network_of_a_size_drawn_by_the_seed(spec: ModelSpec, asked: ad.AnnData) -> None:
    some = asked[:20].copy()
    first, again, other = (made(spec, "untrained", seed, size="nano").embed(some) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, atol=0.1)
    assert first.shape == (20, 32)
    assert made(spec, "untrained").embed(some).shape == (20, 128)


def test_genes_become_vectors(spec: ModelSpec, folder: Path, asked: ad.AnnData) -> None:
    names = [*asked.var_names[:3], "NOBODY"]
    assert list(made(spec, folder).embed_genes(names).index) == names[:3]
    assert made(spec, "untrained").embed_genes(names).shape == (4, 128)
    assert made(spec, folder).embed_genes(["NOBODY"]).shape == (0, 32)


def test_a_size_beside_weights_is_refused(spec: ModelSpec, folder: Path) -> None:
    with pytest.raises(BadInput, match=r"size=nano is of an untrained model; .* has its own, leave size out"):
        made(spec, folder, size="nano")


def test_the_same_cells_named_the_other_way_get_the_same_vectors(
    spec: ModelSpec, pretrain: Callable[..., Path], asked: ad.AnnData, tmp_path: Path
) -> None:
    """Trained on a file with Ensembl ids and symbols, asked about one with symbols alone, as many are."""
    both = asked.copy()
    both.var["ensembl_id"] = [f"ENSG{k:011d}" for k in range(both.n_vars)]
    both.write_h5ad(tmp_path / "both.h5ad")
    weights = pretrain({"trainer.max_steps": 1}, data=(str(tmp_path / "both.h5ad"),))
    assert suitability(both, spec, {}, str(weights), BLOOD).coverage.known == both.n_vars
    assert suitability(asked, spec, {}, str(weights), BLOOD).coverage.known == asked.n_vars
    model = made(spec, weights)
    assert np.array_equal(model.embed(asked[:50].copy()), model.embed(both[:50].copy()))
    by_symbol, by_id = (model.embed_genes(list(both.var[column][:5])) for column in ("gene_symbol", "ensembl_id"))
    assert np.array_equal(by_symbol, by_id)


def test_cells_with_hardly_a_known_gene_are_refused(spec: ModelSpec, folder: Path, asked: ad.AnnData) -> None:
    other = asked[:, :40].copy()
    other.var["gene_symbol"] = [f"ODD{k}" for k in range(40)]
    with pytest.raises(BadInput, match="only 0 of 40 genes"):
        made(spec, folder).embed(other)
    told = suitability(canonicalise(renamed(other), BLOOD), spec, {}, str(folder), BLOOD)
    assert told.refusal.startswith("none of 40 genes (first: 'ODD0') is among the 765 that ours knows")


def renamed(cells: ad.AnnData) -> ad.AnnData:
    return ad.AnnData(cells.X, obs=cells.obs, var=cells.var.set_axis(cells.var["gene_symbol"].to_numpy(), axis=0))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: (folder / "config.yaml").unlink(), "holds no whole trained model"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no weights"), "differ|damaged|not of the same"),
        (lambda folder: (folder / "config.yaml").write_text("model: {size: large}"), "differ|damaged|not of the same"),
    ],
)
def test_a_damaged_folder_is_refused(
    change: Callable[[Path], Any], reason: str, spec: ModelSpec, folder: Path, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    change(tmp_path / "copy")
    with pytest.raises(BadInput, match=reason):
        made(spec, tmp_path / "copy")


@pytest.mark.slow
def test_a_trained_folder_passes_the_kit(spec: ModelSpec, folder: Path) -> None:
    found = list(rows(requested("ours", "model", {}, str(folder), 0, "cpu"), {}))
    assert {row.check: row.found for row in found if row.result == "FAILED"} == {}
    assert sum(row.result == "ok" for row in found) >= 15
