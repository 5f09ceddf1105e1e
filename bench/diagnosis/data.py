"""`bench doctor DATA`: everything that is wrong with a dataset at once, and the run that would work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.catalogue import Catalogue, catalogue
from bench.diagnosis import case as cases
from bench.diagnosis import cells, columns, demand, features, groups, labels, matrix, suits
from bench.diagnosis.case import Case, refused
from bench.diagnosis.finding import Finding
from bench.diagnosis.query import Query, resolve
from bench.diagnosis.suits import Exam, Prospect
from bench.errors import BadInput
from bench.specs import DatasetSpec, ModelSpec, TaskSpec, load_target
from bench.wording import counted

if TYPE_CHECKING:
    import anndata as ad

CHECKS: tuple[Callable[[Case], list[Finding]], ...] = (
    cells.shape,
    matrix.places,
    matrix.transformed,
    matrix.fractional_groups,
    matrix.spare_layers,
    matrix.form,
    features.kinds_of_features,
    features.names,
    features.species,
    features.duplicates,
    features.dates,
    features.silent,
    cells.repeated_names,
    cells.empty,
    cells.twins,
    columns.roles,
    columns.suggestions,
    cells.unlabelled,
    labels.classes,
    labels.rare,
    labels.doubtful,
    groups.enough,
    groups.confounded,
    demand.memory,
)
"""Each looks at the data as its loader returned it, and at nothing else."""
ROUNDS = 3
"""How often advice is followed by more of it."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found, and what to do."""

    findings: tuple[Finding, ...]
    command: str
    """The `bench run` that would work, with the advised options; empty where none would."""
    mended: bool
    """Whether the command holds options that the question did not have."""

    @property
    def stopped(self) -> bool:
        """Whether something stops a run."""
        return any(finding.level == "error" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """One line."""
        errors, warnings = (sum(f.level == level for f in self.findings) for level in ("error", "warning"))
        stops = "stops" if errors == 1 else "stop"
        said = f"{counted(errors, 'problem')} {stops} a run; {counted(warnings, 'warning')}"
        if not errors:
            return f"Nothing stops a run; {counted(warnings, 'warning')}."
        return f"{said}; with the advised options it runs." if self.command else f"{said}."


def examine(query: Query) -> list[Finding]:
    """All findings about a dataset, see `diagnose`."""
    return list(diagnose(query).findings)


def diagnose(query: Query) -> Diagnosis:
    """Examine a dataset, and models and tasks on it.

    Data that cannot be run is examined as far as it can be read. Tasks and models are tried on the data with the
    advised options, so that the command that comes out is known to work.

    Raises
    ------
    BadInput
        For a model or a task that does not exist: everything else is a finding.
    """
    found = catalogue()
    models = [found.model(name) for name in dict.fromkeys(query.models)]
    tasks = [found.task(name) for name in dict.fromkeys(query.tasks)] or list(found.tasks)
    dataset, sound, findings = resolve(query)
    if dataset is None:
        return Diagnosis(tuple(findings), "", False)
    raw = _loaded(dataset)
    if isinstance(raw, Finding):
        return Diagnosis((*findings, raw), "", False)
    case = Case(dataset, raw)
    findings += checked(case)
    data = _canonical(case, findings)
    ready = _mended(_Ready(sound, case, data), findings)
    if ready.case.spec != dataset:
        findings += _news(ready.case, findings)
    ready, open_tasks, said = _examined(tasks, suits.exams(tasks, sound, dataset, data), ready)
    findings += said
    mended, spec, data = ready.query, ready.case.spec, ready.data
    prospects = [suits.prospect(model, open_tasks or tasks, mended, spec, data) for model in models]
    for prospect in prospects:
        findings += [*prospect.findings, *_cost(prospect, query, data)]
    command = _command(found, mended, spec, open_tasks, prospects, bool(models))
    return Diagnosis(tuple(findings), command, mended != query)


@dataclass(frozen=True)
class _Ready:
    """The question with the options advised so far, and what answers it."""

    query: Query
    case: Case
    data: ad.AnnData | None
    """Canonical data; None where it is refused."""

    def following(self, findings: list[Finding]) -> _Ready:
        """The same with the advice of some findings; itself where there is none that can be followed."""
        mended = self.query.mended(findings)
        if mended == self.query:
            return self
        spec, mended, wrong = resolve(mended)
        if spec is None or wrong:
            return self
        if spec == self.case.spec:
            return replace(self, query=mended)
        case = replace(self.case, spec=spec)
        return _Ready(mended, case, _canonical(case, []))


def _loaded(dataset: DatasetSpec) -> ad.AnnData | Finding:
    """What the dataset's loader returns, in memory; or why it cannot be had."""
    import anndata

    try:
        raw = load_target(dataset.target)(**dataset.params)
    except BadInput as error:
        return refused("data", error)
    except Exception as error:  # the loader is a plugin's
        return Finding("error", "data", f"cannot be loaded: {type(error).__name__}: {error}")
    if not isinstance(raw, anndata.AnnData):
        return Finding("error", "data", f"{dataset.target} returned {type(raw).__name__} and not an AnnData")
    return raw.to_memory() if raw.isbacked else raw


def checked(case: Case) -> list[Finding]:
    """Everything that the data itself shows; an error wherever the core would refuse it."""
    findings = cases.refusals(case)
    for check in CHECKS:
        try:
            findings += check(case)
        except Exception as error:  # odd data must not keep the other checks from being made
            name = check.__name__.replace("_", " ")
            text = f"could not be examined ({name}): {type(error).__name__}: {error}"
            findings.append(Finding("warning", "data", text))
    return findings


def _canonical(case: Case, findings: list[Finding]) -> ad.AnnData | None:
    """Canonical data; where it is refused for a reason not yet found, that is one more finding."""
    from bench.data.canonical import canonicalise

    try:
        return canonicalise(case.raw, case.spec)
    except BadInput as error:
        if not any(finding.level == "error" and finding.subject != "options" for finding in findings):
            findings.append(refused("data", error, case.where))
        return None


def _mended(ready: _Ready, findings: list[Finding]) -> _Ready:
    """The question with all the advice that makes the data readable.

    A column that is advised may hold a fault of its own, such as cells without a label: that is one more finding.
    """
    for _ in range(ROUNDS):
        mended = ready.following(findings)
        if mended is ready or mended.data is not None:
            return mended
        ready = mended
        findings += [f for f in checked(ready.case) if f.level == "error" and f not in findings]
    return ready


def _news(case: Case, findings: list[Finding]) -> list[Finding]:
    """What is wrong only with the advised options: an advised batch may be the label under another name."""
    found = [f for f in checked(case) if f not in findings]
    grave = [f for f in found if f.level == "warning" or (f.level == "note" and f.subject in ("labels", "groups"))]
    return [replace(f, text=f"with the advised options: {f.text}") for f in grave]


def _examined(
    tasks: list[TaskSpec], given: dict[str, Exam], ready: _Ready
) -> tuple[_Ready, list[TaskSpec], list[Finding]]:
    """The question with the tasks' own advice too, the tasks that can run then, and what is said of all.

    That advice has its price, such as a donor on both sides of a split: it is followed for a task that was asked for,
    and where no task can run without.
    """
    asked = bool(ready.query.tasks)
    stages = [given, suits.exams(tasks, ready.query, ready.case.spec, ready.data)]
    if asked or not any(exam.folds for exam in stages[-1].values()):
        advised = ready.following(suits.task_findings(stages, asked))
        if advised is not ready:
            ready = advised
            stages.append(suits.exams(tasks, ready.query, ready.case.spec, ready.data))
    able = [exam.task for exam in stages[-1].values() if exam.folds]
    return ready, able, suits.task_findings(stages, asked)


def _cost(prospect: Prospect, query: Query, data: ad.AnnData | None) -> list[Finding]:
    """Time and memory of a model: by its records, else by a trial."""
    if data is None or prospect.candidate is None or not prospect.tasks:
        return []
    known = demand.from_records(query.results, prospect.spec.name, data.n_obs)
    if known or not query.trials:
        return [known] if known else []
    from bench.diagnosis.probe import probe

    return [probe(data, prospect.candidate)]


def _command(
    found: Catalogue,
    query: Query,
    dataset: DatasetSpec,
    tasks: list[TaskSpec],
    prospects: list[Prospect],
    asked: bool,
) -> str:
    """The run to recommend: the models that were asked about, else a baseline, on the tasks that they can sit."""
    if not tasks:
        return ""
    if asked:
        models: list[str] = [prospect.spec.name for prospect in prospects if prospect.tasks]
        sat = {name for prospect in prospects for name in prospect.tasks}
    else:
        models = list(suits.recommended(found, tasks, dataset, query))
        specs: list[ModelSpec] = [found.models.specs[name] for name in models]
        sat = {task.name for spec in specs for task in tasks if not suits.against(spec, task, dataset, query)}
    names = [task.name for task in tasks if task.name in sat]
    return query.command(models, names) if models and names else ""
