"""From what the user asked for to jobs: every (model, task, dataset, fold, seed) that fits together."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bench.catalogue import Reason, bridge_for, catalogue, check
from bench.config import as_dict, build
from bench.errors import BadInput, unknown
from bench.runs.job import Job
from bench.runs.stored import stored_spec
from bench.specs import ROLES, DatasetSpec, ModelSpec, TaskSpec, load_target

SPLIT_SEED = "split_seed"
"""An option of every task: seeds its splits, subsamples and controls."""
MAX_SEED = 2**32 - 1
Item = TypeVar("Item")


@dataclass(frozen=True)
class Request:
    """What `bench run` was asked to do; the fields are its options."""

    tasks: Sequence[str]
    models: Sequence[str] = ()
    datasets: Sequence[str] = ()
    """Names, `.h5ad` files, `.toml` sets; empty means each task's own."""
    seeds: Sequence[int] = (0,)
    embedding: str = ""
    set: Mapping[str, Any] = field(default_factory=dict)
    task_set: Mapping[str, Any] = field(default_factory=dict)
    data_set: Mapping[str, Any] = field(default_factory=dict)
    obs: Mapping[str, str] = field(default_factory=dict)
    layer: str = ""
    weights: str = ""
    baselines: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class Refusal:
    """A triple that does not fit together, with all reasons."""

    model: ModelSpec
    config: Mapping[str, Any]
    task: TaskSpec
    dataset: DatasetSpec
    reasons: tuple[Reason, ...]

    def __str__(self) -> str:
        return f"{self.model.name} · {self.task.name} · {self.dataset.name}: {'; '.join(map(str, self.reasons))}"


@dataclass(frozen=True)
class DataFacts:
    """What a record says about the cells, known once they have been loaded."""

    n_obs: int = 0
    n_vars: int = 0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Jobs to run, triples that cannot, and what was found about each dataset."""

    jobs: tuple[Job, ...]
    refusals: tuple[Refusal, ...]
    facts: Mapping[str, DataFacts]
    """By dataset identity."""


@dataclass(frozen=True)
class Candidate:
    """A model with its configuration, defaults included, and its weights."""

    spec: ModelSpec
    config: Mapping[str, Any]
    weights: str
    weights_sha256: str
    embedding: str = ""


def plan(request: Request) -> Plan:
    """Make the jobs of a request.

    Datasets are loaded here once, so that bad data is reported before any model starts.

    Raises
    ------
    BadInput
        For unknown names, wrong options, unreadable files: nothing has been run then.
    """
    tasks = [catalogue().task(name) for name in _distinct(request.tasks)]
    _check_seeds(request.seeds)
    configs = {task.name: task_options(task, request.task_set) for task in tasks}
    candidates = {task.name: _candidates(request, task) for task in tasks}
    datasets = {task.name: _datasets(request, task) for task in tasks}
    jobs: list[Job] = []
    refusals: list[Refusal] = []
    facts: dict[str, DataFacts] = {}
    for dataset in _distinct([d for ds in datasets.values() for d in ds]):
        users = [task for task in tasks if dataset in datasets[task.name]]
        fitting = []
        for task, candidate in ((t, c) for t in users for c in candidates[t.name]):
            reasons = check(candidate.spec, task, dataset, _bridge_option(task, configs[task.name][0]))
            if reasons:
                refusals.append(Refusal(candidate.spec, candidate.config, task, dataset, tuple(reasons)))
            else:
                fitting.append((task, candidate))
        if fitting:
            examined = _Dataset.load(dataset)
            facts[examined.identity] = examined.facts
            for task, group in itertools.groupby(fitting, key=lambda pair: pair[0]):
                found = examined.jobs(task, [c for _, c in group], configs[task.name], request)
                jobs += [item for item in found if isinstance(item, Job)]
                refusals += [item for item in found if isinstance(item, Refusal)]
    return Plan(tuple(jobs), tuple(refusals), facts)


@dataclass(frozen=True)
class _Dataset:
    """A dataset that was loaded to see its folds."""

    spec: DatasetSpec
    identity: str
    facts: DataFacts
    data: Any

    @classmethod
    def load(cls, spec: DatasetSpec) -> _Dataset:
        from bench.data import canonical
        from bench.data.identity import dataset_identity

        data = canonical.load(spec)
        facts = DataFacts(data.n_obs, data.n_vars, tuple(data.uns.get("notices", ())))
        return cls(spec, dataset_identity(spec), facts, data)

    def jobs(
        self, task: TaskSpec, candidates: Sequence[Candidate], options: tuple[Any, int], request: Request
    ) -> list[Job | Refusal]:
        """One job per model, fold and seed; or the reason why these cells cannot be examined so."""
        config, split_seed = options
        try:
            folds = load_target(task.target)(config).folds(self.data)
        except BadInput as error:
            reason = Reason("data", str(error))
            return [Refusal(c.spec, c.config, task, self.spec, (reason,)) for c in candidates]
        return [
            self._job(task, candidate, config, split_seed, fold, seed, request.device)
            for candidate, seed, fold in itertools.product(candidates, request.seeds, folds)
        ]

    def _job(
        self, task: TaskSpec, model: Candidate, config: Any, split_seed: int, fold: str, seed: int, device: str
    ) -> Job:
        bridge = bridge_for(model.spec, task, _bridge_option(task, config))
        return Job(
            model=model.spec.name,
            model_version=model.spec.version,
            model_config=model.config,
            weights=model.weights,
            weights_sha256=model.weights_sha256,
            task=task.name,
            task_version=task.version,
            task_config={k: v for k, v in as_dict(config).items() if k != task.bridge_option},  # it is `bridge`
            bridge=bridge.name if bridge else "",
            dataset=self.spec,
            dataset_identity=self.identity,
            fold=fold,
            split_seed=split_seed,
            seed=seed,
            label_aware=model.spec.fits == "labels" and not task.holds_out,
            embedding=model.embedding,
            device=device,
        )


def task_options(task: TaskSpec, values: Mapping[str, Any]) -> tuple[Any, int]:
    """A task's configuration and its split seed."""
    values = dict(values)
    split_seed = values.pop(SPLIT_SEED, 0)
    try:
        split_seed = int(split_seed)
    except ValueError:
        raise BadInput(f"option {SPLIT_SEED!r} of task {task.name}: {split_seed!r} is not a whole number.") from None
    _check_seeds([split_seed])
    return build(task.config, values, f"task {task.name}"), split_seed


