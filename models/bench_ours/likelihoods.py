"""How likely counts are under what the network says of them, for every rate and dispersion that float32 can hold.

A network's output for a gene is eta, the log of a rate; tau, the log of an inverse dispersion theta; zeta, the logit of
the probability of a zero that is not a count. The textbook formulas subtract large numbers that are nearly equal, and
the public ones that avoid it change the distribution instead. Here each is written so that nothing cancels, in float64
where the device has it; the derivations follow, with mu = e^eta, x = eta - tau, a = theta log(1 + mu / theta):

- Poisson and negative binomial, in the mean and dispersion form of Love, Huber, Anders (2014),
  https://doi.org/10.1186/s13059-014-0550-8. `-log P(0)` is mu or a.
- Zero-truncated, for genes chosen because they have counts: `P(k) / (1 - P(0))`, k >= 1. From
  `log(1 - e^-a) = log a - a + g(a)` with `g(a) = log(expm1(a) / a)` the terms that cancel drop out.
- Zero-inflated: Lambert (1992), https://doi.org/10.2307/1269547.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Rate = Literal["free", "lib", "offset"]

ETA = (-18.5, 14.0)
"""Log rates, 1e-8 to 1e6: fewer than any cell holds, and more."""
TAU = (-9.3, 13.9)
"""Log inverse dispersions, 1e-4 to 1e6: from there on it is all zeros, or Poisson."""
PER = 1e4
"""Counts that a rate is per, with `rate="offset"`."""

_RAISED = 4
"""What is added to theta before Stirling's series is used: at least 4 it is off by less than 1e-8."""


@dataclass(frozen=True)
class Likelihood:
    """What is needed to score one kind of prediction."""

    parameters: int
    """Outputs of the network per gene; 0 where the architecture tells (one per bin, bucket or gene)."""
    loss: Callable[[Tensor, Tensor], Tensor]
    """Outputs (..., p) and counts or classes (...) -> negative log-likelihood in nats (...)."""
    mean: Callable[[Tensor], Tensor] | None = None
    """Outputs (..., p) -> expected counts (...); None where classes are predicted."""
    truncated: bool = False
    """Only of genes with counts: k = 0 is impossible."""
    rate: bool = False
    """Whether the first output is a log rate, to which a depth may be added."""

    @property
    def counts(self) -> bool:
        """Whether it scores counts, else classes."""
        return self.mean is not None


def core_dtype(device: torch.device) -> torch.dtype:
    """What likelihoods are computed in: float64, or float32 where the device has no float64 (Apple's MPS)."""
    return torch.float32 if device.type == "mps" else torch.float64


def log_rate(y: Tensor, rate: Rate, *, present: Tensor, counts: Tensor, depth: Tensor, offset: Tensor) -> Tensor:
    """Make the first output of the gene head a log rate.

    Parameters
    ----------
    y
        Float (B, L), as the network gives it.
    rate
        `free`: as it is; where the target is the rest of a split cell (`mcv`), it is the rate of the part that is
        seen, and `offset` leads to that of the rest. `lib`: log of the share of the counts of the genes that are
        present, as in scPRINT (https://doi.org/10.1038/s41467-025-58699-1), times how many these are. `offset`: per
        10,000 counts of the whole cell. These two know the target's depth, a split included.
    present
        Bool (B, L), the genes among which shares are.
    counts
        Float (B, L) to be predicted.
    depth
        Float (B,) counts of the whole cell to be predicted.
    offset
        Float (B,), `Targets.offset`.

    Returns
    -------
    eta (B, L), finite; of no meaning where not present.
    """
    least = math.exp(ETA[0])  # of a cell without counts, whose logarithm has to be finite
    if rate == "lib":
        total = torch.where(present, counts, 0).sum(-1, keepdim=True)
        return total.clamp(min=least).log() + F.log_softmax(y.masked_fill(~present, -1e30), dim=-1)
    return y + (offset if rate == "free" else (depth.clamp(min=least) / PER).log())[:, None]


