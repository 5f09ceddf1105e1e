"""A transformer of single cells: encoder, transformer and decoder, each on its own.

    tokens      [CLS] [depth] [covariates] [labels] gene_1 ... gene_L
    two cells   [CLS] [SEP] ... now_1 ... now_L/2 previous_1 ... previous_L/2, with an embedding of which is which

A cell is a set of genes: there are no positions, so the order of gene tokens changes nothing, and the special tokens
may stand together at the front. A gene token is the sum of what the gene is and how much of it there is; a hidden one
has a learned vector in place of either. B cells, L gene tokens, T tokens in all, V genes, d width.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.cells.batch import Inputs
from bench.errors import BadInput
from bench.wording import counted
from bench_ours.config import Architecture, Head, Shape

ALL_HEADS: frozenset[Head] = frozenset({"genes", "generation", "projection"})
LONGEST_RANK = 4096
"""Ranks from here on share the last bucket."""
PER = 1e4
"""Counts that values are per, with `scale="depth"`."""


@dataclass(frozen=True)
class States:
    """What the transformer makes of a batch, after the final norm; float, width d."""

    cls: Tensor
    """(B, d)"""
    genes: Tensor
    """(B, L, d); of no meaning where absent."""
    labels: Mapping[str, Tensor]
    """Column -> (B, d) that its head reads: of the label's own token, else that of CLS."""


class CellTransformer(nn.Module):
    """The whole model.

    Parameters
    ----------
    config
        Of a combination that `bench_ours.rules.check` has let pass.
    n_genes
        V, genes of the vocabulary.
    outputs
        Numbers the gene head gives per gene: parameters of a count likelihood, or one per bin or rank bucket. 0: it
        names hidden genes instead, so a hidden token withholds its gene, not its value.
    covariates, labels
        Column -> number of categories, for the columns of `config`.
    gene_table
        Float (V, any width) that `gene_encoder="table"` projects, such as mean ESM2 embeddings of a gene's proteins.
        Never trained, but saved with the weights.
    heads
        Those to make; see `bench_ours.config.heads`.

    Raises
    ------
    BadInput
        If columns have no number of categories, or the table is missing or of other genes.
    """

    def __init__(
        self,
        config: Architecture,
        n_genes: int,
        outputs: int,
        *,
        covariates: Mapping[str, int] | None = None,
        labels: Mapping[str, int] | None = None,
        gene_table: Tensor | None = None,
        heads: Collection[Head] = ALL_HEADS,
    ) -> None:
        super().__init__()
        self.config = config
        covariates = _sizes(config.covariates, covariates or {}, "covariate")
        labels = _sizes(config.labels, labels or {}, "label")
        genes = _gene_encoder(config, n_genes, gene_table)
        self.encoder = Encoder(config, genes, list(covariates.values()), hides_genes=outputs == 0)
        self.transformer = Transformer(config.shape, qk_norm=config.qk_norm, dropout=config.dropout)
        self.decoder = Decoder(config, genes, n_genes, outputs, labels, heads)

    def forward(self, inputs: Inputs) -> States:
        """States of CLS, labels and genes.

        Raises
        ------
        ValueError
            If one cell is given to a model of two time points, or two to a model of one.
        """
        states = self.transformer(self.encoder(inputs), self._visible(inputs))
        special, genes = states.split([self.encoder.n_special, inputs.genes.shape[1]], dim=1)
        cls, names = special[:, 0], self.config.labels
        of_labels = special[:, -len(names) :].unbind(1) if self.config.label_tokens else [cls] * len(names)
        return States(cls, genes, dict(zip(names, of_labels, strict=False)))

    def embed(self, inputs: Inputs) -> Tensor:
        """(B, d) embedding of each cell: CLS, or with `pooling="mean"` the mean over its genes, 0 without any.

        Those of the previous time point are not its own.
        """
        states = self(inputs)
        if self.config.pooling == "cls":
            return states.cls
        own = inputs.present if inputs.segments is None else inputs.present & (inputs.segments == 0)
        return torch.where(own[..., None], states.genes, 0).sum(1) / own.sum(1, keepdim=True).clamp(min=1)

    def _visible(self, inputs: Inputs) -> Tensor | None:
        """Bool, broadcasting to (B, heads, T, T): which token (column) each one (row) sees; None: all see all.

        CLS is always seen, so that a cell without genes has something to attend to.
        """
        generative = self.config.attention == "generative"
        if not inputs.padded and not generative:
            return None
        known = inputs.present & ~inputs.hidden if generative else inputs.present
        seen = F.pad(known, (self.encoder.n_special, 0), value=True)[:, None, None, :]
        return seen | torch.eye(seen.shape[-1], dtype=torch.bool, device=seen.device) if generative else seen


