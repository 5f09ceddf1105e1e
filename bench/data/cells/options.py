"""How cells are divided and made into batches: every choice a switch, those that contradict each other refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.config import option

GeneChoice = Literal[
    "nonzero_top", "nonzero_random", "all_random", "nonzero_and_zeros", "hvg_fixed", "hvg_weighted", "rank_top"
]
Corruption = Literal["none", "mask", "mcv", "binomial", "poisson", "gaussian"]
View = Literal["none", "mcv", "binomial", "poisson", "gaussian", "genes"]

EXPRESSED_ONLY: frozenset[str] = frozenset({"nonzero_top", "nonzero_random", "rank_top"})
"""Choices that hold no gene without counts: its count is at least 1."""


@dataclass(frozen=True)
class CollatorConfig:
    """What is made of a cell."""

    length: int = option(1024, "gene tokens of a cell, padding included; of both cells with `previous`", low=1)
    genes: GeneChoice = option("nonzero_random", "which genes of a cell become tokens")
    zeros: float = option(1.0, "genes without counts per gene with counts, for nonzero_and_zeros", low=0, high=100)
    expression: Literal["counts", "bins", "cell_bins", "rank"] = option(
        "counts", "a gene's value: its counts, a bin with edges of the training cells or of the cell, its rank"
    )
    scale: Literal["raw", "depth"] = option("raw", "bins are of log1p counts, or of log1p counts per 10,000")
    n_bins: int = option(50, "bins of the values above 0; bin 0 is no counts", low=2, high=1000)
    corruption: Corruption = option("mask", "what is done to the cell that the model sees")
    mask_low: float = option(0.5, "share of genes hidden by `mask`, at least", low=0, high=1)
    mask_high: float = option(0.5, "at most; drawn for each cell", low=0, high=1)
    mask_mix: bool = option(False, "of the masked 80 % hidden, 10 % replaced by another, 10 % left (BERT)")
    hide: Literal["value", "gene"] = option("value", "what a masked token withholds")
    score: Literal["hidden", "all"] = option("hidden", "tokens that enter the loss, with `mask`")
    keep_low: float = option(0.5, "share of counts kept by `mcv` and `binomial`, at least", low=0.01, high=0.99)
    keep_high: float = option(0.5, "at most; drawn for each cell", low=0.01, high=0.99)
    noise: float = option(0.5, "standard deviation of `gaussian` noise on log1p counts", low=0, high=10)
    view: View = option("none", "two views of each cell, for contrast: how they are made")
    view_low: float = option(0.2, "share of counts in a view of `binomial`, at least", low=0.01, high=0.99)
    view_high: float = option(0.9, "at most; drawn for each view", low=0.01, high=0.99)
    view_noise: float = option(0.5, "standard deviation of `gaussian` views on log1p counts", low=0, high=10)
    previous: bool = option(False, "half of the tokens are of the cell of the previous time point")
    covariates: tuple[str, ...] = option((), "columns of obs that the model sees")
    labels: tuple[str, ...] = option((), "columns of obs that the model learns to name")

    def __post_init__(self) -> None:
        for name in ("mask", "keep", "view"):
            low, high = getattr(self, f"{name}_low"), getattr(self, f"{name}_high")
            if low > high:
                raise ValueError(f"{name}_low={low} is above {name}_high={high}; swap them.")
        shared = sorted(set(self.covariates) & set(self.labels))
        if shared:
            raise ValueError(f"column {shared[0]!r} is both a covariate, which is seen, and a label; choose one.")
        if self.previous and self.length % 2:
            raise ValueError(f"length={self.length} cannot be halved between two time points; make it even.")
        if self.hide == "gene" and self.corruption != "mask":
            raise ValueError(f"hide=gene withholds masked genes, but corruption={self.corruption} masks none.")
        if self.mask_mix and self.corruption != "mask":
            raise ValueError(f"mask_mix is for corruption=mask, not for {self.corruption}.")


@dataclass(frozen=True)
class DataConfig:
    """Which cells come when."""

    batch_size: int = option(64, "cells of a batch, on each device", low=1)
    sampler: Literal["random", "block", "weighted", "bucket"] = option(
        "random",
        "order in training: at random; blocks of neighbours, for disks that seek slowly; cells of rare categories more"
        " often; cells with similar numbers of genes together",
    )
    block: int = option(128, "neighbouring cells of `block`", low=1)
    buffer: int = option(16_384, "cells that `block` mixes with each other", low=1)
    weight_by: str = option("", "column of obs of which `weighted` draws rare categories more often")
    scaler: float = option(10, "cells of a category below which `weighted` does not favour it further", low=0.001)
    workers: int = option(0, "processes that prepare batches; 0: the one that trains", low=0)
    genes: Literal["union", "shared"] = option("union", "genes of any file, or of every one")
    layer: str = option("", "where the counts are in the files; empty: found by inspection")
    time: str = option("time_point", "column of obs of time points, for `previous`")
    time_order: tuple[str, ...] = option((), "the time points from first to last; empty: sorted, numbers by size")
    lineage: tuple[str, ...] = option((), "columns of obs in which a cell and the previous one agree")
    previous: Literal["cell", "mean"] = option("cell", "a cell of the previous time point, or the mean of all")

    def __post_init__(self) -> None:
        if (self.sampler == "weighted") != bool(self.weight_by):
            raise ValueError("weight_by names a column for sampler=weighted; set both, or none.")


@dataclass(frozen=True)
class PartsConfig:
    """How cells are divided."""

    by: str = option(
        "",
        "what is never on two sides: donor, batch or another column of obs, store (a file), or cells (drawn at"
        " random); empty: the first of these that every file has and there are several of",
    )
    val: float = option(0.1, "share of cells to validate on, as near as whole groups allow", low=0, high=0.9)
    test: float = option(0.1, "share of cells kept for the test", low=0, high=0.9)
    seed: int = option(0, "of the choice", low=0)

    def __post_init__(self) -> None:
        if self.val + self.test >= 1:
            raise ValueError(f"val={self.val} and test={self.test} leave nothing to train on; lower them.")


@dataclass(frozen=True)
class PanelConfig:
    """Which genes a model reads that has an input for each."""

    n_genes: int = option(2000, "the most variable in the training cells; 0: all", low=0)
    measured: float = option(
        1.0,
        "share of the training cells whose files must measure a gene; below 1 some zeros are of no measurement",
        low=0,
        high=1,
    )
