"""Any backbone learns to name cells; what is to stay as it is stays; nothing depends on chance or company."""

from __future__ import annotations

import random
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from tests.training.bag import PARTS, WIDTH, Bag
from torch import Tensor

from bench.config import build
from bench.data.cells.vocabulary import Vocabulary
from bench.data.exams import visible_cells
from bench.errors import BadInput, BadOutput
from bench.training.finetuning.classifier import CellClassifier, NamingLearner
from bench.training.finetuning.freezing import unfreeze
from bench.training.finetuning.head import NOTE, Head, StoredHead, split, stored
from bench.training.finetuning.learn import Course
from bench.training.finetuning.module import SHARE, Epoch, FinetuneModule
from bench.training.finetuning.namer import CellNamer
from bench.training.finetuning.options import FinetuneConfig
from bench.training.folder import Card
from bench.training.options import OptimConfig
from bench_datasets import pbmc68k, plugin

EPOCHS = 4


@pytest.fixture(scope="session")
def pbmc() -> ad.AnnData:
    """700 real blood cells of 10 types, in 7 groups; not to be changed."""
    source = pbmc68k.load(plugin._pbmc68k_path())
    labels = source.obs["bulk_labels"].astype(str).to_numpy()
    groups = np.array([f"g{number}" for number in np.random.default_rng(0).integers(7, size=source.n_obs)])
    return visible_cells(source, np.arange(source.n_obs), {"cell_type": labels, "group": groups})


@pytest.fixture(scope="session")
def train(pbmc: ad.AnnData) -> ad.AnnData:
    return cells_of(pbmc, np.arange(0, 400))


@pytest.fixture(scope="session")
def test(pbmc: ad.AnnData) -> ad.AnnData:
    """What is asked about carries no label."""
    return visible_cells(pbmc, np.arange(400, 700))


def cells_of(cells: ad.AnnData, rows: np.ndarray, **columns: np.ndarray) -> ad.AnnData:
    own = {name: cells.obs[name].to_numpy(dtype=object)[rows] for name in cells.obs}
    return visible_cells(cells, rows, {**own, **columns})


def namer(seed: int = 0, backbone: Any = Bag.of, **options: Any) -> CellNamer:
    config = build(FinetuneConfig, {"max_epochs": EPOCHS, "lr": 0.01, **options}, "a test")
    return CellNamer(config, backbone, seed=seed, device="cpu", pretrained=True)


def fitted(cells: ad.AnnData, **options: Any) -> CellNamer:
    model = namer(**options)
    model.fit(cells)
    return model


def course_of(model: CellNamer) -> Course:
    assert model.course is not None
    return model.course


def accuracy(answer: pd.DataFrame, cells: ad.AnnData) -> float:
    truth = cells.obs["cell_type"].loc[answer.index].astype(str)
    return float((answer.idxmax(axis=1) == truth).mean())


def changed(before: Bag, after: Bag) -> list[int]:
    """Numbers of the parts of which any number, running means included, is another."""
    pairs = zip(before.network, after.network, strict=True)
    states = [(one.state_dict(), other.state_dict()) for one, other in pairs]
    return [k for k, (one, other) in enumerate(states) if any(not torch.equal(one[name], other[name]) for name in one)]


# --- what learns -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"unfreeze": "frozen"}, []),
        ({"unfreeze": "last"}, [2]),
        ({"unfreeze": "last", "layers": 2}, [1, 2]),
        ({"unfreeze": "full"}, [0, 1, 2]),
    ],
)
def test_exactly_the_parts_that_are_asked_for_change(
    train: ad.AnnData, options: dict[str, Any], parts: list[int]
) -> None:
    model = fitted(train, validation=0, unwatched_epochs=1, **options)
    assert changed(Bag.of(train), model.classifier.backbone) == parts