def poisson(eta: Tensor, k: Tensor) -> Tensor:
    """Negative log-likelihood of counts k >= 0 at log rate eta, `-log(e^-mu mu^k / k!)`; shapes broadcast."""
    eta = _within(eta, ETA)
    return eta.exp() - k * eta + torch.lgamma(k + 1)


def truncated_poisson(eta: Tensor, k: Tensor) -> Tensor:
    """That of counts k >= 1, none of them 0: `g(mu) - (k - 1) eta + log k!`, with gradient `mean - k`."""
    eta = _within(eta, ETA)
    return _log_expm1_ratio(eta.exp()) - (k - 1) * eta + torch.lgamma(k + 1)


def negative_binomial(eta: Tensor, tau: Tensor, k: Tensor) -> Tensor:
    """That of counts k >= 0 with mean e^eta and variance mu + mu^2 / theta, theta = e^tau."""
    eta, tau = _within(eta, ETA), _within(tau, TAU)
    return _negative_binomial(eta, tau, k)


def truncated_negative_binomial(eta: Tensor, tau: Tensor, k: Tensor) -> Tensor:
    """That of counts k >= 1, none of them 0; eta and tau are those before truncation.

    In `NB + log(1 - e^-a)` the a = theta softplus(x) of both drops out, and
    `log a - k eta = log softplus(x) - x - (k - 1) eta`.
    """
    eta, tau = _within(eta, ETA), _within(tau, TAU)
    x = eta - tau
    above_zero = _log_expm1_ratio(_zero_cost(eta, tau)) + _log_softplus_ratio(x)
    return torch.lgamma(k + 1) - (k - 1) * eta + k * _softplus(x) - _log_rising(k, tau) + above_zero


def zero_inflated_negative_binomial(eta: Tensor, tau: Tensor, zeta: Tensor, k: Tensor) -> Tensor:
    """That of counts k >= 0 which with probability sigmoid(zeta) are 0 whatever the rate."""
    eta, tau = _within(eta, ETA), _within(tau, TAU)
    zero = -torch.logaddexp(zeta, -_zero_cost(eta, tau))
    return _softplus(zeta) + torch.where(k == 0, zero, _negative_binomial(eta, tau, k))


def _truncated_poisson_mean(outputs: Tensor) -> Tensor:
    """`mu / (1 - e^-mu)`: 1 where mu is small, since 0 is impossible."""
    rate = _rate(outputs)
    return rate / -torch.expm1(-rate)


def _truncated_negative_binomial_mean(outputs: Tensor) -> Tensor:
    """`mu / (1 - P(0))`."""
    eta, tau = _within(outputs[..., 0], ETA), _within(outputs[..., 1], TAU)
    return eta.exp() / -torch.expm1(-_zero_cost(eta, tau))


def _rate(outputs: Tensor) -> Tensor:
    """e^eta: the mean of the Poisson and the negative binomial, and of the counts behind inflated zeros."""
    return _within(outputs[..., 0], ETA).exp()


def _squared(outputs: Tensor, k: Tensor) -> Tensor:
    """Squared error of log(1 + k)."""
    return (outputs[..., 0] - torch.log1p(k)).square()


def _squared_mean(outputs: Tensor) -> Tensor:
    """Back from log1p; not below 0, as counts are."""
    return torch.expm1(outputs[..., 0].clamp(0, ETA[1]))


