"""What a step learns and a validation finds: means over what was scored, whatever batches it came in."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from bench.training.losses import Losses
from bench.training.means import Means
from bench.training.module import TrainingModule
from bench.training.options import OptimConfig
from bench.training.quiet import quiet

Batches = list[list[float]]


class Shift(nn.Module):
    """Distance of numbers from a learned one; how far the positive ones are is a part of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(1, 1)
        self.seen: list[int] = []

    def losses(self, batch: Tensor, step: int) -> Losses:
        self.seen.append(step)
        errors, positive = (batch - self.network.bias).square(), batch > 0
        counts = {"all": torch.tensor(len(batch)), "positive": positive.sum()}
        of_positive = torch.where(positive, errors, 0).sum() / counts["positive"].clamp(min=1)
        return Losses({"all": errors.mean(), "positive": of_positive}, counts, {"all": 1.0, "positive": 0.5})

    def embed(self, batch: Tensor) -> Tensor:
        return batch[:, None]


def batches(numbers: Batches) -> DataLoader:
    return DataLoader([torch.tensor(batch) for batch in numbers], batch_size=None)


def trained(numbers: Batches, **options: Any) -> tuple[TrainingModule, Trainer]:
    torch.manual_seed(0)
    module = TrainingModule(Shift(), OptimConfig(lr=0.1, warmup_steps=4), max_steps=4)
    trainer = Trainer(
        max_steps=len(numbers),
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    with quiet():
        trainer.fit(module, batches(numbers))
    return module, trainer


NUMBERS = st.lists(st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=5), min_size=1, max_size=4)


@given(NUMBERS)
def test_means_of_batches_are_the_means_of_all(numbers: Batches) -> None:
    learner, means = Shift(), Means()
    for batch in numbers:
        means.add(learner.losses(torch.tensor(batch), 0))
    told = means.read(lambda tensor: tensor)
    whole = learner.losses(torch.tensor([x for batch in numbers for x in batch]), 0)
    expected = {name: part.item() for name, part in whole.parts.items() if whole.counts[name]}
    assert told == pytest.approx(expected | {"total": whole.total.item()}, rel=1e-5, abs=1e-5)
    assert means.read(lambda tensor: tensor) == {}, "what was read is not read again"


@given(NUMBERS)
def test_what_several_devices_scored_is_one_mean(numbers: Batches) -> None:
    """Each adds its own; the sum of what they hold is read by all."""
    learner, devices = Shift(), [Means() for _ in numbers]
    for batch, means in zip(numbers, devices, strict=True):
        means.add(learner.losses(torch.tensor(batch), 0))
    sums = torch.stack([means._sums for means in devices if means._sums is not None]).sum(0)
    whole = learner.losses(torch.tensor([x for batch in numbers for x in batch]), 0)
    assert devices[0].read(lambda tensor: sums)["total"] == pytest.approx(whole.total.item(), rel=1e-5, abs=1e-5)


def test_what_was_scored_nowhere_has_no_total() -> None:
    means = Means()
    means.add(Losses({"all": torch.tensor(0.0)}, {"all": torch.tensor(0)}, {"all": 1.0}))
    assert means.read(lambda tensor: tensor) == {}


def test_means_go_on_after_a_checkpoint() -> None:
    learner, whole, first, second = Shift(), Means(), Means(), Means()
    for k, batch in enumerate([[1.0, 2.0], [-3.0], [4.0]]):
        for means in (whole, first if k < 2 else second):
            means.add(learner.losses(torch.tensor(batch), 0))
        if k == 1:
            second.load(first.state(lambda tensor: tensor), torch.device("cpu"))
    assert second.read(lambda tensor: tensor) == whole.read(lambda tensor: tensor)


def test_the_rate_follows_the_schedule_and_the_learner_is_told_the_step() -> None:
    module, trainer = trained([[1.0], [2.0], [3.0]])
    assert module.learner.seen == [0, 1, 2]
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 * 3 / 4)


@pytest.mark.parametrize("longest", [0.0, 1e-3])
def test_a_long_gradient_is_scaled_down_and_its_length_is_kept(longest: float) -> None:
    torch.manual_seed(0)
    slope = 2 * (5 - Shift().network.bias.item()) * 1.5
    module, _ = trained([[5.0]], gradient_clip_val=longest or None)
    assert module.gradient_norm.item() == pytest.approx(slope, rel=1e-5)
    assert module.learner.network.bias.grad.abs().item() == pytest.approx(longest or slope, rel=1e-3)


def test_tests_and_predictions_are_a_trainers() -> None:
    module, trainer = trained([[1.0]])
    (told,) = trainer.test(module, batches([[1.0, -2.0], [3.0]]), verbose=False)
    whole = module.learner.losses(torch.tensor([1.0, -2.0, 3.0]), 0)
    assert told["test/total"] == pytest.approx(whole.total.item())
    assert {*told} == {"test/total", "test/all", "test/positive"}
    predicted = trainer.predict(module, batches([[1.0, -2.0], [3.0]]))
    assert predicted is not None
    assert torch.cat(predicted).tolist() == [[1.0], [-2.0], [3.0]]
