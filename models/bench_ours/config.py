"""Every switch of `ours`, as data: the architecture, the objectives, named sizes and presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bench.config import option
from bench.data.cells.options import CollatorConfig, Corruption, GeneChoice, View

Size = Literal["nano", "tiny", "small", "base", "large"]
Likelihood = Literal["poisson", "ztp", "nb", "ztnb", "zinb", "mse", "bin_ce", "rank_ce", "id_ce"]
Head = Literal["genes", "generation", "projection"]

LONGEST = 2**17
"""Gene tokens: more than any species has genes."""


@dataclass(frozen=True)
class Shape:
    """The numbers behind a size."""

    width: int
    layers: int
    heads: int
    hidden: int


SIZES: Mapping[Size, tuple[int, int, int]] = {
    "nano": (32, 2, 2),
    "tiny": (128, 4, 4),
    "small": (256, 6, 4),
    "base": (512, 12, 8),
    "large": (1024, 24, 16),
}
"""Width, layers and heads. `nano` is for tests, `base` is what scGPT and bento-sc are of."""


@dataclass(frozen=True)
class Architecture:
    """What the network looks like."""

    size: Size = option("tiny", "width, layers, heads and hidden width, where these are not set")
    width: int = option(0, "of a token; 0: by size", low=0, high=2**16)
    layers: int = option(0, "blocks; 0: by size", low=0, high=1024)
    heads: int = option(0, "attention heads; 0: by size", low=0, high=1024)
    hidden: int = option(0, "of the gated feed-forward part; 0: by size", low=0, high=2**18)
    gene_encoder: Literal["learned", "table"] = option("learned", "an embedding per gene, or a frozen table, projected")
    gene_table: str = option(
        "", "file of that table: .parquet with names and numbers in columns, or .safetensors with a vector per gene"
    )
    gene_residual: bool = option(False, "add a learned embedding, at first 0, to the projected table")
    expression_encoder: Literal["continuous", "binned", "rank", "soft"] = option("continuous", "how a value is read")
    scale: Literal["raw", "depth"] = option("raw", "values are log1p counts, or log1p counts per 10,000; not of `rank`")
    soft_bins: int = option(64, "entries of the codebook of `soft`", low=2)
    n_bins: int = option(50, "bins of `binned`; bin 0 is no counts", low=2, high=1000)
    bins: Literal["global", "cell"] = option("global", "edges of the training cells, or of each cell as in scGPT")
    rank_order: Literal["none", "embedding"] = option(
        "embedding", "`rank` embeds the rank in log-spaced buckets, or leaves only the set of genes (as seed 003 did)"
    )
    rank_buckets: int = option(64, "of the rank embedding", low=2)
    depth_token: bool = option(True, "a token of the total counts of the cell as seen")
    covariates: tuple[str, ...] = option((), "columns of obs, a token each: batch, modality, perturbation ...")
    labels: tuple[str, ...] = option((), "columns of obs to predict, a head each: cell_type, disease, sex ...")
    label_tokens: bool = option(False, "each label is read off a token of its own, not off CLS")
    label_hidden: int = option(0, "units of the hidden layer of a label head; 0: linear", low=0)
    previous: bool = option(False, "[SEP] and segments for the cell of the previous time point")
    attention: Literal["full", "generative"] = option(
        "full", "generative: tokens attend to genes that are known, and to themselves"
    )
    qk_norm: bool = option(False, "normalise queries and keys")
    dropout: float = option(0.0, "of attention and feed-forward output", low=0, high=0.9)
    projection: int = option(128, "width in which views are contrasted", low=2)
    pooling: Literal["cls", "mean"] = option("cls", "a cell's embedding: the CLS token, or the mean over its genes")

    @property
    def shape(self) -> Shape:
        """Width, layers, heads and hidden width, those that are not set by size.

        The hidden width is 8/3 of the width, a multiple of 64, so that three matrices of a gated layer have about as
        many weights as two of four times the width (Shazeer 2020, https://arxiv.org/abs/2002.05202).
        """
        width, layers, heads = SIZES[self.size]
        width = self.width or width
        hidden = self.hidden or max(64, 8 * width // 3 // 64 * 64)
        return Shape(width, self.layers or layers, self.heads or heads, hidden)


@dataclass(frozen=True)
class ReadingConfig:
    """How cells are read."""

    pooling: Literal["", "cls", "mean"] = option("", "a cell's vector: CLS, or the mean over genes; empty: as trained")
    length: int = option(0, "gene tokens of a cell, at most; 0: as trained", low=0, high=LONGEST)
    size: Literal["", Size] = option("", "of an untrained model; empty: tiny, or what the weights are of")


@dataclass(frozen=True)
class Objective:
    """What is learned: a sum of weighted losses, a weight of 0 switching one off."""

    pretext: Literal["none", "mlm", "mcv", "denoise"] = option(
        "mlm", "masked genes, molecular cross-validation, or a full cell from a thinned one"
    )
    likelihood: Likelihood = option("nb", "of a predicted gene")
    rate: Literal["free", "lib", "offset"] = option(
        "free", "log rate: as it comes, as share of the counts of the same genes, or per 10,000 counts"
    )
    weight: float = option(1.0, "of the pretext", low=0)
    generation: float = option(0.0, "weight of predicting every gene from CLS alone (bottleneck)", low=0)
    contrast: View = option("none", "how the two views of a cell are made that CLS tells apart from other cells'")
    contrast_weight: float = option(1.0, "of the contrast", low=0)
    temperature: float = option(0.1, "of the contrast", low=0.001, high=10)
    label_weight: float = option(1.0, "of each label's cross-entropy", low=0)
    ontologies: tuple[str, ...] = option((), "column=FILE (.obo, or .tsv of child and parent): labels form a hierarchy")
    length: int = option(1024, "gene tokens", low=1, high=LONGEST)
    genes: GeneChoice = option("nonzero_random", "which genes become tokens")
    zeros: float = option(1.0, "genes without counts per gene with counts, for nonzero_and_zeros", low=0, high=100)
    mask_low: float = option(0.5, "share of masked genes, at least", low=0, high=1)
    mask_high: float = option(0.5, "at most; drawn for each cell", low=0, high=1)
    mask_mix: bool = option(False, "of the masked 80 % hidden, 10 % replaced, 10 % left (BERT)")
    score: Literal["hidden", "all"] = option("hidden", "genes that enter the loss, with mlm")
    noise_kind: Literal["binomial", "poisson", "gaussian"] = option("binomial", "how `denoise` spoils the cell")
    keep_low: float = option(0.5, "share of counts seen, with mcv and binomial, at least", low=0.01, high=0.99)
    keep_high: float = option(0.5, "at most; drawn for each cell", low=0.01, high=0.99)
    noise: float = option(0.5, "standard deviation of gaussian noise on log1p counts", low=0, high=10)
    view_low: float = option(0.2, "share of counts in a binomial view, at least", low=0.01, high=0.99)
    view_high: float = option(
        0.9, "at most; drawn for each view, or their depth gives the views away", low=0.01, high=0.99
    )
    view_noise: float = option(0.5, "standard deviation of gaussian views on log1p counts", low=0, high=10)


def collator(architecture: Architecture, objective: Objective) -> CollatorConfig:
    """How cells are made into the batches that this architecture reads and this objective scores.

    Of a combination that `bench_ours.rules.check` has let pass.
    """
    masked = objective.pretext == "mlm"
    return CollatorConfig(
        length=objective.length,
        genes=objective.genes,
        zeros=objective.zeros,
        expression=_expression(architecture),
        scale=architecture.scale,
        n_bins=architecture.n_bins,
        corruption=_CORRUPTION.get(objective.pretext, objective.noise_kind),
        mask_low=objective.mask_low,
        mask_high=objective.mask_high,
        mask_mix=objective.mask_mix and masked,
        hide="gene" if masked and objective.likelihood == "id_ce" else "value",
        score=objective.score,
        keep_low=objective.keep_low,
        keep_high=objective.keep_high,
        noise=objective.noise,
        view=objective.contrast if objective.contrast_weight else "none",
        view_low=objective.view_low,
        view_high=objective.view_high,
        view_noise=objective.view_noise,
        previous=architecture.previous,
        covariates=architecture.covariates,
        labels=architecture.labels,
    )


def heads(objective: Objective) -> frozenset[Head]:
    """The heads that something is learned with: one without a loss would only be weights without a gradient."""
    needed: Mapping[Head, bool] = {
        "genes": objective.pretext != "none" and objective.weight > 0,
        "generation": objective.generation > 0,
        "projection": objective.contrast != "none" and objective.contrast_weight > 0,
    }
    return frozenset(head for head, is_needed in needed.items() if is_needed)


_CORRUPTION: Mapping[str, Corruption] = {"none": "none", "mlm": "mask", "mcv": "mcv"}


def _expression(architecture: Architecture) -> Literal["counts", "bins", "cell_bins", "rank"]:
    """What the collator has to make of counts for the expression encoder."""
    if architecture.expression_encoder == "binned":
        return "cell_bins" if architecture.bins == "cell" else "bins"
    return "rank" if architecture.expression_encoder == "rank" else "counts"
