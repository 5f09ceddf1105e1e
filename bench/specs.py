"""What a plugin says about itself: frozen data, standard library only.

A plugin module hands these out without importing anything heavy; the class behind a `target`
("package.module:Name") is imported only in the process that runs it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, get_args

from bench.errors import BadInput

ROLES: Mapping[str, str] = {
    "cell_type": "the label of a cell",
    "batch": "the technical batch: library, chemistry, study",
    "donor": "the individual a cell comes from",
    "species": "the species of a cell, where a dataset holds several",
    "perturbation": "the perturbation; unperturbed cells are 'control'",
    "time_point": "the sampled time point",
    "split": "the part a published split puts a cell in: train, val or test",
}
"""Names of `obs` columns in canonical data. A dataset maps its own columns to them."""


class Cap(StrEnum):
    """A capability of a model; each has one protocol of the same name in `bench.capabilities`."""

    EMBEDS_CELLS = "EmbedsCells"
    EMBEDS_GENES = "EmbedsGenes"
    PREDICTS_LABELS = "PredictsLabels"
    PREDICTS_MODALITY = "PredictsModality"
    PREDICTS_PERTURBATION = "PredictsPerturbation"


@dataclass(frozen=True)
class NoConfig:
    """The configuration of something that has nothing to set."""


FileKind = Literal["", "hdf5", "gzip", "zip", "tar", "parquet", "text"]


@dataclass(frozen=True)
class RemoteFile:
    """One file that `bench fetch` downloads, and how to know that it arrived whole.

    Raises
    ------
    BadInput
        If the name leads out of a folder or is one `bench fetch` uses itself, or the kind does not exist.
    """

    name: str
    """The name it is kept under."""
    urls: tuple[str, ...] = ()
    """Where it is, then its mirrors; empty where it cannot be had without a login."""
    sha256: str = ""
    """Of the bytes at the address; empty where nobody published it: the file is then unverified."""
    md5: str = ""
    """Where the publisher gives only this."""
    size: int | None = None
    """Bytes."""
    kind: FileKind = ""
    """What its first bytes must say; empty: anything but an HTML page or a git-LFS pointer."""
    unpack: bool = False
    """Whether a compressed file is kept as what is inside: a `.gz` as the file without it, an archive as a folder."""

    def __post_init__(self) -> None:
        parts = self.name.split("/")
        if self.name.startswith("fetched.json") or "\\" in self.name or any(not p or p.startswith(".") for p in parts):
            raise BadInput(
                f"remote file {self.name!r} has no name that can be kept: give it a relative one whose parts do not"
                " begin with a dot; mend its plugin."
            )
        if self.kind not in get_args(FileKind):
            raise BadInput(f"remote file {self.name!r} is of unknown kind {self.kind!r}; mend its plugin.")


@dataclass(frozen=True)
class WeightsSpec:
    """Published weights: what to fetch and how to know it arrived whole."""

    summary: str
    files: tuple[RemoteFile, ...] = ()
    """All that the model reads: these, with their sha256, are its identity."""
    source: str = ""
    licence: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """One model, as it appears in `bench list models`."""

    name: str
    summary: str
    target: str
    gives: frozenset[Cap]
    config: type = NoConfig
    fits: Literal["no", "cells", "labels"] = "cells"
    """What `fit` learns from: nothing (zero-shot), cells without labels, or labels too."""
    inductive: bool = True
    """False where cells that were not in `fit` cannot be embedded (Harmony)."""
    per_cell: bool = True
    """True where the output of one cell does not depend on the other cells of the call."""
    obs: tuple[str, ...] = ()
    """Roles it cannot do without, such as `("batch",)`; labels follow from `fits`."""
    gene_ids: Literal["any", "symbol", "ensembl"] = "any"
    species: frozenset[str] = frozenset()
    """Species the model knows; empty means any."""
    vocabulary: str = ""
    """`"package.module:function"`, called as `function(config, weights=..., species=...)`: the gene ids (of the kind
    `gene_ids`) it knows, as a frozenset; empty: it takes any gene."""
    weights: WeightsSpec | None = None
    commands: Mapping[str, str] = field(default_factory=dict)
    """Verbs of training: `{"pretrain": "package.commands:PRETRAIN"}`, a `bench.training.command.TrainingCommand`."""
    requires: tuple[str, ...] = ()
    """Distributions that must be installed, as requirement strings: `"scvi-tools>=1.3"`."""
    pretrained_on: tuple[str, ...] = ()
    version: str = "1"
    reference: str = ""
    licence: str = ""


@dataclass(frozen=True)
class MetricSpec:
    """One metric of a task: how to read it and how it enters the aggregate."""

    name: str
    summary: str
    version: str = "1"
    higher_is_better: bool = True
    lower: float | None = 0.0
    upper: float | None = 1.0
    group: str = ""
    """Metrics of a group are averaged before the task's `aggregate` weighs the groups."""
    floor: str = ""
    """The control that marks skill 0 of this metric, where it is not the task's `floor`."""
    reference: str = ""


