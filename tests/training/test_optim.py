"""The way of the learning rate, and which weights decay."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bench.training.optim import adamw, rate, warmup
from bench.training.options import OptimConfig

OPTIONS = st.builds(
    OptimConfig,
    lr=st.floats(1e-6, 1),
    warmup_steps=st.integers(0, 300),
    warmup_share=st.floats(0, 1),
    schedule=st.sampled_from(["cosine", "constant"]),
    final=st.floats(0, 1),
)


@given(OPTIONS, st.integers(1, 1000))
def test_the_rate_goes_up_a_line_and_then_never_up_again(config: OptimConfig, max_steps: int) -> None:
    up, rates = warmup(config, max_steps), [rate(step, config, max_steps) for step in range(max_steps)]
    way_up, way_down = rates[:up], rates[max(up - 1, 0) :]
    assert all(r == pytest.approx(config.lr * (k + 1) / up) for k, r in enumerate(way_up))
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(way_down))
    assert all(0 <= r <= config.lr * (1 + 1e-12) for r in rates)
    if up < max_steps and config.schedule == "cosine":
        assert rates[-1] == pytest.approx(config.final * config.lr, abs=1e-12)


def test_the_rate_of_a_few_steps() -> None:
    config = OptimConfig(lr=1.0, warmup_steps=2, warmup_share=0.4, final=0.2)
    assert warmup(config, 10) == 4
    halfway = 0.2 + 0.8 * (1 + math.cos(math.pi / 2)) / 2
    expected = {0: 0.25, 3: 1.0, 6: halfway, 9: 0.2, 50: 0.2}
    assert {step: rate(step, config, 10) for step in expected} == pytest.approx(expected)


class Model(nn.Module):
    """Weights of every kind; the output is tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.norm = nn.LayerNorm(4)
        self.attention = nn.MultiheadAttention(4, 2)
        self.convolution = nn.Conv1d(4, 4, 3)
        self.hidden = nn.Linear(4, 4)
        self.mask = nn.Parameter(torch.zeros(3, 4))
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.out = nn.Linear(4, 5)
        self.out.weight = self.embedding.weight


def test_only_matrices_decay_and_tied_weights_are_changed_once() -> None:
    model = Model()
    optimizer = adamw(model, OptimConfig(weight_decay=0.5))
    names = {id(weight): name for name, weight in model.named_parameters()}
    decaying, others = optimizer.param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.5, 0)
    assert {names[id(weight)] for weight in decaying["params"]} == {
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "convolution.weight",
        "hidden.weight",
    }
    every = [names[id(weight)] for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(every) == sorted(name for name, weight in model.named_parameters() if weight.requires_grad)
    assert every.count("embedding.weight") == 1


def test_the_options_of_adamw_are_those_asked_for() -> None:
    optimizer = adamw(nn.Linear(2, 2), OptimConfig(lr=0.3, beta1=0.8, beta2=0.99, eps=1e-6))
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["fused"]) == (0.3, (0.8, 0.99), 1e-6, True)
