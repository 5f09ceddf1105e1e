"""Two views of a cell told apart from the views of other cells: NT-Xent.

Chen, Kornblith, Norouzi, Hinton (2020), A simple framework for contrastive learning of visual representations,
https://arxiv.org/abs/2002.05709, section 2.1.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


def nt_xent(projected: Tensor, cells: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding the other view of the same cell among all views, by cosine similarity.

    While learning on several devices, the views on all of them are searched. In validation only those of a device
    are: its last batch may be smaller than others'.

    Parameters
    ----------
    projected
        Float (2n, p): the first views of n cells, then the second views in the same order; any length but 0.
    cells
        int64 (2n,), which cell each is of. A cell that was drawn twice is not held against itself.
    temperature
        By which similarities are divided.

    Returns
    -------
    float32 (2n,) in nats; 0 where there is no other cell.
    """
    n = len(projected)
    views = F.normalize(projected.float(), dim=-1)
    everyone, theirs, first = views, cells, 0
    if torch.is_grad_enabled() and dist.is_available() and dist.is_initialized():
        everyone, theirs, first = _Gathered.apply(views), _gather(cells), n * dist.get_rank()
    rows = torch.arange(n, device=views.device)
    other = first + (rows + n // 2) % n
    same = cells[:, None] == theirs
    same[rows, other] = False  # what is to be found, among other cells; the view itself stays out
    similarity = (views @ everyone.T / temperature).masked_fill(same, -torch.inf)
    return F.cross_entropy(similarity, other, reduction="none")


class _Gathered(torch.autograd.Function):
    """Tensors (n, p) of all ranks one below the other (ranks * n, p); every rank's loss reaches every rank.

    The gradient is that of the sum of all ranks' losses, so that its mean over ranks, which data-parallel training
    takes, is that of their mean: what one device with all cells would have.
    """

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        return _gather(tensor)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def _gather(tensor: Tensor) -> Tensor:
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)
