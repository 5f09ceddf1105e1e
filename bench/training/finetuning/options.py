"""What can be set about a fine-tuning; light, as it is read before a training framework is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.config import option
from bench.training.options import PRECISION, Precision

WIDEST = 2**16
"""Units of a head's hidden layer, at most."""

PRETRAINED_RATE, UNTRAINED_RATE = 0.03, 0.1
"""Learning rate of a model's own weights, as a share of the head's, unless told. What was learned in pretraining is
soon lost at a rate at which a model that begins with nothing gets anywhere."""


@dataclass(frozen=True)
class FinetuneConfig:
    """What of a pretrained model changes, and how it and its head learn."""

    unfreeze: Literal["frozen", "last", "full"] = option(
        "full", "what learns beside the head: nothing, the last `layers` parts, or everything"
    )
    layers: int = option(1, "parts that learn with unfreeze=last", low=1)
    head: Literal["new", "stored"] = option("new", "begin with a new head, or with that of a fine-tuned folder")
    head_hidden: int = option(0, "units of the hidden layer of a new head; 0: linear", low=0, high=WIDEST)
    dropout: float = option(0.1, "of the cell's vector before the head", low=0, high=0.9)
    lr: float = option(1e-2, "learning rate of the head at its highest", low=0)
    backbone_rate: float | None = option(
        None,
        "that of what learns of the model, as a share of `lr`;"
        f" unless told {PRETRAINED_RATE}, or {UNTRAINED_RATE} of an untrained one",
        low=0,
        high=1,
    )
    weight_decay: float = option(0.05, "of matrices only: no norm, no embedding, no bias", low=0)
    warmup_share: float = option(0.1, "of all steps, on the way up to `lr`; then it goes down a cosine", low=0, high=1)
    max_epochs: int = option(20, "most passes over the labelled cells; 0, with head=stored: predict as it is", low=0)
    max_steps: int = option(1500, "most steps: of many cells there are fewer epochs, but one", low=1)
    unwatched_epochs: int = option(10, "passes where no cell can be spared to stop by", low=1)
    epoch_steps: int = option(10, "least steps of an epoch: of few cells it takes several passes", low=1)
    patience: int = option(4, "epochs without a better validation loss after which it stops", low=1)
    batch_size: int = option(32, "cells per step", low=1)
    precision: Precision = option("auto", f"of learning; {PRECISION}")
    label_smoothing: float = option(0.0, "share of each label that is spread over all classes", low=0, high=0.5)
    class_weights: Literal["none", "balanced"] = option("none", "balanced: every class counts alike in the loss")
    validation: float = option(0.2, "share of labelled cells kept to stop by, whole groups; 0: none", low=0, high=0.5)

    def __post_init__(self) -> None:
        if self.max_epochs == 0 and self.head == "new":
            raise ValueError("max_epochs=0 learns nothing, and a new head knows nothing; set head=stored, or more.")

    def rate(self, *, pretrained: bool) -> float:
        """The learning rate of what learns of a model, as a share of `lr`."""
        if self.backbone_rate is not None:
            return self.backbone_rate
        return PRETRAINED_RATE if pretrained else UNTRAINED_RATE


@dataclass(frozen=True)
class LabelledData:
    """Which cells are learned from."""

    label: str = option("cell_type", "column of obs to learn; cells without a value are not learned from")
    group: str = option(
        "", "column of obs whose groups are never on two sides; empty: donor, else batch, else the file, else cells"
    )
    layer: str = option("", "where the counts are in the files; empty: found by inspection")
