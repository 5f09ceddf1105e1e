"""Learn to name cells: the head first, on vectors that are computed once, then with it what else shall learn.

A head that knows nothing would pull a pretrained model about before it has learned what to ask of it: Kumar et al.
(2022), https://arxiv.org/abs/2202.10054, "linear probing, then fine-tuning".
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from bench.training import rng
from bench.training.finetuning.classifier import CellClassifier, NamingLearner
from bench.training.finetuning.examples import Examples, Learned, Watched, of_vectors
from bench.training.finetuning.forward import answers, genes_of
from bench.training.finetuning.freezing import unfreeze
from bench.training.finetuning.head import Head
from bench.training.finetuning.module import FinetuneModule, KeepBest
from bench.training.options import OptimConfig
from bench.training.quiet import quiet

if TYPE_CHECKING:
    import anndata as ad

    from bench.training.finetuning.options import FinetuneConfig
    from bench.training.learner import Backbone

CLIP = 1.0
"""Longest gradient."""


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


Part = Literal["head", "model"]


@dataclass(frozen=True)
class Epoch:
    """One epoch that has ended."""

    part: Part
    """What has learned."""
    number: int
    """From 1."""
    of: int
    """Epochs of this part, at most."""
    steps: int
    """Made so far, of this part."""
    losses: Mapping[str, float]
    """`train`, and with a validation `val`, in nats."""


Told = Callable[[Epoch], None]


@dataclass(frozen=True)
class Stage:
    """What a part has learned."""

    part: Part
    steps: int
    """Made in all."""
    epoch_steps: int
    """Of an epoch."""
    cells: int
    """Shown, each time one is shown counts."""
    history: tuple[Mapping[str, float], ...]
    """Losses of each epoch, as in `Epoch`."""
    best: int
    """The epoch whose weights were kept, from 1; 0: those it began with."""
    lowest: float | None
    """Its validation loss; None where nothing was validated."""
    patient: bool
    """Whether it stopped before its last epoch."""


class Teacher:
    """Has a model and its head learn from cells, changing both in place.

    All that is random comes from `seed`: on a CPU the result is the same every time. The generators of the caller are
    left as they were.

    Parameters
    ----------
    backbone
        Pretrained, or not.
    head
        Of its width.
    config
        How they learn.
    seed
        Of the order of cells and of dropout.
    device
        Where the work is done, `"cpu"` or `"cuda"`, maybe with a number; both are moved there.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        config: FinetuneConfig,
        *,
        seed: int,
        device: str,
        told: Told | None = None,
    ) -> None:
        self._backbone, self._head, self._config = backbone, head, config
        self._seed, self._device, self._told = seed, device, told
        self.classifier = CellClassifier(backbone, head)

    def teach(self, lesson: Lesson) -> list[Stage]:
        """Learn, and say how it went.

        Raises
        ------
        BadInput
            If more parts shall learn than there are.
        BadOutput
            If the loss is no number.
        """
        with quiet(), seeded(self._seed):
            rates = unfreeze(self._backbone, self._config)
            self.classifier.to(self._device).eval()
            read, lengths = self._backbone.reader(lesson.cells), genes_of(lesson.cells)[lesson.rows]
            vectors = answers(self._backbone.embed, read, lesson.rows, lengths, self._config.batch_size, self._device)
            if self._config.head == "new":
                self._head.standardise(vectors[torch.from_numpy(~lesson.watched)].to(self._device))
            known = Examples(of_vectors(vectors), np.arange(len(lesson.rows)), lesson.codes, lengths)
            head = self._stage("head", self._head, {}, known, lesson.watched, None)
            stages = [head]
            if rates:
                raw = replace(known, read=read, cells=lesson.rows)
                stages.append(self._stage("model", self.classifier, rates, raw, lesson.watched, head.lowest))
            self.classifier.eval()
        return stages

    def _stage(
        self,
        part: Part,
        network: nn.Module,
        rates: Mapping[nn.Parameter, float],
        examples: Examples,
        kept: np.ndarray,
        lowest: float | None,
    ) -> Stage:
        """Have a network learn from all examples but those kept to stop by; the weights of the best epoch stay."""
        config = self._config
        learned = Learned(examples[~kept], config.batch_size, least=config.epoch_steps, seed=self._seed)
        watched = Watched(examples[kept], config.batch_size) if kept.any() else None
        epochs = config.max_epochs if watched else min(config.unwatched_epochs, config.max_epochs)
        weights = self._class_weights(examples.codes[~kept])
        learner = NamingLearner(network, weights, config.label_smoothing).train()
        module = FinetuneModule(learner, _optim(config), epochs * len(learned), rates)
        keeper = KeepBest(
            config.patience, math.inf if lowest is None else lowest, self._teller(part, epochs, len(learned))
        )
        trainer = pl.Trainer(max_epochs=epochs, callbacks=[keeper], **_options(self._device))
        with interruptible():
            trainer.fit(module, learned, watched)
        keeper.restore(module)
        return Stage(
            part=part,
            steps=trainer.global_step,
            epoch_steps=len(learned),
            cells=len(keeper.history) * learned.passes * int((~kept).sum()),
            history=tuple(keeper.history),
            best=keeper.best if watched else len(keeper.history),
            lowest=keeper.lowest if watched else None,
            patient=len(keeper.history) < epochs,
        )

    def _teller(self, part: Part, epochs: int, steps: int) -> Callable[[int, Mapping[str, float]], None]:
        """Tells whoever wants to know of an epoch."""

        def tell(number: int, losses: Mapping[str, float]) -> None:
            if self._told is not None:
                self._told(Epoch(part, number, epochs, number * steps, losses))

        return tell

    def _class_weights(self, codes: np.ndarray) -> Tensor | None:
        """Float (classes,), of mean 1 over the cells learned from; 1 for a class without any."""
        if self._config.class_weights == "none":
            return None
        sizes = np.bincount(codes, minlength=self._head.classes)
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


def _optim(config: FinetuneConfig) -> OptimConfig:
    return OptimConfig(
        lr=config.lr, weight_decay=config.weight_decay, warmup_steps=0, warmup_share=config.warmup_share, final=0.0
    )


def _options(device: str) -> dict[str, Any]:
    """What every stage asks of Lightning: one device, no files."""
    accelerator, _, index = device.partition(":")
    return {
        "accelerator": accelerator,
        "devices": [int(index)] if index else 1,
        "precision": "bf16-mixed" if accelerator == "cuda" else "32-true",
        "gradient_clip_val": CLIP,
        "num_sanity_val_steps": 0,
        "logger": False,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "enable_progress_bar": False,
    }
