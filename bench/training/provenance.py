"""Where trained weights come from: which cells, how often they were seen, on what machine, beginning with what.

Without this nobody can say whether a model has seen the cells it is tested on, so weights without it are not ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from bench import environment
from bench.conform import checker
from bench.errors import BadInput
from bench.weights import location, trained

if TYPE_CHECKING:
    from bench.data.cells.parts import Parts
    from bench.data.cells.store import CellStore
    from bench.training.command import Training

FORMAT = 1
"""Of `provenance.json`; a newer one is not read."""


class DataFile(TypedDict):
    """One file that was trained on."""

    name: str
    identity: str
    """sha256 of its content and of how it was read."""
    cells: int
    genes: int


class Throughput(TypedDict):
    """How fast a training was, of steps alone: no validation, no checkpoint."""

    cells_per_second: float
    data_wait: float
    """Share of the time that was waited for batches."""
    peak_bytes: int
    """Most memory at a time: on a GPU of its tensors, else of the process."""


class Trained(TypedDict):
    """One training."""

    model: str
    verb: str
    """pretrain | finetune"""
    task: str
    """What a fine-tuning was for; else empty."""
    seed: int
    began_with: str
    """sha256 of the weights it began with; empty: none."""
    data: list[DataFile]
    parts: dict[str, int]
    """Cells of train, val and test."""
    divided_by: str
    """What was held out whole: a column of obs, `store`, or `cells` where they were drawn at random."""
    groups: dict[str, list[str]]
    """Groups of val and test."""
    steps: int
    epochs: float
    cells_seen: int
    """Each time a cell was seen counts."""
    val_loss: float | None
    """The best; None where there was no validation."""
    wall_s: float
    throughput: NotRequired[Throughput]
    """Of a pretraining."""
    created: str
    """UTC, ISO 8601."""
    environment: dict[str, Any]
    """As in a record: bench, git sha and dirty flag, packages, device."""


class Provenance(TypedDict):
    """What is known of a model's weights."""

    format: int
    trainings: list[Trained]
    """Oldest first: those of the weights it began with, then its own. Where even the first `began_with` weights, nobody
    knows where these come from."""
    files: dict[str, str]
    """sha256 of each file that was written with it; filled in when it is."""


def describe(
    training: Training,
    stores: Sequence[CellStore],
    parts: Parts | None = None,
    *,
    steps: int,
    epochs: float,
    cells_seen: int,
    val_loss: float | None,
    wall_s: float,
    throughput: Throughput | None = None,
) -> Provenance:
    """The provenance of a training that has ended, after that of the weights it began with.

    Parameters
    ----------
    training
        As it was asked for.
    stores
        What it was trained on.
    parts
        How the cells were divided; None: all were trained on.
    steps, epochs, cells_seen, val_loss, wall_s, throughput
        See `Trained`.
    """
    n_cells = sum(store.n_cells for store in stores)
    own = Trained(
        model=training.model,
        verb=training.verb,
        task=training.task,
        seed=training.seed,
        began_with=_identity(training.weights),
        data=[DataFile(name=s.name, identity=s.identity, cells=s.n_cells, genes=s.n_genes) for s in stores],
        parts=_sizes(parts) if parts else {"train": n_cells},
        divided_by=parts.by if parts else "",
        groups={part: list(groups) for part, groups in parts.groups.items()} if parts else {},
        steps=steps,
        epochs=epochs,
        cells_seen=cells_seen,
        val_loss=val_loss,
        wall_s=wall_s,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=environment.describe(training.device),
    )
    if throughput is not None:
        own["throughput"] = throughput
    return Provenance(format=FORMAT, trainings=[*_before(training.weights), own], files={})


def read(folder: Path) -> Provenance:
    """The provenance of a trained folder.

    Raises
    ------
    BadInput
        If there is none, it is damaged, or it was written by a newer version.
    """
    value = trained.read_json(folder, trained.PROVENANCE)
    newer = value.get("format")
    if isinstance(newer, int) and newer > FORMAT:
        text = f"{folder / trained.PROVENANCE} has format {newer}, this bench reads up to {FORMAT}"
        raise BadInput(f"{text}: upgrade bench-harness.")
    try:
        checker(Provenance)(value, "")
    except (ValueError, RecursionError) as error:
        raise trained.damaged(folder, trained.PROVENANCE, str(error)) from None
    if not value["trainings"]:
        raise trained.damaged(folder, trained.PROVENANCE, "it names no training")
    return Provenance(**value)  # type: ignore[typeddict-item]


def _sizes(parts: Parts) -> dict[str, int]:
    return {"train": len(parts.train), "val": len(parts.val), "test": len(parts.test)}


def _identity(weights: Any) -> str:
    return location.identity(weights, ()) if isinstance(weights, Path) else ""


def _before(weights: Any) -> Sequence[Trained]:
    """Trainings of the weights that a training began with; none where nobody can tell."""
    try:
        return read(weights)["trainings"] if isinstance(weights, Path) else []
    except BadInput:
        return []
