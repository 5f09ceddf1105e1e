"""A training leaves the folder of a trained model, logs and checkpoints, and says why when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.guesser import Guesser, data_of, train
from torch import Tensor
from torch._utils import ExceptionWrapper

from bench.data.cells.batch import CellBatch
from bench.errors import BadInput, BadOutput, BenchError
from bench.training import folder, provenance
from bench.training.begun import CHECKPOINTS, LAST, LOGS
from bench.training.fitted import Best
from bench.training.loggers import read
from bench.training.losses import Losses
from bench.training.options import TrainerConfig
from bench.training.trouble import explained


def weights(out: Path, checkpoint: str = LAST) -> dict[str, Tensor]:
    """The network of a checkpoint."""
    state = torch.load(out / checkpoint, weights_only=True)["state_dict"]
    return {name.removeprefix("learner.network."): value for name, value in state.items()}


def test_a_training_leaves_a_trained_model(file: Path, tmp_path: Path) -> None:
    fitted = train(file, tmp_path, loggers=("csv", "tensorboard"))
    slow = "its 20 steps ended on the way up to optim.lr; set optim.warmup_steps below 100."
    assert (fitted.steps, fitted.stopped, fitted.notices) == (20, "max_steps", (slow,))
    card = folder.read_card(tmp_path, ["guesser"])
    assert folder.section(card, "trainer", TrainerConfig).max_steps == 20
    state = folder.read_state(tmp_path)
    assert {name: value.tolist() for name, value in state.items()} == {
        name: value.tolist() for name, value in weights(tmp_path).items()
    }
    (told,) = provenance.read(tmp_path)["trainings"]
    data = data_of(file)
    assert (told["steps"], told["cells_seen"], told["epochs"]) == (20, 20 * 64, 20 * 64 / len(data.parts.train))
    measured = told["throughput"]
    assert 0 < measured["data_wait"] < 1
    assert measured["cells_per_second"] * told["wall_s"] > told["cells_seen"], "steps are part of the time"
    assert measured["peak_bytes"] > 10**7
    assert fitted.best is not None
    assert told["val_loss"] == fitted.best.loss
    there = {path.name for path in tmp_path.iterdir()}
    assert {"fingerprints.npz", "vocabulary.parquet", "curves.svg", "curves.png", CHECKPOINTS, LOGS} <= there
    assert list((tmp_path / LOGS).glob("events.out.tfevents.*"))


def test_the_log_has_every_part_at_the_steps_asked_for(file: Path, tmp_path: Path) -> None:
    train(file, tmp_path)
    rows = {row["step"]: row for row in read(tmp_path / LOGS)}
    trained = {step for step, row in rows.items() if "train/total" in row}
    validated = {step for step, row in rows.items() if "val/total" in row}
    assert (trained, validated) == ({1, 3, 6, 9, 12, 15, 18}, {5, 10, 15, 20})
    for kind, steps in (("train", trained), ("val", validated)):
        for row in (rows[step] for step in steps):
            total = row[f"{kind}/pretext"] + 0.1 * row[f"{kind}/depth"]
            assert row[f"{kind}/total"] == pytest.approx(total)
            assert row["cells"] == 64 * row["step"]
            assert row["lr"] == pytest.approx(0.1 * row["step"] / 100)
    assert rows[18]["train/total"] < rows[1]["train/total"]


def test_a_validation_is_the_mean_over_all_its_cells(file: Path, tmp_path: Path) -> None:
    """Its last batch has 6 cells, which count as much as those of the others."""
    train(file, tmp_path, trainer={"max_steps": 1, "val_every": 1})
    data, learner = data_of(file, batch_size=1000), Guesser(765)
    learner.network.load_state_dict(weights(tmp_path))
    (batch,) = data.val_dataloader()
    losses = learner.eval().losses(batch, 1)
    (row,) = read(tmp_path / LOGS)
    assert row["val/total"] == pytest.approx(losses.total.item(), rel=1e-5)


class Worsening(Guesser):
    """Better for some steps, then worse for each."""

    def __init__(self, best: int) -> None:
        super().__init__(765)
        self.best = best

    def losses(self, batch: CellBatch, step: int) -> Losses:
        found = super().losses(batch, step)
        worse = float(abs(step - self.best)) if not self.training else 0.0
        return Losses({"pretext": found.parts["pretext"] * 0 + worse}, {"pretext": torch.tensor(64)}, {"pretext": 1.0})


def test_the_best_weights_are_the_trained_model_and_patience_ends(file: Path, tmp_path: Path) -> None:
    asked = {"max_steps": 50, "val_every": 2, "patience": 3, "keep": 2}
    fitted = train(file, tmp_path, Worsening(8), trainer=asked)
    assert (fitted.steps, fitted.stopped, fitted.best) == (14, "early stopping", Best(0.0, 8))
    kept = {path.name for path in (tmp_path / CHECKPOINTS).glob("*.ckpt")}
    assert kept == {"last.ckpt", "step=8.ckpt", "step=6.ckpt"}
    state = folder.read_state(tmp_path)
    assert state.keys() == weights(tmp_path).keys()
    assert all(
        np.array_equal(state[name], value) for name, value in weights(tmp_path, f"{CHECKPOINTS}/step=8.ckpt").items()
    )
    again = train(file, tmp_path, Worsening(8), trainer=asked, resume=True)
    assert (again.steps, again.stopped) == (14, "early stopping"), "it does not go on with the patience it had"
    longer = train(file, tmp_path, Worsening(8), trainer=asked | {"patience": 5}, resume=True)
    assert (longer.steps, longer.stopped) == (18, "early stopping")


@pytest.mark.parametrize(
    ("asked", "steps", "why"),
    [({"stop_after": 7}, 7, "stop_after"), ({"max_time": "00:00:00:00"}, 1, "max_time")],
)
def test_a_training_stops_when_it_was_told_to(
    file: Path, tmp_path: Path, asked: dict[str, Any], steps: int, why: str
) -> None:
    fitted = train(file, tmp_path, trainer=asked)
    assert (fitted.steps, fitted.stopped) == (steps, why)
    assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] == steps
    assert folder.read_card(tmp_path, ["guesser"]).model == "guesser"


def test_without_cells_to_validate_on_the_last_weights_are_the_model(file: Path, tmp_path: Path) -> None:
    fitted = train(file, tmp_path, data={"val": 0.0}, trainer={"max_steps": 6})
    assert fitted.best is None
    state = folder.read_state(tmp_path)
    assert all(np.array_equal(state[name], value) for name, value in weights(tmp_path).items())


def test_a_log_gets_a_line_per_validation_and_nothing_else(
    file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(file, tmp_path, trainer={"max_steps": 10})
    out, err = capfd.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith("cells were divided at random")]
    assert [line.partition(":")[0] for line in lines] == ["step 5 of 10", "step 10 of 10"]
    assert "validated" in lines[0]


class Breaking(Guesser):
    """A loss that is not a number from a step on, in training, validation or gradient."""

    def __init__(self, step: int, where: str) -> None:
        super().__init__(765)
        self.step, self.where = step, where

    def losses(self, batch: CellBatch, step: int) -> Losses:
        found = super().losses(batch, step)
        parts = dict(found.parts)
        if step >= self.step and self.where == ("train" if self.training else "val"):
            parts["depth"] = parts["depth"] * float("nan")
        if step >= self.step and self.where == "gradient":
            zero = self.network["out"].bias.sum() * 0
            parts["depth"] = parts["depth"] + torch.sqrt(zero.abs())  # 0, with a gradient of 0 * inf
        return Losses(parts, found.counts, found.weights)


ROWS = r"pbmc rows \d+, \d+, \d+, \d+, \d+ and 59 cells more"
KEPT = r"checkpoints/last.ckpt is from before"


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("train", rf"training stopped at step 8 \(epoch 0; {ROWS}\): depth is nan\. Look at the cells, .*{KEPT}"),
        ("gradient", rf"training stopped at step 8 \(epoch 0; {ROWS}\): the gradient is nan\. .*{KEPT}"),
        ("val", rf"training stopped at the validation after step 10: depth is nan\. .*{KEPT}"),
    ],
)
def test_a_loss_that_is_no_number_stops_the_training(file: Path, tmp_path: Path, where: str, told: str) -> None:
    with pytest.raises(BadOutput, match=told):
        train(file, tmp_path, Breaking(7, where))
    kept = torch.load(tmp_path / LAST, weights_only=True)
    assert kept["global_step"] in (5, 8)
    assert all(value.isfinite().all() for value in kept["state_dict"].values())
    assert not (tmp_path / folder.trained.WEIGHTS).exists()
    assert train(file, tmp_path, resume=True).steps == 20


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: tried 1 B")]
)
def test_too_little_memory_is_told_with_what_to_lower(file: Path, tmp_path: Path, error: Exception) -> None:
    class Greedy(Guesser):
        def losses(self, batch: CellBatch, step: int) -> Losses:
            raise error

    with pytest.raises(BenchError, match=r"out of memory: lower data.batch_size"):
        train(file, tmp_path, Greedy(765))


def test_what_a_process_that_prepares_batches_raises_is_told_without_its_traceback(tmp_path: Path) -> None:
    try:
        raise BadInput("cells is damaged; fetch it again.")
    except BadInput:
        caught = ExceptionWrapper(where="in DataLoader worker process 0")  # as torch brings it over
    with pytest.raises(BadInput, match=r"^cells is damaged; fetch it again\.$"), explained(tmp_path):
        caught.reraise()


def test_a_model_that_stands_somewhere_is_not_overwritten(file: Path, tmp_path: Path) -> None:
    train(file, tmp_path, trainer={"max_steps": 1})
    (tmp_path / LAST).unlink()
    with pytest.raises(BadInput, match="holds a trained model; name another folder"):
        train(file, tmp_path)
    (tmp_path / "a file").touch()
    with pytest.raises(BadInput, match="a file is a file; name a folder"):
        train(file, tmp_path / "a file")


def test_what_came_to_nothing_may_be_begun_again(file: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOutput, match="there is no checkpoint yet"):
        train(file, tmp_path, Breaking(0, "train"))
    assert train(file, tmp_path, seed=3, trainer={"max_steps": 2}).steps == 2
