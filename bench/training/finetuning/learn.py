"""Learn to name cells: a head, and with it as much of a pretrained model as is asked for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from bench.data.cells.orders import Random
from bench.training import rng
from bench.training.finetuning.classifier import CellClassifier, NamingLearner
from bench.training.finetuning.examples import Examples, Learned, Watched, of_vectors
from bench.training.finetuning.forward import answers, genes_of
from bench.training.finetuning.freezing import unfreeze
from bench.training.finetuning.module import VALIDATED, Epoch, FinetuneModule, KeepBest, Told
from bench.training.options import OptimConfig, Precision, precision_on
from bench.training.quiet import quiet

if TYPE_CHECKING:
    import anndata as ad

    from bench.training.finetuning.options import FinetuneConfig

CLIP = 1.0
"""Longest gradient."""
LEAST, LEAST_FROZEN = 0.1, 1e-3
"""See `Head.standardise`. An untrained network gives all cells nearly the same vector: without the first, the loss of
one of width 32 rose to 6 nats before it fell, and ended higher."""
LIKE = 512
"""Cells, at most, of which it is looked at what their vectors are like, where these are not all needed."""


@dataclass(frozen=True)
class Lesson:
    """Cells to learn from."""

    cells: ad.AnnData
    """Canonical."""
    rows: np.ndarray
    """int64 (n,) positions of those that have a label."""
    codes: np.ndarray
    """int64 (n,) numbers of their classes."""
    watched: np.ndarray
    """bool (n,): kept to stop by; none where nothing can be spared."""
    classes: tuple[str, ...]
    """What the numbers stand for."""


@dataclass(frozen=True)
class Course:
    """How a fine-tuning went."""

    epochs: tuple[Epoch, ...]
    best: Epoch
    """Whose weights were kept."""
    cells: int
    """Shown, each time one is shown counts."""

    @property
    def steps(self) -> int:
        """Made in all."""
        return self.epochs[-1].steps

    @property
    def lowest(self) -> float | None:
        """The best validation loss, in nats; None where nothing was validated."""
        return self.best.losses.get(VALIDATED)

    @property
    def stopped_early(self) -> bool:
        """Whether there could have been more epochs."""
        return self.epochs[-1].number < self.epochs[-1].of


class Teacher:
    """Has a model and its head learn from cells, changing both in place.

    All that is random comes from `seed`: on a CPU the result is the same every time. The generators of the caller are
    left as they were. What does not change is computed once: with `unfreeze="frozen"` the vectors of all cells.

    Parameters
    ----------
    classifier
        A model, pretrained or not, and a head of its width.
    config
        How they learn.
    seed
        Of the order of cells and of dropout.
    device
        Where the work is done, `"cpu"` or `"cuda"`, maybe with a number; the classifier is moved there.
    pretrained
        Whether the model has learned anything that it could lose.
    told
        Gets each epoch as it ends.
    """

    def __init__(
        self,
        classifier: CellClassifier,
        config: FinetuneConfig,
        *,
        seed: int,
        device: str,
        pretrained: bool,
        told: Told | None = None,
    ) -> None:
        self._classifier, self._config, self._pretrained = classifier, config, pretrained
        self._seed, self._device, self._told = seed, device, told

    def teach(self, lesson: Lesson) -> Course:
        """Learn, and say how it went.

        Raises
        ------
        BadInput
            If more parts shall learn than there are.
        BadOutput
            If the loss is no number.
        """
        with quiet(), seeded(self._seed):
            rates = unfreeze(self._classifier.backbone, self._config, pretrained=self._pretrained)
            self._classifier.to(self._device).eval()
            examples = self._examples(lesson, frozen=not rates)
            network = self._classifier if rates else self._classifier.head
            learner = NamingLearner(network, self._class_weights(lesson), self._config.label_smoothing).train()
            course = self._run(learner, rates, examples[~lesson.watched], examples[lesson.watched])
            self._classifier.eval()
        return course

    def _examples(self, lesson: Lesson, *, frozen: bool) -> Examples:
        """What is read of the cells: their vectors, or what the model makes these of."""
        classifier, size = self._classifier, self._config.batch_size
        read, lengths = classifier.backbone.reader(lesson.cells), genes_of(lesson.cells)[lesson.rows]
        whole = Examples(read, lesson.rows, lesson.codes, lengths)
        if self._config.head == "stored" and not frozen:
            return whole  # what vectors are like was looked at when the head was new
        known = np.arange(len(lesson.rows)) if frozen else self._some(lesson)
        vectors = answers(classifier.backbone.embed, read, lesson.rows[known], lengths[known], size, self._device)
        if self._config.head == "new":
            own = vectors[torch.from_numpy(~lesson.watched[known])].to(self._device)
            classifier.head.standardise(own, LEAST_FROZEN if frozen else LEAST)
        return Examples(of_vectors(vectors), known, lesson.codes, lengths) if frozen else whole

    def _some(self, lesson: Lesson) -> np.ndarray:
        """A few of the cells to learn from: by them it is seen what vectors are like."""
        learned = np.flatnonzero(~lesson.watched)
        return learned[Random(len(learned), self._seed)(0, 0, min(len(learned), LIKE))]

    def _run(
        self, learner: NamingLearner, rates: Mapping[torch.nn.Parameter, float], shown: Examples, kept: Examples
    ) -> Course:
        """Learn from the one, stop by the other; the weights of the best epoch stay."""
        config = self._config
        learned = Learned(shown, config.batch_size, least=config.epoch_steps, seed=self._seed)
        watched = Watched(kept, config.batch_size) if len(kept.cells) else None
        most = config.max_epochs if watched else min(config.unwatched_epochs, config.max_epochs)
        epochs = max(1, min(most, config.max_steps // len(learned)))
        optim = OptimConfig(
            lr=config.lr, weight_decay=config.weight_decay, warmup_steps=0, warmup_share=config.warmup_share, final=0.0
        )
        module = FinetuneModule(learner, optim, epochs * len(learned), rates)
        keeper = KeepBest(config.patience, self._told)
        trainer = pl.Trainer(max_epochs=epochs, callbacks=[keeper], **_options(self._device, config.precision))
        with interruptible():
            trainer.fit(module, learned, watched)
        keeper.restore(module)
        assert keeper.best is not None
        cells = len(keeper.epochs) * learned.passes * len(shown.cells)
        return Course(tuple(keeper.epochs), keeper.best, cells)

    def _class_weights(self, lesson: Lesson) -> Tensor | None:
        """Float (classes,), of mean 1 over the cells learned from; 1 for a class without any."""
        if self._config.class_weights == "none":
            return None
        codes = lesson.codes[~lesson.watched]
        sizes = np.bincount(codes, minlength=len(lesson.classes))
        weights = np.where(sizes > 0, len(codes) / (np.count_nonzero(sizes) * np.maximum(sizes, 1)), 1.0)
        return torch.from_numpy(weights.astype(np.float32)).to(self._device)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Generators of Python, numpy and torch from a seed, and as they were afterwards."""
    before = rng.state()
    rng.seed(seed)
    try:
        yield
    finally:
        rng.restore(before)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let an interrupt from the keyboard be one: Lightning makes an exit of it, and then is deaf to the next."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)


def _options(device: str, precision: Precision) -> dict[str, Any]:
    """What is asked of Lightning: one device, no files, and weights that can be trained after a validation."""
    accelerator, _, index = device.partition(":")
    return {
        "accelerator": accelerator,
        "devices": [int(index)] if index else 1,
        "precision": precision_on(accelerator, precision),
        "gradient_clip_val": CLIP,
        "num_sanity_val_steps": 0,
        "inference_mode": False,
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "enable_progress_bar": False,
    }
