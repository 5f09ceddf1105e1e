"""What was written becomes typed options, or every mistake in it is told at once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.config import option
from bench.errors import BadInput
from bench.training.command import TrainingCommand
from bench.training.configure import configured, names
from bench.training.options import OptimConfig, TrainerConfig


@dataclass(frozen=True)
class Net:
    """Options of a model."""

    width: int = option(8, "of a layer", low=1)
    act: Literal["relu", "silu"] = option("relu", "between layers")
    columns: tuple[str, ...] = option((), "columns of obs")


COMMAND = TrainingCommand("a model", "a:b", {"trainer": TrainerConfig, "optim": OptimConfig, "model": Net})


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingCommand]:
    """The same command with configurations `small` and `wide` of its own, of which `wide` is the default."""
    package = tmp_path / "netconfigs"
    package.mkdir()
    (package / "small.yaml").write_text("seed: 7\nmodel: {width: 2}\ntrainer: {max_steps: 3}\n")
    (package / "wide.yaml").write_text("model: {width: 64}\noptim:\n")
    (package / "notes.txt").write_text("no configuration")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield TrainingCommand("a model", "a:b", COMMAND.sections, configs="netconfigs", default="wide")
    sys.modules.pop("netconfigs", None)


def test_defaults_where_nothing_is_written() -> None:
    found = configured(COMMAND)
    assert found.sections == {"trainer": TrainerConfig(), "optim": OptimConfig(), "model": Net()}
    assert found.seed == 0


def test_settings_win_over_the_file_and_the_file_over_defaults(named: TrainingCommand) -> None:
    found = configured(named, "small", {"model.act": "silu", "trainer.max_steps": "5"})
    assert found.sections["model"] == Net(width=2, act="silu")
    assert found.sections["trainer"] == TrainerConfig(max_steps=5)
    assert found.sections["optim"] == OptimConfig()


def test_the_seed_of_the_command_line_wins_over_the_one_of_the_file(named: TrainingCommand) -> None:
    assert [configured(named, "small", seed=seed).seed for seed in (None, 0, 3)] == [7, 0, 3]


def test_the_default_configuration_is_taken_where_none_is_named(named: TrainingCommand) -> None:
    assert configured(named).sections["model"].width == 64
    assert names(named) == ["small", "wide"]
    assert names(COMMAND) == []


@pytest.mark.parametrize("suffix", [".toml", ".yaml", ".yml"])
def test_a_file_of_the_user_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    path.write_text("seed = 4\n[model]\nwidth = 5" if suffix == ".toml" else "seed: 4\nmodel: {width: 5}")
    assert configured(COMMAND, str(path)).sections["model"].width == 5
    assert configured(COMMAND, str(path)).seed == 4


def test_the_config_of_a_trained_model_is_a_configuration(tmp_path: Path) -> None:
    """So that a training can be repeated; what the model is stands in a table of its own."""
    path = tmp_path / "config.yaml"
    path.write_text("about: {format: 1, model: net, version: '1'}\nseed: 2\nmodel: {width: 3}\n")
    assert configured(COMMAND, str(path)).sections["model"].width == 3


WRONG: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "an unknown section": ({"modl.width": "3"}, ("unknown section of --set modl.width: 'modl'", "'model'")),
    "an unknown option": ({"model.widht": "3"}, ("unknown option of section model: 'widht'. Did you mean 'width'?",)),
    "a wrong type": ({"model.width": "wide"}, ("option 'width' of section model: 'wide' is not int.",)),
    "out of bounds": ({"model.width": "0"}, ("option 'width' of section model: 0 is below 1.",)),
    "a wrong choice": ({"model.act": "tanh"}, ("'tanh' is not one of relu, silu",)),
    "a time of another form": (
        {"trainer.max_time": "2h"},
        ("section trainer: max_time='2h' must look like DD:HH:MM:SS, such as 00:12:00:00 for twelve hours.",),
    ),
    "no section": ({"max_steps": "3"}, ("--set max_steps: say of which section, --set trainer.max_steps=...",)),
    "no section, misspelt": ({"max_step": "3"}, ("Did you mean 'trainer.max_steps'?", "Write it with its section.")),
    "the seed": ({"seed": "3"}, ("use --seed",)),
    "two mistakes at once": ({"model.width": "0", "optim.lr": "-1", "x.y": "1"}, ("width", "lr", "'x'")),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_are_refused(case: str) -> None:
    settings, said = WRONG[case]
    with pytest.raises(BadInput) as error:
        configured(COMMAND, settings=settings)
    for text in said:
        assert text in str(error.value)
    assert len(str(error.value).splitlines()) == len(settings)


WRONG_FILES: dict[str, tuple[str, str]] = {
    "an unknown section": ("modl: {width: 3}", "unknown section of config {path}: 'modl'. Did you mean 'model'?"),
    "a section that is no table": ("model: 3", "config {path}: 'model' must be a table of options, not 3."),
    "a section that is a list": ("model: [width]", "config {path}: 'model' must be a table of options"),
    "a word for a number": ("model: {width: yes}", "option 'width' of section model: True is not int."),
    "a wrong seed": ("seed: -1", "option 'seed' of the training: -1 is below 0."),
    "a seed that is a table": ("seed: {of: 3}", "option 'seed' of the training: {{'of': 3}} is not int."),
    "code": ("model: {width: !!python/object/apply:os.system [ls]}", "code is not read"),
    "no table at all": ("- 3", "must be a table of options, not a list"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_wrong_files_are_refused(tmp_path: Path, case: str) -> None:
    content, said = WRONG_FILES[case]
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(BadInput) as error:
        configured(COMMAND, str(path))
    assert said.format(path=path) in str(error.value)


def test_an_unknown_name_lists_the_configurations(named: TrainingCommand) -> None:
    with pytest.raises(BadInput, match=r"unknown config 'smal'. Did you mean 'small'\? Known: small, wide\. Or name a"):
        configured(named, "smal")
    with pytest.raises(BadInput, match=r"unknown config 'small'\. Known: none\."):
        configured(COMMAND, "small")


def test_a_package_of_configurations_that_is_not_there_is_its_plugins_fault() -> None:
    with pytest.raises(BadInput, match="mend its plugin"):
        configured(TrainingCommand("a model", "a:b", {}, configs="no_such_package"), "small")


def test_a_time_is_read_as_seconds() -> None:
    assert TrainerConfig(max_time="01:02:03:04").max_seconds == 93_784
    assert TrainerConfig().max_seconds == float("inf")


@given(
    st.builds(
        TrainerConfig,
        max_steps=st.integers(1, 10**9),
        max_time=st.sampled_from(["", "01:02:03:04"]),
        clip=st.floats(0, 1e9),
    ),
    st.builds(Net, width=st.integers(1, 10**6), act=st.sampled_from(["relu", "silu"])),
)
def test_what_can_be_configured_can_be_set_word_by_word(trainer: TrainerConfig, net: Net) -> None:
    settings = {f"trainer.{name}": str(value) for name, value in asdict(trainer).items()}
    settings |= {f"model.{name}": str(value) for name, value in asdict(net).items() if name != "columns"}
    found = configured(COMMAND, settings=settings).sections
    assert (found["trainer"], found["model"]) == (trainer, net)


def test_a_resumed_training_has_what_it_was_begun_with_but_for_what_is_said(named: TrainingCommand) -> None:
    before = (4, {"model": {"width": 5, "gone": 1}, "trainer": {"max_steps": 30}, "other": {}})
    alone = configured(named, before=before)
    assert (alone.seed, alone.sections["model"].width, alone.sections["trainer"].max_steps) == (4, 5, 30)
    said = configured(named, "small", {"trainer.patience": "1"}, before=before)
    assert (said.seed, said.sections["model"].width) == (7, 2)
    assert (said.sections["trainer"].max_steps, said.sections["trainer"].patience) == (30, 1)
