"""`bench pretrain` and `bench finetune` as a user runs them, with a model of a third party."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.broken_files import cells
from tests.cli.conftest import Bench, source_of
from tests.cli.sites import install

from bench.cli.several import spread

OK, BAD_INPUT = 0, 2
Trained = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def trainees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed distribution whose model trains."""
    site = install(tmp_path_factory.mktemp("site"), "trainees", source_of("trainees"))
    (site / "trainees_net.py").write_text(source_of("trainees_net"))
    configs = site / "trainees_configs"
    configs.mkdir()
    (configs / "quick.yaml").write_text((Path(__file__).parent / "trainees_configs" / "quick.yaml").read_text())
    return site


@pytest.fixture
def trained(bench: Bench, trainees: Path, tmp_path: Path) -> Trained:
    """Run a command line in a folder with a file `x.h5ad`, with that distribution installed."""
    return lambda command, **more: bench(*command.split(), cwd=tmp_path, plugins=[trainees], **more)


# --- several values after one option -----------------------------------------------------------------


def test_an_option_takes_every_word_up_to_the_next() -> None:
    words = ["--data", "a", "b", "c", "--out", "x", "--data=d", "e", "-d", "f", "g", "--seed", "3"]
    data = "--data a --data b --data c --out x --data=d --data e -d f -d g --seed 3"
    assert " ".join(spread(words)) == data


def test_what_follows_another_option_is_left_alone() -> None:
    words = ["--data", "a", "--out", "x", "b", "--resume", "c", "--", "d"]
    assert list(spread(words)) == words


@given(st.lists(st.lists(st.text(min_size=1).filter(lambda word: not word.startswith("-")), min_size=1), max_size=3))
def test_no_value_is_lost_or_changed(groups: list[list[str]]) -> None:
    words = [word for group in groups for word in ("--data", *group)]
    assert list(spread(words)) == [word for group in groups for value in group for word in ("--data", value)]


# --- what is refused ---------------------------------------------------------------------------------

PRETRAIN = "pretrain --model bag --data x.h5ad --out out"
FINETUNE = "finetune --model bag --data x.h5ad --out out --task classification"
BAD: dict[str, str] = {
    "pretrain --model pca --data x.h5ad --out out": "model pca has no pretrain; models that have one: bag, ",
    "pretrain --model bag --out out": "Missing option '--data'",
    f"{PRETRAIN} y.h5ad": "unexpected extra argument(s) (y.h5ad)",
    "pretrain --model bag --data x.h5ad y.h5ad --out out": "dataset file not found: ",
    "pretrain --model bag --data x.h5ad --out x.h5ad": "x.h5ad is a file; name a folder",
    "pretrain --model bag --data x.h5ad --out .": "is not empty (",
    f"{PRETRAIN} --resume": "holds no checkpoint to go on from; leave --resume out",
    f"{PRETRAIN} --config code.yaml": "code is not read",
    f"{PRETRAIN} --config odd.yaml": "unknown section of config odd.yaml: 'modl'. Did you mean 'model'?",
    f"{PRETRAIN} --set model.widht=3 --set optim.lr=low": "'low' is not float.\nunknown option of section model:",
    f"{PRETRAIN} --logger csv,tensorbord": "unknown logger 'tensorbord'. Did you mean 'tensorboard'?",
    f"{PRETRAIN} --slurm time=1:00:00": "--slurm sets options of a job; add --executor slurm",
    f"{PRETRAIN} --device cuda": "torch sees no GPU here",
    f"{PRETRAIN} --devices 100000": "ask for no more",
    FINETUNE: "finetune needs weights to begin with: --weights DIR",
}


@pytest.mark.parametrize("command", BAD)
def test_bad_commands(trained: Trained, tmp_path: Path, command: str) -> None:
    cells().write_h5ad(tmp_path / "x.h5ad")
    (tmp_path / "odd.yaml").write_text("modl: {width: 3}\n")
    (tmp_path / "code.yaml").write_text("model: {width: !!python/object/apply:os.system [ls]}\n")
    answer = trained(command, CUDA_VISIBLE_DEVICES="")
    assert BAD[command] in answer.stderr
    assert answer.returncode == BAD_INPUT
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [f"{PRETRAIN} --set model.widht=3", f"{PRETRAIN} --resume"])
def test_no_training_framework_is_loaded_to_find_a_mistake(trainees: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "x.h5ad").touch()
    code = (
        "import sys; from bench.cli.main import main\n"
        f"sys.argv = ['bench', *{command.split()}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 2, end.code\n"
        f"print([m for m in ('torch', 'lightning', 'numpy') if m in sys.modules])"
    )
    site = {**os.environ, "PYTHONPATH": str(trainees)}
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=site
    )
    assert answer.stdout == "[]\n"


# --- what is shown -----------------------------------------------------------------------------------


def test_show_prints_what_can_be_set(trained: Trained) -> None:
    shown = trained("show model bag").stdout
    assert "bench pretrain: a bag of genes that predicts counts" in shown
    assert "configurations:  quick" in shown
    assert re.search(r"model\.width +int +6 +of a cell's vector", shown)  # as the default configuration has it
    training = json.loads(trained("show model bag --json").stdout)["training"]
    assert list(training) == ["pretrain", "finetune"]
    assert training["pretrain"]["configs"] == ["quick"]
    assert {"name": "model.width", "type": "int", "default": "6", "help": "of a cell's vector"} in training["pretrain"][
        "options"
    ]


def test_names_of_models_are_completed(trained: Trained) -> None:
    answer = trained("", _BENCH_COMPLETE="complete_bash", COMP_WORDS="bench pretrain --model ", COMP_CWORD="3")
    assert "bag" in answer.stdout.split()
    assert "pca" not in answer.stdout.split()
