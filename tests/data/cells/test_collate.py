"""A collator makes of cells what its config says, on the counts of real blood cells where counts matter."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pytest
import torch
from scipy import sparse, stats

from bench.data.cells.batch import CellBatch, Cells
from bench.data.cells.collate import Collator
from bench.data.cells.options import CollatorConfig, GeneChoice
from bench.errors import BadInput

CellsOf = Callable[..., Cells]
RARE = 1e-4
"""P-values below are taken for a wrong distribution: seeds are fixed, so that no test fails by chance."""
N_GENES = 765


@dataclass(frozen=True)
class Known:
    """What a collator asks of `GeneStatistics`, with edges a test can read: one, two, three to four, five and more."""

    medians: np.ndarray
    variance: np.ndarray

    @property
    def hvg_rank(self) -> np.ndarray:
        return np.argsort(np.argsort(-self.variance))

    def edges(self, n_bins: int, scale: str) -> np.ndarray:
        return np.log1p([1.5, 2.5, 4.5]).astype(np.float32)


@pytest.fixture(scope="module")
def dense(pbmc: sparse.csr_matrix) -> np.ndarray:
    return pbmc.toarray()


@pytest.fixture(scope="module")
def statistics(dense: np.ndarray) -> Known:
    scaled = dense / dense.sum(axis=1, keepdims=True) * 1e4
    return Known(np.array([np.median(gene[gene > 0]) for gene in scaled.T]), np.log1p(scaled).var(axis=0))


@pytest.fixture(scope="module")
def blood(pbmc: sparse.csr_matrix, cells_of: CellsOf) -> Cells:
    return cells_of(pbmc)


@pytest.fixture
def collate(blood: Cells, statistics: Known) -> Callable[..., CellBatch]:
    """The blood cells, collated: `collate(length=..., genes=..., seed=0)`."""

    def make(cells: Cells = blood, seed: int = 0, **options: object) -> CellBatch:
        return Collator(CollatorConfig(**options), N_GENES, seed, statistics)(cells)

    return make


def counts_at(dense: np.ndarray, batch: CellBatch) -> np.ndarray:
    """The counts (B, L) that cells have of the genes of a batch, 0 where it has none."""
    return np.take_along_axis(dense, batch.targets.genes.numpy(), axis=1) * batch.inputs.present.numpy()


def test_a_batch_is_shaped_and_typed_as_promised(blood: Cells, collate: Callable[..., CellBatch]) -> None:
    n = len(blood)
    codes = {"donor": np.arange(n) % 3 - 1, "cell_type": np.arange(n) % 5}
    batch = collate(replace(blood, codes=codes), length=64, covariates=("donor",), labels=("cell_type",))
    dtypes = {"genes": torch.int64, "values": torch.float32, "present": torch.bool, "hidden": torch.bool}
    for name, dtype in {**dtypes, "counts": torch.float32, "classes": torch.int64, "scored": torch.bool}.items():
        for part in (batch.inputs, batch.targets):
            tensor = getattr(part, name, torch.empty(n, 64, dtype=dtype))
            assert (tensor.shape, tensor.dtype) == ((n, 64), dtype), name
    for tensor in (batch.inputs.depth, batch.inputs.target_depth, batch.targets.offset):
        assert (tensor.shape, tensor.dtype) == ((n,), torch.float32)
    assert batch.inputs.segments is None
    assert batch.cells.tolist() == list(range(n))
    assert batch.inputs.covariates["donor"].tolist() == codes["donor"].tolist()
    assert set(batch.inputs.covariates) == {"donor"}
    assert batch.targets.labels["cell_type"].tolist() == codes["cell_type"].tolist()


@pytest.mark.parametrize("genes", get_args(GeneChoice))
def test_counts_are_those_of_the_store(
    genes: str, dense: np.ndarray, collate: Callable[..., CellBatch], blood: Cells
) -> None:
    batch = collate(genes=genes, length=200, corruption="none")
    assert np.array_equal(batch.targets.counts.numpy(), counts_at(dense, batch))
    assert torch.equal(batch.inputs.values, batch.targets.counts)
    assert torch.equal(batch.inputs.genes, batch.targets.genes)
    assert np.array_equal(batch.inputs.depth.numpy(), blood.totals)
    assert not batch.targets.scored.any()


def test_genes_are_chosen_as_the_name_says(
    dense: np.ndarray, statistics: Known, collate: Callable[..., CellBatch]
) -> None:
    counted = (dense > 0).sum(axis=1)
    for name in ("nonzero_random", "nonzero_top", "rank_top"):
        batch = collate(genes=name, length=100, corruption="none")
        assert np.array_equal(batch.inputs.present.sum(dim=1), np.minimum(counted, 100)), name
        assert (batch.targets.counts[batch.inputs.present] > 0).all(), name
    top, ranked = collate(genes="nonzero_top", length=20), collate(genes="rank_top", length=20)
    score = dense / statistics.medians
    for cell in range(700):
        chosen = top.targets.genes[cell].numpy()
        assert sorted(dense[cell, chosen]) == sorted(np.sort(dense[cell])[-20:])
        chosen = ranked.targets.genes[cell].numpy()
        assert np.allclose(np.sort(score[cell, chosen]), np.sort(score[cell])[-20:])
    fixed = collate(genes="hvg_fixed", length=50)
    assert (np.sort(fixed.targets.genes) == np.sort(np.argsort(statistics.hvg_rank)[:50])).all()


@pytest.mark.parametrize("genes", ["all_random", "hvg_fixed", "hvg_weighted"])
def test_where_there_are_fewer_genes_than_tokens_the_rest_is_absent(
    genes: str, dense: np.ndarray, collate: Callable[..., CellBatch]
) -> None:
    batch = collate(genes=genes, length=800, corruption="none")
    assert (batch.inputs.present.sum(dim=1) == N_GENES).all()
    assert (batch.targets.counts.sum(dim=1).numpy() == dense.sum(axis=1)).all()


def repeated(cells_of: CellsOf, row: list[int], n: int = 4000) -> Cells:
    """One cell many times, each time with other random numbers."""
    return cells_of(np.tile(row, (n, 1)))


def chosen_shares(batch: CellBatch, n_genes: int) -> np.ndarray:
    """How often each gene was a token."""
    return np.bincount(batch.targets.genes[batch.inputs.present].numpy(), minlength=n_genes)


@pytest.mark.parametrize("length", [2, 5, 7])
def test_genes_with_counts_are_as_likely_as_each_other(length: int, cells_of: CellsOf) -> None:
    cells = repeated(cells_of, [3, 0, 1, 9, 0, 2, 1, 5, 7, 1])
    batch = Collator(CollatorConfig(length=length), 10)(cells)
    found = chosen_shares(batch, 10)[[0, 2, 3, 5, 6, 7, 8, 9]]
    assert found.sum() == 4000 * length
    assert stats.chisquare(found).pvalue > RARE


def test_of_equal_counts_the_top_is_chosen_at_random(cells_of: CellsOf) -> None:
    cells = repeated(cells_of, [1, 0, 2, 1, 1, 7, 2, 1, 1, 1])
    found = chosen_shares(Collator(CollatorConfig(length=5, genes="nonzero_top"), 10)(cells), 10)
    assert (found[[2, 5, 6]] == 4000).all()
    assert stats.chisquare(found[[0, 3, 4, 7, 8, 9]]).pvalue > RARE


@pytest.mark.parametrize("length", [3, 8])
def test_any_gene_is_as_likely_with_counts_or_without(length: int, cells_of: CellsOf) -> None:
    cells = repeated(cells_of, [3, 0, 1, 9, 0, 0, 1, 0, 0, 0])
    batch = Collator(CollatorConfig(length=length, genes="all_random"), 10)(cells)
    assert stats.chisquare(chosen_shares(batch, 10)).pvalue > RARE
    assert abs((batch.targets.counts == 0).float().mean().item() - 0.6) < 0.02


def test_weighted_genes_are_drawn_one_after_the_other_without_replacement(cells_of: CellsOf) -> None:
    known = Known(np.ones(7), np.array([1e-5, 1e-3, 0.1, 1.0, 10.0, 1e3, 0.0]))
    weights = np.append(np.exp(np.log10(known.variance[:-1]) / 5), 0)
    config = CollatorConfig(length=3, genes="hvg_weighted")
    batch = Collator(config, 7, statistics=known)(repeated(cells_of, [1, 0, 2, 0, 1, 0, 1], 20_000))
    found = chosen_shares(batch, 7)
    rng = np.random.default_rng(0)
    drawn = [rng.choice(7, 3, replace=False, p=weights / weights.sum()) for _ in range(20_000)]
    expected = np.bincount(np.concatenate(drawn), minlength=7)
    assert found[6] == expected[6] == 0
    assert stats.chi2_contingency(np.array([found, expected])[:, :6]).pvalue > RARE


@pytest.mark.parametrize(
    "options",
    [
        {"genes": "nonzero_top"},
        {"genes": "rank_top"},
        {"genes": "nonzero_and_zeros"},
        {"genes": "nonzero_random", "hide": "gene"},
        {"genes": "all_random", "hide": "gene"},
        {"genes": "hvg_fixed", "hide": "gene"},
        {"genes": "hvg_weighted", "hide": "gene"},
    ],
)
def test_the_place_of_a_token_tells_nothing_of_what_is_hidden(options: dict[str, str], cells_of: CellsOf) -> None:
    known = Known(np.ones(10), np.linspace(0.1, 2, 10))
    cells = repeated(cells_of, [1, 0, 2, 30, 4, 0, 0, 5, 6, 7])
    for length in (5, 10):
        batch = Collator(CollatorConfig(length=length, **options), 10, statistics=known)(cells)
        n = int(batch.inputs.present[0].sum())
        for gene in (7, 9):
            places = np.nonzero((batch.targets.genes == gene) & batch.inputs.present)[:, 1]
            assert stats.chisquare(np.bincount(places, minlength=n)).pvalue > RARE


@pytest.mark.parametrize(
    ("ratio", "length", "counted", "without"),
    [(1, 8, 4, 4), (1, 20, 5, 5), (0, 8, 5, 0), (2, 3, 1, 2), (3, 100, 5, 15)],
)
def test_zeros_come_in_their_ratio(ratio: float, length: int, counted: int, without: int, cells_of: CellsOf) -> None:
    row = [1, 2, 3, 4, 5] + [0] * 20
    config = CollatorConfig(length=length, genes="nonzero_and_zeros", zeros=ratio)
    batch = Collator(config, 25)(repeated(cells_of, row, 2000))
    assert ((batch.targets.counts > 0).sum(dim=1) == counted).all()
    assert (batch.inputs.present.sum(dim=1) == counted + without).all()
    found = chosen_shares(batch, 25)
    assert stats.chisquare(found[:5]).pvalue > RARE
    assert without == 0 or stats.chisquare(found[5:]).pvalue > RARE


def test_the_share_of_masked_genes_is_drawn_for_each_cell(collate: Callable[..., CellBatch]) -> None:
    batch = collate(length=100, mask_low=0.15, mask_high=0.7)
    assert torch.equal(batch.inputs.hidden, batch.targets.scored)
    shares = (batch.inputs.hidden.sum(dim=1) / batch.inputs.present.sum(dim=1)).numpy()
    whole = batch.inputs.present.all(dim=1).numpy()
    assert stats.kstest(shares[whole], "uniform", (0.15, 0.55)).pvalue > RARE
    found = batch.inputs.hidden[torch.from_numpy(whole)].sum(dim=0)
    assert stats.chisquare(found).pvalue > RARE  # wherever the token is


def test_the_smallest_share_masks_one_gene_and_none_masks_none(cells_of: CellsOf) -> None:
    cells = repeated(cells_of, [3, 0, 1], 10)
    assert (Collator(CollatorConfig(mask_low=0.01, mask_high=0.01), 3)(cells).inputs.hidden.sum(dim=1) == 1).all()
    assert not Collator(CollatorConfig(mask_low=0, mask_high=0), 3)(cells).targets.scored.any()
    assert (Collator(CollatorConfig(mask_low=1, mask_high=1), 3)(cells).inputs.hidden.sum(dim=1) == 2).all()


@pytest.mark.parametrize("hide", ["value", "gene"])
def test_of_masked_tokens_eight_in_ten_are_hidden_one_replaced_one_left(
    hide: str, dense: np.ndarray, collate: Callable[..., CellBatch]
) -> None:
    batch = collate(length=100, mask_mix=True, hide=hide)
    inputs, targets = batch.inputs, batch.targets
    seen, known = (inputs.values, targets.counts) if hide == "value" else (inputs.genes, targets.genes)
    n = int(targets.scored.sum())
    hidden, changed = int(inputs.hidden.sum()), int((seen != known)[targets.scored & ~inputs.hidden].sum())
    assert stats.binomtest(hidden, n, 0.8).pvalue > RARE
    assert (seen[inputs.hidden] == 0).all()
    assert torch.equal(seen[~targets.scored], known[~targets.scored])
    if hide == "gene":
        assert stats.binomtest(changed, n, 0.1 * (1 - 1 / N_GENES)).pvalue > RARE
    assert np.array_equal(targets.counts.numpy(), counts_at(dense, batch))


def test_a_masked_value_never_reaches_the_model(cells_of: CellsOf) -> None:
    """Every gene has counts of its own: one that is masked is seen nowhere, nor as that of another gene."""
    cells = repeated(cells_of, list(range(101, 141)), 500)
    for mix in (False, True):
        batch = Collator(CollatorConfig(length=30, mask_mix=mix), 40)(cells)
        for row in range(500):
            hidden = batch.inputs.hidden[row]
            assert not np.isin(batch.inputs.values[row], batch.targets.counts[row][hidden]).any()
    batch = Collator(CollatorConfig(length=30, hide="gene", expression="counts", mask_mix=True), 40)(cells)
    assert (batch.inputs.genes[batch.inputs.hidden] == 0).all()


def test_all_tokens_are_scored_where_that_is_asked_for(collate: Callable[..., CellBatch]) -> None:
    batch = collate(length=100, score="all")
    assert torch.equal(batch.targets.scored, batch.inputs.present)
    assert not torch.equal(batch.inputs.hidden, batch.inputs.present)


def test_molecular_cross_validation_predicts_the_counts_that_are_not_seen(
    dense: np.ndarray, collate: Callable[..., CellBatch], blood: Cells
) -> None:
    totals = blood.totals + 1000  # of genes outside the vocabulary
    options = {"genes": "all_random", "length": N_GENES, "keep_low": 0.1, "keep_high": 0.9}
    batch = collate(replace(blood, totals=totals), corruption="mcv", **options)
    inputs, targets = batch.inputs, batch.targets
    assert np.array_equal((inputs.values + targets.counts).numpy(), counts_at(dense, batch))
    assert np.array_equal((inputs.depth + inputs.target_depth).numpy(), totals)
    shares = 1 / (1 + np.exp(targets.offset.numpy().astype(np.float64)))
    assert stats.kstest(shares, "uniform", (0.1, 0.8)).pvalue > RARE
    z = (inputs.depth.numpy() - shares * totals) / np.sqrt(shares * (1 - shares) * totals)
    assert stats.kstest(z, "norm").pvalue > RARE
    assert torch.equal(targets.scored, inputs.present)


@pytest.mark.parametrize("corruption", ["mcv", "binomial"])
def test_genes_are_chosen_from_what_is_seen(corruption: str, collate: Callable[..., CellBatch]) -> None:
    batch = collate(length=N_GENES, corruption=corruption, keep_low=0.2, keep_high=0.2)
    assert (batch.inputs.values[batch.inputs.present] > 0).all()
    if corruption == "mcv":
        assert (batch.targets.counts[batch.inputs.present] == 0).any()


@pytest.mark.parametrize("corruption", ["binomial", "poisson", "gaussian"])
def test_denoising_predicts_the_whole_cell(
    corruption: str, dense: np.ndarray, collate: Callable[..., CellBatch], blood: Cells
) -> None:
    batch = collate(length=N_GENES, genes="all_random", corruption=corruption, keep_low=0.3, keep_high=0.3, noise=0.2)
    assert np.array_equal(batch.targets.counts.numpy(), counts_at(dense, batch))
    assert np.array_equal(batch.inputs.target_depth.numpy(), blood.totals)
    assert not batch.targets.offset.any()
    assert torch.equal(batch.targets.scored, batch.inputs.present)
    kept = batch.inputs.values.sum().item() / dense.sum()
    assert abs(kept - {"binomial": 0.3, "poisson": 1, "gaussian": 1.03}[corruption]) < 0.03
    if corruption == "gaussian":
        assert torch.equal(batch.inputs.depth, batch.inputs.target_depth)
        seen = batch.inputs.values > 0
        noise = (torch.log1p(batch.inputs.values) - torch.log1p(batch.targets.counts))[seen]
        assert abs(noise.std().item() - 0.2) < 0.01
    else:
        assert np.array_equal(batch.inputs.depth, batch.inputs.values.sum(dim=1))


def test_two_views_are_stacked_with_their_labels(collate: Callable[..., CellBatch], blood: Cells) -> None:
    cells = replace(blood, codes={"donor": np.arange(700), "sex": np.arange(700) % 2})
    batch = collate(cells, view="binomial", covariates=("donor",), labels=("sex",), length=30)
    assert batch.views == 2
    assert batch.cells.tolist() == [*range(700), *range(700)]
    assert torch.equal(batch.inputs.covariates["donor"], batch.cells)
    assert torch.equal(batch.targets.labels["sex"], batch.cells % 2)
    assert collate(length=30).views == 1


def by_gene(batch: CellBatch, counts: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Counts of both views, (n, V) each."""
    found = np.zeros((len(batch.cells), N_GENES))
    np.put_along_axis(found, batch.targets.genes.numpy(), counts.numpy(), axis=1)
    return found[: len(found) // 2], found[len(found) // 2 :]


@pytest.mark.parametrize("view", ["mcv", "genes", "binomial", "poisson", "gaussian"])
def test_views_are_made_as_the_name_says(
    view: str, dense: np.ndarray, collate: Callable[..., CellBatch], blood: Cells
) -> None:
    cells = replace(blood, totals=blood.totals + 1000)
    batch = collate(
        cells, view=view, length=N_GENES, genes="all_random", corruption="none", view_low=0.75, view_high=0.75
    )
    first, second = by_gene(batch, batch.targets.counts)
    depth = batch.inputs.depth.numpy()
    expected = {"mcv": 0.5, "genes": 0.5, "binomial": 0.75}.get(view, 1) * dense.sum()
    assert abs(first.sum() / expected - 1) < 0.02
    assert abs(second.sum() / expected - 1) < 0.02
    if view in ("mcv", "genes"):
        assert np.array_equal(first + second, dense)
        assert np.array_equal(depth[:700] + depth[700:], cells.totals)
    if view == "genes":
        assert not (first * second).any()
    if view == "gaussian":
        assert np.array_equal(first, dense)
        assert not torch.equal(batch.inputs.values[:700], batch.inputs.values[700:])
        assert np.array_equal(depth, np.tile(cells.totals, 2))
    if view == "binomial":  # independent: both keep 0.75 * 0.75 of the counts of genes with one count
        ones = dense == 1
        assert abs((first * second)[ones].mean() - 0.75**2) < 0.01


def test_views_of_a_cell_have_depths_of_their_own(collate: Callable[..., CellBatch]) -> None:
    """Else a model tells cells apart by their depth, and by nothing else (Chen et al. 2020 on colour histograms)."""
    depth = collate(view="binomial", view_low=0.2, view_high=0.9, corruption="none").inputs.depth.numpy()
    first, second = np.log(depth[:700]), np.log(depth[700:])
    whole = np.log(collate(view="none", corruption="none").inputs.depth.numpy())
    shares = np.exp(np.concatenate([first - whole, second - whole]))
    assert 0.15 < shares.min() < 0.25
    assert 0.85 < shares.max() < 0.95
    assert abs(np.corrcoef(first - whole, second - whole)[0, 1]) < 0.1


def test_a_view_is_corrupted_in_turn(dense: np.ndarray, collate: Callable[..., CellBatch]) -> None:
    batch = collate(view="mcv", corruption="mcv", length=N_GENES, genes="all_random")
    first, second = by_gene(batch, batch.inputs.values + batch.targets.counts)
    assert np.array_equal(first + second, dense)
    assert abs(batch.inputs.values.sum().item() / dense.sum() - 0.5) < 0.01


def test_bins_are_those_of_the_edges(collate: Callable[..., CellBatch]) -> None:
    batch = collate(expression="bins", n_bins=4, length=200, genes="all_random")
    counts = batch.targets.counts.numpy()
    expected = np.select([counts == 0, counts == 1, counts == 2, counts <= 4], [0, 1, 2, 3], 4)
    assert np.array_equal(batch.targets.classes.numpy(), expected)
    seen = batch.inputs.values[~batch.inputs.hidden].numpy()
    assert np.array_equal(seen, expected[~batch.inputs.hidden.numpy()])


def test_bins_by_depth_are_of_counts_per_10_000(collate: Callable[..., CellBatch], blood: Cells) -> None:
    cells = replace(blood, totals=blood.totals * 20)
    batch = collate(cells, expression="bins", scale="depth", n_bins=4, corruption="mcv")
    seen = collate(cells, corruption="mcv")
    for told, counts, depth in (
        (batch.inputs.values, seen.inputs.values, batch.inputs.depth),
        (batch.targets.classes, batch.targets.counts, batch.inputs.target_depth),
    ):
        scaled = counts.numpy() * 1e4 / depth.numpy()[:, None]
        expected = np.where(scaled > 0, 1 + np.digitize(scaled, [1.5, 2.5, 4.5]), 0)
        assert len(np.unique(expected)) == 5
        assert np.array_equal(told, expected)


def test_ranks_follow_counts_over_medians(collate: Callable[..., CellBatch], statistics: Known) -> None:
    batch = collate(expression="rank", genes="rank_top", length=64, corruption="none")
    score = batch.targets.counts.numpy() / statistics.medians[batch.targets.genes.numpy()]
    for row in range(700):
        order = batch.targets.classes[row].numpy()
        assert sorted(order) == list(range(64))
        assert (np.diff(score[row][np.argsort(order)]) <= 1e-6).all()
    assert torch.equal(batch.inputs.values, batch.targets.classes.float())


@pytest.mark.parametrize("mix", [False, True])
def test_ranks_that_are_seen_leave_no_gap_for_those_that_are_hidden(
    collate: Callable[..., CellBatch], mix: bool
) -> None:
    batch = collate(expression="rank", genes="rank_top", length=64, mask_mix=mix)
    inputs, ranks = batch.inputs, batch.targets.classes
    for row in range(len(ranks)):
        left = (inputs.present & ~batch.targets.scored)[row]  # neither hidden nor replaced
        shown = (inputs.present & ~inputs.hidden)[row]
        assert set(inputs.values[row][shown].tolist()) == set(range(len(inputs.values[row][shown].unique())))
        assert torch.equal(inputs.values[row][left].argsort(), ranks[row][left].argsort())


def test_a_hidden_gene_keeps_its_rank(collate: Callable[..., CellBatch]) -> None:
    batch = collate(expression="rank", genes="rank_top", length=64, hide="gene", mask_low=0.15, mask_high=0.15)
    assert torch.equal(batch.inputs.values, batch.targets.classes.float())
    assert (batch.inputs.genes[batch.inputs.hidden] == 0).all()
    assert (batch.targets.genes[batch.inputs.hidden] != 0).any()


def test_the_previous_cell_is_context(cells_of: CellsOf, dense: np.ndarray, blood: Cells) -> None:
    before = dense[::-1] * (np.arange(700)[:, None] % 2)  # every other cell has none
    config = CollatorConfig(length=40, previous=True)
    batch = Collator(config, N_GENES)(replace(blood, previous=cells_of(before)))
    now = Collator(replace(config, previous=False, length=20), N_GENES)(blood)
    assert batch.inputs.segments is not None
    assert batch.inputs.segments.tolist() == [0] * 20 + [1] * 20
    for name in ("genes", "values", "present", "hidden"):
        assert torch.equal(getattr(batch.inputs, name)[:, :20], getattr(now.inputs, name)), name
    assert torch.equal(batch.inputs.depth, now.inputs.depth)
    assert not batch.inputs.hidden[:, 20:].any()
    assert not batch.targets.scored[:, 20:].any()
    assert not batch.inputs.present[::2, 20:].any()
    assert batch.inputs.present[1::2, 20:].all()
    assert np.array_equal(batch.inputs.values[:, 20:], counts_at(before, batch)[:, 20:])


def test_a_centroid_is_thinned_in_proportion(cells_of: CellsOf) -> None:
    before = cells_of(np.full((1, 8), 2.25))
    cells = replace(cells_of(np.full((1, 8), 3)), previous=before)
    batch = Collator(CollatorConfig(length=16, previous=True, corruption="mcv", genes="all_random"), 8)(cells)
    assert np.allclose((batch.inputs.values + batch.targets.counts)[:, 8:], 2.25)
    assert set(np.unique(batch.inputs.values[:, 8:])) <= {0.125, 1.125, 2.125}


def test_seeds_epochs_and_views_change_every_choice(blood: Cells, collate: Callable[..., CellBatch]) -> None:
    one = collate(length=50)
    assert torch.equal(one.inputs.genes, collate(length=50).inputs.genes)
    other = collate(length=50, seed=1)
    later = collate(replace(blood, keys=blood.keys + np.uint64(1)), length=50)
    views = collate(length=50, view="gaussian", view_noise=0)
    pairs = [(one.inputs, other.inputs), (one.inputs, later.inputs)]
    for a, b in pairs:
        assert (a.genes != b.genes).float().mean() > 0.5
        assert (a.hidden != b.hidden).float().mean() > 0.3
    assert (views.inputs.genes[:700] != views.inputs.genes[700:]).float().mean() > 0.5


def test_a_pickled_collator_does_the_same(blood: Cells, statistics: Known) -> None:
    config = CollatorConfig(length=50, genes="rank_top", expression="rank", hide="gene")
    collator = Collator(config, N_GENES, 3, statistics)
    copy = pickle.loads(pickle.dumps(collator))
    assert torch.equal(copy(blood).inputs.genes, collator(blood).inputs.genes)


def test_cells_without_counts_give_empty_rows(cells_of: CellsOf) -> None:
    cells = cells_of(np.zeros((3, 9)))
    for corruption in ("mask", "mcv", "poisson", "gaussian", "none"):
        for view in ("none", "mcv", "genes"):
            batch = Collator(CollatorConfig(length=4, corruption=corruption, view=view), 9)(cells)
            assert not batch.inputs.present.any()
            assert not batch.targets.scored.any()
            assert (batch.inputs.depth == 0).all()
    bins = Collator(CollatorConfig(length=4, expression="cell_bins", genes="all_random"), 9)(cells)
    assert bins.inputs.present.all()
    assert not bins.targets.classes.any()


def test_no_cells_make_an_empty_batch(cells_of: CellsOf) -> None:
    batch = Collator(CollatorConfig(length=4), 9)(cells_of(np.zeros((0, 9))))
    assert batch.inputs.genes.shape == (0, 4)


def test_what_cannot_be_done_is_refused_with_the_mend(cells_of: CellsOf, blood: Cells, statistics: Known) -> None:
    for options in ({"genes": "rank_top"}, {"genes": "hvg_fixed"}, {"genes": "hvg_weighted"}):
        with pytest.raises(BadInput, match=f"genes={options['genes']} asks for statistics of the genes"):
            Collator(CollatorConfig(**options), N_GENES)
    for expression in ("bins", "rank"):
        with pytest.raises(BadInput, match=f"expression={expression} asks for statistics"):
            Collator(CollatorConfig(expression=expression), N_GENES)
    with pytest.raises(BadInput, match="statistics are of 765 genes, the vocabulary has 800"):
        Collator(CollatorConfig(), 800, statistics=statistics)
    with pytest.raises(BadInput, match="the cells have gene 764, the vocabulary has 500"):
        Collator(CollatorConfig(), 500)(blood)
    few = cells_of(np.ones((len(blood), 9)))
    with pytest.raises(BadInput, match="the cells have gene 764, the vocabulary has 9"):
        Collator(CollatorConfig(previous=True), 9)(replace(few, previous=blood))
    with pytest.raises(BadInput, match="without column 'donor' of obs"):
        Collator(CollatorConfig(covariates=("donor",)), N_GENES)(blood)
    with pytest.raises(BadInput, match="without those of the previous time point"):
        Collator(CollatorConfig(previous=True), N_GENES)(blood)