@pytest.mark.parametrize("how", ["frozen", "last", "full"])
def test_types_are_told_apart_far_better_than_by_guessing(
    pbmc: ad.AnnData, train: ad.AnnData, test: ad.AnnData, how: str
) -> None:
    answer = fitted(train, unfreeze=how, max_epochs=15, lr=0.03).predict(test)
    assert list(answer.index) == list(test.obs_names)
    assert set(answer.columns) == set(train.obs["cell_type"])
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-12)
    assert accuracy(answer, pbmc) > train.obs["cell_type"].value_counts(normalize=True).max() + 0.08


def test_what_was_pretrained_learns_more_slowly_than_the_head(train: ad.AnnData) -> None:
    backbone, head = Bag.of(train), Head(WIDTH, 3)
    rates = unfreeze(backbone, FinetuneConfig(unfreeze="last", layers=2, backbone_rate=0.5), pretrained=True)
    learner = NamingLearner(CellClassifier(backbone, head))
    module = FinetuneModule(learner, OptimConfig(lr=1.0), 10, rates)
    groups = module.configure_optimizers().param_groups
    found = {weight: (group[SHARE], group["weight_decay"] > 0) for group in groups for weight in group["params"]}
    expected = {weight: (1.0, weight.ndim > 1) for weight in head.parameters()}
    for part in backbone.network[1:]:
        expected |= {weight: (0.5, name == "0.weight") for name, weight in part.named_parameters()}
    assert found == expected


@pytest.mark.parametrize(("told", "pretrained", "rate"), [(None, True, 0.03), (None, False, 0.1), (0.5, False, 0.5)])
def test_what_is_untrained_has_nothing_to_lose_and_learns_faster(
    train: ad.AnnData, told: float | None, pretrained: bool, rate: float
) -> None:
    rates = unfreeze(Bag.of(train), FinetuneConfig(backbone_rate=told), pretrained=pretrained)
    assert set(rates.values()) == {rate}


def test_more_parts_than_there_are_are_refused(train: ad.AnnData) -> None:
    with pytest.raises(BadInput, match=f"layers=9, but the model has {PARTS} parts"):
        fitted(train, unfreeze="last", layers=9)


# --- which cells -------------------------------------------------------------------------------------


def test_whole_groups_are_kept_to_stop_by(train: ad.AnnData) -> None:
    lesson = namer().lesson(train)
    groups = train.obs["group"].to_numpy()
    assert 0.1 < lesson.watched.mean() < 0.4
    assert not set(groups[lesson.watched]) & set(groups[~lesson.watched])


def test_cells_without_a_label_teach_nothing(train: ad.AnnData, test: ad.AnnData) -> None:
    hidden = np.arange(train.n_obs) % 3 == 0
    labels = train.obs["cell_type"].to_numpy(dtype=object).copy()
    labels[hidden] = np.nan
    with_others = cells_of(train, np.arange(train.n_obs), cell_type=labels)
    without = cells_of(train, np.flatnonzero(~hidden))
    one, other = (fitted(cells).predict(test) for cells in (with_others, without))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_no_label_at_all_is_refused(test: ad.AnnData, train: ad.AnnData) -> None:
    nothing = cells_of(train, np.arange(9), cell_type=np.full(9, np.nan, dtype=object))
    with pytest.raises(BadInput, match="'cell_type' is missing for all training cells"):
        fitted(nothing)
    with pytest.raises(BadInput, match="obs has no column 'cell_type'"):
        fitted(test)


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_a_few_cells_of_each_type_are_enough_to_learn_something(
    pbmc: ad.AnnData, train: ad.AnnData, test: ad.AnnData, shots: int
) -> None:
    labels = train.obs["cell_type"].astype(str)
    few = cells_of(train, np.flatnonzero(labels.groupby(labels).cumcount() < shots))
    answer = fitted(few, validation=0.2).predict(test)
    assert set(answer.columns) == set(labels)
    assert accuracy(answer, pbmc) > 1.5 / len(answer.columns)


def test_a_single_type_is_known_without_learning(train: ad.AnnData, test: ad.AnnData) -> None:
    model = fitted(cells_of(train, np.flatnonzero(train.obs["cell_type"] == "Dendritic")))
    assert model.course is None
    answer = model.predict(test)
    assert list(answer.columns) == ["Dendritic"]
    assert (answer == 1).all().all()


