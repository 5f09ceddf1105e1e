"""Names the types of cells: any pretrained model, fine-tuned on the labelled ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from bench.data.exams import is_known, role_values
from bench.errors import BadInput
from bench.heads import validation_cut
from bench.training.finetuning.classifier import CellClassifier
from bench.training.finetuning.forward import answers, genes_of
from bench.training.finetuning.head import Head, StoredHead
from bench.training.finetuning.learn import Course, Lesson, Teacher, seeded
from bench.training.finetuning.module import Told
from bench.training.quiet import quiet
from bench.wording import listed

if TYPE_CHECKING:
    import anndata as ad

    from bench.training.finetuning.options import FinetuneConfig
    from bench.training.learner import Backbone

LABEL, GROUP = "cell_type", "group"
"""Columns of `obs` of cells to learn from; the second only where it is known which cells belong together."""

FEWEST_WATCHED = 20
"""Cells whose loss is worth stopping by; where fewer could be kept, all are learned from for a set number of epochs."""

MakeBackbone = Callable[["ad.AnnData"], "Backbone"]
"""Makes a pretrained model anew; one without weights learns from the cells which genes there are, and nothing else."""


class CellNamer:
    """A pretrained model that is fine-tuned to name cells: `bench.capabilities.PredictsLabels`.

    Labels are `obs["cell_type"]`; cells without one teach nothing. Where there is `obs["group"]`, whole groups are
    kept to stop by (see `bench.heads.validation_cut`); where hardly a cell can be spared, none.

    Parameters
    ----------
    config
        What learns, and how.
    make
        Makes the model; called once in each `fit`.
    seed
        Of the head's first weights, the order of cells, the choice of groups to stop by, and dropout.
    device
        `"cpu"` or `"cuda"`, maybe with a number.
    pretrained
        Whether the model has learned anything; what has not learns faster unless told.
    stored
        Head and classes of an earlier fine-tuning, where the weights have them.
    told
        Gets the losses of each epoch.

    Raises
    ------
    BadInput
        If a stored head is asked for and there is none.
    """

    def __init__(
        self,
        config: FinetuneConfig,
        make: MakeBackbone,
        *,
        seed: int,
        device: str,
        pretrained: bool,
        stored: StoredHead | None = None,
        told: Told | None = None,
    ) -> None:
        if config.head == "stored" and stored is None:
            raise BadInput(
                "head=stored needs weights that were fine-tuned to name cells; give a folder that bench finetune"
                " wrote, or set head=new."
            )
        self.config, self._make, self._seed, self._device = config, make, seed, device
        self._pretrained = pretrained
        self._stored = stored if config.head == "stored" else None
        self._told = told
        self.classes: tuple[str, ...] = ()
        self.course: Course | None = None
        """How the last `fit` went; None where there was nothing to learn."""

    def fit(self, cells: ad.AnnData) -> None:
        """Learn from the labelled cells of canonical `cells`; with `max_epochs=0` from none.

        Raises
        ------
        BadInput
            If no cell has a label, or one has a label that the stored head does not know.
        """
        if self.config.max_epochs:
            self.learn(self.lesson(cells))
        else:
            self._begin(cells)

    def lesson(self, cells: ad.AnnData) -> Lesson:
        """What there is to learn from cells, and which of them are kept to stop by; raises as `fit` does."""
        labels = role_values(cells, LABEL)
        rows = np.flatnonzero(is_known(labels))
        if not len(rows):
            raise BadInput(f"{LABEL!r} is missing for all training cells; fine-tuning needs labelled ones.")
        labels = labels[rows].astype(str)
        classes = np.unique(labels) if self._stored is None else np.array(self._stored.classes)
        strange = np.setdiff1d(labels, classes)
        if len(strange):
            raise BadInput(f"the stored head does not know {listed(strange)}; set head=new, or leave these cells out.")
        order = np.argsort(classes)
        codes = order[np.searchsorted(classes, labels, sorter=order)]
        groups = role_values(cells, GROUP)[rows].astype(str) if GROUP in cells.obs else None
        watched = np.zeros(len(rows), dtype=bool)
        if self.config.validation:
            watched = validation_cut(labels, groups, self._seed, self.config.validation)
        if watched.sum() < FEWEST_WATCHED:
            watched[:] = False
        return Lesson(cells, rows, codes, watched, tuple(map(str, classes)))

    def learn(self, lesson: Lesson) -> None:
        """Begin anew and learn; a single class is known without learning."""
        self.classes, self.course = lesson.classes, None
        self._begin(lesson.cells)
        if len(self.classes) > 1:
            teacher = Teacher(
                self.classifier,
                self.config,
                seed=self._seed,
                device=self._device,
                pretrained=self._pretrained,
                told=self._told,
            )
            self.course = teacher.teach(lesson)

    @property
    def hidden(self) -> int:
        """Units of the hidden layer of its head; 0: none."""
        return self.config.head_hidden if self._stored is None else self._stored.hidden

    def predict(self, cells: ad.AnnData) -> pd.DataFrame:
        """Probabilities, float64 (obs_names x classes), of canonical cells."""
        with quiet():
            network = self.classifier.to(self._device).eval()
            read, rows, lengths = network.backbone.reader(cells), np.arange(cells.n_obs), genes_of(cells)
            logits = answers(network, read, rows, lengths, self.config.batch_size, self._device)
        found = torch.softmax(logits.double(), -1).numpy()
        return pd.DataFrame(found, index=cells.obs_names.copy(), columns=pd.Index(self.classes, dtype=object))

    def _begin(self, cells: ad.AnnData) -> None:
        """A model and a head that have not learned from the cells yet."""
        config, stored = self.config, self._stored
        with seeded(self._seed):
            backbone = self._make(cells)
            if stored is None:
                head = Head(backbone.width, len(self.classes), hidden=self.hidden, dropout=config.dropout)
            else:
                self.classes = stored.classes
                head = stored.restored(backbone.width, config.dropout)
        self.classifier = CellClassifier(backbone, head)
