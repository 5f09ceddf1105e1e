"""What is to be known of the models that a study has trained, kept beside its records."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.atomic import replacing
from bench.catalogue import catalogue
from bench.genes.vocabulary import vocabulary
from bench.specs import ModelSpec, load_target
from bench.training.command import TrainingCommand
from bench.weights import location, trained
from bench_study.outline import Study
from bench_study.steps import Places


@dataclass(frozen=True)
class Facts:
    """Of one pretraining."""

    name: str
    model: str
    sha256: str
    """Of the weights, as records have it."""
    parameters: int
    """Numbers in the weights."""
    steps: int
    cells_seen: int
    val_loss: float | None
    wall_s: float
    data: Mapping[str, int]
    """File -> cells."""
    parts: Mapping[str, int]
    """Cells of train, val and test."""
    genes: int
    """That it has an input for."""
    config: Mapping[str, Any]
    """Section -> option -> value."""


def gather(study: Study, places: Places) -> list[Facts]:
    """Facts of every pretraining of a study that has ended."""
    made = [(asked, places.weights(asked.name)) for asked in study.pretrainings]
    return [_facts(asked.name, asked.model, path) for asked, path in made if trained.manifest(path) is not None]


def write(file: Path, facts: list[Facts]) -> None:
    """Write facts as JSON."""
    with replacing(file) as temporary:
        temporary.write_text(json.dumps([asdict(f) for f in facts], indent=1) + "\n", encoding="utf-8")


def read(file: Path) -> dict[str, Facts]:
    """Facts by the name of the pretraining."""
    return {facts["name"]: Facts(**facts) for facts in json.loads(file.read_text(encoding="utf-8"))}


def _facts(name: str, model: str, path: Path) -> Facts:
    from bench.training import folder, provenance  # torch, which a dry run can do without

    card, last = folder.read_card(path, [model]), provenance.read(path)["trainings"][-1]
    spec = run_as(model)
    return Facts(
        name=name,
        model=model,
        sha256=location.identity(path, spec.weights.files if spec.weights else ()),
        parameters=sum(math.prod(array.shape) for array in folder.read_state(path).values()),
        steps=last["steps"],
        cells_seen=last["cells_seen"],
        val_loss=last["val_loss"],
        wall_s=last["wall_s"],
        data={file["name"]: file["cells"] for file in last["data"]},
        parts=last["parts"],
        genes=_genes(spec, path),
        config={section: dict(options) for section, options in card.config.items()},
    )


def run_as(model: str) -> ModelSpec:
    """What `bench run` examines the weights with that a model's pretraining wrote."""
    command: TrainingCommand = load_target(catalogue().model(model).commands["pretrain"])
    return catalogue().model(command.run_as or model)


def _genes(spec: ModelSpec, weights: Path) -> int:
    """How many genes a model knows."""
    names = vocabulary(spec, {}, str(weights), "human")
    return max(map(len, names.values())) if names else 0
