"""What makes a function a likelihood, at rates and dispersions nobody chose."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench_ours.likelihoods import LIKELIHOODS

UNTIMED = settings(deadline=None, max_examples=50)
COUNTED = ("poisson", "ztp", "nb", "ztnb", "zinb")

rates = st.floats(1e-6, 50)
thetas = st.floats(1e-2, 1e5)
inflations = st.floats(-8, 8)
counts = st.integers(1, 5000)


def chances(name: str, parameters: list[float], top: int = 6000) -> tuple[Tensor, Tensor]:
    """k from 0, or 1 where truncated, and log probability of each; far enough for any theta that is drawn here."""
    k = torch.arange(int(LIKELIHOODS[name].truncated), top, dtype=torch.float64)
    outputs = torch.tensor(parameters[: LIKELIHOODS[name].parameters], dtype=torch.float64).expand(len(k), -1)
    return k, -LIKELIHOODS[name].loss(outputs, k)


@pytest.mark.parametrize("name", COUNTED)
@UNTIMED
@given(rate=rates, theta=st.floats(0.5, 1e5), zeta=inflations)
def test_probabilities_sum_to_1_and_the_mean_is_theirs(name: str, rate: float, theta: float, zeta: float) -> None:
    parameters = [math.log(rate), math.log(theta), zeta]
    k, log_chance = chances(name, parameters)
    assert log_chance.exp().sum().item() == pytest.approx(1, abs=1e-8)
    mean = LIKELIHOODS[name].mean
    assert mean is not None
    expected = mean(torch.tensor(parameters[: LIKELIHOODS[name].parameters], dtype=torch.float64)).item()
    seen = (k * log_chance.exp()).sum().item()
    assert seen == pytest.approx(expected / (1 + math.exp(zeta)) if name == "zinb" else expected, rel=1e-6)


@pytest.mark.parametrize(("truncated", "whole"), [("ztp", "poisson"), ("ztnb", "nb")])
@UNTIMED
@given(rate=rates, theta=thetas, k=counts)
def test_truncation_shares_out_what_zero_had(truncated: str, whole: str, rate: float, theta: float, k: int) -> None:
    outputs = torch.tensor([math.log(rate), math.log(theta)], dtype=torch.float64)[: LIKELIHOODS[whole].parameters]
    seen, zero = torch.tensor(float(k), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    rest = torch.log(-torch.expm1(-LIKELIHOODS[whole].loss(outputs, zero)))
    expected = LIKELIHOODS[whole].loss(outputs, seen) + rest
    assert LIKELIHOODS[truncated].loss(outputs, seen).item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-8)


@UNTIMED
@given(rate=rates, k=st.integers(0, 200))
def test_a_negative_binomial_without_overdispersion_is_poisson(rate: float, k: int) -> None:
    eta, seen = math.log(rate), torch.tensor(float(k), dtype=torch.float64)
    both = torch.tensor([eta, math.log(1e6)], dtype=torch.float64)
    expected = LIKELIHOODS["poisson"].loss(both[:1], seen).item()
    # what is left of the overdispersion, to first order in 1 / theta
    assert LIKELIHOODS["nb"].loss(both, seen).item() == pytest.approx(expected, abs=((k - rate) ** 2 + k) / 1e6 + 1e-8)


@UNTIMED
@given(rate=rates, theta=thetas, k=st.integers(0, 5000))
def test_without_inflation_nothing_is_inflated(rate: float, theta: float, k: int) -> None:
    seen = torch.tensor(float(k), dtype=torch.float64)
    outputs = torch.tensor([math.log(rate), math.log(theta), -700.0], dtype=torch.float64)
    expected = LIKELIHOODS["nb"].loss(outputs[:2], seen).item()
    assert LIKELIHOODS["zinb"].loss(outputs, seen).item() == pytest.approx(expected, rel=1e-12, abs=1e-12)


@UNTIMED
@given(rate=st.floats(1e-8, 1e6), k=counts)
def test_the_slope_of_zero_truncated_poisson_is_mean_less_count(rate: float, k: int) -> None:
    outputs = torch.tensor([math.log(rate)], dtype=torch.float64, requires_grad=True)
    likelihood = LIKELIHOODS["ztp"]
    assert likelihood.mean is not None
    (slope,) = torch.autograd.grad(likelihood.loss(outputs, torch.tensor(float(k), dtype=torch.float64)), outputs)
    assert slope.item() == pytest.approx(likelihood.mean(outputs).item() - k, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("name", COUNTED)
@settings(deadline=None, max_examples=20)
@given(rate=st.floats(1e-3, 50), theta=st.floats(0.1, 1e3), zeta=inflations, k=st.integers(0, 60))
def test_gradients_are_those_of_the_values(name: str, rate: float, theta: float, zeta: float, k: int) -> None:
    likelihood = LIKELIHOODS[name]
    parameters = [math.log(rate), math.log(theta), zeta][: likelihood.parameters]
    outputs = torch.tensor(parameters, dtype=torch.float64, requires_grad=True)
    seen = torch.tensor(float(max(k, likelihood.truncated)), dtype=torch.float64)
    loss: Callable[[Tensor], Tensor] = lambda outputs: likelihood.loss(outputs, seen)  # noqa: E731
    assert torch.autograd.gradcheck(loss, outputs, eps=1e-6, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", COUNTED)
@UNTIMED
@given(eta=st.floats(-300, 300), tau=st.floats(-300, 300), zeta=st.floats(-300, 300), k=st.integers(0, 10**6))
def test_nothing_that_a_network_says_is_not_finite(name: str, eta: float, tau: float, zeta: float, k: int) -> None:
    likelihood = LIKELIHOODS[name]
    outputs = torch.tensor([eta, tau, zeta][: likelihood.parameters], dtype=torch.float64, requires_grad=True)
    loss = likelihood.loss(outputs, torch.tensor(float(max(k, likelihood.truncated)), dtype=torch.float64))
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert loss.isfinite()
    assert gradient.isfinite().all()
