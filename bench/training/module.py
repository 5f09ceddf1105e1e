"""The training of any learner with Lightning: its steps, and what a step of several devices has to agree on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from bench.training.learner import Learner
from bench.training.losses import Losses
from bench.training.means import Means, values
from bench.training.optim import adamw, rate
from bench.training.options import OptimConfig


class TrainingModule(LightningModule):
    """A learner as Lightning trains it. Losses are not logged from here: see `bench.training.recorder`.

    Parameters
    ----------
    learner
        An `nn.Module` that is a `Learner`.
    max_steps
        At which the learning rate has ended its way.
    """

    def __init__(self, learner: Learner, optim: OptimConfig, max_steps: int) -> None:
        super().__init__()
        self.learner = cast(Any, learner)
        self.optim, self.max_steps = optim, max_steps
        self.training_means, self.means = Means(), Means()
        """Of training, read when a line of the log is written; of a validation or test, read at its end."""
        self.latest: tuple[tuple[str, ...], Tensor] = ((), torch.zeros(0))
        """Names and values, float64 (parts,), of the losses of the last batch of training."""
        self.gradient_norm: Tensor = torch.zeros(())
        """Length of the last gradient, before it was clipped."""

    def training_step(self, batch: Any) -> Tensor:
        """The loss of a batch, scaled so that the mean of all devices' gradients is that of all they scored."""
        losses: Losses = self.learner.losses(batch, self.global_step)
        self.training_means.add(losses)
        self.latest = tuple(losses.parts), values(losses)
        return losses.total if self.trainer.world_size == 1 else self._share(losses)

    def validation_step(self, batch: Any) -> None:
        """Add the losses of a batch to those of the validation."""
        self.means.add(self.learner.losses(batch, self.global_step))

    test_step = validation_step

    def predict_step(self, batch: Any) -> Tensor:
        """Float (B, width) vectors of the cells of a batch."""
        embedded: Tensor = self.learner.embed(batch)
        return embedded

    def on_test_epoch_end(self) -> None:
        """Tell the losses of the test cells as `test/PART`."""
        self.log_dict({f"test/{name}": mean for name, mean in self.means.read(self.everywhere).items()})

    def everywhere(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        summed = self.trainer.strategy.reduce(tensor.clone(), reduce_op="sum")
        return cast(Tensor, summed)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Have the data looked at before the weights: those of other genes or categories would only not fit."""
        data = cast(Any, self.trainer).datamodule
        state = checkpoint.get(type(data).__qualname__)
        if state is not None:
            data.load_state_dict(state)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; its rate is set before each step."""
        return adamw(self, self.optim)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Set the learning rate. No scheduler: its state would take an old way along into a longer training."""
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return rate(self.global_step, self.optim, self.max_steps)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Scale a long gradient down; keep how long it was."""
        longest = gradient_clip_val or float("inf")
        sharded = self.trainer.strategy.model
        if isinstance(sharded, FullyShardedDataParallel):
            self.gradient_norm = sharded.clip_grad_norm_(longest)
        else:
            self.gradient_norm = nn.utils.clip_grad_norm_(self.parameters(), longest)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """From page-locked memory a copy runs beside the computation of the step before."""
        if hasattr(batch, "to"):
            return batch.to(device, non_blocking=True)
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _share(self, losses: Losses) -> Tensor:
        """This device's loss, each part by its share of what all devices scored, times their number.

        Gradients are averaged over devices. With s the sum of a part's losses on a device and n how many it scored,
        the mean over devices of (s / n) * (n / sum(n)) * devices is sum(s) / sum(n).
        """
        counts = torch.stack(list(losses.counts.values())).double()
        shares = counts / self.everywhere(counts).clamp(min=1) * self.trainer.world_size
        parts = {name: part * share for (name, part), share in zip(losses.parts.items(), shares, strict=True)}
        return replace(losses, parts=parts).total