def test_fewer_cells_than_a_batch(train: ad.AnnData, test: ad.AnnData) -> None:
    assert fitted(cells_of(train, np.arange(40)), batch_size=1000).predict(test).shape[0] == test.n_obs


# --- how it is learned -------------------------------------------------------------------------------


def test_the_weights_of_the_best_epoch_are_kept(train: ad.AnnData) -> None:
    model = fitted(train, max_epochs=8, lr=0.05, patience=8)
    lesson = model.lesson(train)
    watched = lesson.rows[lesson.watched]
    answer = model.predict(cells_of(train, watched)).to_numpy()
    loss = -np.log(answer[np.arange(len(watched)), lesson.codes[lesson.watched]]).mean()
    course = course_of(model)
    assert loss == pytest.approx(course.lowest, abs=1e-5)
    assert course.lowest == min(epoch.losses["val"] for epoch in course.epochs)


def test_it_stops_when_the_validation_has_not_improved_for_long(train: ad.AnnData) -> None:
    course = course_of(fitted(train, unfreeze="frozen", lr=1.0, max_epochs=40, patience=2))
    assert course.stopped_early
    assert len(course.epochs) == course.best.number + 2


def test_without_validation_it_learns_for_a_set_number_of_epochs(train: ad.AnnData) -> None:
    course = course_of(fitted(train, validation=0, unwatched_epochs=2))
    assert (len(course.epochs), course.best.number, course.lowest, course.stopped_early) == (2, 2, None, False)


