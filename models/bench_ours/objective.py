"""What `ours` learns from a batch: every loss of the objective, each the mean of what it scores, and their sum.

Scores are computed in float32 or float64 whatever the precision the network runs in: a bfloat16 holds 2 to 3 digits,
and a count of 1,000 needs more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from bench.data import ontology
from bench.training.losses import Losses
from bench_ours.config import Architecture, Objective, heads
from bench_ours.contrast import nt_xent
from bench_ours.hierarchy import Hierarchy, LabelLoss
from bench_ours.likelihoods import LIKELIHOODS, core_dtype, log_rate
from bench_ours.transformer import rank_bucket

if TYPE_CHECKING:
    from bench.data.cells.batch import CellBatch, Inputs
    from bench_ours.transformer import CellTransformer, States


class Score(NamedTuple):
    """One loss before its mean."""

    weight: float
    loss: Tensor
    """Float, any shape."""
    scored: Tensor
    """Bool, the same shape."""


class ObjectiveLoss(nn.Module):
    """Scores a model on batches.

    Parameters
    ----------
    objective, architecture
        Of a combination that `bench_ours.rules.check` has let pass.
    categories
        Column of `architecture.labels` -> what its codes stand for, in order.

    Raises
    ------
    BadInput
        If an ontology cannot be read, or knows none of a column's labels.
    """

    def __init__(
        self, objective: Objective, architecture: Architecture, categories: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        super().__init__()
        self.objective = objective
        self.likelihood = LIKELIHOODS[objective.likelihood]
        self.outputs = outputs(objective, architecture)
        self.heads = heads(objective)
        categories = categories or {}
        files = dict(entry.split("=", 1) for entry in objective.ontologies)
        hierarchies = {
            column: Hierarchy.of(categories[column], ontology.read(file), column) for column, file in files.items()
        }
        self.classes = {
            column: hierarchies[column].classes if column in hierarchies else tuple(categories[column])
            for column in architecture.labels
        }
        """Column -> names of the classes its head tells apart: the labels, or with an ontology those without kinds."""
        self.notices = tuple(notice for hierarchy in hierarchies.values() for notice in hierarchy.notices)
        self._labels = nn.ModuleList(LabelLoss(hierarchies.get(column)) for column in architecture.labels)

    def forward(self, model: CellTransformer, batch: CellBatch) -> Losses:
        """Run the model on a batch and score it.

        Parts are `pretext`, `generation`, `contrast` and `label/COLUMN`: nats, or with `likelihood="mse"` squares of
        log1p counts.
        """
        parts, counts, weights = {}, {}, {}
        for name, (weight, loss, scored) in self._scores(model, batch):
            counts[name], weights[name] = scored.sum(), weight
            # a product with 0 would keep what is not finite
            parts[name] = torch.where(scored, loss, 0).sum() / counts[name].clamp(min=1)
        return Losses(parts, counts, weights)

    def _scores(self, model: CellTransformer, batch: CellBatch) -> Iterator[tuple[str, Score]]:
        objective, states = self.objective, model(batch.inputs)
        if "genes" in self.heads:
            score = self._names if objective.likelihood == "id_ce" else self._expression
            yield "pretext", score(model, states, batch)
        if "generation" in self.heads:
            yield "generation", self._generation(model, states, batch)
        if "projection" in self.heads:
            projected = model.decoder.project(states.cls)
            with _full_precision(projected):
                loss = nt_xent(projected, batch.cells, objective.temperature)
            yield "contrast", Score(objective.contrast_weight, loss, torch.ones_like(loss, dtype=torch.bool))
        if objective.label_weight:
            yield from self._named(model, states, batch)

    def _expression(self, model: CellTransformer, states: States, batch: CellBatch) -> Score:
        """How likely the values of the scored tokens are."""
        predicted = model.decoder.expression(states.genes)
        return self._likely(self.objective.weight, predicted, batch, batch.targets.scored)

    def _generation(self, model: CellTransformer, states: States, batch: CellBatch) -> Score:
        """The same of all genes of the cell, hidden or not, with nothing to go by but CLS and what the genes are."""
        vectors = model.encoder.genes(batch.targets.genes)
        predicted = model.decoder.generate(states.cls, vectors)
        return self._likely(self.objective.generation, predicted, batch, _own(batch.inputs))

    def _likely(self, weight: float, predicted: Tensor, batch: CellBatch, scored: Tensor) -> Score:
        """Negative log-likelihood (B, L) of what the batch's genes are to be, under the outputs (B, L, p)."""
        with _full_precision(predicted):
            if self.likelihood.counts:
                predicted = predicted.to(core_dtype(predicted.device))
                wanted = batch.targets.counts.to(predicted.dtype)
            else:
                predicted, wanted = predicted.float(), self._classes(batch)
            if self.likelihood.rate:
                predicted = torch.cat([self._eta(predicted[..., 0], batch)[..., None], predicted[..., 1:]], dim=-1)
            # any value that is possible will do where nothing is scored; one that is not would make gradients NaN
            predicted, wanted = torch.where(scored[..., None], predicted, 0), torch.where(scored, wanted, 1)
            return Score(weight, self.likelihood.loss(predicted, wanted), scored)

    def _eta(self, y: Tensor, batch: CellBatch) -> Tensor:
        return log_rate(
            y,
            self.objective.rate,
            present=_own(batch.inputs),
            counts=batch.targets.counts.to(y.dtype),
            depth=batch.inputs.target_depth.to(y.dtype),
            offset=batch.targets.offset.to(y.dtype),
        )

    def _classes(self, batch: CellBatch) -> Tensor:
        """The bins to be predicted, or the buckets of ranks."""
        classes = batch.targets.classes
        return rank_bucket(classes, self.outputs) if self.objective.likelihood == "rank_ce" else classes

    def _names(self, model: CellTransformer, states: States, batch: CellBatch) -> Score:
        """Cross-entropy (n,) of which genes the n scored tokens are: only theirs, being over the whole vocabulary."""
        scored = batch.targets.scored
        logits = model.decoder.identity(states.genes[scored])
        with _full_precision(logits):
            loss = self.likelihood.loss(logits.float(), batch.targets.genes[scored])
        return Score(self.objective.weight, loss, torch.ones_like(loss, dtype=torch.bool))

    def _named(self, model: CellTransformer, states: States, batch: CellBatch) -> Iterator[tuple[str, Score]]:
        """Cross-entropy (B,) of each label of the cells of which it is known."""
        for column, label_loss in zip(self.classes, self._labels, strict=True):
            codes, logits = batch.targets.labels[column], model.decoder.label(column, states.labels[column])
            with _full_precision(logits):
                loss = label_loss(logits, codes)
            yield f"label/{column}", Score(self.objective.label_weight, loss, codes >= 0)


def outputs(objective: Objective, architecture: Architecture) -> int:
    """Numbers per gene that the gene head has to give; 0: it names genes instead (`id_ce`)."""
    by_classes = {"bin_ce": architecture.n_bins + 1, "rank_ce": architecture.rank_buckets}
    return by_classes.get(objective.likelihood, LIKELIHOODS[objective.likelihood].parameters)


def _own(inputs: Inputs) -> Tensor:
    """Bool (B, L): genes of the cell itself, not of the one before it in time."""
    return inputs.present if inputs.segments is None else inputs.present & (inputs.segments == 0)


def _full_precision(tensor: Tensor) -> torch.autocast:
    """Within it nothing is computed in half precision."""
    return torch.autocast(tensor.device.type, enabled=False)
