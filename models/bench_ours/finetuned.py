"""`ours`, fine-tuned to name cells: as a model of the benchmark, and as `bench finetune --model ours`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.config import as_dict
from bench.data.cells.vocabulary import Vocabulary
from bench.training.finetuning import head
from bench.training.finetuning.command import Start
from bench.training.finetuning.command import finetune as finetuned
from bench.training.finetuning.namer import CellNamer
from bench.training.folder import Card, read_card, read_state, section
from bench_ours.backbone import OursBackbone, Reading
from bench_ours.config import Architecture, Objective
from bench_ours.models import UNTRAINED_SIZE, require_no_size
from bench_ours.plugin import VERSION
from bench_ours.presets import preset
from bench_ours.vocabulary import MODELS

if TYPE_CHECKING:
    import anndata as ad

    from bench.capabilities import Weights
    from bench.training.command import Training
    from bench.training.fitted import Fitted
    from bench_ours.plugin import OursFinetunedConfig, ReadingConfig

Begin = Callable[["ad.AnnData"], Start]
"""Makes the network anew, and what is to be said of it; untrained, it has the genes of the cells."""


class OursFinetuned(CellNamer):
    """The network of a trained folder, fine-tuned on the labelled cells of `fit`.

    Untrained, it is the same network that learns from these cells alone: what pretraining is compared with.
    """

    def __init__(self, config: OursFinetunedConfig, *, weights: Weights, seed: int, device: str) -> None:
        begin, stored = opened(weights, config, seed)
        super().__init__(
            config,
            lambda cells: begin(cells).backbone,
            seed=seed,
            device=device,
            pretrained=isinstance(weights, Path),
            stored=stored,
        )


def finetune(training: Training) -> Fitted:
    """`bench finetune --model ours`.

    Raises
    ------
    BadInput
        If the weights, options or data are refused.
    """
    begin, _ = opened(training.weights, training.config["model"], training.seed)
    return finetuned(training, begin)


def opened(weights: Weights, reading: ReadingConfig, seed: int) -> tuple[Begin, head.StoredHead | None]:
    """What weights are begun with, and the head that a fine-tuned folder has.

    Raises
    ------
    BadInput
        If the folder is damaged, holds another model, or cannot be read as asked for.
    """
    how = Reading(reading.pooling, reading.length)
    if not isinstance(weights, Path):
        return lambda cells: _untrained(cells, reading, how, seed), None
    require_no_size(reading, weights)
    card, state = read_card(weights, MODELS), read_state(weights)
    network, stored = head.split(state)[0], head.stored(card, state)

    def begin(cells: ad.AnnData) -> Start:
        backbone = OursBackbone.of(card, network, f"weights {weights}", seed=seed, reading=how)
        return Start(backbone, _card(card, backbone), stored)

    return begin, stored


def _card(card: Card, backbone: OursBackbone) -> Card:
    """The same model, as it is read now; how it was pretrained is told by its provenance."""
    objective = replace(section(card, "objective", Objective), length=backbone.length)
    return replace(card, config=_sections(backbone.network.config, objective))


def _untrained(cells: ad.AnnData, reading: ReadingConfig, how: Reading, seed: int) -> Start:
    """A network that has learned nothing, not even what its heads would be for."""
    chosen, vocabulary = preset(reading.size or UNTRAINED_SIZE), Vocabulary.of_genes(cells.var)
    backbone = OursBackbone.untrained(chosen.architecture, chosen.objective, vocabulary, seed=seed, reading=how)
    objective = replace(chosen.objective, pretext="none", generation=0.0, contrast="none", length=backbone.length)
    sections = _sections(backbone.network.config, objective)
    return Start(backbone, Card(MODELS[0], VERSION, "finetune", seed, sections, vocabulary))


def _sections(architecture: Architecture, objective: Objective) -> dict[str, dict[str, Any]]:
    return {"model": as_dict(architecture), "objective": as_dict(objective)}
