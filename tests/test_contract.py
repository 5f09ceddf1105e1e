"""The plugin contract, kept by every installed plugin: built-in or not."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from importlib import metadata
from typing import get_args

import pytest

from bench import capabilities
from bench.catalogue import catalogue, check
from bench.config import as_dict, build, describe
from bench.conformance.declared import HEAVY
from bench.specs import ModelSpec, TaskSpec, load_target
from bench.training.command import Verb
from bench.training.configure import command_of, configured, names
from bench.training.options import OptimConfig, TrainerConfig

FOUND = catalogue()
MODELS = list(FOUND.models)
TASKS = list(FOUND.tasks)


def name(spec: object) -> str:
    return str(getattr(spec, "name", spec))


def test_everything_installed_is_loaded() -> None:
    assert FOUND.broken == ()
    assert not FOUND.models.clashes
    assert not FOUND.tasks.clashes
    assert not FOUND.datasets.clashes


def test_the_expected_plugins_are_here() -> None:
    """The built-ins come through entry points of the distribution, harmony through one of its own."""
    built_in = {"pca", "hvg", "random-projection", "combat", "logreg", "mlp", "knn", "scvi", "scanvi"}
    assert built_in | {"celltypist", "xgboost"} <= set(FOUND.models.specs)
    assert {"classification", "clustering", "integration"} <= set(FOUND.tasks.specs)
    assert {"pbmc68k", "pbmc68k-semisim", "simulated"} <= set(FOUND.datasets.specs)
    assert FOUND.models.origins["harmony"].startswith("bench-harmony ")


@pytest.mark.parametrize("spec", [*MODELS, *TASKS, *FOUND.datasets, *FOUND.commands], ids=name)
def test_names_are_safe_and_summaries_say_something(spec: ModelSpec) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", spec.name)
    assert len(spec.summary) > 10
    assert callable(load_target(spec.target)) or spec.name == "leaderboard"


@pytest.mark.parametrize("spec", MODELS, ids=name)
def test_a_model_implements_what_it_declares(spec: ModelSpec) -> None:
    model_class = load_target(spec.target)
    for cap in spec.gives:
        assert issubclass(model_class, getattr(capabilities, cap))
    assert spec.fits in ("no", "cells", "labels")
    assert FOUND.models.origins[spec.name]


@pytest.mark.parametrize("spec", MODELS, ids=name)
def test_a_model_is_made_the_way_the_contract_says(spec: ModelSpec) -> None:
    config, weights = build(spec.config, {}, spec.name), "untrained" if spec.weights else None
    assert load_target(spec.target)(config, weights=weights, seed=0, device="cpu") is not None


@pytest.mark.parametrize("spec", [*MODELS, *TASKS], ids=name)
def test_configs_are_frozen_documented_and_serialisable(spec: ModelSpec | TaskSpec) -> None:
    default = build(spec.config, {}, spec.name)
    assert build(spec.config, as_dict(default), spec.name) == default
    for field in dataclasses.fields(spec.config):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(default, field.name, None)
    assert all(row["help"] for row in describe(spec.config))


TRAININGS = [(spec, verb) for spec in MODELS for verb in spec.commands]


@pytest.mark.parametrize(("spec", "verb"), TRAININGS, ids=[f"{spec.name}-{verb}" for spec, verb in TRAININGS])
def test_a_training_is_complete(spec: ModelSpec, verb: Verb) -> None:
    """Every option says what it does, every configuration of its own can be built, what it names is there."""
    assert verb in get_args(Verb)
    command = command_of(spec, verb)
    assert len(command.summary) > 10
    assert callable(load_target(command.target))
    for section, shared in (("trainer", TrainerConfig), ("optim", OptimConfig)):
        assert issubclass(command.sections.get(section, shared), shared)  # `bench.training.fit` reads them
    for section, chosen in configured(command).sections.items():
        assert type(chosen) is command.sections[section]
        assert all(row["help"] for row in describe(type(chosen)))
        for field in dataclasses.fields(chosen):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(chosen, field.name, None)
    for named in names(command):
        assert configured(command, named)
    assert command.default in ("", *names(command))
    build(FOUND.models.specs[command.run_as or spec.name].config, command.run_with, spec.name)
    assert set(command.tasks) <= set(FOUND.tasks.specs)


@pytest.mark.parametrize(
    "module", sorted({target.partition(":")[0] for spec in MODELS for target in spec.commands.values()})
)
def test_the_options_of_a_training_are_light(module: str) -> None:
    """They are read to find mistakes before a training framework is loaded."""
    assert loaded_by(module) == "[]\n"


@pytest.mark.parametrize("spec", TASKS, ids=name)
def test_a_task_is_complete(spec: TaskSpec) -> None:
    task = load_target(spec.target)(build(spec.config, {}, spec.name))
    for method in ("folds", "split", "sit", "score", "controls"):
        assert callable(getattr(task, method))
    metrics = {m.name for m in spec.metrics}
    assert spec.main_metric in metrics or (not spec.main_metric and spec.aggregate)
    assert set(spec.aggregate) <= {m.group for m in spec.metrics}
    assert spec.floor
    for baseline in spec.baselines:
        assert check(FOUND.model(baseline), spec, FOUND.dataset(spec.default_dataset)) == []
    for bridge in spec.bridges:
        assert callable(load_target(bridge.target))
        assert build(spec.config, {spec.bridge_option: bridge.name}, spec.name)


@pytest.mark.parametrize("entry", metadata.entry_points(group="bench"), ids=name)
def test_a_plugin_module_is_light(entry: metadata.EntryPoint) -> None:
    """Laziness cannot be left to goodwill: one heavy import would cost every command seconds."""
    assert loaded_by(entry.module) == "[]\n"


def loaded_by(module: str) -> str:
    """The heavy packages that a fresh interpreter has after an import, as a list that was printed."""
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
