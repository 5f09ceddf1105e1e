"""What is written down of a fine-tuning as it goes, and what it says in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.data.cells.progress import note
from bench.metrics.classification import classification_metrics
from bench.training.finetuning.module import TRAINED, VALIDATED, Epoch
from bench.training.means import TOTAL
from bench.wording import counted

if TYPE_CHECKING:
    from bench.training.finetuning.learn import Lesson
    from bench.training.finetuning.namer import CellNamer
    from bench.training.loggers import Log

METRICS = ("macro_f1", "accuracy")
"""Of the cells that were kept to stop by."""


class Record:
    """Losses of each epoch, in logs and on stderr."""

    def __init__(self, logs: Sequence[Log]) -> None:
        self._logs = logs
        self._step = 0

    def epoch(self, epoch: Epoch) -> None:
        """Write and tell an epoch."""
        self._step = epoch.steps
        for log in self._logs:
            log.write(epoch.steps, {f"{kind}/{TOTAL}": loss for kind, loss in epoch.losses.items()})
        told = ", ".join(f"{_WORDS[kind]} {loss:.4f}" for kind, loss in epoch.losses.items())
        note(f"epoch {epoch.number} of {epoch.of}: {told}")

    def validation(self, namer: CellNamer, lesson: Lesson) -> tuple[str, ...]:
        """How well the cells are named that were kept to stop by, in a sentence; none where none were kept."""
        if not lesson.watched.any():
            return ("no cell could be kept to validate on; it was trained for a set number of epochs.",)
        answer = namer.predict(lesson.cells[lesson.rows[lesson.watched]])
        truth = np.array(lesson.classes, dtype=object)[lesson.codes[lesson.watched]]
        scores = classification_metrics(truth, answer.to_numpy(), namer.classes, set(namer.classes))
        found = {one.metric: one.value for one in scores if one.metric in METRICS and one.value is not None}
        for log in self._logs:
            log.write(self._step, {f"val/{name}": value for name, value in found.items()})
        words = ", ".join(f"{name.replace('_', ' ')} {found[name]:.3f}" for name in METRICS)
        return (f"{words} on {counted(len(truth), 'validation cell')}; training was stopped by them: no test result.",)


_WORDS = {TRAINED: "loss", VALIDATED: "validated"}
