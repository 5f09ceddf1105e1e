"""A fine-tuning as Lightning runs it: two learning rates, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Epoch:
    """One epoch that has ended."""

    number: int
    """From 1."""
    of: int
    """Epochs, at most."""
    steps: int
    """Made so far."""
    losses: Mapping[str, float]
    """`TRAINED`, and with a validation `VALIDATED`, in nats."""


Told = Callable[[Epoch], None]


class KeepBest(pl.Callback):
    """Looks at each epoch: keeps the weights of the lowest validation loss, and stops when that is long past.

    Without a validation the last epoch is the best.

    Parameters
    ----------
    patience
        Epochs without a lower loss after which it stops.
    told
        Gets each epoch.
    """

    def __init__(self, patience: int, told: Told | None = None) -> None:
        self._patience, self._told = patience, told
        self.epochs: list[Epoch] = []
        self.best: Epoch | None = None
        """The one whose weights are kept."""
        self._weights: dict[str, Tensor] = {}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop at once where the loss is no number, as all that follow would be; raises `BadOutput`."""
        if not math.isfinite(float(outputs["loss"])):
            where = f"batch {batch_idx + 1:,} of epoch {trainer.current_epoch + 1}"
            raise BadOutput(f"the loss is not finite in {where} of fine-tuning; lower lr.")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare, after the validation.

        Raises
        ------
        BadOutput
            If a loss is no number.
        """
        epoch = self._ended(trainer, pl_module)
        if not all(map(math.isfinite, epoch.losses.values())):
            raise BadOutput(f"the loss is not finite after epoch {epoch.number} of fine-tuning; lower lr.")
        self.epochs.append(epoch)
        if self._told is not None:
            self._told(epoch)
        validates = VALIDATED in epoch.losses
        if self.best is None or not validates or epoch.losses[VALIDATED] < self.best.losses[VALIDATED]:
            self.best = epoch
            self._weights = {name: tensor.clone() for name, tensor in _changing(pl_module).items()} if validates else {}
        elif epoch.number - self.best.number >= self._patience:
            trainer.should_stop = True

    def restore(self, module: nn.Module) -> None:
        """Put the kept weights back."""
        with torch.no_grad():
            for name, tensor in _changing(module).items():
                if name in self._weights:
                    tensor.copy_(self._weights[name])

    def _ended(self, trainer: pl.Trainer, module: pl.LightningModule) -> Epoch:
        assert isinstance(module, TrainingModule)
        losses = {TRAINED: module.training_means.read(module.everywhere)[TOTAL]}
        validated = module.means.read(module.everywhere)
        losses |= {VALIDATED: validated[TOTAL]} if validated else {}
        return Epoch(trainer.current_epoch + 1, trainer.max_epochs or 0, trainer.global_step, losses)


def _changing(module: nn.Module) -> dict[str, Tensor]:
    """Weights that learn, and buffers, which may."""
    weights = {name: weight.detach() for name, weight in module.named_parameters() if weight.requires_grad}
    return {**weights, **dict(module.named_buffers())}