class Encoder(nn.Module):
    """Makes tokens of a batch."""

    def __init__(self, config: Architecture, genes: GeneEncoder, categories: list[int], *, hides_genes: bool) -> None:
        super().__init__()
        width = config.shape.width
        tokens_of_labels = len(config.labels) if config.label_tokens else 0
        self.genes = genes
        self.values = _VALUES[config.expression_encoder](config, width)
        self.hides_genes = hides_genes
        self.mask = _vectors(1, width)
        self.depth = Numbers(width) if config.depth_token else None
        self.columns = config.covariates
        # row 0 is of cells of which the covariate is not known
        self.covariates = nn.ModuleList(_embedding(n + 1, width) for n in categories)
        self.special = _vectors(1 + config.previous, width)
        self.labels = _vectors(tokens_of_labels, width)
        self.segments = _embedding(2, width) if config.previous else None
        self.norm = _norm(width)
        self.n_special = len(self.special) + config.depth_token + len(categories) + tokens_of_labels

    def forward(self, inputs: Inputs) -> Tensor:
        """(B, T, d) tokens: CLS first, label tokens last of the special ones, then the genes."""
        tokens = [self.special.expand(len(inputs.genes), -1, -1)]
        if self.depth is not None:
            tokens.append(self.depth(torch.log1p(inputs.depth))[:, None])
        for column, embedding in zip(self.columns, self.covariates, strict=True):
            tokens.append(embedding(inputs.covariates[column] + 1)[:, None])
        tokens += [self.labels.expand(len(inputs.genes), -1, -1), self._genes(inputs)]
        return self.norm(torch.cat(tokens, dim=1))

    def _genes(self, inputs: Inputs) -> Tensor:
        """(B, L, d): which gene, how much of it, and in which of two cells."""
        genes, values, hidden = self.genes(inputs.genes), self.values(inputs), inputs.hidden[..., None]
        if self.hides_genes:
            genes = torch.where(hidden, self.mask, genes)
        else:
            values = torch.where(hidden, self.mask, values)
        if (self.segments is None) != (inputs.segments is None):
            raise ValueError("this model reads one cell and got two time points, or the other way round.")
        if self.segments is None:
            return genes + values
        return genes + values + self.segments(inputs.segments)


class LearnedGenes(nn.Embedding):
    """An embedding per gene."""

    def vectors(self) -> Tensor:
        """(V, d) of all genes."""
        return self.weight


class TableGenes(nn.Module):
    """A frozen table, projected to the width of the model; optionally with a learned part, at first 0."""

    table: Tensor

    def __init__(self, table: Tensor, width: int, *, residual: bool) -> None:
        super().__init__()
        self.register_buffer("table", table.detach().to(torch.float32))
        self.project = _linear(table.shape[1], width)
        self.norm = _norm(width)
        self.residual = nn.Embedding(len(table), width) if residual else None
        if self.residual is not None:
            nn.init.zeros_(self.residual.weight)

    def forward(self, genes: Tensor) -> Tensor:
        """(..., d) of genes (...), projected once each where there are more tokens than genes."""
        if genes.numel() > len(self.table):
            return F.embedding(genes, self.vectors())
        projected: Tensor = self.norm(self.project(self.table[genes]))
        return projected if self.residual is None else projected + self.residual(genes)

    def vectors(self) -> Tensor:
        """(V, d) of all genes."""
        projected: Tensor = self.norm(self.project(self.table))
        return projected if self.residual is None else projected + self.residual.weight


GeneEncoder = LearnedGenes | TableGenes


