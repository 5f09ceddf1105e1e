"""A training that was stopped and goes on is the training that was not: weights, optimiser, losses, bit for bit."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.guesser import Guesser, train
from torch import Tensor

from bench.errors import BadInput
from bench.training.begun import LAST, LOGS, NOTE, begun_with
from bench.training.loggers import read

TIMES = {"meter", "cells_per_second"}
"""What is never the same twice."""


def last(out: Path) -> dict[str, Any]:
    """All that the last checkpoint holds."""
    found: dict[str, Any] = torch.load(out / LAST, weights_only=True)
    return found


def logged(out: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in read(out / LOGS)]


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Places in nested data where bits differ."""
    if isinstance(one, Tensor):
        return [] if one.dtype == other.dtype and torch.equal(one, other) else [path]
    if isinstance(one, Mapping):
        if one.keys() != other.keys():
            return [f"{path}: {sorted(one.keys() ^ other.keys())}"]
        return [d for key in one if key not in TIMES for d in differences(one[key], other[key], f"{path}/{key}")]
    if isinstance(one, (list, tuple)):
        if len(one) != len(other):
            return [path]
        return [d for k, (a, b) in enumerate(zip(one, other, strict=True)) for d in differences(a, b, f"{path}/{k}")]
    return [] if one == other else [f"{path}: {one} {other}"]


@pytest.fixture
def one_thread() -> Any:
    """Sums of floating-point numbers in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(_pbmc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training of 20 steps without a stop."""
    out, threads = tmp_path_factory.mktemp("whole"), torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE_DIR", str(_pbmc.with_name("cache")))
        torch.set_num_threads(1)
        train(_pbmc, out)
        torch.set_num_threads(threads)
    return out


def require_same(one: Path, other: Path) -> None:
    """The last checkpoints, the logs, and the names of all checkpoints of two trainings."""
    assert differences(last(one), last(other)) == []
    assert logged(one) == logged(other)
    steps = [row["step"] for row in read(other / LOGS)]
    assert steps == sorted(set(steps))
    kept, other_kept = ({path.name for path in (out / LAST).parent.iterdir()} for out in (one, other))
    assert kept == other_kept


