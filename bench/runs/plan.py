"""From what the user asked for to jobs: every (model, task, dataset, fold, seed) that fits together."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.catalogue import Reason, bridge_for, catalogue, check
from bench.config import as_dict, names
from bench.errors import BadInput, BenchError
from bench.runs import choose
from bench.runs.choose import Candidate
from bench.runs.job import Job
from bench.runs.request import MAX_SEED, Request, Splitting, assign
from bench.specs import DatasetSpec, ModelSpec, TaskSpec, load_target

if TYPE_CHECKING:
    from bench.genes.vocabulary import Suitability


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
    facts: Mapping[tuple[str, str], DataFacts]
    """By model and dataset identity: what a model makes of the genes is told with them."""


def plan(request: Request, max_memory: int | None = None) -> Plan:
    """Make the jobs of a request.

    Datasets are loaded here once, so that bad data is reported before any model starts; one whose content alone
    is larger than `max_memory` (bytes) is not.

    Raises
    ------
    BadInput
        For unknown names, wrong options, unreadable files: nothing has been run then.
    """
    if not request.tasks:
        raise BadInput("name a task: --task NAME (see `bench list tasks`).")
    tasks = [catalogue().task(name) for name in choose.distinct(request.tasks)]
    _check_seeds(request.seeds)
    known = {task.name: names(task.config) | names(Splitting) for task in tasks}
    given = assign(request.task_set, known, "task")
    configs = {task.name: choose.task_options(task, given[task.name]) for task in tasks}
    models = choose.models(request)
    candidates = {task.name: models + choose.baselines(request, task, models) for task in tasks}
    datasets = choose.datasets(request, tasks)
    jobs: dict[str, Job] = {}
    refusals: list[Refusal] = []
    facts: dict[tuple[str, str], DataFacts] = {}
    for dataset in choose.distinct([d for task in tasks for d in datasets[task.name]]):
        fitting = []
        for task, candidate in ((t, c) for t in tasks if dataset in datasets[t.name] for c in candidates[t.name]):
            reasons = check(candidate.spec, task, dataset, _bridge_option(task, configs[task.name][0]))
            if reasons:
                told = tuple(_with_columns(reason, task, dataset) for reason in reasons)
                refusals.append(Refusal(candidate.spec, candidate.config, task, dataset, told))
            else:
                fitting.append((task, candidate))
        if fitting:
            examined = _Dataset.load(dataset, request.embedding, max_memory)
            genes = {c.spec.name: examined.suitability(c) for c in choose.distinct([c for _, c in fitting])}
            facts |= {(name, examined.identity): examined.facts_with(found.notice) for name, found in genes.items()}
            for task, group in itertools.groupby(fitting, key=lambda pair: pair[0]):
                found = examined.jobs(task, [c for _, c in group], genes, configs[task.name], request)
                # the same question asked twice, of two copies of a file say, is one job
                jobs |= {item.run_id: item for item in found if isinstance(item, Job)}
                refusals += [item for item in found if isinstance(item, Refusal)]
    return Plan(tuple(jobs.values()), tuple(refusals), facts)


@dataclass(frozen=True)
class _Dataset:
    """A dataset that was loaded to see its folds."""

    spec: DatasetSpec
    identity: str
    facts: DataFacts
    data: Any

    @classmethod
    def load(cls, spec: DatasetSpec, embedding: str, max_memory: int | None) -> _Dataset:
        from bench.data import canonical, memory
        from bench.data.identity import content_sha256, dataset_identity

        with _plugin_code(f"dataset {spec.name} cannot be loaded"):
            memory.require(spec, max_memory)
            spec = dataclasses.replace(spec, sha256=content_sha256(spec))  # a file that changes later is refused
            data = canonical.load(spec)
            if embedding:
                canonical.load_embedding(spec, embedding)  # a mistyped key is reported now
        facts = DataFacts(data.n_obs, data.n_vars, tuple(data.uns.get("notices", ())))
        return cls(spec, dataset_identity(spec), facts, data)

    def suitability(self, candidate: Candidate) -> Suitability:
        """Whether the genes are of use to a model; one that cannot tell stops no other."""
        from bench.genes.vocabulary import Suitability, suitability

        try:
            with _plugin_code(f"model {candidate.spec.name} cannot tell which genes it knows"):
                return suitability(self.data, candidate.spec, candidate.config, candidate.weights, self.spec)
        except BadInput as error:
            return Suitability(refusal=str(error))

    def facts_with(self, notice: str) -> DataFacts:
        """The facts, and one more notice if there is one."""
        return dataclasses.replace(self.facts, notices=(*self.facts.notices, *([notice] if notice else [])))

    def jobs(
        self,
        task: TaskSpec,
        candidates: Sequence[Candidate],
        genes: Mapping[str, Suitability],
        options: tuple[Any, int],
        request: Request,
    ) -> list[Job | Refusal]:
        """One job per model, fold and seed; or the reason why these cells cannot be examined so."""
        config, split_seed = options
        unsuited: list[Job | Refusal] = [
            Refusal(c.spec, c.config, task, self.spec, (Reason("genes", genes[c.spec.name].refusal),))
            for c in candidates
            if genes[c.spec.name].refusal
        ]
        candidates = [c for c in candidates if not genes[c.spec.name].refusal]
        try:
            with _plugin_code(f"task {task.name} cannot divide dataset {self.spec.name}"):
                folds = load_target(task.target)(config).folds(self.data)
        except BadInput as error:
            reason = Reason("data", str(error))
            return [*unsuited, *(Refusal(c.spec, c.config, task, self.spec, (reason,)) for c in candidates)]
        return unsuited + [
            dataclasses.replace(
                self._job(task, candidate, config, split_seed, fold, seed, request.device), folds=tuple(folds)
            )
            for candidate, seed, fold in itertools.product(candidates, choose.distinct(request.seeds), folds)
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
            metric_versions=tuple(f"{m.name} {m.version}" for m in task.metrics),
            embedding=model.embedding,
            device=device,
        )


@contextmanager
def _plugin_code(what: str) -> Iterator[None]:
    """Run code of a plugin in this process; whatever it raises is the user's to know, not ours to fall over."""
    try:
        yield
    except (BenchError, MemoryError):
        raise
    except Exception as error:
        raise BadInput(f"{what}: {type(error).__name__}: {error} (--debug shows where).") from error


def _with_columns(reason: Reason, task: TaskSpec, dataset: DatasetSpec) -> Reason:
    """A reason; where a column has no name yet, with those the file has and the likeliest."""
    from bench.data.layout import obs_columns

    columns = obs_columns(dataset) if reason.code == "roles" else ()
    if not columns:
        return reason
    text = f"{reason.text}. Columns of obs: {', '.join(columns[:20])}{', ...' if len(columns) > 20 else ''}."
    for role in sorted(set(task.obs) - set(dataset.roles)):
        near = difflib.get_close_matches(role, columns, n=1, cutoff=0.6)
        text += f" Did you mean --obs {role}={near[0]}?" if near else ""
    return Reason(reason.code, text)


def _bridge_option(task: TaskSpec, config: Any) -> str:
    return str(getattr(config, task.bridge_option)) if task.bridge_option else ""


def _check_seeds(seeds: Sequence[int]) -> None:
    for seed in seeds:
        if not 0 <= seed <= MAX_SEED:
            raise BadInput(f"seed {seed} is out of range; give a whole number from 0 to {MAX_SEED}.")
