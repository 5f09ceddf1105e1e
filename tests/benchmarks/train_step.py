"""A training step of `ours`, in CPU seconds of one core, against this machine and against trunks of the same shape.

One step is forward, zero-truncated Poisson loss, backward, clipping and AdamW, float32, without compilation. What is
compared has the same tokens, heads, loss and optimiser, and only the trunk differs:

- `ours`: pre-norm LayerNorm, attention without an explicit softmax, SwiGLU.
- `nn.TransformerEncoder`: torch's, as scGPT uses it: post-norm LayerNorm, ReLU, hidden width 4 d.
- `BertModel`: of transformers, as Geneformer uses it, where that is installed: GELU, hidden width 4 d.

Floating-point operations are counted from the shapes: a matrix product of (m, k) and (k, n) is 2 m k n of them, and
backward is twice forward. For T tokens, of which L are genes, p outputs, and a feed-forward part of F weights a layer,

    3 * 2 * (layers * (T * (4 d^2 + F) + 2 T^2 d) + L * (d + d^2) + L * (d^2 + d p))

that is projections, attention, values and gene head. The machine's peak is the best product of two 2048 x 2048
matrices seen while the steps were measured, so that what else the machine does slows both.

    python tests/benchmarks/train_step.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from bench.data.cells.batch import Inputs
from bench_ours.config import Architecture
from bench_ours.likelihoods import LIKELIHOODS
from bench_ours.transformer import CellTransformer

GENES = 20_000
SHARE, TORCH, BERT = 0.45, 1.1, 1.0
"""Goals: of the peak, of the speed of nn.TransformerEncoder, of that of BertModel."""


@dataclass(frozen=True)
class Contestant:
    """A model that can be trained a step."""

    name: str
    model: CellTransformer
    flops: int
    """Of a step, per cell."""
    bfloat16: bool = False


class TorchTrunk(nn.Module):
    """nn.TransformerEncoder in place of our trunk."""

    def __init__(self, config: Architecture) -> None:
        super().__init__()
        shape = config.shape
        layer = nn.TransformerEncoderLayer(shape.width, shape.heads, 4 * shape.width, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, shape.layers, enable_nested_tensor=False)

    def forward(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """(B, T, d) states; every token sees all."""
        states: Tensor = self.layers(tokens)
        return states


class BertTrunk(nn.Module):
    """The BertModel of transformers in place of our trunk."""

    def __init__(self, config: Architecture) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        shape = config.shape
        bert = BertConfig(
            vocab_size=1,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=4 * shape.width,
            max_position_embeddings=4096,
            hidden_dropout_prob=0,
            attention_probs_dropout_prob=0,
        )
        self.bert = BertModel(bert, add_pooling_layer=False)

    def forward(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """(B, T, d) states; every token sees all."""
        states: Tensor = self.bert(inputs_embeds=tokens)[0]
        return states


def contestants(config: Architecture, length: int) -> list[Contestant]:
    """Ours in float32 and in bfloat16, and the others in float32."""
    gated, plain = 3 * config.shape.width * config.shape.hidden, 8 * config.shape.width**2
    found = [
        Contestant("ours", _model(config, None), flops(config, length, gated)),
        Contestant("ours, bfloat16", _model(config, None), flops(config, length, gated), bfloat16=True),
        Contestant("nn.TransformerEncoder", _model(config, TorchTrunk), flops(config, length, plain)),
    ]
    if importlib.util.find_spec("transformers"):
        found.append(Contestant("BertModel", _model(config, BertTrunk), flops(config, length, plain)))
    return found


def flops(config: Architecture, length: int, feed_forward: int) -> int:
    """Floating-point operations of a step per cell, as the module says."""
    shape, tokens = config.shape, length + 2
    d = shape.width
    trunk = shape.layers * (tokens * (4 * d * d + feed_forward) + 2 * tokens**2 * d)
    return 3 * 2 * (trunk + length * (d + d * d) + length * (d * d + d))


def batch(cells: int, length: int) -> tuple[Inputs, Tensor]:
    """Cells without padding, half of the genes hidden, and their counts (B, L)."""
    generator = torch.Generator().manual_seed(0)
    genes = torch.randint(GENES, (cells, length), generator=generator)
    counts = torch.randint(1, 20, (cells, length), generator=generator).float()
    hidden = torch.rand(cells, length, generator=generator) < 0.5
    depth = counts.sum(1)
    inputs = Inputs(genes, counts.masked_fill(hidden, 0), hidden >= 0, hidden, depth, depth, padded=False)
    return inputs, counts


def stepper(contestant: Contestant, inputs: Inputs, counts: Tensor) -> Callable[[], float]:
    """What trains one step, and tells the loss."""
    model = contestant.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    loss_of = LIKELIHOODS["ztp"].loss

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=contestant.bfloat16):
            outputs = model.decoder.expression(model(inputs).genes)
        losses = loss_of(outputs.double(), counts.double())
        loss = losses[inputs.hidden].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def measure(cells: int, length: int, repeats: int, steps: int) -> dict[str, float]:
    """Print a line per contestant and the goals; return cells per CPU second of each, and the peak in GFLOP/s.

    The contestants take turns step by step, and a ratio is the median of those of each repeat, so that what else the
    machine does slows all of them alike.
    """
    torch.manual_seed(0)
    field = contestants(Architecture(size="tiny"), length)
    inputs, counts = batch(cells, length)
    step_of = {one.name: stepper(one, inputs, counts) for one in field}
    for step in step_of.values():
        step()
    rounds, peaks = [], []
    for _ in range(repeats):
        peaks.append(gemm_peak())
        turns = [{name: _cpu_seconds(step) for name, step in step_of.items()} for _ in range(steps)]
        rounds.append({name: sum(turn[name] for turn in turns) / steps for name in step_of})
    peak = max(peaks)
    speed = {name: cells / median(taken[name] for taken in rounds) for name in step_of}
    for one in field:
        rate = speed[one.name] * one.flops / 1e9
        print(
            f"{one.name:22s} {speed[one.name]:6.1f} cells/s {one.flops / 1e9:5.2f} GFLOP/cell {rate:6.1f} GFLOP/s "
            f"{rate / peak:4.0%} of the float32 peak"
        )
    print(f"float32 peak {peak:.1f} GFLOP/s; {cells} cells, {length} genes, 1 thread; medians of {repeats}")
    goals = [f"{speed['ours'] * field[0].flops / 1e9 / peak:.0%} of the peak (goal {SHARE:.0%})"]
    for other, goal in (("nn.TransformerEncoder", TORCH), ("BertModel", BERT)):
        if other in speed:
            goals.append(f"{_ratio(rounds, 'ours', other):.2f}x {other} (goal {goal})")
    print(f"ours: {', '.join(goals)}; in bfloat16 {_ratio(rounds, 'ours, bfloat16', 'ours'):.2f}x float32")
    return {**speed, "peak": peak}


def gemm_peak(size: int = 2048) -> float:
    """GFLOP/s of a product of two square matrices."""
    left, right = torch.ones(size, size), torch.ones(size, size)
    return 2 * size**3 / _cpu_seconds(lambda: left @ right) / 1e9


def _model(config: Architecture, trunk: Callable[[Architecture], nn.Module] | None) -> CellTransformer:
    model = CellTransformer(config, GENES, 1, heads={"genes"})
    if trunk is not None:
        model.add_module("transformer", trunk(config))
    return model


def _ratio(rounds: list[dict[str, float]], one: str, other: str) -> float:
    """How many times as fast one is as the other."""
    return median(taken[other] / taken[one] for taken in rounds)


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Measure and print; the last line is the share of the peak and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--genes", type=int, default=512, help="gene tokens of a cell")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="in each repeat")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    measure(asked.cells, asked.genes, asked.repeats, asked.steps)


if __name__ == "__main__":
    main()
