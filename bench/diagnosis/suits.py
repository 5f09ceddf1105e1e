"""Which tasks and models go with a dataset, and what each of them has against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.catalogue import Catalogue, check
from bench.diagnosis.finding import Finding, Level, flag_in
from bench.diagnosis.query import Query
from bench.errors import BadInput
from bench.genes.vocabulary import Suitability, suitability
from bench.runs import choose
from bench.runs.choose import Candidate
from bench.runs.request import assign
from bench.specs import Cap, DatasetSpec, ModelSpec, TaskSpec, load_target
from bench.wording import counted, listed

if TYPE_CHECKING:
    import anndata as ad

ANY_MODEL = ModelSpec("any", "can do everything", "builtins:object", frozenset(Cap), fits="no")
"""What a task has against a dataset it has against this model too."""
REFUSED = "the data is refused"


@dataclass(frozen=True)
class Exam:
    """A task on a dataset: its folds, or the reason why there are none."""

    task: TaskSpec
    folds: tuple[str, ...] = ()
    reason: str = ""


def exams(tasks: Sequence[TaskSpec], query: Query, dataset: DatasetSpec, data: ad.AnnData | None) -> dict[str, Exam]:
    """Each task by name, on canonical data; without data, only what the specs say is known."""
    return {task.name: _exam(task, query, dataset, data) for task in tasks}


def task_findings(stages: Sequence[Mapping[str, Exam]], asked: bool) -> list[Finding]:
    """What each task says of the data as it is, and whether the advised options help.

    Parameters
    ----------
    stages
        The tasks on the data as it is, then with more and more of the advised options.
    asked
        Whether the user named these tasks: one that cannot run is then an error. It is in any case if none can.
    """
    if all(exam.reason == REFUSED for stage in stages for exam in stage.values()):
        return [Finding("note", "tasks", "not examined, as the data is refused")]
    grave = asked or not any(exam.folds for exam in stages[0].values())
    found = []
    for name, exam in stages[0].items():
        if exam.folds:
            what = "nothing is held out" if len(exam.folds) == 1 else listed(exam.folds, 3)
            found.append(Finding("ok", f"task {name}", f"can run: {counted(len(exam.folds), 'fold')} ({what})"))
        else:
            text = _objections([stage[name] for stage in stages])
            found.append(Finding("error" if grave else "note", f"task {name}", text, flag_in(text)))
    return found


def _objections(stages: Sequence[Exam]) -> str:
    """Why a task cannot run, as it is and with the advised options."""
    reasons = list(dict.fromkeys(exam.reason.rstrip(".") for exam in stages if not exam.folds))
    if len(reasons) > 1 and reasons[0] == REFUSED:
        reasons = reasons[1:]  # why is said elsewhere
    if stages[-1].folds:
        reasons[-1] += "; it can with the advised options"
    return "; with the advised options: ".join(reasons)


@dataclass(frozen=True)
class Prospect:
    """A model on a dataset."""

    spec: ModelSpec
    candidate: Candidate | None
    """None where it cannot be configured."""
    tasks: tuple[str, ...]
    """Tasks it can sit here."""
    findings: tuple[Finding, ...]


def prospect(
    spec: ModelSpec, tasks: Sequence[TaskSpec], query: Query, dataset: DatasetSpec, data: ad.AnnData | None
) -> Prospect:
    """Everything a model has against a dataset and tasks that could run on it."""
    subject = f"model {spec.name}"
    found: list[Finding] = []
    try:
        candidate = choose.configured(spec, {}, query.weights if spec.weights else "")
    except BadInput as error:
        candidate = None
        found.append(Finding("error", subject, str(error).removeprefix(f"{subject}: "), flag_in(str(error))))
    missing = sorted(set(spec.obs) - set(dataset.roles))
    if missing:
        found.append(Finding("error", subject, f"needs obs {listed(missing)}; name your column with --obs ROLE=COLUMN"))
    verdict = _suitability(spec, candidate, dataset, data)
    found += _of_genes(subject, verdict)
    reasons = {task.name: against(spec, task, dataset, query) for task in tasks}
    stopped = any(finding.level == "error" for finding in found)
    fit = () if stopped else tuple(name for name, some in reasons.items() if not some)
    found += _of_tasks(subject, reasons)
    return Prospect(spec, candidate, fit, tuple(found))


def against(spec: ModelSpec, task: TaskSpec, dataset: DatasetSpec, query: Query) -> list[str]:
    """All reasons why a model cannot sit a task on a dataset."""
    return [str(reason) for reason in check(spec, task, dataset, _bridge(task, query))]


def recommended(found: Catalogue, tasks: Sequence[TaskSpec], dataset: DatasetSpec, query: Query) -> tuple[str, ...]:
    """A baseline that can sit all of these tasks, else one of the first; none where none can."""
    names = list(dict.fromkeys(name for task in tasks for name in task.baselines if name in found.models.specs))

    def sits(name: str, task: TaskSpec) -> bool:
        return not against(found.models.specs[name], task, dataset, query)

    able = [name for name in names if all(sits(name, task) for task in tasks)]
    return tuple(able[:1] or [name for name in names if sits(name, tasks[0])][:1])


def _exam(task: TaskSpec, query: Query, dataset: DatasetSpec, data: ad.AnnData | None) -> Exam:
    reasons = check(ANY_MODEL, task, dataset)
    if reasons:
        return Exam(task, reason="; ".join(map(str, reasons)))
    if data is None:
        return Exam(task, reason=REFUSED)
    try:
        return Exam(task, tuple(load_target(task.target)(_config(task, query)).folds(data)))
    except BadInput as error:
        return Exam(task, reason=str(error))
    except Exception as error:  # a plugin's own code: its fault is said, and the rest goes on
        return Exam(task, reason=f"task {task.name} cannot divide this dataset: {type(error).__name__}: {error}")


def _config(task: TaskSpec, query: Query) -> Any:
    """A task's configuration: those of the options that it has."""
    known = choose.names(task.config)
    dealt = {key: value for key, value in query.task_set.items() if key in known}
    own = assign(dealt, {task.name: known}, "task")[task.name] if dealt else {}
    return choose.task_options(task, own)[0]