class Numbers(nn.Sequential):
    """A small network from one number to a vector."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(1, width), nn.SiLU(), _linear(width, width))

    def forward(self, numbers: Tensor) -> Tensor:
        """(..., d) of numbers (...)."""
        vectors: Tensor = super().forward(numbers[..., None])
        return vectors


class ContinuousValues(nn.Module):
    """A small network reads log1p counts."""

    def __init__(self, config: Architecture, width: int) -> None:
        super().__init__()
        self.by_depth = config.scale == "depth"
        self.network = Numbers(width)

    def forward(self, inputs: Inputs) -> Tensor:
        """(B, L, d)."""
        vectors: Tensor = self.network(_log_counts(inputs, self.by_depth))
        return vectors


class SoftValues(nn.Module):
    """A mixture of codebook entries, `softmax(W log1p x) C`: a binning without edges.

    The pseudo-quantiser of bento-sc (https://doi.org/10.1101/2025.04.02.646825).
    """

    def __init__(self, config: Architecture, width: int) -> None:
        super().__init__()
        self.by_depth = config.scale == "depth"
        self.choose = nn.Linear(1, config.soft_bins)
        self.codebook = _vectors(config.soft_bins, width)

    def forward(self, inputs: Inputs) -> Tensor:
        """(B, L, d)."""
        return self.choose(_log_counts(inputs, self.by_depth)[..., None]).softmax(-1) @ self.codebook


class BinnedValues(nn.Module):
    """An embedding per bin; bin 0 is no counts."""

    def __init__(self, config: Architecture, width: int) -> None:
        super().__init__()
        self.bins = _embedding(config.n_bins + 1, width)

    def forward(self, inputs: Inputs) -> Tensor:
        """(B, L, d)."""
        vectors: Tensor = self.bins(inputs.values.long())
        return vectors


class RankValues(nn.Module):
    """An embedding per bucket of ranks; with `rank_order="none"` the genes of a cell are only a set."""

    def __init__(self, config: Architecture, width: int) -> None:
        super().__init__()
        self.buckets = _embedding(config.rank_buckets, width) if config.rank_order == "embedding" else None

    def forward(self, inputs: Inputs) -> Tensor:
        """(B, L, d), or a 0 that is as good."""
        if self.buckets is None:
            return inputs.depth.new_zeros(1)
        vectors: Tensor = self.buckets(rank_bucket(inputs.values, self.buckets.num_embeddings))
        return vectors


_VALUES = {"continuous": ContinuousValues, "soft": SoftValues, "binned": BinnedValues, "rank": RankValues}


class Transformer(nn.Module):
    """Blocks of attention and a gated feed-forward part, normalised before each and at the end."""

    def __init__(self, shape: Shape, *, qk_norm: bool, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(shape, qk_norm=qk_norm, dropout=dropout) for _ in range(shape.layers))
        self.norm = _norm(shape.width)

    def forward(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """(B, T, d) states of tokens (B, T, d); `visible` as `F.scaled_dot_product_attention` takes it."""
        for block in self.blocks:
            tokens = block(tokens, visible)
        states: Tensor = self.norm(tokens)
        return states


class Block(nn.Module):
    """Attention, then a gated feed-forward part, each added to what it reads."""

    def __init__(self, shape: Shape, *, qk_norm: bool, dropout: float) -> None:
        super().__init__()
        width, hidden = shape.width, shape.hidden
        self.heads = shape.heads
        self.attention_norm, self.gated_norm = _norm(width), _norm(width)
        self.query_norm, self.key_norm = (_norm(width // shape.heads) if qk_norm else nn.Identity() for _ in "qk")
        self.queries_keys_values = _linear(width, 3 * width)
        self.gate, self.up = _linear(width, hidden), _linear(width, hidden)
        # the sum over all blocks begins as large as one of them would be (GPT-2)
        self.attended = _linear(width, width, scale=1 / math.sqrt(2 * shape.layers))
        self.down = _linear(hidden, width, scale=1 / math.sqrt(2 * shape.layers))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """(B, T, d) of (B, T, d)."""
        tokens = tokens + self.dropout(self._attend(self.attention_norm(tokens), visible))
        x = self.gated_norm(tokens)
        return tokens + self.dropout(self.down(SwiGLU.apply(self.gate(x), self.up(x))))

    def _attend(self, x: Tensor, visible: Tensor | None) -> Tensor:
        # a head is a part of each token's vector: (B, T, heads, d / heads), and only then (B, heads, T, d / heads)
        split = (*x.shape[:2], self.heads, -1)
        q, k, v = (part.view(split).transpose(1, 2) for part in self.queries_keys_values(x).chunk(3, dim=-1))
        attended = F.scaled_dot_product_attention(self.query_norm(q), self.key_norm(k), v, attn_mask=visible)
        mixed: Tensor = self.attended(attended.transpose(1, 2).flatten(2))
        return mixed


class SwiGLU(torch.autograd.Function):
    """`silu(gate) * up` (Shazeer 2020), of which only `gate` and `up` are kept for backward.

    These are the largest tensors of a step, and to compute silu again takes less time than to keep it.
    """

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        """(..., f) of two (..., f)."""
        ctx.save_for_backward(gate, up)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of `gate` and `up`."""
        gate, up = ctx.saved_tensors
        return torch.ops.aten.silu_backward(gradient * up, gate), F.silu(gate).mul_(gradient)


class Decoder(nn.Module):
    """Reads genes, cells and labels off states."""

    def __init__(
        self,
        config: Architecture,
        genes: GeneEncoder,
        n_genes: int,
        outputs: int,
        labels: Mapping[str, int],
        heads: Collection[Head],
    ) -> None:
        super().__init__()
        width = config.shape.width
        self.outputs = outputs
        self._tied = (genes,)  # in a tuple, as its weights are the encoder's and not to be saved twice
        if "genes" in heads and outputs:
            self.genes = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs))
        elif "genes" in heads:
            self.name = nn.Linear(width, width)
            self.frequency = nn.Parameter(torch.zeros(n_genes))
        if "generation" in heads and outputs:
            self.of_gene, self.of_cell = nn.Linear(width, width), nn.Linear(width, width * outputs)
        if "projection" in heads:
            self.projection = _linear(width, config.projection)
        # by number: a column may be called like an attribute of nn.ModuleDict
        self.columns = tuple(labels)
        self.labels = nn.ModuleList(_classifier(width, config.label_hidden, n) for n in labels.values())

    def expression(self, states: Tensor) -> Tensor:
        """(B, L, outputs) of states of genes (B, L, d)."""
        outputs: Tensor = self.genes(states)
        return outputs

    def generate(self, cls: Tensor, gene_vectors: Tensor) -> Tensor:
        """(B, L, outputs) of any genes from the state of CLS (B, d) alone: `<W_q E(gene), W_c CLS> / sqrt(d)`.

        The bottleneck of scPRINT (https://doi.org/10.1038/s41467-025-58699-1) and scGPT's MVC, without its sigmoid.

        Parameters
        ----------
        gene_vectors
            (B, L, d), `model.encoder.genes(genes)`.
        """
        cell = self.of_cell(cls).unflatten(-1, (self.outputs, -1))
        scores: Tensor = self.of_gene(gene_vectors) @ cell.transpose(1, 2)
        return scores / math.sqrt(cls.shape[-1])

    def identity(self, states: Tensor) -> Tensor:
        """(N, V) logits of which gene is hidden, from the states (N, d) of hidden tokens."""
        vectors = self._tied[0].vectors()
        return F.linear(self.name(states), vectors, self.frequency)

    def project(self, cls: Tensor) -> Tensor:
        """(B, projection) in which views are contrasted; not normalised."""
        projected: Tensor = self.projection(cls)
        return projected

    def label(self, column: str, state: Tensor) -> Tensor:
        """(B, C) logits of the categories of a column, from `States.labels[column]` (B, d)."""
        logits: Tensor = self.labels[self.columns.index(column)](state)
        return logits


