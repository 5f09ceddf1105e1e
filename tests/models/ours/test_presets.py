"""What others train, on our trunk: every preset goes together and learns from real cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.data.cells.batch import Draw
from bench.data.cells.collate import Collator
from bench.data.cells.dataset import CellDataset
from bench.data.cells.previous import EarlierCell, Lineages
from bench.data.cells.statistics import GeneStatistics
from bench_ours.config import Architecture, Objective, collator, heads
from bench_ours.objective import ObjectiveLoss
from bench_ours.presets import PRESETS, preset
from bench_ours.rules import check
from bench_ours.transformer import CellTransformer

CELLS = np.arange(24)


def fallen(architecture: Architecture, objective: Objective, dataset: CellDataset, steps: int) -> float:
    """By how much the loss of some cells is lower after training on them, as a share."""
    torch.manual_seed(0)
    statistics = GeneStatistics.of(dataset)
    loss = ObjectiveLoss(objective, architecture, dataset.categories)
    model = CellTransformer(
        architecture,
        len(dataset.vocabulary),
        loss.outputs,
        labels={column: len(names) for column, names in loss.classes.items()},
        gene_table=torch.randn(len(dataset.vocabulary), 8) if architecture.gene_encoder == "table" else None,
        heads=heads(objective),
    )
    made = Collator(collator(architecture, objective), len(dataset.vocabulary), 0, statistics)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    totals = []
    for _ in range(steps):
        losses = loss(model, made(dataset.__getitems__(Draw(CELLS))))
        losses.total.backward()
        optimizer.step()
        optimizer.zero_grad()
        totals.append(losses.total.item())
    return 1 - totals[-1] / totals[0]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_learns_from_real_cells(name: str, blood: CellDataset) -> None:
    """At the size of a test; what it reads and what it learns stay as they are."""
    chosen = preset(name)
    check(chosen.architecture, chosen.objective)
    dataset = blood
    if chosen.architecture.previous:
        # any column orders cells in time as far as this is concerned
        dataset = blood.preceded_by(EarlierCell(blood, Lineages(blood, "cell_type")))
    architecture = replace(chosen.architecture, size="nano", dropout=0.0)
    assert fallen(architecture, replace(chosen.objective, length=48), dataset, 12) > 0.02


def test_presets_differ_in_tokens_and_objective_and_not_in_the_trunk() -> None:
    assert {preset(name).architecture.shape for name in PRESETS} == {Architecture().shape}
    assert not any(preset(name).architecture.qk_norm for name in PRESETS)


def test_the_tokenisation_debate_is_between_ranks_and_bins_of_the_cell() -> None:
    """Seed of the question: does a model do better with genes in order of rank, or with binned counts?"""
    ranks, bins = preset("geneformer-like"), preset("scgpt-like")
    assert collator(ranks.architecture, ranks.objective).expression == "rank"
    assert collator(ranks.architecture, ranks.objective).hide == "gene"
    assert collator(bins.architecture, bins.objective).expression == "cell_bins"
    assert bins.architecture.attention == "generative"
