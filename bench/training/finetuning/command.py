"""`bench finetune` for any pretrained model: from options to the folder of one that names cells."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.config import as_dict
from bench.data import fingerprints
from bench.data.cells.division import Part
from bench.data.cells.module import stores_of
from bench.data.cells.parts import Parts
from bench.data.cells.progress import note
from bench.errors import BadInput
from bench.training import begun, curves, folder, loggers, provenance
from bench.training.finetuning import head
from bench.training.finetuning.head import StoredHead
from bench.training.finetuning.learn import Course, Lesson
from bench.training.finetuning.namer import GROUP, CellNamer
from bench.training.finetuning.record import Record
from bench.training.finetuning.stored import CELLS, Gathered, gather
from bench.training.fitted import Best, Fitted
from bench.training.folder import Card
from bench.training.trouble import explained

if TYPE_CHECKING:
    import anndata as ad

    from bench.training.command import Training
    from bench.training.finetuning.options import FinetuneConfig, LabelledData
    from bench.training.learner import Backbone

_ONE_CLASS = "all labelled cells are {!r}: there was nothing to learn, and every cell will be named that."


@dataclass(frozen=True)
class Start:
    """What a fine-tuning begins with."""

    backbone: Backbone
    card: Card
    """Of the model as it will be read again: what it is, its genes, its own sections of options."""
    head: StoredHead | None = None
    """Of an earlier fine-tuning."""


def finetune(training: Training, begin: Callable[[ad.AnnData], Start]) -> Fitted:
    """Fine-tune a model on the labelled cells of files, and write the folder.

    Parameters
    ----------
    training
        With the sections `finetune` (`FinetuneConfig`) and `data` (`LabelledData`); others are the model's.
    begin
        Opens `training.weights`, or makes the model without weights; gets the cells it will learn from.

    Raises
    ------
    BadInput
        If the folder is not free, or options or data are refused.
    BadOutput
        If the loss is no number.
    BenchError
        If there is no room on the disk, or no memory.
    """
    started = time.monotonic()
    _require_possible(training)
    data: LabelledData = training.config["data"]
    gathered = gather(stores_of(training.data, data.layer), data)
    for text in gathered.notices:
        note(text)
    start = begin(gathered.cells)
    with explained(training.out, "finetune.batch_size", resumes=False):
        begun.note(training)  # so that the folder is free again if this comes to nothing
        namer, lesson, said = _learned(training, start, gathered)
        parts = _parts(lesson, gathered, training.config["finetune"])
        _write(training, start.card, namer, gathered, parts, time.monotonic() - started)
        curves.draw(loggers.read(training.out / begun.LOGS), training.out)
    return _fitted(training, namer.course, (*parts.notices, *said))


def _require_possible(training: Training) -> None:
    """Refuse what a fine-tuning cannot do, and a folder that is not free."""
    loggers.require(training.loggers)
    if training.resume:
        raise BadInput("a fine-tuning is not gone on with; leave --resume out and name another --out.")
    if training.devices * training.nodes > 1:
        raise BadInput("a fine-tuning runs on one device; leave --devices and --nodes out.")
    if not training.config["finetune"].max_epochs:
        raise BadInput("finetune.max_epochs=0 learns nothing; set it to 1 or more.")
    begun.require_free(training)


def _learned(training: Training, start: Start, gathered: Gathered) -> tuple[CellNamer, Lesson, tuple[str, ...]]:
    """What has learned, from what, and what is to be told of it."""
    logs = loggers.opened(training.loggers, training.out / begun.LOGS, 0)
    record = Record(logs)
    try:
        namer = CellNamer(
            training.config["finetune"],
            lambda cells: start.backbone,
            seed=training.seed,
            device=training.device,
            pretrained=isinstance(training.weights, Path),
            stored=start.head,
            told=record.epoch,
        )
        lesson = namer.lesson(gathered.cells)
        namer.learn(lesson)
        told = record.validation(namer, lesson) if namer.course else (_ONE_CLASS.format(namer.classes[0]),)
    finally:
        for log in logs:
            log.close()
    return namer, lesson, told


def _parts(lesson: Lesson, gathered: Gathered, config: FinetuneConfig) -> Parts:
    """Which cells were learned from, and which were kept to stop by, as positions in the dataset."""
    watched, by, held = lesson.watched, gathered.by, set[str]()
    if by != CELLS:
        groups = lesson.cells.obs[GROUP].to_numpy()[lesson.rows]
        held = set(groups[watched])
        if held & set(groups[~watched]):  # few or unequal groups: cells were drawn, see validation_cut
            by, held = CELLS, set()
    rows = gathered.rows[lesson.rows]
    asked: dict[Part, float] = {"train": 1 - config.validation, "val": config.validation, "test": 0.0}
    groups_of: dict[Part, tuple[str, ...]] = {"val": tuple(sorted(held)), "test": ()}
    return Parts(rows[~watched], rows[watched], rows[:0], by, groups_of, "", asked)


def _write(training: Training, card: Card, namer: CellNamer, gathered: Gathered, parts: Parts, wall_s: float) -> None:
    """The folder of the fine-tuned model."""
    data: LabelledData = training.config["data"]
    options = {name: as_dict(training.config[name]) for name in ("finetune", "data")}
    card = replace(
        card,
        model=training.model,
        verb=training.verb,
        seed=training.seed,
        config={**card.config, **options},
        extra={**card.extra, **head.note(data.label, namer.classes, namer.hidden)},
    )
    course, dataset = namer.course, gathered.dataset
    cells_seen = course.cells if course else 0
    where = provenance.describe(
        training,
        dataset.stores,
        parts,
        steps=course.steps if course else 0,
        epochs=cells_seen / len(parts.train),
        cells_seen=cells_seen,
        val_loss=course.lowest if course else None,
        wall_s=wall_s,
    )
    unlabelled = np.setdiff1d(np.arange(len(dataset)), gathered.rows)
    prints = [*fingerprints.of_dataset(dataset, unlabelled), *folder.fingerprints_before(training.weights)]
    folder.write(training.out, card, namer.classifier.state(), where, prints)


def _fitted(training: Training, course: Course | None, notices: tuple[str, ...]) -> Fitted:
    """What is told of it; a single class is known without learning."""
    if course is None:
        return Fitted(training.out, 0, None, "max_steps", notices)
    best = None if course.lowest is None else Best(course.lowest, course.best.steps)
    return Fitted(training.out, course.steps, best, "early stopping" if course.stopped_early else "max_steps", notices)