def _categorical(outputs: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of a class: bin, rank bucket or gene."""
    return F.cross_entropy(outputs.flatten(0, -2), classes.flatten(), reduction="none").view_as(classes)


def _of(function: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The function of each parameter and k as one of all parameters (..., p) and k."""
    return lambda outputs, k: function(*outputs.unbind(-1), k)


LIKELIHOODS: Mapping[str, Likelihood] = {
    "poisson": Likelihood(1, _of(poisson), _rate, rate=True),
    "ztp": Likelihood(1, _of(truncated_poisson), _truncated_poisson_mean, truncated=True, rate=True),
    "nb": Likelihood(2, _of(negative_binomial), _rate, rate=True),
    "ztnb": Likelihood(
        2, _of(truncated_negative_binomial), _truncated_negative_binomial_mean, truncated=True, rate=True
    ),
    "zinb": Likelihood(3, _of(zero_inflated_negative_binomial), _rate, rate=True),
    "mse": Likelihood(1, _squared, _squared_mean),
    "bin_ce": Likelihood(0, _categorical),
    "rank_ce": Likelihood(0, _categorical),
    "id_ce": Likelihood(0, _categorical),
}


def _negative_binomial(eta: Tensor, tau: Tensor, k: Tensor) -> Tensor:
    """`log k! - k eta - R + (k + theta) softplus(x)`, which becomes Poisson's without loss as theta grows."""
    return torch.lgamma(k + 1) - k * eta - _log_rising(k, tau) + (k + tau.exp()) * _softplus(eta - tau)


def _zero_cost(eta: Tensor, tau: Tensor) -> Tensor:
    """a = -log P(0) of the negative binomial."""
    return tau.exp() * _softplus(eta - tau)


def _log_rising(k: Tensor, tau: Tensor) -> Tensor:
    """`R = log Gamma(theta + k) - log Gamma(theta) - k log theta`, the sum of log(1 + j / theta) over j < k.

    The difference of two logarithms of Gamma has no digit left where theta is large. So theta is raised to
    t = theta + 4 by exact factors, and from there on Stirling's series are subtracted term by term:
    `t h(k / t) - log1p(k / t) / 2 + s(t + k) - s(t)` with `h(u) = (1 + u) log1p(u) - u`.
    """
    theta = tau.exp()
    t = theta + _RAISED
    u = k / t
    series = t * ((1 + u) * torch.log1p(u) - u) - torch.log1p(u) / 2 + _stirling(t + k) - _stirling(t)
    lowered = torch.stack([torch.log1p(k / (theta + j)) for j in range(_RAISED)]).sum(0)
    return series + k * torch.log1p(_RAISED / theta) - lowered


def _stirling(z: Tensor) -> Tensor:
    """What Stirling's formula leaves of log Gamma, z >= 4: https://dlmf.nist.gov/5.11.E1, four terms."""
    inverse = 1 / z
    square = inverse * inverse
    return inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))


def _log_expm1_ratio(a: Tensor) -> Tensor:
    """`g(a) = log(expm1(a) / a)`, a > 0: a / 2 where a is small, a - log a where it is large."""
    small = a < 0.5
    # each branch sees only what it is for: an unused branch that overflows would make the gradient NaN
    low, high = torch.where(small, a, 0.25), torch.where(small, 1.0, a)
    square = low * low
    series = low / 2 + square * (1 / 24 - square * (1 / 2880 - square / 181440))
    return torch.where(small, series, high + torch.log1p(-torch.exp(-high)) - torch.log(high))


def _log_softplus_ratio(x: Tensor) -> Tensor:
    """`log(softplus(x) / e^x)`: -e^x / 2 where x is small, log x - x where it is large."""
    small = x < -6
    power = torch.exp(torch.where(small, x, -7.0))
    rest = torch.where(small, 0.0, x)
    series = power * (-1 / 2 + power * (5 / 24 - power / 8))
    return torch.where(small, series, torch.log(_softplus(rest)) - rest)


def _softplus(x: Tensor) -> Tensor:
    """log(1 + e^x); torch leaves out e^-x from x = 20 on, which theta = 1e6 or k = 1e4 would show."""
    return F.softplus(x, threshold=40)


def _within(x: Tensor, bounds: tuple[float, float]) -> Tensor:
    """The nearest value in the bounds; the gradient is that at the bound, so that what has left can come back."""
    return x - (x - x.clamp(*bounds)).detach()
