"""Everything that can be refused before a training framework is loaded is refused then, with a way to mend it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli import trainees

from bench.catalogue import Catalogue, Shelf
from bench.environment import RANKS, first_process
from bench.errors import BadInput
from bench.training import begun, configure, request
from bench.training.request import Request, checked


@pytest.fixture(autouse=True)
def catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the models of a third party are installed, and this process was started by no launcher."""
    models: Shelf[Any] = Shelf("model")
    for spec in trainees.bench_models():
        models.add(spec, "trainees 1.0")
    models.add(dataclasses.replace(trainees.spec("plain"), name="plain"), "trainees 1.0")
    models.add(dataclasses.replace(trainees.spec("needy", pretrain="a:B"), requires=("nobody-has-this>=1",)), "x")
    tasks: Shelf[Any] = Shelf("task")
    tasks.specs["clustering"] = tasks.specs["classification"] = None
    found = Catalogue(models, tasks, Shelf("dataset"), Shelf("command"), ())
    for module in (request, configure):
        monkeypatch.setattr(module, "catalogue", lambda: found)
    monkeypatch.setitem(sys.modules, "trainees", trainees)
    for name in RANKS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    """A request without a mistake."""
    (tmp_path / "a.h5ad").touch()
    named = str(Path(trainees.__file__).with_name("trainees_configs") / "quick.yaml")
    return Request("pretrain", "bag", (str(tmp_path / "a.h5ad"),), tmp_path / "out", config=named)


