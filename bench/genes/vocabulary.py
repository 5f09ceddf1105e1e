"""How much of a dataset a model knows: the genes it has in its vocabulary, and the counts that are on them.

A model that knows few of the genes would be scored on what is left of the cells; one that knows none would return
zeros or noise. So this is settled when runs are planned, before any model starts.
"""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bench import config
from bench.data.modalities import GENE_EXPRESSION
from bench.errors import BadInput
from bench.genes import identify
from bench.genes.identify import Kind, Species
from bench.specs import DatasetSpec, ModelSpec, load_target
from bench.wording import percent

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

FEWEST = 0.3
"""Share of genes, of the data's or of the model's if those are fewer, below which a model is not run."""
MANY = 0.6
"""Share of genes below which it is said how many there are."""

GeneIds = Literal["any", "symbol", "ensembl"]
"""As in `ModelSpec.gene_ids`."""
WORDS: Mapping[str, str] = {"symbol": "gene symbols", "ensembl": "Ensembl ids"}
"""What the values of `ModelSpec.gene_ids` are called in a sentence."""
_COLUMNS: Mapping[str, str] = {"symbol": "gene_symbol", "ensembl": "ensembl_id"}


@dataclass(frozen=True)
class Coverage:
    """What a model knows of a dataset's genes."""

    genes: int
    """Genes of the dataset, other features left out."""
    known: int
    counts: float
    """Share of all their counts that are on genes it knows, 0 to 1."""
    vocabulary: int
    """Genes the model knows."""

    @property
    def share(self) -> float:
        """Share of the genes that it knows, 0 to 1."""
        return self.known / self.genes if self.genes else 0.0

    @property
    def overlap(self) -> float:
        """Share of what could be in both that is, 0 to 1: a model of 2,000 genes can know no more of any dataset."""
        return self.known / min(self.genes, self.vocabulary) if self.known else 0.0

    @property
    def missing(self) -> int:
        """Genes that the model reads and the data lack, where it reads fewer than there are."""
        return self.vocabulary - self.known if self.vocabulary < self.genes else 0

    def __str__(self) -> str:
        return f"{percent(self.share)} of {self.genes:,} genes ({percent(self.counts)} of the counts)"


@dataclass(frozen=True)
class Suitability:
    """Whether a dataset's genes are of use to a model."""

    coverage: Coverage | None = None
    """None for a model that takes any gene."""
    refusal: str = ""
    """Why it is not; empty where it is."""
    notice: str = ""
    """What a reader of its scores must know."""
    mend: str = ""
    """The option that mends a refusal, where one does."""


def suitability(
    data: ad.AnnData, model: ModelSpec, options: Mapping[str, Any], weights: str, dataset: DatasetSpec
) -> Suitability:
    """Compare the genes of canonical data with what a model can read.

    Refused is data that lacks the kind of names the model needs, that is sure to be of another species, or with which
    it shares less than `FEWEST` of the genes that it could. If it knows less than `MANY` of them all there is a notice.

    Parameters
    ----------
    data
        Canonical data (see `bench.data.canonical`).
    model, options, weights
        The model, its options, and its weights: a path, `"untrained"` or empty.
    dataset
        What the data was loaded from.

    Raises
    ------
    BadInput
        If the model's vocabulary cannot be read, or is not a set of names.
    """
    var = genes_of(data)
    if var.empty or (model.gene_ids == "any" and not model.vocabulary and not model.species):
        return Suitability()
    lacking = _lacking(var, model, dataset)
    if lacking:
        return lacking
    species = whose(var, dataset)
    foreign = [one for one in species if one.sure and model.species and one.name not in model.species]
    if foreign and len(foreign) == len(species):
        known = " and ".join(sorted(model.species))
        return Suitability(refusal=f"model {model.name} knows {known}, the genes are {_named(foreign)}")
    names = vocabulary(model, options, weights, _first_name(species)) if model.vocabulary else None
    if names is None:
        return Suitability()
    kind, found = _best(data, names)
    model = replace(model, gene_ids=kind)
    return _lacking(var, model, dataset) or _judged(found, model, species, var)


def kind_of(names: Collection[str]) -> GeneIds:
    """What the names of a vocabulary are: that of a model that was trained here is known from its weights alone."""
    kind = identify.look(names).kind
    return kind if kind == "symbol" or kind == "ensembl" else "any"


def vocabulary(
    model: ModelSpec, options: Mapping[str, Any], weights: str, species: str
) -> dict[GeneIds, frozenset[str]] | None:
    """The names of the genes a model knows, by kind, the kind it prefers first.

    None: with these weights, such as untrained ones, it takes any gene.

    Parameters
    ----------
    model, options, weights
        As in `suitability`; the model must declare a vocabulary.
    species
        Of the data; empty where it is not known.

    Raises
    ------
    BadInput
        If the model cannot tell.
    """
    given = Path(weights) if weights not in ("", "untrained") else weights or None
    typed = config.build(model.config, options, f"model {model.name}")
    told = load_target(model.vocabulary)(typed, weights=given, species=species)
    return None if told is None else by_kind(told, model)


def by_kind(told: Any, model: ModelSpec) -> dict[GeneIds, frozenset[str]]:
    """What a model's vocabulary function returned, by kind of name.

    Parameters
    ----------
    told
        A set of names, or kind -> names where a model knows its genes by both.

    Raises
    ------
    BadInput
        If it is something else.
    """
    sets = told if isinstance(told, Mapping) else {"": told}
    if not sets or not all(
        kind in ("", *WORDS) and isinstance(names, (set, frozenset)) and all(isinstance(name, str) for name in names)
        for kind, names in sets.items()
    ):
        raise BadInput(
            f"model {model.name}: its vocabulary {model.vocabulary} returned {type(told).__name__};"
            " it must return a frozenset of gene names."
        )
    if isinstance(told, Mapping):
        return {kind: frozenset(names) for kind, names in told.items()}
    return {kind_of(told) if model.gene_ids == "any" else model.gene_ids: frozenset(told)}


