"""A model under examination: made, fitted and asked the way the harness does it, but without its wrappers.

The wrappers of `bench.runs.models` hide labels, copy cells and repair row order; here nothing may hide what
the plugin itself does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import config
from bench.conformance.cells import probe_cells
from bench.conformance.check import Failure
from bench.errors import BadInput
from bench.genes.vocabulary import GeneIds, by_kind
from bench.runs.models import LABEL, configured_model
from bench.specs import Cap, ModelSpec, load_target

if TYPE_CHECKING:
    import anndata as ad

GROUP = "group"
"""The column that tells a model which cells belong together, where a task shows it."""


@dataclass
class ModelSubject:
    """One capability of one model, with what it was fitted on and what it answered."""

    spec: ModelSpec
    cap: Cap
    options: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    seed: int = 0
    device: str = "cpu"

    @property
    def owner(self) -> str:
        """Whose options these are, for messages."""
        return f"model {self.spec.name}"

    @cached_property
    def make(self) -> Callable[[], Any]:
        """Makes a fresh model."""
        return configured_model(self.spec, self.options, self.weights, self.seed, self.device)

    @cached_property
    def probe(self) -> ad.AnnData:
        """All probe cells with all roles; copied before any model gets them."""
        known = self.spec.species
        species = "human" if not known or "human" in known else min(known)
        kind, vocabulary = next(iter(self._vocabulary(species).items()))
        return probe_cells(species, vocabulary, ensembl=kind == "ensembl")

    def _vocabulary(self, species: str) -> dict[GeneIds, frozenset[str]]:
        """Names by kind, its own kind first; no names where it takes any."""
        options = config.build(self.spec.config, self.options, self.owner)
        weights = Path(self.weights) if self.weights not in ("", "untrained") else self.weights or None
        read = load_target(self.spec.vocabulary) if self.spec.vocabulary else _any_gene
        told = read(options, weights=weights, species=species)
        if told is None:
            return {self.spec.gene_ids: frozenset()}
        try:
            found = by_kind(told, self.spec)
        except BadInput as error:
            raise Failure(str(error)) from None
        if not all(found.values()):
            raise Failure(f"vocabulary {self.spec.vocabulary} returned no gene; return those it knows, or None for any")
        return found

    def seen(self, cells: ad.AnnData, *, labels: bool) -> ad.AnnData:
        """A copy with what the harness shows: batch, group and the roles the model needs, and maybe labels."""
        shown = ["batch", *(role for role in self.spec.obs if role not in ("batch", LABEL))]
        copy = cells.copy()
        copy.obs = cells.obs[shown].assign(**{GROUP: cells.obs["donor"]})
        if labels:
            copy.obs[LABEL] = cells.obs[LABEL]
        return copy

    def to_fit(self, cells: ad.AnnData) -> ad.AnnData:
        """A copy with what `fit` is shown."""
        return self.seen(cells, labels=self.spec.fits == "labels")

    def fit(self, cells: ad.AnnData) -> Any:
        """A fresh model that has learned from these cells as they are; a zero-shot one is shown none."""
        model = self.make()
        if self.spec.fits != "no":
            model.fit(cells)
        return model

    @cached_property
    def fitted(self) -> Any:
        """The model that has learned from the probe."""
        return self.fit(self.to_fit(self.probe))

    def ask(self, model: Any, cells: ad.AnnData) -> np.ndarray:
        """What a model answers on cells shown as they are, one row per cell in their order."""
        return ASK[self.cap](model, cells)

    def answer(self, cells: ad.AnnData, model: Any = None) -> np.ndarray:
        """What a model, else the fitted one, answers on a copy of cells without labels."""
        return self.ask(self.fitted if model is None else model, self.seen(cells, labels=False))

    @cached_property
    def reference(self) -> np.ndarray:
        """The fitted model's answer on the probe; not to be written to."""
        answer = np.array(self.answer(self.probe))
        answer.flags.writeable = False
        return answer

    def use(self, options: Mapping[str, Any]) -> None:
        """Fit and ask a model with other options."""
        other = replace(self, options={**self.options, **options})
        other.make()
        if self.cap in ASK:
            other.ask(other.fitted, other.seen(other.probe, labels=False))

    def permutation(self, n: int) -> np.ndarray:
        """A fixed order of n things that leaves none in its place."""
        order = np.random.default_rng(7).permutation(n)
        place = np.empty(n, dtype=int)
        place[order] = np.roll(order, 1)  # one cycle
        return place


def _any_gene(options: Any, *, weights: Any, species: str) -> None:
    """The vocabulary of a model that declares none."""


def ask_embedding(model: Any, cells: ad.AnnData) -> np.ndarray:
    """What `embed` returns, as an array."""
    return np.asarray(model.embed(cells))


def ask_labels(model: Any, cells: ad.AnnData) -> np.ndarray:
    """What `predict` returns, joined by cell name, classes in alphabetical order."""
    frame = model.predict(cells)
    return frame.loc[list(cells.obs_names), sorted(frame.columns)].to_numpy()


ASK: dict[Cap, Callable[[Any, Any], np.ndarray]] = {
    Cap.EMBEDS_CELLS: ask_embedding,
    Cap.PREDICTS_LABELS: ask_labels,
}
"""How a capability is asked; one that is not here gets the checks of its spec only."""