@dataclass(frozen=True)
class BridgeSpec:
    """Adapts one capability to another: wraps a model that `needs` it and IS what the task asks for."""

    name: str
    summary: str
    needs: Cap
    target: str


@dataclass(frozen=True)
class TaskSpec:
    """One task, as it appears in `bench list tasks`."""

    name: str
    summary: str
    target: str
    needs: Cap
    metrics: tuple[MetricSpec, ...]
    main_metric: str
    default_dataset: str
    bridges: tuple[BridgeSpec, ...] = ()
    bridge_option: str = ""
    """The field of `config` that names the bridge, such as `"probe"`."""
    obs: tuple[str, ...] = ()
    """Roles a dataset must have."""
    shows: tuple[str, ...] = ()
    """Roles, other than labels, that models get to see."""
    holds_out: bool = False
    """True where models are asked about cells they were not fitted on."""
    modalities: frozenset[str] = frozenset({"Gene Expression"})
    baselines: tuple[str, ...] = ()
    floor: str = ""
    """The negative control: marks skill 0; a score no better than it is suspect."""
    ceiling: str = ""
    """The control that marks skill 1; empty means the best value a metric can have. A control is right only where
    it really is the best: Leiden cuts a cloud of perfect but featureless labels to pieces."""
    aggregate: Mapping[str, float] = field(default_factory=dict)
    """Weight of each metric group in the overall number, made when rendering."""
    config: type = NoConfig
    version: str = "1"
    reference: str = ""


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset: built in, from a plugin, or made at plan time from the user's file.

    `target` is a function that takes `params` as keyword arguments and returns an AnnData, which the
    core then makes canonical with `roles`, `layer` and `options` (see `bench.data`).
    """

    name: str
    summary: str
    target: str
    params: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    """Role -> column of the source's `obs`."""
    layer: str = ""
    """Where the counts are; empty means found by inspection."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Choices about imperfect data, see `bench.data.options.DataOptions`."""
    modalities: frozenset[str] = frozenset({"Gene Expression"})
    species: str = ""
    gene_ids: Literal["", "symbol", "ensembl"] = ""
    study: str = ""
    """Cells of one study never sit on both sides of a test."""
    n_obs: int | None = None
    files: tuple[RemoteFile, ...] = ()
    """What `bench fetch dataset` downloads first; `target` then gets `path`, the file or, of several, their folder."""
    manual: str = ""
    """One sentence: how to get the files by hand, where a login or a licence stands before them."""
    unverified: str = ""
    """What is known of this dataset from memory only; empty where it was checked against a public source."""
    sha256: str = ""
    """Of the content; empty for generated data, whose identity is `version` and `params`."""
    semi_simulated: bool = False
    simulated: bool = False
    version: str = "1"
    source: str = ""
    reference: str = ""
    licence: str = ""


@dataclass(frozen=True)
class CommandSpec:
    """A verb of the command line that lives in a plugin: `target` is a Typer app or a function."""

    name: str
    summary: str
    target: str


def load_target(target: str) -> Any:
    """Import what a `target` names.

    Raises
    ------
    BadInput
        If the target is malformed, or what it names cannot be imported or does not exist.
    """
    module, _, attribute = target.partition(":")
    if not attribute:
        raise BadInput(f"target {target!r} must look like 'package.module:Name'.")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise BadInput(f"target {target!r} cannot be imported: {error}; install what is missing.") from error
    try:
        return getattr(found, attribute)
    except AttributeError:
        raise BadInput(f"target {target!r}: module {module!r} has no {attribute!r}.") from None