def coverage(data: ad.AnnData, known: frozenset[str], gene_ids: str) -> Coverage:
    """How many genes of canonical data, and how many of their counts, a set of names covers.

    Parameters
    ----------
    data
        Canonical data.
    known
        Names of genes.
    gene_ids
        `"symbol"` or `"ensembl"`: what those names are; `"any"`: a gene counts if any of its names is among them.
    """
    var = genes_of(data)
    columns = [_COLUMNS[gene_ids]] if gene_ids in _COLUMNS else list(_COLUMNS.values())
    mask = np.zeros(len(var), dtype=bool)
    for names in [var[column] for column in columns] + ([var.index] if gene_ids == "any" else []):
        mask |= np.array([bool(name) and name in known for name in names], dtype=bool)
    matrix: Any = data.X
    totals = np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel()[_are_genes(data)]
    counts = float(totals[mask].sum() / totals.sum()) if totals.sum() else 0.0
    return Coverage(len(var), int(mask.sum()), counts, len(known))


def genes_of(data: ad.AnnData) -> pd.DataFrame:
    """The `var` of the features that are genes."""
    return data.var[_are_genes(data)]


def whose(var: pd.DataFrame, dataset: DatasetSpec) -> list[Species]:
    """The species of canonical genes: as the dataset declares, else as their names tell."""
    if dataset.species:
        return [Species(dataset.species, "as the dataset says", True)]
    return identify.species(var["gene_symbol"].tolist(), var["ensembl_id"].tolist())


def alternative(dataset: DatasetSpec, kind: Kind) -> str:
    """A column of the source's `var` that holds names of a kind; empty where there is none or no file.

    Only the tables of the file are read, never its matrix.
    """
    import anndata as ad

    from bench.data import files, safety, sets

    if dataset.target not in (files.TARGET, sets.TARGET):
        return ""
    path = Path(dataset.params["path"])
    file = sets.read(path).members[0].path if dataset.target == sets.TARGET else path
    safety.check(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old formats: known since the data was loaded
        source = ad.read_h5ad(file, backed="r")
    try:
        return next(iter(identify.columns_with(source.var, kind)), "")
    finally:
        source.file.close()


def _best(data: ad.AnnData, names: Mapping[GeneIds, frozenset[str]]) -> tuple[GeneIds, Coverage]:
    """The first kind of names by which enough genes are known, else that by which most are."""
    found = [(kind, coverage(data, known, kind)) for kind, known in names.items()]
    enough = [pair for pair in found if pair[1].overlap >= FEWEST]
    return enough[0] if enough else max(found, key=lambda pair: pair[1].overlap)


def _lacking(var: pd.DataFrame, model: ModelSpec, dataset: DatasetSpec) -> Suitability | None:
    """The refusal of data that has no names of the kind the model needs."""
    column = _COLUMNS.get(model.gene_ids)
    if column is None:
        return None
    names = identify.look(var[column])
    if names.n * names.share("symbol", "date", "ensembl") >= FEWEST * len(var):
        return None
    text = f"model {model.name} needs {WORDS[model.gene_ids]}; {_described(var.index)}"
    kind: Kind = "symbol" if model.gene_ids == "symbol" else "ensembl"
    found = alternative(dataset, kind)
    if found:
        mend = f"--data-set {shlex.quote(f'gene_key={found}')}"
        return Suitability(refusal=f"{text}. Column var[{found!r}] can be used: {mend}", mend=mend)
    return Suitability(refusal=f"{text}. Add them with bench data prepare --map-genes {model.gene_ids}")


def _judged(found: Coverage, model: ModelSpec, species: list[Species], var: pd.DataFrame) -> Suitability:
    kind = f"; species looks like {_named(species)}" if species else ""
    if not found.known:
        column = _COLUMNS.get(model.gene_ids)
        example = next((name for name in (var[column] if column else var.index) if name), "")
        text = f"none of {found.genes:,} genes (first: {example!r}) is among the {found.vocabulary:,} that {model.name}"
        return Suitability(found, refusal=f"{text} knows{kind}")
    lacking = f"; {found.missing:,} of the {found.vocabulary:,} that it reads are missing" if found.missing else ""
    if found.overlap < FEWEST:
        return Suitability(found, refusal=f"only {found} known to {model.name}{lacking}{kind}")
    notice = f"model {model.name} knows {found}{lacking}." if found.share < MANY else ""
    return Suitability(found, notice=notice)


def _described(names: pd.Index) -> str:
    """What the names of the genes are instead."""
    looked = identify.look(map(str, names))
    share = {"symbol": looked.share("symbol"), "ensembl": looked.share("ensembl", "versioned")}
    if looked.kind in WORDS:
        return f"var_names look like {WORDS[looked.kind]} ({percent(share[looked.kind])})"
    if looked.kind == "mixed":
        return f"var_names are mixed ({percent(share['symbol'])} symbols, {percent(share['ensembl'])} Ensembl ids)"
    return f"var_names are neither symbols nor Ensembl ids (first: {str(names[0])!r})"


def _are_genes(data: ad.AnnData) -> np.ndarray:
    return (data.var["feature_types"] == GENE_EXPRESSION).to_numpy(dtype=bool)


def _first_name(species: list[Species]) -> str:
    return species[0].name if len(species) == 1 else ""


def _named(species: list[Species]) -> str:
    return " and ".join(one.name for one in species)
