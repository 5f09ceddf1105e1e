"""Every model, task, dataset and command that is installed, and whether a triple fits together.

Discovery is an own loop over entry points: pluggy's lets one broken plugin stop the tool. Built-in
plugins come through the same door as anybody's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
import sys
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import Any, Generic, Protocol, TypeVar, cast

import pluggy

from bench import hookspecs
from bench.errors import BadInput, BenchError, unknown
from bench.specs import BridgeSpec, Cap, CommandSpec, DatasetSpec, ModelSpec, NoConfig, TaskSpec


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Spec = TypeVar("Spec", bound=_Named)


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded, and why."""

    plugin: str
    distribution: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} ({self.distribution}) not loaded: {self.reason}"


@dataclass
class Shelf(Generic[Spec]):
    """The specs of one kind, by name, with the distribution each came from."""

    kind: str
    specs: dict[str, Spec] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    clashes: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, spec: Spec, origin: str) -> None:
        """Put a spec on the shelf; a name taken twice belongs to nobody until the user decides."""
        if spec.name in self.clashes or spec.name in self.specs:
            first = self.origins.setdefault(spec.name, origin)
            self.specs.pop(spec.name, None)
            self.clashes[spec.name] = (first, origin)
            return
        self.specs[spec.name] = spec
        self.origins[spec.name] = origin

    def clash(self, name: str) -> str:
        """The sentence about a name that two distributions claim."""
        first, second = self.clashes[name]
        return f"{self.kind} {name!r} is registered by both {first} and {second}; uninstall one of them."

    def __iter__(self) -> Iterator[Spec]:
        return iter(sorted(self.specs.values(), key=lambda s: s.name))


@dataclass(frozen=True)
class Catalogue:
    """What is installed."""

    models: Shelf[ModelSpec]
    tasks: Shelf[TaskSpec]
    datasets: Shelf[DatasetSpec]
    commands: Shelf[CommandSpec]
    broken: tuple[Broken, ...]

    def model(self, name: str) -> ModelSpec:
        """Look a model up. Raises `BadInput` with the nearest name."""
        return self._get(self.models, name)

    def task(self, name: str) -> TaskSpec:
        """Look a task up. Raises `BadInput` with the nearest name."""
        return self._get(self.tasks, name)

    def dataset(self, name: str) -> DatasetSpec:
        """Look a dataset up. Raises `BadInput` with the nearest name."""
        return self._get(self.datasets, name)

    def troubles(self) -> list[str]:
        """What is wrong with the installed plugins, one sentence each."""
        shelves: tuple[Shelf[Any], ...] = (self.models, self.tasks, self.datasets, self.commands)
        return [str(b) for b in self.broken] + [shelf.clash(name) for shelf in shelves for name in shelf.clashes]

    def _get(self, shelf: Shelf[Spec], name: str) -> Spec:
        if name in shelf.clashes:
            raise BadInput(shelf.clash(name))
        if name in shelf.specs:
            return shelf.specs[name]
        if not NAME.fullmatch(name):
            raise BadInput(f"invalid {shelf.kind} name {name[:80]!r}; {ALLOWED}. See `bench list {shelf.kind}s`.")
        hint = f"See `bench list {shelf.kind}s`."
        if self.broken:
            hint += f" Not loaded: {'; '.join(map(str, self.broken))}."
        raise unknown(shelf.kind, name, shelf.specs, hint)


@cache
def catalogue() -> Catalogue:
    """Everything that is installed; read once per process.

    Raises
    ------
    BadInput
        For a broken plugin, where `BENCH_STRICT_PLUGINS=1`.
    """
    found = discover(metadata.entry_points(group=hookspecs.GROUP))
    if found.broken and os.environ.get("BENCH_STRICT_PLUGINS") == "1":
        raise BadInput("\n".join(map(str, found.broken)))
    return found


