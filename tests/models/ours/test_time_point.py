"""The variant that reads two cells, `[CLS] now [SEP] previous`, on real cells of day 2 and day 5, and the one of a
single cell that it is compared with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.data.cells.batch import CellBatch, Draw
from bench.data.cells.collate import Collator
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.previous import EarlierCell, Lineages
from bench.data.cells.statistics import GeneStatistics
from bench.data.cells.vocabulary import Vocabulary
from bench_ours.config import collator, heads
from bench_ours.objective import ObjectiveLoss
from bench_ours.presets import preset as chosen
from bench_ours.transformer import CellTransformer


@pytest.fixture(scope="module")
def heart(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> CellDataset:
    """1,090 cells on their way to heart muscle; those of day 5 are preceded by cells of day 2."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE_DIR", str(tmp_path_factory.mktemp("heart")))
        store = store_of(shared / "data" / "cardio_ipsc_day2_day5.h5ad")
    dataset = CellDataset([store], Vocabulary.of([store]), ("cell_type", "time_point"))
    return dataset.preceded_by(EarlierCell(dataset, Lineages(dataset, "time_point")))


@pytest.fixture(scope="module")
def statistics(heart: CellDataset) -> GeneStatistics:
    return GeneStatistics.of(heart)


class Trained:
    """A preset at the size of a test."""

    def __init__(self, preset: str, heart: CellDataset, statistics: GeneStatistics, length: int) -> None:
        self.architecture = replace(chosen(preset).architecture, size="nano", dropout=0.0)
        objective = replace(chosen(preset).objective, length=length)
        self.heart = heart
        self.collate = Collator(collator(self.architecture, objective), len(heart.vocabulary), 0, statistics)
        self.loss = ObjectiveLoss(objective, self.architecture, heart.categories)
        torch.manual_seed(0)
        self.model = CellTransformer(
            self.architecture, len(heart.vocabulary), self.loss.outputs, labels={"cell_type": 7}, heads=heads(objective)
        )

    def batch(self, cells: np.ndarray, epoch: int = 0) -> CellBatch:
        return self.collate(self.heart.__getitems__(Draw(cells, epoch)))

    def fit(self, cells: np.ndarray, steps: int) -> None:
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-3)
        rng = np.random.default_rng(0)
        for step in range(steps):
            self.loss(self.model, self.batch(rng.choice(cells, 32), step)).total.backward()
            optimizer.step()
            optimizer.zero_grad()

    def accuracy(self, cells: np.ndarray) -> float:
        batch = self.batch(cells)
        with torch.no_grad():
            states = self.model.eval()(batch.inputs)
            named = self.model.decoder.label("cell_type", states.labels["cell_type"]).argmax(1)
        return (named == batch.targets.labels["cell_type"]).float().mean().item()


def days(heart: CellDataset) -> tuple[np.ndarray, np.ndarray]:
    """Cells of day 2 and of day 5."""
    codes = heart.codes("time_point", np.arange(len(heart)))
    return np.flatnonzero(codes == 0), np.flatnonzero(codes == 1)


def test_one_half_of_the_tokens_is_of_now_and_the_other_of_the_day_before(
    heart: CellDataset, statistics: GeneStatistics
) -> None:
    early, late = days(heart)
    trained = Trained("time-point", heart, statistics, 2048)
    inputs = trained.batch(np.array([early[0], late[0]])).inputs
    assert inputs.segments is not None
    assert inputs.segments.tolist() == [0] * 1024 + [1] * 1024
    assert inputs.present[:, :1024].all(1).tolist() == [True, True]
    # nothing precedes day 2: only padding stands there
    assert inputs.present[:, 1024:].any(1).tolist() == [False, True]
    # [CLS] and [SEP], and no other token but genes
    assert trained.model.encoder(inputs).shape[1] == 2 + 2048


def test_it_matters_which_cell_came_before_and_which_of_the_two_is_now(
    heart: CellDataset, statistics: GeneStatistics
) -> None:
    _, late = days(heart)
    trained = Trained("time-point", heart, statistics, 256)
    inputs, model = trained.batch(late[:4]).inputs, trained.model.eval()
    cls = model(inputs).cls
    now, before = inputs.genes.chunk(2, dim=1)
    other = replace(inputs, genes=torch.cat([now, before.roll(1, 0)], dim=1))
    assert not torch.allclose(model(other).cls, cls, atol=1e-4)
    swapped = replace(inputs, genes=inputs.genes.roll(128, 1), present=inputs.present.roll(128, 1))
    assert not torch.allclose(model(swapped).cls, cls, atol=1e-4)
    assert torch.allclose(model(replace(swapped, segments=inputs.segments.flip(0))).cls, cls, atol=1e-5)


def test_a_model_of_one_cell_and_cells_of_two_days_do_not_go_together(
    heart: CellDataset, statistics: GeneStatistics
) -> None:
    one, two = (Trained(preset, heart, statistics, 64) for preset in ("rank-classifier", "time-point"))
    with pytest.raises(ValueError, match="reads one cell and got two"):
        one.model(two.batch(np.arange(3)).inputs)
    with pytest.raises(ValueError, match="reads one cell and got two"):
        two.model(one.batch(np.arange(3)).inputs)


def test_the_head_on_cls_is_trained_together_with_the_transformer(
    heart: CellDataset, statistics: GeneStatistics
) -> None:
    trained = Trained("time-point", heart, statistics, 64)
    head = trained.model.decoder.labels[0]
    assert [type(layer).__name__ for layer in head] == ["Linear", "GELU", "Linear"]
    assert head[0].out_features == 16
    _, late = days(heart)
    trained.loss(trained.model, trained.batch(late[:16])).total.backward()
    for name, weight in trained.model.named_parameters():
        # without values there is nothing to withhold, without hidden tokens no gradient of their vector
        assert (weight.grad.abs().sum() > 0) is not (name == "encoder.mask"), name


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["rank-classifier", "time-point"])
def test_cells_it_has_not_seen_are_named(preset: str, heart: CellDataset, statistics: GeneStatistics) -> None:
    """One in five is of the commonest type; the set of genes that stand out tells more."""
    order = np.random.default_rng(0).permutation(len(heart))
    trained = Trained(preset, heart, statistics, 128)
    trained.fit(order[:800], 80)
    assert trained.accuracy(order[800:]) > 0.5
