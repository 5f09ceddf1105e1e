"""A pretrained model with a head that names cells, and what it learns by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.training.finetuning.freezing import keep_still
from bench.training.finetuning.head import PREFIX, Head
from bench.training.losses import Losses

if TYPE_CHECKING:
    from bench.training.learner import Backbone


@dataclass(frozen=True)
class Labelled:
    """Cells made ready for a model, with what they are to be named."""

    inputs: Any
    """What the model, or the head alone, reads."""
    codes: Tensor
    """int64 (B,) numbers of the classes."""
    cells: Tensor
    """int64 (B,) positions among the cells."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Labelled:
        """The same on a device."""
        inputs, codes, cells = (x.to(device, non_blocking=non_blocking) for x in (self.inputs, self.codes, self.cells))
        return Labelled(inputs, codes, cells)


class CellClassifier(nn.Module):
    """A model and its head, as one network; what does not learn stays as it is when it is trained."""

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone = cast("Any", backbone)
        self.head = head

    def forward(self, batch: Any) -> Tensor:
        """Float (B, classes) logits of a batch of the model's reader."""
        logits: Tensor = self.head(self.backbone.embed(batch))
        return logits

    def train(self, mode: bool = True) -> CellClassifier:
        """Into the mode of training, or of prediction."""
        super().train(mode)
        keep_still(self.backbone)
        return self

    def state(self) -> dict[str, Tensor]:
        """What is saved: the weights of the model under its own names, and those of the head."""
        head = {f"{PREFIX}{name}": tensor for name, tensor in self.head.state_dict().items()}
        return {**self.backbone.network.state_dict(), **head}


class NamingLearner(nn.Module):
    """Scores a network by the cross-entropy of its logits: a `bench.training.learner.Learner`.

    Parameters
    ----------
    network
        From `Labelled.inputs` to logits (B, classes).
    weights
        Float (classes,) by which the loss of a class counts, of mean 1 over training cells; None: alike.
    smoothing
        Share of each label that is spread over all classes, in training.
    """

    class_weights: Tensor | None

    def __init__(self, network: nn.Module, weights: Tensor | None = None, smoothing: float = 0.0) -> None:
        super().__init__()
        self.network, self.smoothing = network, smoothing
        self.register_buffer("class_weights", weights)

    def losses(self, batch: Labelled, step: int) -> Losses:
        """The cross-entropy, in nats; in validation without smoothing."""
        smoothing = self.smoothing if self.training else 0.0
        logits = self.network(batch.inputs).float()
        loss = F.cross_entropy(logits, batch.codes, reduction="none", label_smoothing=smoothing)
        if self.class_weights is not None:
            loss = loss * self.class_weights[batch.codes]
        count = torch.full((), len(loss), device=loss.device)
        return Losses({"label": loss.mean()}, {"label": count}, {"label": 1.0})

    def embed(self, batch: Labelled) -> Tensor:
        """Float (B, classes) logits."""
        logits: Tensor = self.network(batch.inputs)
        return logits
