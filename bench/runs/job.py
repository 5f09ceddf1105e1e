"""A job: everything a worker needs to know, and the identity of the question it answers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.specs import DatasetSpec, RemoteFile

PROTOCOL = 1
"""Raised when the harness itself changes what a score means; part of every run's identity."""


@dataclass(frozen=True)
class Job:
    """One (model, task, dataset, fold, seed) with its configuration. JSON-ready."""

    model: str
    model_version: str
    model_config: Mapping[str, Any]
    weights: str
    """Path of the weights, `"untrained"`, or empty for a model that has none."""
    weights_sha256: str
    task: str
    task_version: str
    task_config: Mapping[str, Any]
    bridge: str
    dataset: DatasetSpec
    dataset_identity: str
    fold: str
    split_seed: int
    seed: int
    label_aware: bool
    """Whether the labels of some cells are visible; where cells are held out, those of training always are."""
    folds: tuple[str, ...] = ()
    """All folds of the exam."""
    metric_versions: tuple[str, ...] = ()
    """`"name version"` of the task's metrics: what scored the controls."""
    embedding: str = ""
    """Key of the dataset's own `obsm` that is scored instead of a model."""
    device: str = field(default="cpu", compare=False)

    @property
    def run_id(self) -> str:
        """Hash of the canonical job key; the device is not part of it."""
        return digest({**self._exam_key(), **self._model_key()})

    @property
    def control_key(self) -> str:
        """Hash of what the controls depend on: the same for all models of one exam."""
        return digest({**self._exam_key(), "metrics": list(self.metric_versions)})

    @property
    def title(self) -> str:
        """How the job is called in a progress bar."""
        fold = "" if self.fold == "all" else f" · {self.fold}"
        return f"{self.model} · {self.task} · {self.dataset.name}{fold} · seed {self.seed}"

    def _exam_key(self) -> dict[str, Any]:
        return {
            "protocol": PROTOCOL,
            "task": [self.task, self.task_version, dict(self.task_config)],
            "dataset": self.dataset_identity,
            "fold": self.fold,
            "split_seed": self.split_seed,
            "label_aware": self.label_aware,
        }

    def _model_key(self) -> dict[str, Any]:
        weights = self.weights_sha256 or self.weights
        return {
            "model": [self.model, self.model_version, dict(self.model_config), weights],
            "bridge": self.bridge,
            "seed": self.seed,
            "embedding": self.embedding,
        }

    def to_json(self) -> str:
        """Serialise for the worker."""
        return json.dumps(dataclasses.asdict(self), default=sorted)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        dataset = values["dataset"]
        dataset["modalities"] = frozenset(dataset["modalities"])
        dataset["files"] = tuple(RemoteFile(**{**file, "urls": tuple(file["urls"])}) for file in dataset["files"])
        lists = {name: tuple(values[name]) for name in ("folds", "metric_versions")}
        return cls(**{**values, **lists, "dataset": DatasetSpec(**dataset)})


def digest(key: Any) -> str:
    """Short sha256 of JSON-ready data, the same on every machine."""
    text = json.dumps(key, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
