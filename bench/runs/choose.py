"""From names and options to specs: which models, configured how, on which datasets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.catalogue import catalogue
from bench.config import as_dict, build, names
from bench.downloads.fetch import located, total_size
from bench.downloads.places import dataset_folder
from bench.downloads.sizes import shown
from bench.errors import BadInput, unknown
from bench.runs.request import Request, Splitting, assign
from bench.runs.stored import stored_spec
from bench.specs import ROLES, DatasetSpec, ModelSpec, TaskSpec
from bench.weights import location

Item = TypeVar("Item")


@dataclass(frozen=True)
class Candidate:
    """A model with its configuration, defaults included, and its weights."""

    spec: ModelSpec
    config: Mapping[str, Any]
    weights: str
    weights_sha256: str
    embedding: str = ""


def models(request: Request) -> list[Candidate]:
    """The models of a request, configured."""
    if request.embedding:
        if request.models:
            raise BadInput("--embedding scores a stored embedding instead of a model; leave --model out.")
        return [Candidate(stored_spec(request.embedding), {}, "", "", request.embedding)]
    if not request.models:
        raise BadInput("name a model: --model NAME (see `bench list models`), or --embedding KEY.")
    specs = [catalogue().model(name) for name in distinct(request.models)]
    if request.weights and not any(spec.weights for spec in specs):
        raise BadInput(f"model {specs[0].name} has no weights to load; leave --weights out.")
    given = assign(request.set, {spec.name: names(spec.config) for spec in specs}, "model")
    return [configured(spec, given[spec.name], request.weights if spec.weights else "") for spec in specs]


def baselines(request: Request, task: TaskSpec, models: Sequence[Candidate]) -> list[Candidate]:
    """A task's baselines as they come, but for those that were asked for anyway."""
    present = {model.spec.name for model in models}
    wanted = task.baselines if request.baselines else ()
    return [configured(catalogue().model(name), {}, "") for name in wanted if name not in present]


def configured(spec: ModelSpec, options: Mapping[str, Any], weights: str) -> Candidate:
    """A model with the user's options and weights.

    Raises
    ------
    BadInput
        For wrong options, for weights where there are none to load, and for weights that are missing.
    """
    config = as_dict(build(spec.config, options, f"model {spec.name}"))
    if spec.weights is None:
        if weights:
            raise BadInput(f"model {spec.name} has no weights to load; leave --weights out.")
        return Candidate(spec, config, "", "")
    if weights == "untrained":
        return Candidate(spec, config, weights, "")
    path = location.find(spec, weights)
    return Candidate(spec, config, str(path), location.identity(path, spec.weights.files))


def task_options(task: TaskSpec, values: Mapping[str, Any]) -> tuple[Any, int]:
    """A task's configuration and its split seed."""
    common = names(Splitting)
    own = {k: v for k, v in values.items() if k not in common}
    splitting = build(Splitting, {k: v for k, v in values.items() if k in common}, f"task {task.name}")
    return build(task.config, own, f"task {task.name}"), splitting.split_seed


def datasets(request: Request, tasks: Sequence[TaskSpec]) -> dict[str, list[DatasetSpec]]:
    """Datasets of each task: those asked for, else its own."""
    wanted = {task.name: distinct(request.datasets) or [task.default_dataset] for task in tasks}
    specs = {name: resolve_dataset(name, request.obs, request.layer, {}) for names in wanted.values() for name in names}
    known = {spec.name: _data_options(spec) for spec in specs.values()}
    given = assign(request.data_set, known, "dataset")
    ready = {name: _with_options(spec, given[spec.name]) for name, spec in specs.items()}
    return {task: [ready[name] for name in names] for task, names in wanted.items()}


def resolve_dataset(name: str, obs: Mapping[str, str], layer: str, options: Mapping[str, Any]) -> DatasetSpec:
    """The spec of a registered dataset, an `.h5ad` file or a `.toml` set, with the user's choices.

    Raises
    ------
    BadInput
        If there is no such dataset, column, or option, or its files have not been fetched.
    """
    for role in obs:
        if role not in ROLES:
            raise unknown("role", role, ROLES, "Write --obs ROLE=COLUMN.")
    if name in catalogue().datasets.specs:
        return _with_options(_with_roles(_fetched(catalogue().dataset(name)), obs, layer), options)
    path = _path(name)
    if path.suffix == ".toml":
        from bench.data.sets import describe_set

        return _with_options(_with_roles(describe_set(path), obs, layer), options)
    if path.suffix in {".h5ad", ".h5", ".zarr"} or len(path.parts) > 1 or path.exists():
        from bench.data.files import describe

        return _with_options(describe(path, obs=obs, layer=layer), options)
    return catalogue().dataset(name)  # says what there is


def _fetched(spec: DatasetSpec) -> DatasetSpec:
    """A dataset whose `path` is where `bench fetch dataset` put its files."""
    if not spec.files:
        return spec
    path = located(spec.files, dataset_folder(spec.name))
    if path is None:
        size = f" ({shown(total_size(spec.files))})" if all(f.urls for f in spec.files) else " tells how to get it"
        raise BadInput(f"dataset {spec.name} is not on this machine: bench fetch dataset {spec.name}{size}.")
    return dataclasses.replace(spec, params={**spec.params, "path": str(path)})


def _with_roles(spec: DatasetSpec, obs: Mapping[str, str], layer: str) -> DatasetSpec:
    """Other columns for some roles; an empty column takes a role away."""
    roles = {role: column for role, column in {**spec.roles, **obs}.items() if column}
    return dataclasses.replace(spec, roles=roles, layer=layer or spec.layer)


def _data_options(spec: DatasetSpec) -> set[str]:
    """Options of a dataset: those of imperfect data, and the parameters of a generator."""
    from bench.data.options import DataOptions

    return names(DataOptions) | (spec.params.keys() - {"path"})


def _with_options(spec: DatasetSpec, options: Mapping[str, Any]) -> DatasetSpec:
    """Apply `--data-set`."""
    from bench.data.options import DataOptions

    known = _data_options(spec)
    for key in options.keys() - known:
        raise unknown(f"option of dataset {spec.name}:", key, known)
    params = {k: v for k, v in options.items() if k in spec.params}
    rest = {**spec.options, **{k: v for k, v in options.items() if k not in params}}
    typed = as_dict(build(DataOptions, rest, f"dataset {spec.name}"))
    kinds = dataclasses.make_dataclass("Params", [(k, type(spec.params[k])) for k in params], frozen=True)
    return dataclasses.replace(
        spec,
        params={**spec.params, **as_dict(build(kinds, params, f"dataset {spec.name}"))},
        options={key: typed[key] for key in rest},
    )


def _path(name: str) -> Path:
    """What the user wrote as a path; names that no file can have are refused."""
    try:
        path = Path(name).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(f"dataset {name[:80]!r} is neither a registered name nor a path: {error}.") from None
    return path


def distinct(items: Sequence[Item]) -> list[Item]:
    """Each item once, in order; specs hold dicts, so they are compared and not hashed."""
    return [item for i, item in enumerate(items) if item not in items[:i]]
