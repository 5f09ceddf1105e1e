"""Mistakes that published code makes in counting, each shown where it shows, and not to be made here.

The formulas are written anew after what the code does; versions: gdewael/bento-sc e63a530 (`losses.py`),
czi-ai/transcriptformer 6dd6205 (`losses.py`), scverse/scvi-tools (`distributions/_negative_binomial.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import mpmath as mp
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench_ours.likelihoods import LIKELIHOODS

TOLERANCE = 1e-5


def errors(reference: SimpleNamespace, name: str, loss: Callable, parameters: list[float], k: int) -> list[float]:
    """Error of the value, then of the gradient, each as a share of max(1, |exact|); parameters exact in float32."""
    outputs = torch.tensor(parameters, dtype=torch.float32, requires_grad=True)
    value = loss(outputs, torch.tensor(float(k)))
    (gradient,) = torch.autograd.grad(value, outputs)
    exact, slopes = reference.of[name](*(mp.mpf(p) for p in outputs.tolist()), k)
    return [reference.error(o, e) for o, e in zip([value.item(), *gradient.tolist()], [exact, *slopes], strict=True)]


def ours(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda outputs, k: LIKELIHOODS[name].loss(outputs.double(), k.double())


def test_a_zero_truncated_rate_of_1_and_more_cannot_say_that_most_counts_are_1() -> None:
    """bento-sc: rate = 1 + e^y. Its mean of a truncated Poisson is never below 1.58; ours goes down to 1."""
    mean = LIKELIHOODS["ztp"].mean
    assert mean is not None
    lowest = torch.tensor([-18.0], dtype=torch.float64)
    assert mean(torch.log(1 + lowest.exp())).item() == pytest.approx(1 / (1 - math.exp(-1)))
    assert mean(lowest).item() == pytest.approx(1)


def bento_without_the_1(outputs: Tensor, k: Tensor) -> Tensor:
    """`log(e^rate - 1 + 1e-8) - k log(rate + 1e-8) + log k!`, with which the 1 cannot just be left out."""
    rate = outputs[0].exp()
    return torch.log(torch.clamp(rate, max=10).exp() - 1 + 1e-8) - k * torch.log(rate + 1e-8) + torch.lgamma(k + 1)


def test_small_constants_do_not_make_a_truncated_poisson_safe(reference: SimpleNamespace) -> None:
    rare = [math.log(1e-8)]
    value, slope = errors(reference, "ztp", bento_without_the_1, rare, 1)
    assert value > 0.5
    assert slope > 0.4
    assert max(errors(reference, "ztp", ours("ztp"), rare, 1)) < TOLERANCE


def transcriptformer(outputs: Tensor, k: Tensor) -> Tensor:
    """`log(e^rate - 1)` taken to be `rate - softplus(-rate)`, at least 0; it is `rate + log(1 - e^-rate)`."""
    rate = outputs[0].exp() + 1e-5
    return torch.clamp(rate - F.softplus(-rate), min=0) - k * torch.log(rate) + torch.lgamma(k + 1)


def test_log_expm1_is_of_the_difference_not_the_sum(reference: SimpleNamespace) -> None:
    rare = [math.log(0.1)]
    value, slope = errors(reference, "ztp", transcriptformer, rare, 1)
    assert value > 1
    assert slope > 1
    assert max(errors(reference, "ztp", ours("ztp"), rare, 1)) < TOLERANCE


def scvi(outputs: Tensor, k: Tensor) -> Tensor:
    """Differences of logarithms of Gamma, in the float32 that the network works in."""
    mu, theta, small = outputs[0].exp(), outputs[1].exp(), 1e-8
    whole = torch.log(theta + mu + small)
    chance = theta * (torch.log(theta + small) - whole) + k * (torch.log(mu + small) - whole)
    return -(chance + torch.lgamma(k + theta) - torch.lgamma(theta) - torch.lgamma(k + 1))


def test_a_negative_binomial_near_poisson_keeps_its_digits(reference: SimpleNamespace) -> None:
    nearly_poisson = [math.log(10), math.log(1e6)]
    value, _, by_theta = errors(reference, "nb", scvi, nearly_poisson, 3)
    assert value > 0.1
    assert by_theta > 0.1
    assert max(errors(reference, "nb", ours("nb"), nearly_poisson, 3)) < TOLERANCE
