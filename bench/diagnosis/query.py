"""What the doctor is asked about, and the dataset behind it, as far as the question makes sense."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.config import assignments
from bench.diagnosis.case import refused
from bench.diagnosis.finding import Finding
from bench.errors import BadInput
from bench.runs.choose import resolve_dataset
from bench.specs import DatasetSpec


@dataclass(frozen=True)
class Query:
    """One question: a dataset with the options of `bench run`, and the models and tasks it is meant for."""

    data: str
    """A registered name, an `.h5ad` file or a `.toml` set."""
    models: Sequence[str] = ()
    tasks: Sequence[str] = ()
    obs: Mapping[str, str] = field(default_factory=dict)
    layer: str = ""
    data_set: Mapping[str, Any] = field(default_factory=dict)
    task_set: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    results: Path = Path("results")
    """Where records of earlier runs are looked for."""
    trials: bool = True
    """Whether models without a record are tried on a few cells."""

    def mended(self, findings: Iterable[Finding]) -> Query:
        """The question with the options that mend what stops a run, or takes meaning from its scores."""
        query = self
        for finding in findings:
            if finding.level in ("error", "warning") and finding.mend.startswith("--"):
                query = query._with(finding.mend)
        return query

    def command(self, models: Sequence[str], tasks: Sequence[str]) -> str:
        """The `bench run` that examines models on tasks with these options."""
        words = ["bench", "run", "--model", ",".join(models), "--task", ",".join(tasks), "--dataset", self.data]
        words += [word for role, column in self.obs.items() for word in ("--obs", f"{role}={column}")]
        words += ["--layer", self.layer] if self.layer else []
        for flag, options in (("--data-set", self.data_set), ("--task-set", self.task_set)):
            words += [word for key, value in options.items() for word in (flag, f"{key}={value}")]
        words += ["--weights", self.weights] if self.weights else []
        return shlex.join(words)

    def _with(self, mend: str) -> Query:
        flag, value = shlex.split(mend)
        if flag == "--layer":
            return replace(self, layer=value)
        fields = {"--obs": "obs", "--data-set": "data_set", "--task-set": "task_set"}
        if flag not in fields:
            return self
        known: Mapping[str, Any] = getattr(self, fields[flag])
        # what was asked for stays, unless it is what is wrong; the first advice on a key is the one that is followed
        changes: dict[str, Any] = {fields[flag]: {**assignments([value], flag), **known}}
        return replace(self, **changes)


def resolve(query: Query) -> tuple[DatasetSpec | None, Query, list[Finding]]:
    """The dataset, the question without the parts that are wrong, and what is wrong with them.

    Each part is tried by itself, so that one mistake does not hide another. No dataset is returned where there is
    none, or its file cannot be opened.
    """
    try:
        resolve_dataset(query.data, {}, "", {})
    except BadInput as error:
        return None, query, [refused("data", error)]
    findings: list[Finding] = []

    def right(obs: Mapping[str, str], layer: str, options: Mapping[str, Any]) -> bool:
        try:
            resolve_dataset(query.data, obs, layer, options)
        except BadInput as error:
            findings.append(refused("options", error))
            return False
        return True

    obs = {role: column for role, column in query.obs.items() if right({role: column}, "", {})}
    options = {key: value for key, value in query.data_set.items() if right({}, "", {key: value})}
    layer = query.layer if right({}, query.layer, {}) else ""
    sound = replace(query, obs=obs, data_set=options, layer=layer)
    return resolve_dataset(query.data, obs, layer, options), sound, findings
