"""What a trained folder becomes: the network that was trained, which reads a cell alike in any company."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from scipy import sparse

from bench.data.cells.batch import Draw
from bench.data.cells.module import CellDataModule
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput
from bench.training.folder import read_card, read_state, section
from bench_ours.backbone import OursBackbone, Reading
from bench_ours.config import Architecture, Objective, collator
from bench_ours.models import embedded
from bench_ours.presets import PRESETS, preset

NANO, SHORT = Architecture(size="nano"), Objective(length=48)


def vectors(backbone: OursBackbone, cells: ad.AnnData, batch_size: int = 64) -> np.ndarray:
    return embedded(backbone.eval(), cells, batch_size, "cpu")


def untrained(cells: ad.AnnData, seed: int = 0, objective: Objective = SHORT) -> OursBackbone:
    return OursBackbone.untrained(NANO, objective, Vocabulary.of_genes(cells.var), seed=seed)


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference, as a share of the largest number."""
    return float(abs(a - b).max() / abs(b).max())


def test_cells_in_memory_get_the_vectors_that_training_would_give_them(
    folder: Path, asked: ad.AnnData, blood_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all their genes: which of more than there are tokens become tokens is drawn."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(blood_file.with_name("cache")))
    backbone = OursBackbone.of_folder(folder, reading=Reading(length=765)).eval()
    card = read_card(folder, ("ours",))
    objective = Objective(**{**card.config["objective"], "length": 765, "ontologies": ()})
    data = CellDataModule([blood_file], collator(backbone.network.config, objective), vocabulary=card.vocabulary)
    data.setup("predict")
    first = next(iter(data.predict_dataloader()))
    with torch.inference_mode():
        stored = backbone.network.embed(first.inputs).numpy()
    assert apart(vectors(backbone, asked[first.cells.numpy()].copy()), stored) < 1e-5


def test_the_weights_are_those_of_the_folder(folder: Path) -> None:
    state = read_state(folder)
    ours = OursBackbone.of_folder(folder).network.state_dict()
    assert ours.keys() == state.keys()
    assert all(np.array_equal(tensor.numpy(), state[name]) for name, tensor in ours.items())


@pytest.mark.parametrize("genes", ["nonzero_random", "nonzero_and_zeros", "all_random"])
def test_a_cell_has_the_same_vector_in_any_company_and_order(genes: Any, asked: ad.AnnData) -> None:
    """Also where its genes are drawn, as they are here: it has about 200, and there are 48 tokens."""
    objective = Objective(length=48, genes=genes)
    whole = vectors(untrained(asked, objective=objective), asked)
    order = np.random.default_rng(0).permutation(asked.n_obs)
    turned = asked[order[:100], np.random.default_rng(1).permutation(asked.n_vars)].copy()
    assert apart(vectors(untrained(turned, objective=objective), turned, batch_size=7), whole[order[:100]]) < 1e-5


def test_padding_is_cut_and_changes_nothing(asked: ad.AnnData) -> None:
    backbone = untrained(asked, objective=Objective(length=600)).eval()
    batch = backbone.reader(asked)(Draw(np.arange(20)))
    longest = int(batch.inputs.present.sum(1).max())
    assert batch.inputs.genes.shape == (20, longest)
    assert longest < 600
    padded = backbone._collate(backbone.in_memory(asked)(Draw(np.arange(20))))
    assert padded.inputs.genes.shape == (20, 600)
    with torch.inference_mode():
        assert apart(backbone.embed(batch).numpy(), backbone.embed(padded).numpy()) < 1e-5
    full = backbone.reader(asked)(Draw(np.array([3])))
    assert full.inputs.padded is False


def test_nothing_is_hidden_from_a_model_that_learned_with_masks(folder: Path, asked: ad.AnnData) -> None:
    inputs = OursBackbone.of_folder(folder).reader(asked)(Draw(np.arange(9))).inputs
    assert not inputs.hidden.any()
    assert (inputs.values[inputs.present] >= 1).all()
    assert torch.equal(inputs.depth, torch.from_numpy(np.asarray(asked.X[:9].sum(1), dtype=np.float32).ravel()))


def test_which_genes_are_read_is_drawn_by_seed_and_epoch(asked: ad.AnnData) -> None:
    read = untrained(asked).reader(asked)
    first, again, later = (read(Draw(np.arange(9), epoch)).inputs.genes for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first, untrained(asked, seed=1).reader(asked)(Draw(np.arange(9))).inputs.genes)


def test_layers_are_all_that_makes_a_vector_from_the_data_to_it(asked: ad.AnnData) -> None:
    backbone = untrained(asked)
    layers = backbone.layers()
    assert len(layers) == 1 + 2
    assert layers[0] is backbone.network.encoder
    named = [parameter for layer in layers for parameter in layer.parameters()]
    used = [*backbone.network.encoder.parameters(), *backbone.network.transformer.parameters()]
    assert {id(parameter) for parameter in named} == {id(parameter) for parameter in used}
    assert len(named) == len(used)


@pytest.mark.parametrize("name", [*PRESETS, "nano"])
def test_every_kind_of_network_is_read_as_it_was_written(
    name: str, pretrain: Callable[..., Path], asked: ad.AnnData, blood_file: Path
) -> None:
    """Ranks, bins, tables, labels, ontologies' columns, a second cell: nothing about the network is lost."""
    settings = {"model.size": "nano", "trainer.max_steps": 1}
    if name == "time-point":
        settings |= {"data.time": "donor"}
    if name == "scprint-like":
        settings |= {"model.gene_table": str(table_of(asked, blood_file.with_name("table.parquet")))}
    written = pretrain(settings, config=name)
    backbone = OursBackbone.of_folder(written)
    state = read_state(written)
    assert all(np.array_equal(tensor.numpy(), state[key]) for key, tensor in backbone.network.state_dict().items())
    assert section(read_card(written, ("ours",)), "model", Architecture) == backbone.network.config
    found = vectors(backbone, asked[:30].copy())
    assert found.shape == (30, 32)
    assert np.isfinite(found).all()


def table_of(cells: ad.AnnData, path: Path) -> Path:
    """A table of gene embeddings, for all genes but the first five."""
    import pandas as pd

    numbers = np.random.default_rng(0).standard_normal((cells.n_vars - 5, 8)).astype(np.float32)
    table = pd.DataFrame(numbers, columns=[f"d{k}" for k in range(8)])
    table.insert(0, "symbol", cells.var_names[5:])
    table.to_parquet(path)
    return path


def test_a_covariate_is_read_as_it_was_learned_and_may_be_missing(
    pretrain: Callable[..., Path], asked: ad.AnnData
) -> None:
    backbone = OursBackbone.of_folder(pretrain({"model.covariates": "donor"}))
    assert backbone.reader(asked)(Draw(np.arange(3))).inputs.covariates["donor"].tolist() == [0, 1, 2]
    strangers = asked[:3].copy()
    strangers.obs["donor"] = ["d6", "somebody", np.nan]
    assert backbone.reader(strangers)(Draw(np.arange(3))).inputs.covariates["donor"].tolist() == [6, -1, -1]
    del strangers.obs["donor"]
    assert np.isfinite(vectors(backbone, strangers)).all()


def test_an_untrained_network_knows_a_gene_by_its_name(asked: ad.AnnData) -> None:
    """So that a cell means the same to it in any vocabulary."""
    few = asked[:40, ::2].copy()
    wide = asked[:40].copy()
    wide.X = sparse.csr_matrix(wide.X.multiply(np.arange(wide.n_vars) % 2 == 0))
    filled = np.asarray(few.X.sum(1)).ravel() > 0
    a, b = (vectors(untrained(cells), cells[filled].copy()) for cells in (few, wide))
    assert apart(a, b) < 1e-5
    genes = untrained(few).of_genes(list(few.var_names[:5]))
    assert genes.equals(untrained(asked).of_genes(list(few.var_names[:5])))
    every = untrained(asked).of_genes(list(asked.var_names)).to_numpy()
    assert abs(every.mean()) < 0.01
    assert every.std() == pytest.approx(0.1, abs=0.005)
    assert apart(vectors(untrained(asked, seed=1), few), vectors(untrained(asked), few)) > 0.1


def test_an_untrained_network_leaves_the_callers_chance_alone(asked: ad.AnnData) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    untrained(asked)
    assert torch.equal(torch.rand(3), expected)


def test_vectors_of_genes_are_those_of_the_encoder(folder: Path) -> None:
    backbone = OursBackbone.of_folder(folder)
    names = backbone.vocabulary.names
    found = backbone.of_genes([names[7], "NOBODY", names[0]])
    assert list(found.index) == [names[7], names[0]]
    weight = read_state(folder)["encoder.genes.weight"]
    assert np.array_equal(found.to_numpy(), weight[[7, 0]])
    assert found.to_numpy().dtype == np.float32


def rewritten(folder: Path, state: dict[str, np.ndarray], out: Path) -> Path:
    """A folder with other weights, whole by its own checksums, as a stranger's may be."""
    import hashlib
    import json
    import shutil

    shutil.copytree(folder, out)
    (out / "model.safetensors").unlink()
    save_file(state, out / "model.safetensors")
    note = json.loads((out / "provenance.json").read_text())
    note["files"]["model.safetensors"] = hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()
    (out / "provenance.json").write_text(json.dumps(note))
    return out


def test_weights_that_do_not_fit_are_named(folder: Path, tmp_path: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["transformer.norm.weight"] = np.ones(7, dtype=np.float32)
    del state["encoder.mask"]
    with pytest.raises(BadInput, match=r"weights .*: does not fit the model: 1 missing \(encoder.mask\); 1 of another"):
        OursBackbone.of_folder(rewritten(folder, state, tmp_path / "other"))


def test_what_a_strangers_folder_cannot_mean_is_refused_before_it_is_made(folder: Path) -> None:
    from dataclasses import replace

    card = read_card(folder, ("ours",))
    huge = {**card.config, "model": {**card.config["model"], "width": 60_000, "heads": 1}}
    with pytest.raises(BadInput, match="does not fit the model"):
        OursBackbone.of(replace(card, config=huge), read_state(folder), "weights x")
    mixed = {**card.config, "objective": {**card.config["objective"], "mask_low": 0.9}}
    with pytest.raises(BadInput, match=r"mask_low=0\.9 is above mask_high"):
        OursBackbone.of(replace(card, config=mixed), read_state(folder), "weights x")
    uneven = {**card.config, "model": {**card.config["model"], "heads": 5}}
    with pytest.raises(BadInput, match="weights x: its width cannot be shared out to its heads"):
        OursBackbone.of(replace(card, config=uneven), read_state(folder), "weights x")


def test_how_cells_are_read_may_be_changed(folder: Path, asked: ad.AnnData) -> None:
    some = asked[:20].copy()
    plain, mean, longer = (
        vectors(OursBackbone.of_folder(folder, reading=reading), some)
        for reading in (Reading(), Reading(pooling="mean"), Reading(length=100))
    )
    assert apart(mean, plain) > 0.1
    assert apart(longer, plain) > 1e-3
    assert np.array_equal(vectors(OursBackbone.of_folder(folder, reading=Reading("cls", 48)), some), plain)


def test_two_time_points_cannot_share_an_odd_number_of_tokens(pretrain: Callable[..., Path]) -> None:
    written = pretrain({"model.size": "nano", "data.time": "donor", "trainer.max_steps": 1}, config="time-point")
    with pytest.raises(BadInput, match="length=33 cannot be halved"):
        OursBackbone.of_folder(written, reading=Reading(length=33))


def test_presets_are_configurations() -> None:
    assert preset("nano").architecture.size == "nano"
    with pytest.raises(BadInput, match="Did you mean 'nano'"):
        preset("nanno")
