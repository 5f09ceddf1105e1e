"""`ours` learns to name cells: from its weights or from nothing, as a model and as a verb, and is kept in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch

from bench.catalogue import catalogue
from bench.errors import BadInput
from bench.runs.models import configured_model
from bench.training import folder as trained
from bench.training import provenance
from bench.training.command import Training
from bench.training.configure import configured
from bench_ours import finetuned
from bench_ours.backbone import OursBackbone
from bench_ours.commands import FINETUNE

QUICK = {"max_epochs": 2, "batch_size": 64, "length": 48}


def made(weights: str | Path, seed: int = 0, **options: Any) -> Any:
    return configured_model(catalogue().model("ours-finetuned"), {**QUICK, **options}, str(weights), seed, "cpu")()


@pytest.fixture(scope="session")
def labelled(pbmc: ad.AnnData, asked: ad.AnnData) -> ad.AnnData:
    """300 cells with their types."""
    cells = asked[:300].copy()
    cells.obs["cell_type"] = pbmc.obs["cell_type"].to_numpy()[:300]
    return cells


@pytest.fixture(scope="session")
def finetune(blood_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Fine-tunes as the verb does: `finetune(weights, {"finetune.lr": 0.1})`; returns the folder."""

    def run(weights: Path | str, settings: dict[str, Any] | None = None) -> Path:
        few = {"finetune.max_epochs": 2, "finetune.batch_size": 64, "model.length": 48}
        chosen = configured(FINETUNE, "", {**few, **(settings or {})})
        out = tmp_path_factory.mktemp("finetuned") / "model"
        begun: Any = weights
        training = Training(
            "ours", "finetune", (str(blood_file),), out, chosen.sections, weights=begun, task="classification",
            loggers=("csv",),
        )  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BENCH_CACHE_DIR", str(blood_file.with_name("cache")))
            finetuned.finetune(training)
        return out

    return run


@pytest.fixture(scope="session")
def tuned(finetune: Callable[..., Path], folder: Path) -> Path:
    return finetune(folder)


def test_all_of_the_network_learns_and_can_be_kept_still(folder: Path, labelled: ad.AnnData) -> None:
    before = OursBackbone.of_folder(folder).network.state_dict()
    for how, learns in (("frozen", False), ("full", True)):
        model = made(folder, unfreeze=how, validation=0, unwatched_epochs=1)
        model.fit(labelled)
        after = model.classifier.backbone.network.state_dict()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        # heads that were pretrained are not asked, nor is the vector of what is hidden
        unasked = ("decoder.", "encoder.mask")
        asked = {name for name, weight in before.items() if not name.startswith(unasked) and weight.numel()}
        assert changed == (asked if learns else set())


def test_only_the_last_block_learns_where_asked(folder: Path, labelled: ad.AnnData) -> None:
    before = OursBackbone.of_folder(folder).network.state_dict()
    model = made(folder, unfreeze="last", validation=0, unwatched_epochs=1)
    model.fit(labelled)
    after = model.classifier.backbone.network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.rpartition("blocks.")[2].partition(".")[0] for name in changed} == {"1", "transformer"}


@pytest.mark.slow
def test_it_learns_from_nothing_what_is_better_than_guessing(
    pbmc: ad.AnnData, asked: ad.AnnData, labelled: ad.AnnData
) -> None:
    model = made("untrained", size="nano", max_epochs=12, batch_size=32, length=96)
    model.fit(labelled)
    answer = model.predict(asked[300:].copy())
    truth = pbmc.obs["cell_type"].to_numpy()[300:]
    majority = labelled.obs["cell_type"].value_counts(normalize=True).max()
    assert (answer.idxmax(axis=1).to_numpy() == truth).mean() > majority + 0.1


def test_a_tuned_folder_names_cells_by_itself(tuned: Path, asked: ad.AnnData) -> None:
    options = {**FINETUNE.run_with, "length": 0}  # as the verb says in the end
    model = made(tuned, **options)
    model.fit(asked)
    assert model.course is None
    answer = model.predict(asked)
    card = trained.read_card(tuned, ["ours"])
    assert list(answer.columns) == card.extra["head"]["classes"]
    np.testing.assert_allclose(answer.sum(axis=1), 1)
    again = made(tuned, **{**options, "batch_size": 7})
    again.fit(asked)
    np.testing.assert_allclose(again.predict(asked[:50].copy()), answer.iloc[:50], atol=1e-5)


def test_a_tuned_folder_embeds_cells_and_is_tuned_further(
    tuned: Path, folder: Path, finetune: Callable[..., Path], asked: ad.AnnData
) -> None:
    ours = catalogue().model("ours")
    some = asked[:20].copy()
    first, second = (configured_model(ours, {}, str(path), 0, "cpu")().embed(some) for path in (folder, tuned))
    assert first.shape == second.shape
    assert not np.allclose(first, second)
    chain = provenance.read(finetune(tuned))["trainings"]
    assert [training["verb"] for training in chain] == ["pretrain", "finetune", "finetune"]


def test_what_began_with_nothing_is_kept_too(finetune: Callable[..., Path], asked: ad.AnnData) -> None:
    out = finetune("untrained", {"model.size": "nano"})
    model = made(out, head="stored", max_epochs=0, length=0)
    model.fit(asked)
    assert model.predict(asked[:5].copy()).shape == (5, 10)


def test_what_does_not_go_together_is_said(folder: Path, labelled: ad.AnnData) -> None:
    with pytest.raises(BadInput, match="head=stored needs weights that were fine-tuned"):
        made(folder, head="stored")
    with pytest.raises(BadInput, match=r"size=nano is of an untrained model"):
        made(folder, size="nano")
    with pytest.raises(BadInput, match="option 'length' of model ours-finetuned"):  # nor could its folder be read
        made(folder, length=2**17 + 1)
