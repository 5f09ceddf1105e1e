"""`bench pretrain --model ours`: from options to a trained folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.config import as_dict
from bench.data.cells.batch import CellBatch
from bench.data.cells.module import CellDataModule, stores_of
from bench.data.cells.progress import note
from bench.data.cells.vocabulary import Vocabulary
from bench.environment import first_process
from bench.errors import BadInput
from bench.training.command import Training
from bench.training.fit import fit
from bench.training.fitted import Fitted
from bench.training.folder import Card
from bench.training.losses import Losses
from bench.training.rng import seed
from bench_ours import rules
from bench_ours.config import Architecture, Objective, collator, heads
from bench_ours.gene_table import GeneTable
from bench_ours.objective import ObjectiveLoss
from bench_ours.plugin import VERSION
from bench_ours.transformer import CellTransformer


class OursLearner(nn.Module):
    """The network and what it learns by: a `bench.training.learner.Learner`."""

    def __init__(self, network: CellTransformer, loss: ObjectiveLoss) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    def losses(self, batch: CellBatch, step: int) -> Losses:
        """Those of the objective."""
        scored: Losses = self.loss(self.network, batch)
        return scored

    def embed(self, batch: CellBatch) -> Tensor:
        """Float (B, width) embeddings."""
        return self.network.embed(batch.inputs)


def pretrain(training: Training) -> Fitted:
    """Train a network from nothing.

    Raises
    ------
    BadInput
        If options do not go together, or the data are refused or lack what is asked of them.
    """
    architecture: Architecture = training.config["model"]
    objective: Objective = training.config["objective"]
    rules.check(architecture, objective)
    data, table = _data(training, architecture, objective)
    loss = ObjectiveLoss(objective, architecture, data.dataset.categories)
    _tell(loss.notices)
    seed(training.seed)  # the weights that it begins with
    network = CellTransformer(
        architecture,
        len(data.vocabulary),
        loss.outputs,
        covariates={column: len(data.dataset.categories[column]) for column in architecture.covariates},
        labels={column: len(names) for column, names in loss.classes.items()},
        gene_table=table,
        heads=heads(objective),
    )
    return fit(training, OursLearner(network, loss), data, _card(training, data, loss))


def _data(training: Training, architecture: Architecture, objective: Objective) -> tuple[CellDataModule, Tensor | None]:
    """The cells, ready, and the table of gene embeddings where the network has one: the genes are then those it has."""
    vocabulary, table = _table(training, architecture) if architecture.gene_encoder == "table" else (None, None)
    made = CellDataModule(
        training.data,
        collator(architecture, objective),
        training.config["data"],
        training.config["parts"],
        seed=training.seed,
        vocabulary=vocabulary,
    )
    made.setup()
    return made, table


def _table(training: Training, architecture: Architecture) -> tuple[Vocabulary, Tensor]:
    """The genes of the data that are in the table, and their rows of it."""
    if not architecture.gene_table:
        raise BadInput("gene_encoder=table projects a table of gene embeddings; name it with model.gene_table=FILE.")
    genes, options = GeneTable.read(Path(architecture.gene_table).expanduser()), training.config["data"]
    vocabulary, rows, left_out = genes.shared(Vocabulary.of(stores_of(training.data, options.layer), options.genes))
    _tell([left_out] if left_out else [])
    return vocabulary, torch.from_numpy(rows)


def _tell(notices: Sequence[str]) -> None:
    """Say each once, however many processes train."""
    for text in notices if first_process() else ():
        note(text)


def _card(training: Training, data: CellDataModule, loss: ObjectiveLoss) -> Card:
    columns = data.recipe.columns
    return Card(
        model=training.model,
        version=VERSION,
        verb=training.verb,
        seed=training.seed,
        config={section: as_dict(options) for section, options in training.config.items()},
        vocabulary=data.vocabulary,
        statistics=data.statistics,
        categories={column: data.dataset.categories[column] for column in columns},
        classes=loss.classes,
    )