def resolve_dataset(name: str, obs: Mapping[str, str], layer: str, options: Mapping[str, Any]) -> DatasetSpec:
    """The spec of a registered dataset, an `.h5ad` file or a `.toml` set, with the user's choices.

    Raises
    ------
    BadInput
        If there is no such dataset, column, or option.
    """
    for role in obs:
        if role not in ROLES:
            raise unknown("role", role, ROLES, "Write --obs ROLE=COLUMN.")
    path = Path(name).expanduser()
    if name in catalogue().datasets.specs:
        return _with_options(_with_roles(catalogue().dataset(name), obs, layer), options)
    if path.suffix == ".toml":
        from bench.data.sets import describe_set

        return _with_options(_with_roles(describe_set(path), obs, layer), options)
    if path.suffix in {".h5ad", ".h5", ".zarr"} or path.exists() or len(path.parts) > 1:
        from bench.data.files import describe

        return describe(path, obs=obs, layer=layer, options=options)
    return catalogue().dataset(name)  # says what there is


def weights_hash(path: Path) -> str:
    """sha256 of a weights file, or of the names and contents of a folder of them."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _candidates(request: Request, task: TaskSpec) -> list[Candidate]:
    """The models of a request for one task, configured."""
    if request.embedding:
        if request.models:
            raise BadInput("--embedding scores a stored embedding instead of a model; leave --model out.")
        return [Candidate(stored_spec(request.embedding), {}, "", "", request.embedding)]
    names = _distinct(request.models)
    if not names:
        raise BadInput("name a model: --model NAME (see `bench list models`), or --embedding KEY.")
    specs = [catalogue().model(name) for name in names]
    baselines = [catalogue().model(n) for n in task.baselines if n not in names] if request.baselines else []
    return [configured(spec, _options_of(spec, request.set, names), request.weights) for spec in specs] + [
        configured(spec, {}, "") for spec in baselines
    ]


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
    path = Path(weights).expanduser().resolve()
    if not weights or not path.exists():
        what = f"weights not found: {path}." if weights else "needs weights."
        raise BadInput(
            f"model {spec.name}: {what} {spec.weights.summary} Get them from {spec.weights.source or 'its authors'}"
            " and name the folder with --weights DIR, or ask for an untrained model with --weights untrained."
        )
    return Candidate(spec, config, str(path), weights_hash(path))


def _options_of(spec: ModelSpec, values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Options that concern one model: plain keys are everybody's, `MODEL.key` belongs to one."""
    own: dict[str, Any] = {}
    for key, value in values.items():
        model, dot, option = key.partition(".")
        if not dot:
            own.setdefault(key, value)
        elif model not in names:
            raise unknown("model in --set", model, names)
        elif model == spec.name:
            own[option] = value
    return own


def _datasets(request: Request, task: TaskSpec) -> list[DatasetSpec]:
    names = _distinct(request.datasets) or [task.default_dataset]
    return [resolve_dataset(name, request.obs, request.layer, request.data_set) for name in names]


def _with_roles(spec: DatasetSpec, obs: Mapping[str, str], layer: str) -> DatasetSpec:
    return dataclasses.replace(spec, roles={**spec.roles, **obs}, layer=layer or spec.layer)


def _with_options(spec: DatasetSpec, options: Mapping[str, Any]) -> DatasetSpec:
    """Apply `--data-set`: options of imperfect data, and parameters of a generator."""
    from bench.data.options import DataOptions

    params = {k: v for k, v in options.items() if k in spec.params and k != "path"}
    rest = {k: v for k, v in options.items() if k not in params}
    known = {f.name for f in dataclasses.fields(DataOptions)}
    for key in rest:
        if key not in known:
            raise unknown(f"option of dataset {spec.name}", key, known | (spec.params.keys() - {"path"}))
    build(DataOptions, {**spec.options, **rest}, f"dataset {spec.name}")
    typed = {key: _like(spec.params[key], value, key, spec.name) for key, value in params.items()}
    return dataclasses.replace(spec, params={**spec.params, **typed}, options={**spec.options, **rest})


def _like(default: Any, value: Any, key: str, dataset: str) -> Any:
    """Give a parameter the type of its default."""
    try:
        return type(default)(value)
    except ValueError:
        kind = type(default).__name__
        raise BadInput(f"option {key!r} of dataset {dataset}: {value!r} is not {kind}.") from None


def _bridge_option(task: TaskSpec, config: Any) -> str:
    return str(getattr(config, task.bridge_option)) if task.bridge_option else ""


def _check_seeds(seeds: Sequence[int]) -> None:
    for seed in seeds:
        if not 0 <= seed <= MAX_SEED:
            raise BadInput(f"seed {seed} is out of range; give a whole number from 0 to {MAX_SEED}.")


def _distinct(items: Sequence[Item]) -> list[Item]:
    """Each item once, in order; specs hold dicts, so they are compared and not hashed."""
    return [item for i, item in enumerate(items) if item not in items[:i]]