def _bridge(task: TaskSpec, query: Query) -> str:
    return str(getattr(_config(task, query), task.bridge_option)) if task.bridge_option else ""


def _suitability(
    spec: ModelSpec, candidate: Candidate | None, dataset: DatasetSpec, data: ad.AnnData | None
) -> Suitability:
    if data is None or candidate is None:
        return Suitability()
    try:
        return suitability(data, spec, candidate.config, candidate.weights, dataset)
    except BadInput as error:
        return Suitability(refusal=str(error))
    except Exception as error:  # as above
        return Suitability(refusal=f"cannot tell which genes it knows: {type(error).__name__}: {error}")


def _of_genes(subject: str, verdict: Suitability) -> list[Finding]:
    if verdict.refusal:
        return [Finding("error", subject, verdict.refusal.removeprefix(f"{subject} "), verdict.mend)]
    if verdict.notice:
        return [Finding("warning", subject, verdict.notice.removeprefix(f"{subject} ").rstrip("."))]
    return [Finding("ok", subject, f"knows {verdict.coverage}")] if verdict.coverage else []


def _of_tasks(subject: str, objections: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Reasons against tasks, each once; they stop the model only if every task has one."""
    concerned: dict[str, list[str]] = {}
    for name, reasons in objections.items():
        for reason in reasons:
            concerned.setdefault(reason, []).append(name)
    level: Level = "error" if objections and all(objections.values()) else "note"
    return [Finding(level, subject, reason, _command_in(reason)) for reason in concerned]


def _command_in(reason: str) -> str:
    """The `pip install` that a reason ends with."""
    start = reason.find("pip install ")
    return reason[start:] if start >= 0 else ""
