"""`bench finetune` of any backbone: from files to the folder of a model that names cells."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from tests.training.bag import Bag

from bench.data import fingerprints
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput, BadOutput, BenchError
from bench.training import folder, loggers, provenance, request
from bench.training.begun import LOGS
from bench.training.command import Training
from bench.training.finetuning import command, head
from bench.training.finetuning.command import Start
from bench.training.finetuning.namer import CellNamer
from bench.training.finetuning.options import FinetuneConfig, LabelledData
from bench.training.finetuning.record import Record
from bench.training.fitted import Fitted
from bench.training.folder import Card
from bench.weights import trained

Finetune = Callable[..., Fitted]
LABEL = "bulk_labels"


def begin(cells: ad.AnnData) -> Start:
    """A bag of the genes of the cells that has learned nothing."""
    names = tuple(sorted(cells.var_names))
    return Start(Bag(names), Card("bag", "1", "pretrain", 0, {"model": {"width": 16}}, Vocabulary("symbol", names)))


@pytest.fixture
def asked(file: Path, tmp_path: Path) -> Training:
    config = {"finetune": FinetuneConfig(max_epochs=3, lr=0.01), "data": LabelledData(label=LABEL)}
    return Training(
        "bag", "finetune", (str(file),), tmp_path / "out", config, weights="untrained", task="classification"
    )


def with_options(training: Training, section: str, **options: Any) -> Training:
    return replace(training, config={**training.config, section: replace(training.config[section], **options)})


def test_a_folder_names_cells_as_the_model_did_that_was_trained(asked: Training) -> None:
    made = command.finetune(asked, begin)
    out = asked.out
    card, state = folder.read_card(out, ["bag"]), folder.read_state(out)
    network, _ = head.split(state)
    assert card.verb == "finetune"
    assert set(card.config) == {"model", "finetune", "data"}
    assert folder.section(card, "finetune", FinetuneConfig) == asked.config["finetune"]
    assert made.best is not None
    assert made.best.loss == provenance.read(out)["trainings"][-1]["val_loss"]

    def make(cells: ad.AnnData) -> Bag:
        bag = Bag(card.vocabulary.names)
        bag.network.load_state_dict({name: _tensor(array) for name, array in network.items()})
        return bag

    kept = head.stored(card, state)
    assert kept is not None
    model = CellNamer(
        FinetuneConfig(head="stored", max_epochs=0), make, seed=9, device="cpu", pretrained=True, stored=kept
    )
    cells = command.gather(command.stores_of(asked.data), asked.config["data"]).cells
    model.fit(cells)
    right = (model.predict(cells).idxmax(axis=1) == cells.obs["cell_type"]).mean()
    assert right > 0.5


def test_it_is_written_down_how_it_went(asked: Training) -> None:
    made = command.finetune(asked, begin)
    rows = loggers.read(asked.out / LOGS)
    columns = {name for row in rows for name in row}
    assert columns == {"step", "train/total", "val/total", "val/macro_f1", "val/accuracy"}
    assert rows[-1]["step"] == made.steps
    assert (asked.out / "curves.svg").exists()
    told = " ".join(made.notices)
    assert f"accuracy {rows[-1]['val/accuracy']:.3f} on" in told
    assert "no test result" in told


def test_it_is_known_where_it_comes_from(asked: Training, tmp_path: Path) -> None:
    """Cells of the weights it began with count as well, and cells without a label count as not seen."""
    command.finetune(asked, begin)
    second = replace(asked, out=tmp_path / "second", weights=asked.out)
    command.finetune(second, begin)
    first, own = provenance.read(second.out)["trainings"]
    assert first["began_with"] == ""
    assert own["began_with"] == trained.identity(asked.out)
    assert own["task"] == "classification"
    assert own["parts"]["train"] + own["parts"]["val"] == 700
    assert own["divided_by"] == "cells"
    assert [len(one) for one in fingerprints.read(second.out / trained.FINGERPRINTS)] == [700, 700]


def test_whole_groups_are_kept_and_named(asked: Training, grouped: Path) -> None:
    command.finetune(replace(asked, data=(str(grouped),)), begin)
    own = provenance.read(asked.out)["trainings"][-1]
    assert own["divided_by"] == "donor"
    assert own["groups"]["val"]
    assert own["groups"]["test"] == []
    assert own["parts"] == {"train": own["parts"]["train"], "val": own["parts"]["val"], "test": 0}
    (prints,) = fingerprints.read(asked.out / trained.FINGERPRINTS)
    assert prints.seen.sum() == own["parts"]["train"] + own["parts"]["val"] == 600


def test_files_are_groups_where_nothing_else_is(asked: Training, file: Path, grouped: Path) -> None:
    """The labels of both files are one column, the genes those of either."""
    gathered = command.gather(command.stores_of([file, grouped]), LabelledData(label=LABEL))
    assert gathered.by == "store"
    assert gathered.cells.obs["group"].value_counts().to_dict() == {"0": 700, "1": 600}
    assert gathered.cells.n_vars == 765
    assert set(gathered.cells.var.columns) == {"gene_symbol", "ensembl_id", "feature_types"}
    alone = command.gather(command.stores_of([file]), LabelledData(label=LABEL)).cells
    same = gathered.cells[:700, alone.var_names]
    np.testing.assert_array_equal(same.X.toarray(), alone.X.toarray())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: replace(t, resume=True), "a fine-tuning is not gone on with"),
        (lambda t: replace(t, devices=2), "a fine-tuning runs on one device"),
        (lambda t: with_options(t, "finetune", max_epochs=0, head="stored"), "finetune.max_epochs=0 learns nothing"),
        (lambda t: with_options(t, "finetune", head="stored"), "head=stored needs weights that were fine-tuned"),
        (lambda t: with_options(t, "data", label="cell_tipe"), "unknown column of obs: 'cell_tipe'"),
        (lambda t: with_options(t, "data", group="doner"), "unknown column of obs: 'doner'"),
        (lambda t: replace(t, loggers=("papyrus",)), "unknown logger 'papyrus'"),
    ],
)
def test_what_cannot_be_done_is_said(asked: Training, change: Callable[[Training], Training], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        command.finetune(change(asked), begin)
    assert not trained.is_trained(asked.out)


def test_a_folder_in_which_nothing_came_of_it_is_free_again(asked: Training) -> None:
    with pytest.raises(BadOutput, match="lower lr"):
        command.finetune(with_options(asked, "finetune", lr=1e30), begin)
    assert not trained.is_trained(asked.out)
    assert request._held(asked) == []
    command.finetune(asked, begin)
    assert "config.yaml" in request._held(asked)


@pytest.mark.parametrize("written", ["write", "curves"])
def test_a_full_disk_is_told_of(asked: Training, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    target, name = {"write": (Record, "epoch"), "curves": (command.curves, "draw")}[written]
    monkeypatch.setattr(target, name, full)
    with pytest.raises(BenchError, match=r"no room in .*out: No space left on device, .* free some and begin again"):
        command.finetune(asked, begin)
    assert trained.is_trained(asked.out) == (written == "curves")  # a picture that fails costs no model


def test_a_single_type_is_told_of(asked: Training, file: Path) -> None:
    cells = ad.read_h5ad(file)
    cells.obs[LABEL] = "blood"
    cells.write_h5ad(asked.out.with_name("one.h5ad"))
    made = command.finetune(replace(asked, data=(str(asked.out.with_name("one.h5ad")),)), begin)
    assert made.steps == 0
    assert made.notices[-1].startswith("all labelled cells are 'blood': there was nothing to learn")
    assert "stopped" not in " ".join(made.notices)


def test_a_group_that_is_not_known_is_refused(asked: Training, grouped: Path) -> None:
    training = with_options(replace(asked, data=(str(grouped),)), "data", group="clinic")
    with pytest.raises(BadInput, match=r"clinic is missing for labelled cells of grouped \(first: row 2\)"):
        command.finetune(training, begin)


@pytest.fixture
def grouped(file: Path) -> Path:
    """The same counts doubled, so that they are other cells, of 6 donors; of 100 the label is not known."""
    path = file.with_name("grouped.h5ad")
    if not path.exists():
        cells = ad.read_h5ad(file)
        cells.X = cells.X * 2
        cells.obs["donor"] = [f"d{number % 6}" for number in range(cells.n_obs)]
        cells.obs["clinic"] = [None if number % 2 == 0 else "c" for number in range(cells.n_obs)]
        labels = cells.obs[LABEL].astype(object)
        labels.iloc[::7] = None
        cells.obs[LABEL] = labels
        cells.write_h5ad(path)
    return path


def _tensor(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.array(array))
