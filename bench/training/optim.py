"""How weights are changed: AdamW on two groups of them, and a learning rate that is a function of the step alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import nn
from torch.optim import AdamW

from bench.training.options import OptimConfig

MATRICES: tuple[type[nn.Module], ...] = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.MultiheadAttention)
"""Modules whose weights multiply what they are given: large ones make large outputs, so only these decay."""


def adamw(module: nn.Module, config: OptimConfig) -> AdamW:
    """AdamW (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101), fused into one pass over all weights.

    Norms, embeddings, biases and single vectors do not decay. A weight that several modules share is changed once,
    and is taken for an embedding where one of them is.
    """
    trained = dict.fromkeys(weight for weight in module.parameters() if weight.requires_grad)  # each once, in order
    decaying = set(_matrices(module)) - set(_others(module))
    groups = [
        {"params": [weight for weight in trained if weight in decaying], "weight_decay": config.weight_decay},
        {"params": [weight for weight in trained if weight not in decaying], "weight_decay": 0.0},
    ]
    betas = (config.beta1, config.beta2)
    return AdamW([group for group in groups if group["params"]], lr=config.lr, betas=betas, eps=config.eps, fused=True)


def rate(step: int, config: OptimConfig, max_steps: int) -> float:
    """Learning rate of a step, counted from 0: up a line to `lr`, then down half a cosine to `final * lr`.

    The first step has the first part of the way, the last one of the warm-up all of it, the last of all the end.
    The cosine is that of Loshchilov and Hutter (2017), https://arxiv.org/abs/1608.03983, without restarts.
    """
    up = warmup(config, max_steps)
    if step < up:
        return config.lr * (step + 1) / up
    if config.schedule == "constant":
        return config.lr
    way = min(1.0, (step + 1 - up) / max(1, max_steps - up))
    return config.lr * (config.final + (1 - config.final) * (1 + math.cos(math.pi * way)) / 2)


def warmup(config: OptimConfig, max_steps: int) -> int:
    """Steps on the way up."""
    return max(config.warmup_steps, round(config.warmup_share * max_steps))


def _matrices(module: nn.Module) -> Iterator[nn.Parameter]:
    for part in module.modules():
        if isinstance(part, MATRICES):  # by name: where weights are sharded, a matrix is a row of numbers
            yield from (weight for name, weight in part.named_parameters(recurse=False) if "bias" not in name)


def _others(module: nn.Module) -> Iterator[nn.Parameter]:
    for part in module.modules():
        if not isinstance(part, MATRICES):
            yield from part.parameters(recurse=False)
