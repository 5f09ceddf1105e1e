"""What a model brings to be trained, and what it brings to be fine-tuned: the two small interfaces of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from bench.data.cells.batch import Draw
from bench.training.losses import Losses

if TYPE_CHECKING:
    import anndata as ad


class Learner(Protocol):
    """What pretraining needs of a model. An `nn.Module`, so that all it holds moves with it and is checkpointed."""

    @property
    def network(self) -> nn.Module:
        """What is saved as the trained model; losses may have modules of their own beside it."""
        ...

    def losses(self, batch: Any, step: int) -> Losses:
        """Run the network on a batch of the data module and score it; `step` is for what is warmed up."""
        ...

    def embed(self, batch: Any) -> Tensor:
        """Float (B, width) vectors of the cells of a batch in which nothing is hidden."""
        ...


class Backbone(Protocol):
    """What fine-tuning needs of a pretrained model: ours, scGPT or Geneformer alike. An `nn.Module`."""

    width: int
    """Of a cell's vector."""

    @property
    def network(self) -> nn.Module:
        """What is saved of it, with a head beside it, as the fine-tuned model."""
        ...

    def layers(self) -> Sequence[nn.Module]:
        """Parts from the one next to the data to the one next to the vector; the last ones are unfrozen first."""
        ...

    def reader(self, cells: ad.AnnData) -> Callable[[Draw], Any]:
        """What makes a batch (on the CPU) of cells, by their positions in canonical `cells`.

        It is a function of the cells and of the draw's epoch alone, not of what else is in the batch.
        """
        ...

    def embed(self, batch: Any) -> Tensor:
        """Float (B, width) vectors of the cells of a batch."""
        ...