def test_a_request_becomes_a_training(asked: Request) -> None:
    training = checked(dataclasses.replace(asked, settings={"model.width": "4"}, seed=5, loggers=("csv",))).training
    assert (training.model, training.verb, training.seed, training.loggers) == ("bag", "pretrain", 5, ("csv",))
    assert training.config["model"] == trainees.Net(width=4, length=64)
    assert training.out == asked.out.absolute()
    assert not training.resume
    assert training.weights is None
    assert not asked.out.exists()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown model": ({"model": "bagg"}, "unknown model 'bagg'. Did you mean 'bag'?"),
    "a model that does not train": ({"model": "plain"}, "model plain has no pretrain; models that have one: bag"),
    "a command of another kind": ({"model": "strange"}, "'trainees:STRANGE' is a tuple, not a TrainingCommand; mend"),
    "a command that is not there": ({"model": "lost"}, "module 'trainees' has no 'NOWHERE'"),
    "a package that is missing": ({"model": "needy"}, "nobody-has-this is not installed: pip install"),
    "an unknown option": ({"settings": {"model.widht": "1"}}, "Did you mean 'width'?"),
    "an unknown logger": (
        {"loggers": ("csv", "tensorbord")},
        "unknown logger 'tensorbord'. Did you mean 'tensorboard'",
    ),
    "an unknown device": ({"device": "gpu"}, "device 'gpu' is none of cpu, cuda."),
    "no devices": ({"devices": 0}, "devices=0: a training needs at least 1"),
    "no data": ({"data": ()}, "no data were named"),
    "data that are not there": ({"data": ("b.h5ad",)}, "dataset file not found: "),
    "sharding over a CPU": (
        {"settings": {"trainer.strategy": "fsdp"}},
        "trainer.strategy=fsdp shares a model out to GPUs; take ddp, or --device cuda.",
    ),
    "too many devices": ({"devices": 100_000}, "--devices 100000: this machine has "),
    "nodes that nobody starts": ({"nodes": 2}, "use --executor slurm, or torchrun"),
    "weights to pretrain with": ({"weights": "untrained"}, "pretrain takes neither weights nor a task; leave them out"),
    "a task to pretrain for": ({"task": "clustering"}, "pretrain takes neither weights nor a task; leave them out"),
    "nothing to resume": ({"resume": "yes"}, "holds no checkpoint to go on from; leave --resume out"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_trained_is_refused(asked: Request, case: str) -> None:
    change, said = WRONG[case]
    with pytest.raises(BadInput) as error:
        checked(dataclasses.replace(asked, **change))
    assert said in str(error.value)
    assert not asked.out.exists()


def test_another_machine_may_have_other_devices(asked: Request) -> None:
    elsewhere = dataclasses.replace(asked, device="cuda", devices=100_000, nodes=64)
    assert checked(elsewhere, here=False).training.devices == 100_000


def test_gpus_that_are_not_there_are_refused(asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "_gpus", lambda: 0)
    with pytest.raises(BadInput, match="torch sees no GPU here"):
        checked(dataclasses.replace(asked, device="cuda"))
    monkeypatch.setattr(request, "_gpus", lambda: 1)
    with pytest.raises(BadInput, match="this machine has 1 GPU; ask for no more"):
        checked(dataclasses.replace(asked, device="cuda", devices=2))
    assert checked(dataclasses.replace(asked, device="cuda")).training.device == "cuda"


@pytest.mark.parametrize("name", RANKS)
def test_nodes_may_be_started_by_a_launcher(asked: Request, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    assert first_process()
    assert checked(dataclasses.replace(asked, nodes=2)).training.nodes == 2
    monkeypatch.setenv(name, "1")
    assert not first_process()


# --- the folder --------------------------------------------------------------------------------------


def test_a_folder_that_holds_something_is_refused(asked: Request) -> None:
    asked.out.mkdir()
    for name in ("pretrain.sbatch", "slurm-42.out"):
        (asked.out / name).touch()
    checked(asked)  # written by us to train there, and by a job that did not begin
    (asked.out / "thesis.tex").touch()
    with pytest.raises(BadInput, match=r"out is not empty \(thesis\.tex\); name another folder"):
        checked(asked)
    assert (asked.out / "thesis.tex").exists()


@pytest.fixture
def interrupted(asked: Request) -> Request:
    """A training that left a checkpoint."""
    begun.note(checked(asked).training)
    (asked.out / begun.LAST).touch()
    return asked


@pytest.mark.parametrize("how", ["yes", "if-there"])
def test_a_training_that_was_begun_goes_on(interrupted: Request, how: request.Resume) -> None:
    assert checked(dataclasses.replace(interrupted, resume=how)).training.resume


def test_a_training_that_was_begun_is_not_begun_again(interrupted: Request) -> None:
    with pytest.raises(BadInput, match=r"out is not empty \(checkpoints\); go on with --resume, or name another"):
        checked(interrupted)


def test_a_training_goes_on_as_what_it_was(interrupted: Request) -> None:
    with pytest.raises(BadInput, match=r"was begun with model.width=6, not 7; leave that as it was"):
        checked(dataclasses.replace(interrupted, resume="yes", settings={"model.width": "7"}))


def test_what_a_training_was_begun_with_need_not_be_said_again(asked: Request) -> None:
    first = dataclasses.replace(asked, settings={"model.width": "3", "trainer.max_steps": "9"}, seed=5)
    begun.note(checked(first).training)
    (asked.out / begun.LAST).touch()
    again = dataclasses.replace(asked, resume="yes", config="")
    training = checked(again).training
    assert (training.config["model"].width, training.config["trainer"].max_steps, training.seed) == (3, 9, 5)
    longer = dataclasses.replace(again, settings={"trainer.max_steps": "20"})
    assert checked(longer).training.config["trainer"].max_steps == 20
    with pytest.raises(BadInput, match="was begun with seed=5, not 4"):
        checked(dataclasses.replace(again, seed=4))


def test_what_came_to_nothing_may_be_begun_again(interrupted: Request) -> None:
    (interrupted.out / begun.LAST).unlink()
    assert not checked(interrupted).training.resume


def test_a_job_that_did_not_come_to_a_checkpoint_begins_again(asked: Request) -> None:
    asked.out.mkdir()
    (asked.out / "slurm-42.out").touch()
    assert not checked(dataclasses.replace(asked, resume="if-there")).training.resume


@pytest.mark.parametrize("name", ["config.yaml", "curves.svg"])
def test_a_job_writes_over_nobodys_files(asked: Request, name: str) -> None:
    asked.out.mkdir()
    (asked.out / "thesis.tex").touch()
    checked(dataclasses.replace(asked, resume="if-there"))
    (asked.out / name).touch()
    with pytest.raises(BadInput, match=rf"out is not empty \({name}\); name another folder"):
        checked(dataclasses.replace(asked, resume="if-there"))


def test_other_processes_of_a_training_find_what_the_first_one_wrote(
    asked: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.out.mkdir()
    (asked.out / "logs").mkdir()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not checked(asked).training.resume


def test_a_file_in_the_way_is_refused(asked: Request, tmp_path: Path) -> None:
    for out in (tmp_path / "a.h5ad", tmp_path / "a.h5ad" / "deeper"):
        with pytest.raises(BadInput, match=r"a\.h5ad is a file; name a folder"):
            checked(dataclasses.replace(asked, out=out))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_refused(asked: Request, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o500)
    with pytest.raises(BadInput, match=r"folder .*theirs cannot be written to"):
        checked(dataclasses.replace(asked, out=tmp_path / "theirs" / "out"))


# --- fine-tuning -------------------------------------------------------------------------------------


def test_a_fine_tuning_begins_with_weights(asked: Request, tmp_path: Path) -> None:
    tuning = dataclasses.replace(asked, verb="finetune", task="classification")
    with pytest.raises(BadInput, match="finetune needs weights to begin with: --weights DIR"):
        checked(tuning)
    with pytest.raises(BadInput, match="--weights nowhere: there is no such folder"):
        checked(dataclasses.replace(tuning, weights="nowhere"))
    assert checked(dataclasses.replace(tuning, weights="untrained")).training.weights == "untrained"
    assert checked(dataclasses.replace(tuning, weights=str(tmp_path))).training.weights == tmp_path


@pytest.mark.parametrize("task", ["", "clustering", "clasification"])
def test_a_fine_tuning_is_for_a_task_that_the_model_knows(asked: Request, task: str) -> None:
    tuning = dataclasses.replace(asked, verb="finetune", weights="untrained", task=task)
    with pytest.raises(BadInput, match=r"unknown task to fine-tune bag for: .* Known: classification\."):
        checked(tuning)


def test_nothing_heavy_is_imported_to_find_that_out(tmp_path: Path) -> None:
    code = "import sys, bench.training.request, bench.training.slurm; print([m for m in %r if m in sys.modules])"
    heavy = ("torch", "lightning", "numpy", "pandas", "yaml")
    answer = subprocess.run([sys.executable, "-c", code % (heavy,)], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
