"""What a model offers to train it, and from what was written to its typed options.

Defaults, over them a configuration, over that single settings. A training that is resumed goes on with what it was
begun with, so that nothing has to be said again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from bench import config
from bench.catalogue import catalogue
from bench.errors import BadInput, unknown
from bench.specs import ModelSpec, load_target
from bench.training.begun import FREE
from bench.training.command import TrainingCommand, Verb

SEED = "seed"
ABOUT = "about"
"""What the `config.yaml` of a trained model says beside its options; such a file is a configuration like any other."""
FILES = (".yaml", ".yml", ".toml")
"""How the name of a file of options ends; any other word names one of the model's own configurations."""


@dataclass(frozen=True)
class Start:
    """What a configuration holds beside its sections."""

    seed: int = config.option(0, "of everything random", low=0, high=2**32 - 1)


@dataclass(frozen=True)
class Configured:
    """A configuration that was read and checked."""

    seed: int
    sections: Mapping[str, Any]
    """Section -> its options, an instance of the dataclass that the command names."""


def command_of(spec: ModelSpec, verb: Verb) -> TrainingCommand:
    """A model's command of training.

    Raises
    ------
    BadInput
        If it has none: with the models that have one; or if its plugin names something else.
    """
    if verb not in spec.commands:
        able = [model.name for model in catalogue().models if verb in model.commands]
        raise BadInput(f"model {spec.name} has no {verb}; models that have one: {', '.join(able) or 'none'}.")
    command = load_target(spec.commands[verb])
    if not isinstance(command, TrainingCommand):
        raise BadInput(
            f"model {spec.name}: {spec.commands[verb]!r} is a {type(command).__name__}, not a TrainingCommand;"
            " mend its plugin."
        )
    return command


def configured(
    command: TrainingCommand,
    written: str = "",
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    before: tuple[int, Mapping[str, Mapping[str, Any]]] | None = None,
) -> Configured:
    """Build the sections of a training: settings win over the configuration, that over the defaults.

    Parameters
    ----------
    command
        Whose sections they are.
    written
        The name of one of the command's configurations, or a `.yaml` or `.toml` file; empty: the command's default.
    settings
        `section.option` -> value.
    seed
        Wins over the one of the configuration; None: that one, or 0.
    before
        Seed and options of the training that is resumed (see `bench.training.begun`). They are the defaults then; of a
        configuration all counts but what it says of `trainer`, which only settings change.

    Raises
    ------
    BadInput
        With every mistake at once, one a line: unknown configurations, sections and options, wrong types, values out
        of bounds.
    """
    tables, problems = _tables(command, written or ("" if before else command.default))
    if before:
        tables = _resumed(tables, command, *before)
    problems += _set(tables, command, settings or {})
    given = tables.pop(SEED)
    start = _built(Start, given if seed is None else {SEED: seed}, "the training", problems)
    sections = {
        name: _built(command.sections[name], values, f"section {name}", problems) for name, values in tables.items()
    }
    if problems:
        raise BadInput("\n".join(problems))
    return Configured(start.seed, sections)


def names(command: TrainingCommand) -> list[str]:
    """The command's own configurations, sorted.

    Raises
    ------
    BadInput
        If the command names a package that is not there.
    """
    if not command.configs:
        return []
    try:
        files = list(resources.files(command.configs).iterdir())
    except (ImportError, OSError) as error:
        raise BadInput(f"configurations of {command.target} cannot be read: {error}; mend its plugin.") from None
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def _tables(command: TrainingCommand, written: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """For each section, and for the seed, what the configuration sets; and what is wrong with it."""
    tables: dict[str, dict[str, Any]] = {name: {} for name in (*command.sections, SEED)}
    problems = []
    for name, content in _read(command, written).items():
        if name == ABOUT:
            continue
        if name not in tables:
            problems.append(str(unknown(f"section of config {written}:", name, tables)))
        elif name == SEED:
            tables[SEED] = {SEED: content}
        elif not isinstance(content or {}, dict):
            problems.append(f"config {written}: {name!r} must be a table of options, not {content!r}.")
        else:
            tables[name] = dict(content or {})
    return tables, problems


def _resumed(
    tables: Mapping[str, dict[str, Any]],
    command: TrainingCommand,
    seed: int,
    sections: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """What a training was begun with, as far as this version knows of it, and over that what a configuration sets."""
    known: dict[str, Mapping[str, Any]] = {
        name: {option: value for option, value in sections.get(name, {}).items() if option in config.names(cls)}
        for name, cls in command.sections.items()
    }
    said = {**tables, FREE: {}}
    return {name: {**values, **said[name]} for name, values in (*known.items(), (SEED, {SEED: seed}))}


def _read(command: TrainingCommand, written: str) -> dict[str, Any]:
    if not written:
        return {}
    if Path(written).suffix in FILES:
        return config.read(Path(written).expanduser())
    if written not in names(command):
        raise unknown("config", written, names(command), f"Or name a file that ends in {', '.join(FILES)}.")
    with resources.as_file(resources.files(command.configs) / f"{written}.yaml") as path:
        return config.read(path)


def _set(tables: dict[str, dict[str, Any]], command: TrainingCommand, settings: Mapping[str, Any]) -> list[str]:
    """Put single settings into the tables; returns what is wrong with them."""
    problems = []
    for key, value in settings.items():
        section, dot, option = key.partition(".")
        if not dot:
            problems.append(_unplaced(key, command))
        elif section not in command.sections:
            problems.append(str(unknown(f"section of --set {key}:", section, command.sections)))
        else:
            tables[section][option] = value
    return problems


def _unplaced(key: str, command: TrainingCommand) -> str:
    """What to write in place of a setting that names no section."""
    if key == SEED:
        return "--set seed: the seed is no option of a section; use --seed."
    places = [f"{name}.{key}" for name, cls in command.sections.items() if key in config.names(cls)]
    if places:
        return f"--set {key}: say of which section, --set {' or '.join(places)}=..."
    every = [f"{name}.{option}" for name, cls in command.sections.items() for option in config.names(cls)]
    return f"{unknown('option of --set:', key, every)} Write it with its section."


def _built(cls: type, values: Mapping[str, Any], owner: str, problems: list[str]) -> Any:
    """An instance of a section, or one more problem."""
    try:
        return config.build(cls, values, owner)
    except BadInput as error:
        problems.append(str(error))
        return None