# 560 cells are 8 steps of 64 in an epoch; validations after every 5th step, checkpoints after every 4th, log lines
# after every 3rd
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "first",
    [
        pytest.param({"stop_after": 10}, id="after a validation, in an epoch"),
        pytest.param({"stop_after": 7}, id="between lines of the log"),
        pytest.param({"stop_after": 8}, id="at the end of an epoch"),
        pytest.param({"max_steps": 10}, id="ended, and made longer"),
    ],
)
def test_a_resumed_training_is_the_whole_one(file: Path, tmp_path: Path, whole: Path, first: dict[str, Any]) -> None:
    assert train(file, tmp_path, trainer=first).steps < 20
    other = Guesser(765)  # begins with other weights, which those of the checkpoint replace
    assert train(file, tmp_path, other, resume=True).steps == 20
    require_same(whole, tmp_path)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"accumulate": 2, "max_steps": 10}, id="gradients averaged, across epochs"),
        pytest.param({"val_every": 0, "max_steps": 10}, id="nothing validated"),
    ],
)
def test_so_is_one_with_other_options(file: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    train(file, tmp_path / "whole", trainer=options)
    train(file, tmp_path / "parts", trainer=options | {"stop_after": 5})
    train(file, tmp_path / "parts", Guesser(765), trainer=options, resume=True)
    require_same(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.usefixtures("one_thread")
def test_a_training_killed_between_two_checkpoints_makes_the_steps_again(
    file: Path, tmp_path: Path, whole: Path
) -> None:
    """Its folder then holds what a killed process leaves: an older checkpoint than lines of the log and best files."""
    out = tmp_path / "out"
    train(file, out, trainer={"stop_after": 8})
    shutil.copy(out / LAST, tmp_path / "older")
    train(file, out, trainer={"stop_after": 4}, resume=True)
    shutil.copy(tmp_path / "older", out / LAST)
    (out / LAST).with_name(".last.ckpt.0123.tmp").write_bytes(b"half a checkpoint")
    with (out / LOGS / "metrics.csv").open("a") as torn:
        torn.write("15,2.1")
    assert train(file, out, resume=True).steps == 20
    require_same(whole, out)


def test_what_was_begun_otherwise_is_not_resumed(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(BadInput, match="out holds no checkpoint to go on from; leave --resume out to begin"):
        train(file, out, resume=True)
    train(file, out, trainer={"max_steps": 4})
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for asked, words in (
        ({"seed": 1}, "was begun with seed=0, not 1"),
        ({"optim": {"lr": 0.2}}, r"was begun with optim.lr=0.1, not 0.2; .* \(only options of trainer may change\)"),
        ({"trainer": {"accumulate": 2}}, "was begun with trainer.accumulate=1, not 2"),
        ({"model": "other"}, "holds a training of guesser, not of other"),
    ):
        training = {"model": "guesser"} | asked
        with pytest.raises(BadInput, match=words):
            _resume(file, out, **training)
    with pytest.raises(BadInput, match="out holds a training; go on with --resume, or name another folder"):
        train(file, out)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_what_is_refused_when_it_is_resumed_changes_nothing(file: Path, tmp_path: Path) -> None:
    train(file, tmp_path, trainer={"max_steps": 4})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(BadInput, match="the cells are divided otherwise than for the checkpoint"):
        train(file, tmp_path, data={"val": 0.3}, trainer={"max_steps": 8}, resume=True)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    train(file, tmp_path, trainer={"max_steps": 5}, resume=True)
    assert begun_with(tmp_path)[1]["trainer"]["max_steps"] == 5, "what is begun is written down"


def _resume(file: Path, out: Path, model: str, **asked: Any) -> None:
    from dataclasses import replace

    from tests.training.guesser import training_of

    from bench.training.begun import require_same

    require_same(replace(training_of(file, out, resume=True, **asked), model=model))


def test_a_training_that_has_ended_has_nothing_left_to_do(file: Path, tmp_path: Path) -> None:
    train(file, tmp_path, trainer={"max_steps": 4})
    (tmp_path / "model.safetensors").unlink()  # as if it had been killed before it wrote the model
    again = train(file, tmp_path, trainer={"max_steps": 4}, resume=True)
    assert (again.steps, again.notices) == (4, ("the training had ended at step 4; raise trainer.max_steps to go on.",))
    assert (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half of one"])
def test_a_damaged_checkpoint_is_told(file: Path, tmp_path: Path, content: bytes) -> None:
    train(file, tmp_path, trainer={"max_steps": 4})
    (tmp_path / LAST).write_bytes(content)
    with pytest.raises(BadInput, match=r"last.ckpt is damaged, or no checkpoint of bench \(.*\); put another one"):
        train(file, tmp_path, resume=True)


def test_a_checkpoint_of_another_program_is_told(file: Path, tmp_path: Path) -> None:
    train(file, tmp_path, trainer={"max_steps": 4})
    torch.save({"state_dict": {}, "global_step": 4, "loops": {}}, tmp_path / LAST)
    with pytest.raises(BadInput, match=r"last.ckpt is no checkpoint of bench; put another one"):
        train(file, tmp_path, resume=True)


def test_a_strangers_checkpoint_runs_nothing(file: Path, tmp_path: Path) -> None:
    train(file, tmp_path, trainer={"max_steps": 4})
    mark = tmp_path / "was-here"
    torch.save({**last(tmp_path), "extra": Hostile(mark)}, tmp_path / LAST)
    with pytest.raises(BadInput, match=r"last.ckpt is damaged, or no checkpoint of bench"):
        train(file, tmp_path, resume=True)
    torch.load(tmp_path / LAST, weights_only=False)
    assert mark.exists(), "the file is harmless, so this test says nothing"


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_damaged_note_is_told(file: Path, tmp_path: Path) -> None:
    train(file, tmp_path, trainer={"max_steps": 4})
    (tmp_path / NOTE).write_text("{}")
    with pytest.raises(BadInput, match=r"training.json is missing or damaged"):
        train(file, tmp_path, resume=True)
