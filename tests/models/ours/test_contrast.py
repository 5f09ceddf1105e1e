"""Finding the other view of a cell, on one device and on several."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from bench_ours.contrast import nt_xent


def views(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two views of n cells (2n, 5), which differ a little, and of which cells they are."""
    random = torch.Generator().manual_seed(seed)
    cells = torch.randn(n, 5, generator=random)
    return torch.cat([cells, cells + 0.3 * torch.randn(n, 5, generator=random)]), torch.arange(n).repeat(2)


def test_it_is_the_published_formula() -> None:
    z, cells = views(4)
    unit = (z / z.norm(dim=1, keepdim=True)).double().numpy()
    near = np.exp(unit @ unit.T / 0.1)
    for i, loss in enumerate(nt_xent(z, cells, 0.1).tolist()):
        others = near[i].sum() - near[i, i]
        assert loss == pytest.approx(-np.log(near[i, (i + 4) % 8] / others), rel=1e-4, abs=1e-6)


def test_views_that_are_alike_are_found_and_others_are_not() -> None:
    z, cells = views(8)
    assert nt_xent(z, cells, 0.1).mean() < nt_xent(torch.cat([z[:8], z[8:].roll(1, 0)]), cells, 0.1).mean()


def test_only_directions_count_and_they_are_compared_in_float32() -> None:
    z, cells = views(4)
    assert torch.allclose(nt_xent(z * torch.rand(8, 1).add(0.5), cells, 0.1), nt_xent(z, cells, 0.1), atol=1e-5)
    assert nt_xent(z.bfloat16(), cells, 0.1).dtype == torch.float32


def test_a_cell_drawn_twice_is_not_held_against_itself() -> None:
    z, cells = views(3)
    twice = torch.cat([z[:3], z[:1], z[3:], z[3:4]])
    both = nt_xent(twice, torch.tensor([0, 1, 2, 0, 0, 1, 2, 0]), 0.1)
    assert both[0].item() == pytest.approx(nt_xent(z, cells, 0.1)[0].item(), rel=1e-5)


def test_a_cell_alone_has_nothing_to_be_told_apart_from() -> None:
    z, cells = views(1)
    z.requires_grad_(True)
    loss = nt_xent(z, cells, 0.1)
    (gradient,) = torch.autograd.grad(loss.sum(), z)
    assert loss.tolist() == [0, 0]
    assert gradient.eq(0).all()


def part(z: Tensor, rank: int, world: int) -> Tensor:
    """First and second views of the cells of one rank."""
    first, second = z.chunk(2)
    return torch.cat([first.chunk(world)[rank], second.chunk(world)[rank]])


def work(rank: int, world: int, folder: str) -> None:
    """One of several processes: loss of its own cells, and the gradient that reaches them."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    z, cells = views(6)
    own = part(z, rank, world).requires_grad_(True)
    loss = nt_xent(own, part(cells, rank, world), 0.1)
    loss.mean().backward()
    with torch.no_grad():
        alone = nt_xent(own, part(cells, rank, world), 0.1)
    torch.save((loss.detach(), own.grad, alone), f"{folder}/{rank}")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_devices_learn_what_one_would(tmp_path: Path) -> None:
    path = os.pathsep.join(sys.path)  # this file is run, as the two processes have to import nothing else of the tests
    started = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), "2", str(tmp_path)], env={**os.environ, "PYTHONPATH": path}
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    z, cells = views(6)
    z.requires_grad_(True)
    whole = nt_xent(z, cells, 0.1)
    whole.mean().backward()
    assert z.grad is not None
    for rank in range(2):
        loss, gradient, alone = torch.load(tmp_path / str(rank))
        assert torch.allclose(loss, part(whole.detach(), rank, 2), atol=1e-5)
        # data-parallel training takes the mean over ranks of gradients, which here are of the cells themselves
        assert torch.allclose(gradient / 2, part(z.grad, rank, 2), atol=1e-6)
        expected = nt_xent(part(z.detach(), rank, 2), part(cells, rank, 2), 0.1)
        assert torch.allclose(alone, expected, atol=1e-6), "validation searches a device's own cells"


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