def test_of_many_cells_there_are_fewer_epochs(train: ad.AnnData) -> None:
    steps = [course_of(fitted(train, max_steps=most, patience=9)).steps for most in (1, 25, 1000)]
    epoch = steps[0]
    assert steps == [epoch, 25 // epoch * epoch, EPOCHS * epoch]


@pytest.mark.parametrize(("precision", "half"), [("auto", False), ("32-true", False), ("bf16-mixed", True)])
def test_it_learns_in_the_numbers_that_are_asked_for(train: ad.AnnData, precision: str, half: bool) -> None:
    found = set()

    class Spy(Bag):
        def embed(self, batch: Tensor) -> Tensor:
            if torch.is_grad_enabled() and self.network.training:
                found.add(torch.is_autocast_enabled("cpu"))
            return super().embed(batch)

    model = namer(backbone=Spy.of, precision=precision, max_epochs=1)
    model.fit(train)
    assert found == {half}
    assert {weight.dtype for weight in model.classifier.parameters()} == {torch.float32}


def test_epochs_are_told_as_they_end(train: ad.AnnData) -> None:
    told: list[Epoch] = []
    model = namer()
    model._told = told.append
    model.fit(train)
    assert tuple(told) == course_of(model).epochs
    assert all(set(epoch.losses) == {"train", "val"} for epoch in told)


def test_a_loss_that_is_no_number_is_told(train: ad.AnnData) -> None:
    with pytest.raises(BadOutput, match=r"not finite in batch 2 of epoch 1 of fine-tuning; lower lr"):
        fitted(train, lr=1e30)
    with pytest.raises(BadOutput, match=r"not finite after epoch 1 of fine-tuning; lower lr"):
        fitted(train, lr=1e30, epoch_steps=1, batch_size=1000)  # only the validation comes after its one step


def test_rare_classes_count_as_much_as_others_where_asked(train: ad.AnnData, test: ad.AnnData) -> None:
    rare = train.obs["cell_type"].value_counts().index[-1]
    shares = {how: fitted(train, class_weights=how).predict(test)[rare].mean() for how in ("none", "balanced")}
    assert shares["balanced"] > shares["none"]


# --- chance and company ------------------------------------------------------------------------------


def generators() -> list[Any]:
    return [
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["key"].tolist(),
        torch.get_rng_state().tolist(),
    ]


def test_the_same_seed_gives_the_same_bits_and_leaves_the_callers_chance_alone(
    train: ad.AnnData, test: ad.AnnData
) -> None:
    before = generators()
    one = fitted(train).predict(test)
    assert generators() == before
    torch.manual_seed(99)
    np.testing.assert_array_equal(one, fitted(train).predict(test))
    assert not np.array_equal(one, fitted(train, seed=1).predict(test))


def test_an_answer_depends_on_no_other_cell(train: ad.AnnData, test: ad.AnnData) -> None:
    model = fitted(train)
    whole = model.predict(test)
    order = np.random.default_rng(0).permutation(test.n_obs)[:37]
    np.testing.assert_allclose(model.predict(cells_of(test, order)), whole.iloc[order], atol=1e-5)
    model.config = build(FinetuneConfig, {"batch_size": 7}, "a test")
    np.testing.assert_allclose(model.predict(test), whole, atol=1e-5)


# --- a head that is kept -----------------------------------------------------------------------------


def kept(model: CellNamer) -> tuple[StoredHead, dict[str, Tensor]]:
    """Head and network as a folder has them."""
    network, head = split(model.classifier.state())
    arrays = {name: tensor.numpy() for name, tensor in head.items()}
    return StoredHead(model.classes, model.hidden, arrays), network


def again(head: StoredHead, network: dict[str, Tensor], **options: Any) -> CellNamer:
    def make(cells: ad.AnnData) -> Bag:
        bag = Bag.of(cells)
        bag.network.load_state_dict(network)
        return bag

    config = build(FinetuneConfig, {"head": "stored", **options}, "a test")
    return CellNamer(config, make, seed=5, device="cpu", pretrained=True, stored=head)


@pytest.mark.parametrize("hidden", [0, 8])
def test_a_kept_head_answers_as_it_did(train: ad.AnnData, test: ad.AnnData, hidden: int) -> None:
    first = fitted(train, head_hidden=hidden)
    model = again(*kept(first), max_epochs=0)
    model.fit(test)  # no labels: nothing is learned
    assert model.course is None
    np.testing.assert_array_equal(model.predict(test), first.predict(test))


def test_a_kept_head_can_learn_on_and_knows_its_classes(train: ad.AnnData, test: ad.AnnData) -> None:
    head, network = kept(fitted(train))
    model = again(head, network, max_epochs=2)
    some = train.obs["cell_type"].isin(["Dendritic", "CD56+ NK"]).to_numpy()
    model.fit(cells_of(train, np.flatnonzero(some)))
    assert tuple(model.predict(test).columns) == head.classes
    with pytest.raises(BadInput, match="the stored head does not know plasma"):
        model.fit(cells_of(train, np.arange(3), cell_type=np.full(3, "plasma", dtype=object)))


def test_a_head_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match="head=stored needs weights that were fine-tuned"):
        namer(head="stored")
    with pytest.raises(BadInput, match="max_epochs=0 learns nothing, and a new head knows nothing"):
        namer(max_epochs=0)


@pytest.mark.parametrize(
    "note",
    [
        "a head",
        {"column": "x", "classes": ["a"], "hidden": -1},
        {"column": "x", "classes": ["a"], "hidden": 2**62},
        {"column": "x", "classes": [], "hidden": 0},
        {"column": "x", "classes": ["a", "a"], "hidden": 0},
        {"column": "x", "classes": ["a"]},
    ],
)
def test_a_head_that_no_fine_tuning_wrote_is_refused(note: Any) -> None:
    card = Card("bag", "1", "finetune", 0, {}, Vocabulary("symbol", ("A",)), extra={NOTE: note})
    with pytest.raises(BadInput, match="the trained bag tells of a head that cannot be read"):
        stored(card, {})


def test_a_head_of_another_width_is_refused(train: ad.AnnData) -> None:
    head, network = kept(fitted(train))
    narrow = {name: array[..., :4] if array.ndim else array for name, array in head.state.items()}
    with pytest.raises(BadInput, match="the stored head: does not fit the model"):
        again(StoredHead(head.classes, 0, narrow), network, max_epochs=0).fit(train)
