"""What is known of the weights of a run: who made them, from which data."""

from __future__ import annotations

from pathlib import Path

from bench.catalogue import catalogue
from bench.errors import BadInput
from bench.runs.record import ContaminationPart, TrainedPart
from bench.specs import ModelSpec
from bench.training import provenance
from bench.training.provenance import Provenance
from bench.weights import location, trained


def status(spec: ModelSpec, weights: str, sha256: str, found: ContaminationPart | None = None) -> str:
    """published | own | unverified | untrained | none, see `bench.runs.record.ModelPart`.

    Parameters
    ----------
    spec
        Of the model.
    weights
        Path, `"untrained"`, or empty.
    sha256
        Identity of the weights when the run was planned.
    found
        What the run found of its cells in the training data; None where it did not look. Weights of which some data
        could not be looked through, as those they began with came without fingerprints, are not known cell by cell.
    """
    if spec.name not in catalogue().models.specs:
        return "unverified"  # a stored embedding: nobody here knows what made it
    if spec.weights is None:
        return "none"
    if weights == "untrained":
        return "untrained"
    if location.published(sha256, spec.weights.files):
        return "published"
    whole = found is None or not found["problem"]
    return "own" if whole and _is_own(Path(weights), sha256) else "unverified"


def trained_on(weights: str) -> list[TrainedPart]:
    """The trainings behind some weights, oldest first; none where no provenance says so."""
    found = known(Path(weights)) if weights not in ("", "untrained") else None
    return [
        TrainedPart(
            model=training["model"],
            verb=training["verb"],
            files=[file["name"] for file in training["data"]],
            cells=sum(file["cells"] for file in training["data"]),
            steps=training["steps"],
        )
        for training in (found["trainings"] if found else ())
    ]


def known(weights: Path) -> Provenance | None:
    """The provenance of a trained folder; None where there is none that can be read."""
    if not trained.is_trained(weights):
        return None
    try:
        return provenance.read(weights)
    except BadInput:
        return None


def _is_own(weights: Path, sha256: str) -> bool:
    """Whether every training behind the weights is known, with the cells it was on, and the files are those it left."""
    found = known(weights)
    if found is None or found["trainings"][0]["began_with"] or not trained.has(weights, trained.FINGERPRINTS):
        return False
    try:
        trained.require_whole(weights)
        return location.identity(weights, ()) == sha256
    except BadInput:
        return False
