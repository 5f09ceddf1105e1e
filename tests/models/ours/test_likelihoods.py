"""Count likelihoods against the same in 60 digits, wherever a count model can be."""

from __future__ import annotations

from types import SimpleNamespace

import mpmath as mp
import numpy as np
import pytest
import torch
from torch import Tensor

from bench_ours import rules
from bench_ours.likelihoods import ETA, LIKELIHOODS, TAU, core_dtype, log_rate

COUNTED = ("poisson", "ztp", "nb", "ztnb", "zinb")


def scored(name: str, points: np.ndarray, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Our value (n,) and gradient (n, parameters) at points of the grid."""
    outputs = torch.tensor(points[:, :-1], dtype=dtype, requires_grad=True)
    loss = LIKELIHOODS[name].loss(outputs, torch.tensor(points[:, -1], dtype=dtype))
    (gradient,) = torch.autograd.grad(loss.sum(), outputs)
    return loss.detach().double().numpy(), gradient.double().numpy()


def worst(reference: SimpleNamespace, name: str, dtype: torch.dtype) -> tuple[float, float]:
    """The largest error of value and gradient over the grid."""
    points = reference.grid(name)
    values, gradients = scored(name, points, dtype)
    of_value, of_gradient = 0.0, 0.0
    for point, value, gradient in zip(points, values, gradients, strict=True):
        exact, slopes = reference.of[name](*map(mp.mpf, point[:-1]), int(point[-1]))
        of_value = max(of_value, reference.error(value, exact))
        of_gradient = max(of_gradient, *map(reference.error, gradient, slopes))
    return of_value, of_gradient


@pytest.mark.parametrize("name", COUNTED)
def test_value_and_gradient_are_right_to_five_digits_on_the_whole_grid(reference: SimpleNamespace, name: str) -> None:
    assert max(worst(reference, name, torch.float64)) <= 1e-5


@pytest.mark.parametrize("name", COUNTED)
def test_without_float64_three_digits_are_left(reference: SimpleNamespace, name: str) -> None:
    """On Apple's MPS: what is lost is lost where k is 10,000, in log k! already."""
    assert max(worst(reference, name, torch.float32)) <= 5e-3


@pytest.mark.parametrize("k", [0, 1, 7])
@pytest.mark.parametrize("name", COUNTED)
def test_the_reference_has_the_gradient_of_its_value(reference: SimpleNamespace, name: str, k: int) -> None:
    k = max(k, LIKELIHOODS[name].truncated)
    point = [mp.mpf(p) for p in (0.5, -1.25, 0.75)][: LIKELIHOODS[name].parameters]
    for i, slope in enumerate(reference.of[name](*point, k)[1]):

        def value(moved: mp.mpf, i: int = i) -> mp.mpf:
            return reference.of[name](*[*point[:i], moved, *point[i + 1 :]], k)[0]

        assert abs(mp.diff(value, point[i], h=mp.mpf(10) ** -20) - slope) < 1e-12


def test_float64_is_used_where_there_is_any() -> None:
    assert core_dtype(torch.device("cpu")) == core_dtype(torch.device("cuda", 1)) == torch.float64
    assert core_dtype(torch.device("mps")) == torch.float32


@pytest.mark.parametrize("name", COUNTED)
def test_outside_the_useful_range_the_loss_is_finite_and_still_leads_back(name: str) -> None:
    """A clamp alone has no gradient there: a gene that went beyond would be lost for good."""
    far = torch.full((2, LIKELIHOODS[name].parameters), 60.0, dtype=torch.float64)
    far[1] = -200.0
    far.requires_grad_(True)
    loss = LIKELIHOODS[name].loss(far, torch.tensor([3.0, 3.0], dtype=torch.float64))
    (gradient,) = torch.autograd.grad(loss.sum(), far)
    assert loss.isfinite().all()
    assert gradient.isfinite().all()
    assert gradient[0, 0] > 0
    assert gradient[1, 0] < 0


def test_the_rules_of_what_goes_together_know_what_each_likelihood_is_of() -> None:
    assert {name for name, likelihood in LIKELIHOODS.items() if likelihood.truncated} == rules.TRUNCATED
    assert {name for name, likelihood in LIKELIHOODS.items() if likelihood.rate} == rules.COUNTS


def test_the_whole_range_of_dispersions_and_rates_is_inside() -> None:
    assert TAU[0] < np.log(1e-4) < np.log(1e6) < TAU[1]
    assert ETA[0] < np.log(1e-8) < np.log(1e6) < ETA[1]


def test_squared_error_is_of_log_counts_and_its_mean_leads_back_to_counts() -> None:
    k = torch.tensor([0.0, 1.0, 99.0])
    exact = torch.log1p(k)[:, None]
    assert LIKELIHOODS["mse"].loss(exact + 2, k).tolist() == pytest.approx([4, 4, 4])
    assert LIKELIHOODS["mse"].mean is not None
    assert LIKELIHOODS["mse"].mean(exact).tolist() == pytest.approx(k.tolist())


def test_classes_are_scored_by_cross_entropy_whatever_the_shape() -> None:
    logits, classes = torch.randn(2, 3, 5), torch.tensor([[0, 4, 2], [1, 1, 3]])
    loss = LIKELIHOODS["bin_ce"].loss(logits, classes)
    assert loss.shape == (2, 3)
    assert loss[1, 2] == pytest.approx(-logits[1, 2].log_softmax(-1)[3].item(), rel=1e-5)


class TestLogRate:
    """Four genes of one cell, the last one padding; the target has 3 + 5 + 0 counts of these and 2,000 in all."""

    y = torch.tensor([[0.2, -0.4, 1.1, 9.0]], dtype=torch.float64)
    present = torch.tensor([[True, True, True, False]])
    counts = torch.tensor([[3.0, 5.0, 0.0, 0.0]])
    depth = torch.tensor([2000.0])
    offset = torch.tensor([1.5])

    def eta(self, rate: str, **changed: Tensor) -> Tensor:
        known = {"present": self.present, "counts": self.counts, "depth": self.depth, "offset": self.offset}
        return log_rate(self.y, rate, **(known | changed))  # type: ignore[arg-type]

    def test_free_is_the_output_itself_and_the_split_of_a_cell_shifts_it(self) -> None:
        assert self.eta("free", offset=torch.zeros(1)).equal(self.y)
        assert (self.eta("free") - self.y).tolist() == [[1.5] * 4]

    def test_lib_shares_out_the_counts_of_the_genes_that_are_present(self) -> None:
        rates = self.eta("lib").exp()[0, :3]
        assert rates.sum().item() == pytest.approx(8)
        assert (rates[0] / rates[1]).item() == pytest.approx(np.exp(0.6))

    def test_offset_is_per_ten_thousand_counts_of_the_cell(self) -> None:
        assert self.eta("offset")[0, 0].item() == pytest.approx(0.2 + np.log(0.2))

    @pytest.mark.parametrize("rate", ["free", "lib", "offset"])
    def test_a_cell_without_counts_or_genes_is_finite(self, rate: str) -> None:
        empty = self.eta(
            rate, present=torch.zeros(1, 4, dtype=torch.bool), counts=torch.zeros(1, 4), depth=torch.zeros(1)
        )
        assert empty.isfinite().all()
        assert self.eta(rate, counts=torch.zeros(1, 4), depth=torch.zeros(1)).isfinite().all()
