"""Every switch of `ours`: what a choice means for the data, which go together, and that those are trained."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, get_args, get_type_hints

import pytest
import torch

from bench import config
from bench.data.cells.batch import CellBatch, Draw
from bench.data.cells.collate import Collator
from bench.data.cells.dataset import CellDataset
from bench.data.cells.options import CollatorConfig, GeneChoice
from bench.data.cells.statistics import GeneStatistics
from bench.errors import BadInput
from bench_ours.config import SIZES, Architecture, Likelihood, Objective, Shape, collator, heads
from bench_ours.likelihoods import LIKELIHOODS
from bench_ours.objective import Losses, ObjectiveLoss
from bench_ours.rules import COUNTS, RULES, TRUNCATED, check
from bench_ours.transformer import CellTransformer

Pair = tuple[Architecture, Objective]
PRETEXTS: tuple[Any, ...] = get_args(get_type_hints(Objective)["pretext"])
ENCODERS: tuple[Any, ...] = get_args(get_type_hints(Architecture)["expression_encoder"])


@pytest.fixture(scope="module")
def statistics(blood: CellDataset) -> GeneStatistics:
    return GeneStatistics.of(blood)


def batch_of(pair: Pair, blood: CellDataset, statistics: GeneStatistics, cells: int = 4) -> CellBatch:
    config = collator(*pair)
    return Collator(config, len(blood.vocabulary), 0, statistics)(blood.__getitems__(Draw(torch.arange(cells).numpy())))


def trained_a_step(pair: Pair, blood: CellDataset, statistics: GeneStatistics) -> tuple[Losses, CellTransformer]:
    """The losses of a batch and the model with their gradients."""
    architecture, objective = pair
    loss = ObjectiveLoss(objective, architecture, {column: blood.categories[column] for column in architecture.labels})
    torch.manual_seed(0)
    model = CellTransformer(
        architecture,
        len(blood.vocabulary),
        loss.outputs,
        labels={column: len(names) for column, names in loss.classes.items()},
        covariates={column: len(blood.categories[column]) for column in architecture.covariates},
        gene_table=torch.randn(len(blood.vocabulary), 6) if architecture.gene_encoder == "table" else None,
        heads=heads(objective),
    )
    losses = loss(model, batch_of(pair, blood, statistics))
    losses.total.backward()
    return losses, model


def assert_learns(losses: Losses, model: CellTransformer) -> None:
    """Finite, and every weight takes part: data-parallel training waits for a gradient of each."""
    assert torch.isfinite(losses.total)
    assert sum(int(count) for count in losses.counts.values()) > 0
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
    assert any(weight.grad.abs().sum() > 0 for weight in model.transformer.parameters() if weight.grad is not None)


def refused(pair: Pair) -> str:
    """Why a combination is refused; empty where it is not."""
    try:
        check(*pair)
    except BadInput as error:
        return str(error)
    return ""


def every(genes: GeneChoice) -> list[Pair]:
    """Every pair of pretext, likelihood, choice of genes and encoder, of nano and 16 genes."""
    return [
        (
            Architecture(size="nano", expression_encoder=encoder, n_bins=5),
            Objective(pretext=pretext, likelihood=likelihood, genes=choice, length=16, generation=generation),
        )
        for pretext, likelihood, choice, encoder in product(PRETEXTS, get_args(Likelihood), (genes,), ENCODERS)
        for generation in ((0.0,) if pretext != "none" or likelihood == "id_ce" else (1.0,))
    ]


@pytest.mark.parametrize("genes", get_args(GeneChoice))
def test_whatever_is_not_refused_with_a_reason_is_trained(
    genes: GeneChoice, blood: CellDataset, statistics: GeneStatistics
) -> None:
    allowed = 0
    for pair in every(genes):
        reason = refused(pair)
        if reason:
            assert all(line.endswith(".") and len(line) < 200 for line in reason.splitlines())
        else:
            allowed += 1
            assert_learns(*trained_a_step(pair, blood, statistics))
    assert allowed >= 20


def test_the_two_sides_of_the_code_mean_the_same_by_a_count_likelihood() -> None:
    assert set(get_args(Likelihood)) == set(LIKELIHOODS)
    assert {name for name, likelihood in LIKELIHOODS.items() if likelihood.rate} == COUNTS
    assert {name for name, likelihood in LIKELIHOODS.items() if likelihood.truncated} == TRUNCATED


REFUSED: tuple[tuple[dict[str, Any], dict[str, Any], str], ...] = (
    ({"width": 30, "heads": 4}, {}, "width=30 cannot be shared out to heads=4"),
    ({"gene_residual": True}, {}, "gene_residual adds to a table"),
    ({"gene_table": "esm2.parquet"}, {}, "gene_table=esm2.parquet is of gene_encoder=table"),
    ({"attention": "generative"}, {"pretext": "mcv"}, "pretext=mcv hides none"),
    ({}, {"pretext": "none"}, "nothing is learned"),
    ({"labels": ("sex",)}, {"pretext": "none", "label_weight": 0.0}, "nothing is learned"),
    ({}, {"weight": 0.0}, "nothing is learned"),
    ({}, {"likelihood": "ztp", "pretext": "mcv"}, "which may be 0"),
    ({}, {"likelihood": "ztnb", "pretext": "denoise"}, "which may be 0"),
    ({}, {"likelihood": "ztnb", "genes": "hvg_fixed"}, "genes=hvg_fixed chooses genes without counts"),
    ({}, {"likelihood": "bin_ce"}, "expression_encoder=continuous has none; take binned"),
    ({"expression_encoder": "binned"}, {"likelihood": "rank_ce"}, "expression_encoder=binned has none; take rank"),
    ({}, {"likelihood": "id_ce", "pretext": "mcv"}, "pretext=mcv masks nothing"),
    ({}, {"likelihood": "id_ce", "genes": "all_random"}, "which are all alike"),
    ({}, {"likelihood": "id_ce", "generation": 1.0}, "set generation=0"),
    ({}, {"likelihood": "mse", "rate": "lib"}, "likelihood=mse has none; take rate=free"),
    ({"expression_encoder": "rank"}, {"genes": "nonzero_and_zeros"}, "expression_encoder=rank orders genes"),
    ({}, {"contrast": "genes", "genes": "hvg_weighted"}, "contrast=genes leaves half of the genes out"),
    ({}, {"mask_low": 0.6, "mask_high": 0.4}, "mask_low=0.6 is above mask_high=0.4"),
    ({}, {"keep_low": 0.6, "keep_high": 0.4}, "keep_low=0.6 is above keep_high=0.4"),
    ({}, {"view_low": 0.6, "view_high": 0.4}, "view_low=0.6 is above view_high=0.4"),
    ({}, {"mask_low": 0.0, "mask_high": 0.0}, "masks nothing; raise it"),
    ({}, {"pretext": "denoise", "mask_mix": True}, "mask_mix says how genes are masked"),
    ({"previous": True}, {"length": 17}, "length=17 cannot be halved"),
    ({"previous": True, "scale": "depth"}, {}, "those of the previous time point are not given"),
    ({"labels": ("sex", "sex")}, {}, "labels name column 'sex' twice"),
    ({"labels": ("sex",), "covariates": ("sex",)}, {}, "both a covariate, which is seen, and a label"),
    ({"labels": ("sex",)}, {"ontologies": ("sex",)}, "must look like column=FILE"),
    ({"labels": ("sex",)}, {"ontologies": ("sex=a.pkl",)}, "with a file .obo or .tsv"),
    ({}, {"ontologies": ("sex=a.obo",)}, "is of no label"),
    ({"labels": ("sex",)}, {"ontologies": ("sex=a.obo", "sex=b.obo")}, "has two ontologies"),
)


@pytest.mark.parametrize(("architecture", "objective", "reason"), REFUSED, ids=[reason for *_, reason in REFUSED])
def test_what_contradicts_itself_is_refused_with_the_reason(
    architecture: dict[str, Any], objective: dict[str, Any], reason: str
) -> None:
    assert reason in refused((Architecture(**architecture), Objective(**objective)))


def test_every_rule_refuses_something_above() -> None:
    pairs = [(Architecture(**architecture), Objective(**objective)) for architecture, objective, _ in REFUSED]
    for wrong, reason in RULES:
        assert any(wrong(*pair) for pair in pairs), reason


def test_every_reason_is_given_at_once() -> None:
    wrong = Architecture(gene_residual=True), Objective(pretext="mcv", likelihood="ztp", genes="all_random")
    assert len(refused(wrong).splitlines()) == 3


def test_what_is_switched_off_is_in_nobodys_way() -> None:
    classifier = Architecture(labels=("sex",)), Objective(pretext="none", likelihood="ztp", genes="all_random")
    assert not refused(classifier)


@pytest.mark.parametrize("rate", ["free", "lib", "offset"])
@pytest.mark.parametrize("pretext", PRETEXTS)
def test_every_rate_is_trained(pretext: Any, rate: Any, blood: CellDataset, statistics: GeneStatistics) -> None:
    pair = Architecture(size="nano"), Objective(pretext=pretext, rate=rate, length=16, generation=1.0)
    check(*pair)
    assert_learns(*trained_a_step(pair, blood, statistics))


@pytest.mark.parametrize("contrast", ["mcv", "binomial", "poisson", "gaussian", "genes"])
@pytest.mark.parametrize("pretext", PRETEXTS)
def test_every_contrast_is_trained(pretext: Any, contrast: Any, blood: CellDataset, statistics: GeneStatistics) -> None:
    pair = Architecture(size="nano"), Objective(pretext=pretext, contrast=contrast, length=16)
    check(*pair)
    losses, model = trained_a_step(pair, blood, statistics)
    assert_learns(losses, model)
    assert int(losses.counts["contrast"]) == 8


@pytest.mark.parametrize("noise", ["binomial", "poisson", "gaussian"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_noise_is_taken_away_with_every_encoder(
    encoder: Any, noise: Any, blood: CellDataset, statistics: GeneStatistics
) -> None:
    pair = (
        Architecture(size="nano", expression_encoder=encoder),
        Objective(pretext="denoise", noise_kind=noise, length=16),
    )
    check(*pair)
    assert_learns(*trained_a_step(pair, blood, statistics))


@pytest.mark.parametrize(
    "choices",
    [
        {"gene_encoder": "table"},
        {"gene_encoder": "table", "gene_residual": True},
        {"expression_encoder": "binned", "bins": "cell"},
        {"expression_encoder": "binned", "scale": "depth"},
        {"expression_encoder": "soft", "scale": "depth"},
        {"attention": "generative", "qk_norm": True},
        {"covariates": ("cell_type",), "depth_token": False},
        {"labels": ("cell_type",), "label_tokens": True, "label_hidden": 16, "dropout": 0.1},
    ],
    ids=str,
)
def test_every_part_of_the_architecture_is_trained(
    choices: dict[str, Any], blood: CellDataset, statistics: GeneStatistics
) -> None:
    pair = Architecture(**{"size": "nano", **choices}), Objective(length=16)
    check(*pair)
    assert_learns(*trained_a_step(pair, blood, statistics))


def test_a_size_is_width_layers_heads_and_what_is_set_goes_before_it() -> None:
    assert [Architecture(size=size).shape for size in SIZES] == [
        Shape(32, 2, 2, 64),
        Shape(128, 4, 4, 320),
        Shape(256, 6, 4, 640),
        Shape(512, 12, 8, 1344),
        Shape(1024, 24, 16, 2688),
    ]
    assert Architecture(size="tiny", width=192, layers=3).shape == Shape(192, 3, 4, 512)
    assert Architecture(size="tiny", hidden=100, heads=8).shape == Shape(128, 4, 8, 100)


def test_switches_are_read_from_a_command_line_like_any_config() -> None:
    given = config.build(Architecture, {"size": "nano", "labels": "cell_type,sex", "qk_norm": "yes"}, "model ours")
    assert given == Architecture(size="nano", labels=("cell_type", "sex"), qk_norm=True)
    with pytest.raises(BadInput, match="option 'genes' of objective: 'nonzero' is not one of nonzero_top"):
        config.build(Objective, {"genes": "nonzero"}, "objective")


@pytest.mark.parametrize(
    ("architecture", "objective", "expected"),
    [
        ({}, {}, {"expression": "counts", "corruption": "mask", "hide": "value"}),
        ({}, {"pretext": "none"}, {"corruption": "none"}),
        ({}, {"pretext": "mcv", "keep_low": 0.1, "keep_high": 0.9}, {"corruption": "mcv", "keep_low": 0.1}),
        ({}, {"pretext": "denoise", "noise_kind": "poisson"}, {"corruption": "poisson"}),
        ({}, {"likelihood": "id_ce"}, {"hide": "gene"}),
        ({}, {"likelihood": "id_ce", "pretext": "none"}, {"hide": "value"}),
        ({"expression_encoder": "rank"}, {}, {"expression": "rank"}),
        ({"expression_encoder": "binned", "n_bins": 9, "scale": "depth"}, {}, {"expression": "bins", "n_bins": 9}),
        ({"expression_encoder": "binned", "bins": "cell"}, {}, {"expression": "cell_bins"}),
        ({"expression_encoder": "soft", "bins": "cell"}, {}, {"expression": "counts"}),
        ({}, {"contrast": "mcv"}, {"view": "mcv"}),
        ({}, {"contrast": "mcv", "contrast_weight": 0.0}, {"view": "none"}),
        ({"previous": True, "labels": ("a",), "covariates": ("b",)}, {}, {"labels": ("a",), "covariates": ("b",)}),
    ],
)
def test_the_collator_makes_what_the_architecture_reads_and_the_objective_scores(
    architecture: dict[str, Any], objective: dict[str, Any], expected: dict[str, Any]
) -> None:
    made = collator(Architecture(**architecture), Objective(**objective))
    assert made == replace(made, **expected)


def test_every_switch_of_the_data_follows_from_architecture_and_objective() -> None:
    """A switch of the collator that only its default could set would be one that `ours` does not have."""
    changed = collator(
        Architecture(
            expression_encoder="rank", scale="depth", n_bins=9, previous=True, covariates=("a",), labels=("b",)
        ),
        Objective(
            likelihood="id_ce", length=20, genes="rank_top", zeros=2, mask_low=0.1, mask_high=0.2, mask_mix=True,
            score="all", keep_low=0.1, keep_high=0.2, noise=0.1, contrast="mcv", view_low=0.1, view_high=0.2,
            view_noise=0.1,
        ),
    )  # fmt: skip
    default = CollatorConfig()
    assert [name for name in vars(default) if getattr(changed, name) == getattr(default, name)] == ["corruption"]


def test_a_batch_says_whether_anything_in_it_is_padding(blood: CellDataset, statistics: GeneStatistics) -> None:
    """Attention without a mask is faster."""
    for length, padded in ((16, False), (700, True)):
        inputs = batch_of((Architecture(), Objective(length=length)), blood, statistics).inputs
        assert inputs.padded is padded
        assert bool(inputs.present.all()) is not padded


def test_heads_are_those_with_a_loss() -> None:
    assert heads(Objective()) == {"genes"}
    assert heads(Objective(pretext="none", generation=1.0, contrast="mcv")) == {"generation", "projection"}
    assert heads(Objective(weight=0.0, contrast="mcv", contrast_weight=0.0)) == set()