def discover(entry_points: Iterable[metadata.EntryPoint]) -> Catalogue:
    """Load the given plugins; one that fails is reported and the others go on."""
    shelves = Catalogue(Shelf("model"), Shelf("task"), Shelf("dataset"), Shelf("command"), ())
    broken: list[Broken] = []
    for entry in sorted(entry_points, key=lambda e: e.name):
        dist = entry.dist
        origin = f"{dist.metadata['Name']} {dist.version}" if dist else entry.value
        try:
            with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to the answer, `--json` above all
                module = entry.load()
            _require_api(module)
            hooks = _hooks(module, entry.name)
            contributed = [
                (shelf, spec)
                for shelf, kind, hook in (
                    (shelves.models, ModelSpec, hooks.bench_models),
                    (shelves.tasks, TaskSpec, hooks.bench_tasks),
                    (shelves.datasets, DatasetSpec, hooks.bench_datasets),
                    (shelves.commands, CommandSpec, hooks.bench_commands),
                )
                for spec in _specs(hook, kind)
            ]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may even call sys.exit: the tool must survive it
            broken.append(Broken(entry.name, origin, _reason(error, dist.metadata["Name"] if dist else entry.value)))
            continue
        for shelf, spec in contributed:
            shelf.add(spec, origin)
    return Catalogue(shelves.models, shelves.tasks, shelves.datasets, shelves.commands, tuple(broken))


def _require_api(module: Any) -> None:
    """Refuse a plugin that says it was written for another version of the contract."""
    wanted = getattr(module, "BENCH_API", hookspecs.API)
    if type(wanted) is not int:  # True is 1 too
        raise BenchError(f"its BENCH_API is {str(wanted)[:80]!r}, not a whole number")
    if wanted == hookspecs.API:
        return
    older = "bench-harness" if wanted > hookspecs.API else "the plugin"
    raise BenchError(f"targets hook API {wanted}; this bench has {hookspecs.API}: upgrade {older}")


def _hooks(module: Any, name: str) -> Any:
    """Let pluggy check one plugin against the contract: misspelt hooks and wrong arguments are errors."""
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(module, name)
    strays = [n for n in dir(module) if n.startswith("bench_") and hasattr(getattr(module, n), "bench_impl")]
    manager.check_pending()
    if not strays:
        raise BenchError("its module implements no hook of bench.hookspecs; write @hookimpl above bench_models()")
    return manager.hook


