"""A fine-tuning as Lightning runs it: learning rates part by part, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from bench.errors import BadOutput
from bench.training.learner import Learner
from bench.training.means import TOTAL
from bench.training.module import TrainingModule
from bench.training.optim import adamw
from bench.training.options import OptimConfig

SHARE = "share"
"""Key of an optimiser's group: its learning rate, as a share of the highest one."""
TRAINED, VALIDATED = "train", "val"
"""Names of losses."""


class FinetuneModule(TrainingModule):
    """A training whose weights do not all learn equally fast.

    Parameters
    ----------
    rates
        Weight -> its learning rate as a share of `optim.lr`; 1 for those that are not named.
    """

    def __init__(
        self, learner: Learner, optim: OptimConfig, max_steps: int, rates: Mapping[nn.Parameter, float]
    ) -> None:
        super().__init__(learner, optim, max_steps)
        self._rates = dict(rates)

    def configure_optimizers(self) -> Optimizer:
        """AdamW, weights with the same rate and decay in one group."""
        return AdamW(list(self._groups()), lr=self.optim.lr, fused=True)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Set the learning rates."""
        for group in optimizer.param_groups:
            group["lr"] = group[SHARE] * self.learning_rate

    def _groups(self) -> Iterator[dict[str, Any]]:
        for group in adamw(self, self.optim).param_groups:
            shares = [self._rates.get(weight, 1.0) for weight in group["params"]]
            for share in sorted(set(shares)):
                weights = [weight for weight, own in zip(group["params"], shares, strict=True) if own == share]
                yield {**group, "params": weights, SHARE: share}


class KeepBest(pl.Callback):
    """Looks at each epoch: keeps the weights of the lowest validation loss, and stops when that is long past.

    Without a validation it stops nothing and keeps the last weights.

    Parameters
    ----------
    patience
        Epochs without a lower loss after which it stops.
    lowest
        Validation loss of the weights it begins with, where that is known: they are kept too.
    told
        Gets number and losses of each epoch.
    """

    def __init__(
        self, patience: int, lowest: float = math.inf, told: Callable[[int, Mapping[str, float]], None] | None = None
    ) -> None:
        self._patience, self._told = patience, told
        self.history: list[dict[str, float]] = []
        """Of each epoch: `TRAINED`, and with a validation `VALIDATED`, in nats."""
        self.best, self.lowest = 0, lowest
        """The epoch with the lowest validation loss, from 1, and that loss; 0: the weights it began with."""
        self._weights: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights it begins with, where something can be compared with them."""
        if math.isfinite(self.lowest):
            self._keep(pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the losses, after the validation.

        Raises
        ------
        BadOutput
            If they are no numbers.
        """
        assert isinstance(pl_module, TrainingModule)
        found = {TRAINED: pl_module.training_means.read(pl_module.everywhere)[TOTAL]}
        validated = pl_module.means.read(pl_module.everywhere)
        found |= {VALIDATED: validated[TOTAL]} if validated else {}
        self.history.append(found)
        epoch = len(self.history)
        if not all(map(math.isfinite, found.values())):
            raise BadOutput(f"the loss is not finite after epoch {epoch} of fine-tuning; lower lr.")
        if self._told is not None:
            self._told(epoch, found)
        if found.get(VALIDATED, math.inf) < self.lowest:
            self.best, self.lowest = epoch, found[VALIDATED]
            self._keep(pl_module)
        elif self._weights and epoch - self.best >= self._patience:
            trainer.should_stop = True

    def restore(self, module: nn.Module) -> None:
        """Put the kept weights back."""
        with torch.no_grad():
            for name, tensor in _changing(module).items():
                if name in self._weights:
                    tensor.copy_(self._weights[name])

    def _keep(self, module: nn.Module) -> None:
        self._weights = {name: tensor.clone() for name, tensor in _changing(module).items()}


def _changing(module: nn.Module) -> dict[str, Tensor]:
    """Weights that learn, and buffers, which may."""
    weights = {name: weight.detach() for name, weight in module.named_parameters() if weight.requires_grad}
    return {**weights, **dict(module.named_buffers())}
