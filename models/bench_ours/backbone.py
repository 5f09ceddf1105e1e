"""`ours` as something that turns cells into vectors: as it was trained, or as it begins."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtri
from torch import Tensor, nn

from bench.data.cells.batch import CellBatch, Cells, Draw, Inputs
from bench.data.cells.chance import key, uniform
from bench.data.cells.collate import Collator
from bench.data.cells.memory import CellsInMemory
from bench.data.cells.options import CollatorConfig
from bench.data.cells.recipe import Tokens
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput
from bench.training.finetuning.head import split
from bench.training.folder import Card, read_card, read_state, section
from bench.weights.matching import match
from bench_ours import rules
from bench_ours.config import Architecture, Objective, collator, heads
from bench_ours.objective import outputs
from bench_ours.transformer import SPREAD, CellTransformer, LearnedGenes
from bench_ours.vocabulary import MODELS

if TYPE_CHECKING:
    import anndata as ad

    from bench.data.cells.statistics import GeneStatistics


class Reading(NamedTuple):
    """How cells are read otherwise than in training; the defaults change nothing."""

    pooling: Literal["", "cls", "mean"] = ""
    """What a cell's vector is; empty: as trained."""
    length: int = 0
    """Gene tokens; 0: as trained."""


class OursBackbone(nn.Module):
    """A pretrained network with all it needs to read cells: see `bench.training.learner.Backbone`.

    Parameters
    ----------
    network
        Its weights are those of `network.*` in the state of this module.
    vocabulary
        Its genes.
    config
        How it was trained to read cells.
    statistics
        Of the genes in the cells it was trained on, where `config` needs them.
    categories
        Column of its covariates -> what their codes stand for.
    seed
        Of what is random in reading: which genes of a cell with more than there are tokens.
    """

    def __init__(
        self,
        network: CellTransformer,
        vocabulary: Vocabulary,
        config: CollatorConfig,
        statistics: GeneStatistics | None = None,
        categories: Mapping[str, Sequence[str]] | None = None,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.vocabulary, self.width = network, vocabulary, network.config.shape.width
        plain = replace(Tokens(config).plain().config, labels=())
        self._collate = Collator(plain, len(vocabulary), seed, statistics)
        self._categories = {column: (categories or {})[column] for column in plain.covariates}

    @classmethod
    def of_folder(cls, folder: Path, *, seed: int = 0, reading: Reading | None = None) -> OursBackbone:
        """What a pretraining wrote, or a fine-tuning, without its head.

        Raises
        ------
        BadInput
            If the folder is damaged or holds another model, or cannot be read as asked for.
        """
        card = read_card(folder, MODELS)
        state, _ = split(read_state(folder))
        return cls.of(card, state, f"weights {folder}", seed=seed, reading=reading)

    @classmethod
    def of(
        cls,
        card: Card,
        state: Mapping[str, np.ndarray],
        where: str,
        *,
        seed: int = 0,
        reading: Reading | None = None,
    ) -> OursBackbone:
        """A network of what is known of it and its weights, by the names of `CellTransformer.state_dict`.

        Parameters
        ----------
        card
            With the sections `model` and `objective`.
        where
            What the state is from, for messages.

        Raises
        ------
        BadInput
            If the weights are not those of the network, or it cannot read cells as asked for.
        """
        architecture, objective = section(card, "model", Architecture), section(card, "objective", Objective)
        if not rules.divides(architecture.shape):
            raise BadInput(f"{where}: its width cannot be shared out to its heads; copy the folder again.")
        network = _unfilled(card, architecture, objective, state)
        match(state, {name: tensor.shape for name, tensor in network.state_dict().items()}, where)
        network.load_state_dict({name: _tensor(array) for name, array in state.items()}, assign=True)
        reading = reading or Reading()
        network.config = replace(architecture, pooling=reading.pooling or architecture.pooling)
        config = _collating(architecture, objective, reading.length)
        return cls(network, card.vocabulary, config, card.statistics, card.categories, seed=seed)

    @classmethod
    def untrained(
        cls,
        architecture: Architecture,
        objective: Objective,
        vocabulary: Vocabulary,
        *,
        seed: int = 0,
        reading: Reading | None = None,
    ) -> OursBackbone:
        """A network as it is before it learns anything, to compare with.

        A gene's vector is a function of seed and name, and no other weight depends on the genes: a cell means the same
        to it in any vocabulary.

        Parameters
        ----------
        architecture
            With genes of its own (`gene_encoder="learned"`); covariates and labels are left out.
        objective
            How cells are read follows from it.
        """
        reading = reading or Reading()
        pooling = reading.pooling or architecture.pooling
        architecture = replace(architecture, covariates=(), labels=(), label_tokens=False, pooling=pooling)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            network = CellTransformer(architecture, 1, 1, heads=())
        network.encoder.genes = LearnedGenes.from_pretrained(
            _drawn(vocabulary.names, network.config.shape.width, seed), freeze=False
        )
        return cls(network, vocabulary, _collating(architecture, objective, reading.length), seed=seed)

    def of_genes(self, ids: Sequence[str]) -> pd.DataFrame:
        """The vectors that genes are told apart by, float32 (genes, width), by id, of those that are known."""
        vocabulary = self.vocabulary
        places = {name: place for names in (vocabulary.others, vocabulary.names) for place, name in enumerate(names)}
        known = [name for name in ids if name and name in places]
        with torch.inference_mode():
            vectors = self.network.encoder.genes.vectors().cpu().numpy()
        return pd.DataFrame(vectors[[places[name] for name in known]], index=pd.Index(known, dtype=object))

    def layers(self) -> list[nn.Module]:
        """Tokens, then the blocks; the last norm is the last block's."""
        *blocks, last = self.network.transformer.blocks
        return [self.network.encoder, *blocks, nn.ModuleList([last, self.network.transformer.norm])]

    def reader(self, cells: ad.AnnData) -> Callable[[Draw], CellBatch]:
        """What makes batches of canonical cells, as long as the longest cell of each.

        Raises
        ------
        BadInput
            If hardly a gene of the cells is known.
        """
        of = self.in_memory(cells)
        return lambda draw: self.batch(of(draw))

    def in_memory(self, cells: ad.AnnData) -> CellsInMemory:
        """Canonical cells in the vocabulary of the network."""
        previous = self.network.config.previous
        return CellsInMemory(cells, self.vocabulary, self._categories, previous=previous)

    @property
    def length(self) -> int:
        """Gene tokens of a cell, at most."""
        return self._collate.config.length

    def batch(self, cells: Cells) -> CellBatch:
        """A batch of cells, nothing of them hidden."""
        batch = self._collate(cells)
        return replace(batch, inputs=shortened(batch.inputs))

    def embed(self, batch: CellBatch) -> Tensor:
        """Float (B, width) vectors of the cells of a batch."""
        return self.network.embed(batch.inputs)


def shortened(inputs: Inputs) -> Inputs:
    """The same without what is padding in every cell; no token is ever seen by another for its place."""
    longest = int(inputs.present.any(0).nonzero().max()) + 1 if inputs.present.any() else 1
    genes, values, present, hidden = (
        tensor[:, :longest] for tensor in (inputs.genes, inputs.values, inputs.present, inputs.hidden)
    )
    segments = None if inputs.segments is None else inputs.segments[:longest]
    padded = not bool(present.all())
    return replace(inputs, genes=genes, values=values, present=present, hidden=hidden, segments=segments, padded=padded)


def _unfilled(
    card: Card, architecture: Architecture, objective: Objective, state: Mapping[str, np.ndarray]
) -> CellTransformer:
    """The network without numbers, which takes no time and no memory, whatever a stranger's folder asks for."""
    table = state.get("encoder.genes.table")
    width = table.shape[1] if table is not None and table.ndim == 2 else 1
    with torch.device("meta"):
        return CellTransformer(
            architecture,
            len(card.vocabulary),
            outputs(objective, architecture),
            covariates=_sizes(card.categories, architecture.covariates),
            labels=_sizes(card.classes, architecture.labels),
            gene_table=torch.empty(len(card.vocabulary), width) if architecture.gene_encoder == "table" else None,
            heads=heads(objective),
        )


def _sizes(words: Mapping[str, Collection[str]], columns: Sequence[str]) -> dict[str, int]:
    return {column: len(words[column]) for column in columns if column in words}


def _collating(architecture: Architecture, objective: Objective, length: int) -> CollatorConfig:
    """How cells are read, as so many tokens; 0: as many as the objective says.

    Raises
    ------
    BadInput
        If two time points cannot share them, or a stranger's folder says what does not go together.
    """
    try:
        return collator(architecture, replace(objective, length=length or objective.length))
    except ValueError as error:
        raise BadInput(str(error)) from None


def _tensor(array: np.ndarray) -> Tensor:
    """A copy in memory: what is read are read-only maps of a file."""
    return torch.from_numpy(np.array(array, dtype=np.float32))


def _drawn(names: Sequence[str], width: int, seed: int) -> Tensor:
    """float32 (V, width) of a normal distribution, each row a function of seed and name."""
    words = pd.util.hash_array(np.array(names, dtype=object), categorize=False)[:, None]
    numbers = (words + np.arange(width, dtype=np.uint64) * _ODD).view(np.int64)
    shares = uniform(numbers.ravel(), key(seed)).reshape(numbers.shape)
    return torch.from_numpy((SPREAD * ndtri(shares + 2.0**-54)).astype(np.float32))


_ODD = np.uint64(0x9E3779B97F4A7C15)