def _specs(hook: Any, kind: type[Any]) -> Iterator[Any]:
    results = hook()
    for result in results:
        if not isinstance(result, (list, tuple)):
            raise BenchError(f"{hook.name}() returned {type(result).__name__}; return a list of {kind.__name__}")
    for spec in itertools.chain.from_iterable(results):
        if not isinstance(spec, kind):
            raise BenchError(f"a hook returned {type(spec).__name__} where {kind.__name__} was expected")
        for problem in malformed(spec):
            raise BenchError(f"{kind.__name__} {str(spec.name)[:80]!r}: {problem}")
        yield spec


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
ALLOWED = "allowed are letters, digits and . _ - (at most 200, a letter or digit first)"
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that no file can have on Windows."""
TARGET = re.compile(r"[\w.]+:\w+")


def malformed(spec: ModelSpec | TaskSpec | DatasetSpec | CommandSpec) -> list[str]:
    """What is wrong with a spec, whatever its plugin thinks of it."""
    problems, kind = [], cast(Any, type(spec))
    if not isinstance(spec.name, str) or not NAME.fullmatch(spec.name):
        problems.append(f"invalid name; {ALLOWED}")
    elif DEVICES.fullmatch(spec.name):
        problems.append("invalid name; Windows keeps it for a device")
    targets = [spec.target, *(b.target for b in getattr(spec, "bridges", ()))]
    problems += [f"target {t!r} must look like 'package.module:Name'" for t in targets if not TARGET.fullmatch(t)]
    for field_, words in _choices(kind).items():
        value = getattr(spec, field_)
        if value not in words:
            problems.append(f"{field_} is {value!r}, not one of {', '.join(map(repr, words))}")
    for field_, (container, of) in _containers(kind).items():
        problems += _misfilled(field_, getattr(spec, field_), container, of)
    needs = getattr(spec, "needs", Cap.EMBEDS_CELLS)
    if not isinstance(needs, Cap):
        problems.append(f"needs must be a capability, such as Cap.EMBEDS_CELLS, not {str(needs)[:80]!r}")
    config = getattr(spec, "config", NoConfig)
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        problems.append("config must be a dataclass: the class, not one of its objects")
    return problems


@cache  # resolving hints costs more than all else that is looked at, and there are many specs of a kind
def _choices(kind: type[Any]) -> dict[str, tuple[Any, ...]]:
    """The fields of a spec that take one of some words."""
    hints = typing.get_type_hints(kind)
    return {name: typing.get_args(hint) for name, hint in hints.items() if typing.get_origin(hint) is typing.Literal}


@cache
def _containers(kind: type[Any]) -> dict[str, tuple[type[Any], type[Any]]]:
    """The fields of a spec that take a tuple or a frozenset, with the type of what is in it."""
    hints = typing.get_type_hints(kind)
    origins = {name: typing.get_origin(hint) for name, hint in hints.items()}
    return {n: (o, typing.get_args(hints[n])[0]) for n, o in origins.items() if o in (tuple, frozenset)}


def _misfilled(field_: str, value: Any, container: type[Any], of: type[Any]) -> list[str]:
    """A string is made of strings: `obs=("batch")` would be five roles of one letter."""
    if not isinstance(value, container):
        like = "('this',)" if container is tuple else "frozenset({...})"
        return [f"{field_} must be a {container.__name__}, such as {like}, not {str(value)[:80]!r}"]
    return [f"{field_} holds {str(v)[:80]!r}, which is no {of.__name__}" for v in value if not isinstance(v, of)]


def _reason(error: BaseException, dist: str) -> str:
    if isinstance(error, SystemExit):
        return f"its module calls sys.exit({error.code!r})"
    if isinstance(error, ImportError):
        return f"{type(error).__name__}: {error}; install what it needs: pip install --upgrade {dist}"
    return f"{type(error).__name__}: {error}" if not isinstance(error, BenchError) else str(error)


# --- does a triple fit together? ---------------------------------------------------------------------


@dataclass(frozen=True)
class Reason:
    """One reason why a model, a task and a dataset do not fit together."""

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


def check(model: ModelSpec, task: TaskSpec, dataset: DatasetSpec, bridge: str = "") -> list[Reason]:
    """All reasons against a triple at once, from the specs alone; an empty list means it can run.

    `bridge` is the name the task's configuration chose, where the model needs one.
    """
    return [
        Reason(code, text)
        for code, applies, text in (
            (
                "capability",
                task.needs not in model.gives and _bridge(model, task, bridge) is None,
                f"task {task.name} needs {task.needs}, model {model.name} gives {', '.join(sorted(model.gives))}"
                + (f" (bridges: {', '.join(b.name for b in task.bridges)})" if task.bridges else ""),
            ),
            (
                "transductive",
                task.holds_out and not model.inductive,
                f"model {model.name} cannot embed cells it was not fitted on, and task {task.name} holds cells out",
            ),
            (
                "shown",
                bool(set(model.obs) - set(task.shows)),
                f"model {model.name} needs obs {', '.join(sorted(set(model.obs) - set(task.shows)))},"
                f" which task {task.name} does not show",
            ),
            (
                "roles",
                bool(set(task.obs) - set(dataset.roles)),
                f"task {task.name} needs obs {', '.join(sorted(set(task.obs) - set(dataset.roles)))}, "
                f"dataset {dataset.name} has {', '.join(sorted(dataset.roles)) or 'none'};"
                " name your column with --obs ROLE=COLUMN",
            ),
            (
                "modalities",
                not task.modalities <= dataset.modalities,
                f"task {task.name} needs {', '.join(sorted(task.modalities))}, "
                f"dataset {dataset.name} has {', '.join(sorted(dataset.modalities))}",
            ),
            (
                "species",
                bool(model.species and dataset.species and dataset.species not in model.species),
                f"model {model.name} knows {', '.join(sorted(model.species))},"
                f" dataset {dataset.name} is {dataset.species}",
            ),
            *(("requires", True, text) for text in unmet(model.requires)),
        )
        if applies
    ]


def bridge_for(model: ModelSpec, task: TaskSpec, chosen: str) -> BridgeSpec | None:
    """The bridge between a model and a task; None where the model gives what the task needs."""
    return None if task.needs in model.gives else _bridge(model, task, chosen)


def _bridge(model: ModelSpec, task: TaskSpec, chosen: str) -> BridgeSpec | None:
    usable = [b for b in task.bridges if b.needs in model.gives and chosen in ("", b.name)]
    return usable[0] if usable else None


def unmet(requires: tuple[str, ...]) -> list[str]:
    """Requirements that are not installed; asked of the metadata, so nothing is imported."""
    if not requires:
        return []
    from packaging.requirements import Requirement

    problems = []
    for text in requires:
        wanted = Requirement(text)
        try:
            installed = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            problems.append(f"{wanted.name} is not installed: pip install '{text}'")
            continue
        if not wanted.specifier.contains(installed, prereleases=True):
            problems.append(f"{wanted.name} {installed} is installed, needed is {text}: pip install '{text}'")
    return problems
