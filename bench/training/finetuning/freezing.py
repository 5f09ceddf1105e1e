"""Which weights of a pretrained model a fine-tuning changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from bench.errors import BadInput
from bench.wording import counted

if TYPE_CHECKING:
    from bench.training.finetuning.options import FinetuneConfig
    from bench.training.learner import Backbone


def unfreeze(backbone: Backbone, config: FinetuneConfig, *, pretrained: bool) -> dict[nn.Parameter, float]:
    """Let the weights learn that the options name, and no other; untrained ones learn faster unless told.

    Returns
    -------
    Each weight that learns -> its learning rate, as a share of the head's.

    Raises
    ------
    BadInput
        If more parts shall learn than there are.
    """
    parts, every = list(backbone.layers()), list(_module(backbone).parameters())
    if config.unfreeze == "last" and config.layers > len(parts):
        have = counted(len(parts), "part")
        raise BadInput(f"layers={config.layers}, but the model has {have}; lower it, or set unfreeze=full.")
    of_parts = [weight for part in parts[-config.layers :] for weight in part.parameters()]
    learning = set({"frozen": [], "last": of_parts, "full": every}[config.unfreeze])
    for weight in every:
        weight.requires_grad_(weight in learning)
    return dict.fromkeys((weight for weight in every if weight in learning), config.rate(pretrained=pretrained))


def keep_still(backbone: Backbone) -> None:
    """Put what does not learn into the mode of prediction: no dropout, no running means that move."""
    for module in _module(backbone).modules():
        weights = list(module.parameters())
        if weights and not any(weight.requires_grad for weight in weights):
            module.eval()


def _module(backbone: Backbone) -> nn.Module:
    """Every backbone is one; a protocol cannot say so."""
    assert isinstance(backbone, nn.Module)
    return backbone
