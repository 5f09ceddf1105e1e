"""What holds of a batch whatever the cells and the config: nothing hidden is seen, nothing depends on neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bench.data.cells.batch import CellBatch, Cells
from bench.data.cells.collate import Collator
from bench.data.cells.options import EXPRESSED_ONLY, CollatorConfig, Corruption, GeneChoice, View

CellsOf = Callable[..., Cells]
N_GENES = 12
FEW = settings(deadline=None, max_examples=60)


@dataclass(frozen=True)
class Known:
    """What a collator asks of `GeneStatistics`."""

    medians = np.linspace(0.5, 3, N_GENES)
    variance = np.linspace(0, 2, N_GENES)
    hvg_rank = np.arange(N_GENES)[::-1]

    def edges(self, n_bins: int, scale: str) -> np.ndarray:
        return np.linspace(0.8, 5, n_bins - 1)


@st.composite
def matrices(draw: st.DrawFn, most: int = 6) -> np.ndarray:
    """Counts of some cells, with cells and genes that have none."""
    count = st.one_of(st.just(0), st.integers(0, 4), st.integers(5, 3000))
    row = st.lists(count, min_size=N_GENES, max_size=N_GENES)
    return np.array(draw(st.lists(row, min_size=1, max_size=most)), dtype=np.float32)


@st.composite
def configs(draw: st.DrawFn, **fixed: Any) -> CollatorConfig:
    """Any config that is not refused; `fixed` holds what does not vary."""
    share = st.sampled_from([0.01, 0.15, 0.5, 0.99])
    corruption = fixed.get("corruption", draw(st.sampled_from(get_args(Corruption))))
    options = {
        "length": draw(st.integers(1, 16)),
        "genes": draw(st.sampled_from(get_args(GeneChoice))),
        "zeros": draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])),
        "expression": draw(st.sampled_from(["counts", "bins", "cell_bins", "rank"])),
        "scale": draw(st.sampled_from(["raw", "depth"])),
        "n_bins": draw(st.sampled_from([2, 5, 50])),
        "corruption": corruption,
        "view": draw(st.sampled_from(get_args(View))),
        "score": draw(st.sampled_from(["hidden", "all"])),
    }
    options["mask_low"], options["mask_high"] = sorted([draw(share), draw(share)])
    options["keep_low"], options["keep_high"] = sorted([draw(share), draw(share)])
    options["view_low"], options["view_high"] = sorted([draw(share), draw(share)])
    if corruption == "mask":
        options["mask_mix"] = draw(st.booleans())
        options["hide"] = draw(st.sampled_from(["value", "gene"]))
    options |= fixed
    options["previous"] = options["length"] % 2 == 0 and draw(st.booleans()) if "previous" not in fixed else False
    return CollatorConfig(**options)


def collated(config: CollatorConfig, cells: Cells, seed: int = 0) -> CellBatch:
    return Collator(config, N_GENES, seed, Known())(cells)


def tensors(batch: CellBatch) -> dict[str, torch.Tensor]:
    """All of a batch by name, those per row."""
    parts = {"inputs": batch.inputs, "targets": batch.targets}
    found = {f"{part}.{name}": value for part, of in parts.items() for name, value in vars(of).items()}
    found = {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}
    return {name: value for name, value in found.items() if name != "inputs.segments"} | {"cells": batch.cells}


def rows_of(cells: Cells, rows: list[int]) -> Cells:
    """Some of the cells, as a dataset hands them over when it is asked for these."""
    parts = [slice(cells.offsets[row], cells.offsets[row + 1]) for row in rows]
    return Cells(
        cells=cells.cells[rows],
        offsets=np.cumsum([0] + [part.stop - part.start for part in parts]),
        genes=np.concatenate([cells.genes[part] for part in parts]),
        counts=np.concatenate([cells.counts[part] for part in parts]),
        totals=cells.totals[rows],
        keys=cells.keys[rows],
        previous=None if cells.previous is None else rows_of(cells.previous, rows),
    )


@FEW
@given(matrices(), configs(), st.data())
def test_a_row_is_the_same_alone_and_among_others_in_any_order(
    cells_of: CellsOf, counts: np.ndarray, config: CollatorConfig, data: st.DataObject
) -> None:
    cells = replace(cells_of(counts), previous=cells_of(counts[::-1]))
    rows = data.draw(st.lists(st.integers(0, len(counts) - 1), min_size=1, max_size=4))
    whole, part = collated(config, cells), collated(config, rows_of(cells, rows))
    event(f"{config.corruption}, {config.view}")
    for name, tensor in tensors(whole).items():
        expected = torch.cat([view[rows] for view in tensor.chunk(whole.views)])
        assert torch.equal(tensors(part)[name], expected), name


@FEW
@given(matrices(), configs())
def test_tokens_are_different_genes_and_the_absent_say_nothing(
    cells_of: CellsOf, counts: np.ndarray, config: CollatorConfig
) -> None:
    cells = replace(cells_of(counts), previous=cells_of(counts[::-1]))
    batch = collated(config, cells)
    inputs, targets = batch.inputs, batch.targets
    assert inputs.genes.shape == (len(counts) * batch.views, config.length)
    assert batch.views == (1 if config.view == "none" else 2)
    for row in range(len(inputs.genes)):
        segments = np.zeros(config.length) if inputs.segments is None else inputs.segments.numpy()
        for segment in (0, 1):
            present = inputs.present[row].numpy()[segments == segment]
            assert (np.diff(present.astype(int)) <= 0).all()  # padding comes last
            known = targets.genes[row].numpy()[segments == segment][present]
            assert len(set(known)) == len(known)
    assert ((inputs.genes >= 0) & (inputs.genes < N_GENES)).all()
    for tensor in (inputs.genes, inputs.values, inputs.hidden, targets.counts, targets.classes, targets.scored):
        assert not tensor[~inputs.present].any()
    assert all(torch.isfinite(tensor).all() for tensor in tensors(batch).values())
    assert (targets.counts >= 0).all()
    assert (inputs.values >= 0).all()


@FEW
@given(matrices(), configs(corruption="mask"))
def test_masked_tokens_are_hidden_and_scored(cells_of: CellsOf, counts: np.ndarray, config: CollatorConfig) -> None:
    cells = replace(cells_of(counts), previous=cells_of(counts[::-1]))
    inputs, targets = (batch := collated(config, cells)).inputs, batch.targets
    assert not (inputs.hidden & ~targets.scored).any()
    assert not (inputs.hidden & ~inputs.present).any()
    withheld = inputs.values if config.hide == "value" else inputs.genes
    assert not withheld[inputs.hidden].any()
    now = slice(config.length // 2) if config.previous else slice(None)
    n, masked = inputs.present[:, now].sum(dim=1), targets.scored.sum(dim=1)
    if config.score == "all":
        assert torch.equal(targets.scored[:, now], inputs.present[:, now])
    else:
        assert (masked >= torch.minimum(n, torch.maximum(torch.floor(config.mask_low * n), torch.tensor(1)))).all()
        assert (masked <= torch.maximum(torch.ceil(config.mask_high * n), torch.tensor(1))).all()
    if not config.mask_mix and config.score == "hidden":
        assert torch.equal(inputs.hidden, targets.scored)


@FEW
@given(
    matrices(most=1),
    configs(corruption="mask", hide="value", view="none", previous=False, score="hidden"),
    st.sampled_from(["counts", "bins"]),
    st.sampled_from(["nonzero_random", "all_random", "nonzero_and_zeros", "hvg_fixed", "hvg_weighted"]),
    st.integers(1, 3000),
)
def test_what_the_model_sees_does_not_change_with_the_counts_of_a_hidden_gene(
    cells_of: CellsOf, counts: np.ndarray, config: CollatorConfig, expression: Any, genes: Any, other: int
) -> None:
    """All but the depth, which is told. Quantiles and ranks are those of all genes: they change in other genes."""
    config = replace(config, expression=expression, genes=genes, scale="raw")
    before = collated(config, cells_of(counts))
    for gene in before.targets.genes[0][before.inputs.hidden[0]].tolist():
        changed = counts.copy()
        changed[0, gene] = other if counts[0, gene] else 0  # a gene that is chosen for its counts keeps some
        after = collated(config, cells_of(changed))
        for name in ("genes", "values", "present", "hidden"):
            assert torch.equal(getattr(after.inputs, name), getattr(before.inputs, name))


@FEW
@given(matrices(), configs(view="none", previous=False))
def test_counts_are_the_stores(cells_of: CellsOf, counts: np.ndarray, config: CollatorConfig) -> None:
    batch = collated(config, cells_of(counts))
    present = batch.inputs.present.numpy()
    wanted = np.take_along_axis(counts, batch.targets.genes.numpy(), axis=1) * present
    if config.corruption == "mcv":
        whole = batch.targets.counts
        if config.expression == "counts":
            whole = whole + batch.inputs.values
            assert np.array_equal(whole.numpy(), wanted)
        assert np.array_equal((batch.inputs.depth + batch.inputs.target_depth).numpy(), counts.sum(axis=1))
    else:
        assert np.array_equal(batch.targets.counts.numpy(), wanted)
        assert np.array_equal(batch.inputs.target_depth.numpy(), counts.sum(axis=1))
    if config.genes in EXPRESSED_ONLY and config.corruption in ("none", "mask"):
        assert (batch.targets.counts.numpy()[present] > 0).all()
        assert (present.sum(axis=1) == np.minimum((counts > 0).sum(axis=1), config.length)).all()


@FEW
@given(matrices(), configs(genes="all_random", length=N_GENES, expression="counts", previous=False), st.integers(0, 99))
def test_views_that_share_the_counts_sum_to_them(
    cells_of: CellsOf, counts: np.ndarray, config: CollatorConfig, outside: int
) -> None:
    totals = counts.sum(axis=1) + outside
    for view in ("mcv", "genes"):
        batch = collated(replace(config, view=view), cells_of(counts, totals))
        whole = batch.targets.counts + (batch.inputs.values if config.corruption == "mcv" else 0)
        dense = np.zeros((2 * len(counts), N_GENES), dtype=np.float32)
        np.put_along_axis(dense, batch.targets.genes.numpy(), whole.numpy(), axis=1)
        assert np.array_equal(dense[: len(counts)] + dense[len(counts) :], counts)
        depth = batch.inputs.target_depth + (batch.inputs.depth if config.corruption == "mcv" else 0)
        assert np.array_equal((depth[: len(counts)] + depth[len(counts) :]).numpy(), totals)


@FEW
@given(matrices(), configs(expression="rank", previous=False))
def test_ranks_are_those_of_the_chosen_genes(cells_of: CellsOf, counts: np.ndarray, config: CollatorConfig) -> None:
    batch = collated(config, cells_of(counts))
    score = batch.targets.counts.numpy() / Known.medians[batch.targets.genes.numpy()]
    for row, present in enumerate(batch.inputs.present.numpy()):
        order = batch.targets.classes.numpy()[row][present]
        assert sorted(order) == list(range(present.sum()))
        assert (np.diff(score[row][present][np.argsort(order)]) <= 1e-4).all()


@FEW
@given(matrices(), configs(expression="cell_bins", view="none", corruption="none", previous=False))
def test_bins_of_a_cell_are_those_of_scgpt(cells_of: CellsOf, counts: np.ndarray, config: CollatorConfig) -> None:
    """`preprocess._digitize` of scGPT in numpy, of which chance decides only where edges are equal to a value."""
    batch = collated(config, cells_of(counts))
    assert torch.equal(batch.inputs.values, batch.targets.classes.float())
    for row, present in enumerate(batch.inputs.present.numpy()):
        values = batch.targets.counts.numpy()[row][present].astype(np.float64)
        found = batch.targets.classes.numpy()[row][present]
        assert (found[values == 0] == 0).all()
        if not values.any():
            continue
        own = counts[row][counts[row] > 0].astype(np.float64)
        edges = np.quantile(own, np.linspace(0, 1, config.n_bins))
        left, right = np.digitize(values, edges), np.digitize(values, edges, right=True)
        alone = (left == right) & (values > 0)
        assert (found[alone] == left[alone]).all()
        tied = (left > right) & (values > 0)
        assert (found[tied] > right[tied]).all()
        assert (found[tied] <= left[tied]).all()
        assert found.max() <= config.n_bins