def rank_bucket(ranks: Tensor, buckets: int) -> Tensor:
    """Bucket, 0 to `buckets` - 1, of ranks from 0 on (int or float): equally wide in the logarithm of 1 + rank.

    They do not depend on how many genes a cell has; the first ranks have buckets of their own.
    """
    edges = torch.tensor(_rank_edges(buckets), dtype=torch.float32, device=ranks.device)
    return torch.bucketize(ranks.to(torch.float32) + 1, edges, right=True)


@lru_cache
def _rank_edges(buckets: int) -> list[float]:
    return [LONGEST_RANK ** (bucket / buckets) for bucket in range(1, buckets)]


def _log_counts(inputs: Inputs, by_depth: bool) -> Tensor:
    """(B, L) log1p counts, or log1p counts per 10,000 of the cell as it is seen."""
    counts = inputs.values
    return torch.log1p(counts * (PER / inputs.depth.clamp(min=1))[:, None] if by_depth else counts)


def _gene_encoder(config: Architecture, n_genes: int, table: Tensor | None) -> GeneEncoder:
    if config.gene_encoder == "learned":
        genes = LearnedGenes(n_genes, config.shape.width)
        nn.init.normal_(genes.weight, std=SPREAD)
        return genes
    if table is None:
        raise BadInput("gene_encoder=table needs a table of gene embeddings; give gene_table, or take learned.")
    if len(table) != n_genes:
        raise BadInput(f"the table has {counted(len(table), 'gene')}, the vocabulary {n_genes:,}; make it of these.")
    return TableGenes(table, config.shape.width, residual=config.gene_residual)


def _sizes(columns: tuple[str, ...], sizes: Mapping[str, int], kind: str) -> dict[str, int]:
    """Number of categories of each column, in the order of the configuration."""
    if set(columns) != set(sizes):
        raise BadInput(
            f"{kind}s of the model are {sorted(columns)}, but categories are given for {sorted(sizes)}; name the same."
        )
    return {column: sizes[column] for column in columns}


def _classifier(width: int, hidden: int, classes: int) -> nn.Module:
    if not hidden:
        return nn.Linear(width, classes)
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, classes))


def _linear(width: int, out: int, *, scale: float = 1.0) -> nn.Linear:
    """Without bias, its outputs `scale` times as spread as its inputs."""
    layer = nn.Linear(width, out, bias=False)
    nn.init.normal_(layer.weight, std=scale / math.sqrt(width))
    return layer


def _norm(width: int) -> nn.LayerNorm:
    """Without bias. RMSNorm would do as well and costs four times as much on a CPU, where torch has no kernel of it."""
    return nn.LayerNorm(width, bias=False)


def _embedding(rows: int, width: int) -> nn.Embedding:
    embedding = nn.Embedding(rows, width)
    nn.init.normal_(embedding.weight, std=SPREAD)
    return embedding


def _vectors(rows: int, width: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, width) * SPREAD)


SPREAD = 0.1
"""Standard deviation of what embeddings begin with."""
