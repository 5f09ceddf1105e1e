"""Which weights of a pretrained model a fine-tuning changes, and how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from bench.errors import BadInput
from bench.wording import counted

if TYPE_CHECKING:
    from bench.training.finetuning.options import FinetuneConfig
    from bench.training.learner import Backbone


def unfreeze(backbone: Backbone, config: FinetuneConfig) -> dict[nn.Parameter, float]:
    """Let the weights learn that the options name, and no other.

    Returns
    -------
    Each weight that learns -> its learning rate as a share of the head's. The part next to the head has
    `layer_decay`, each part before it that much of the next one's (Howard and Ruder 2018,
    https://arxiv.org/abs/1801.06146, with 1 / 2.6; Clark et al. 2020, https://arxiv.org/abs/2003.10555, with 0.8 for
    small models); what is in no part has the rate of the first one.

    Raises
    ------
    BadInput
        If more parts shall learn than there are.
    """
    parts = list(backbone.layers())
    if config.unfreeze == "last" and config.layers > len(parts):
        have = counted(len(parts), "part")
        raise BadInput(f"layers={config.layers}, but the model has {have}; lower it, or set unfreeze=full.")
    learning = {"frozen": 0, "last": config.layers, "full": len(parts)}[config.unfreeze]
    rates: dict[nn.Parameter, float] = {}
    if config.unfreeze == "full":
        rates = dict.fromkeys(_module(backbone).parameters(), config.layer_decay ** len(parts))
    for depth, part in enumerate(reversed(parts[len(parts) - learning :]), start=1):
        rates |= dict.fromkeys(part.parameters(), config.layer_decay**depth)
    for weight in _module(backbone).parameters():
        weight.requires_grad_(weight in rates)
    return rates


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
