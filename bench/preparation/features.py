"""The `var` of a prepared file: names by the gene table of a species, biotypes, and what the source said besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.data.modalities import GENE_EXPRESSION
from bench.errors import BadInput, unknown
from bench.genes import identify
from bench.genes.mapping import MAPPED, Genes, Mapping, Outcome
from bench.preparation.options import Options

OTHER = {"human": "mouse", "mouse": "human"}


@dataclass(frozen=True)
class Named:
    """Features under their new names."""

    var: pd.DataFrame
    """`gene_symbol`, `ensembl_id`, `biotype`, `feature_types`; names may repeat."""
    mapped: np.ndarray
    """(n_features,) bool: in the gene table; True for what is no gene, and where no table was read."""
    mitochondrial: np.ndarray
    """(n_features,) bool."""
    report: dict[str, Any]
    """Of the mapping; empty where no table was read."""
    table: dict[str, Any]
    """Which gene table; empty where none was read."""


def are_genes(var: pd.DataFrame) -> np.ndarray:
    """(n_features,) bool: features that measure genes."""
    return (var["feature_types"] == GENE_EXPRESSION).to_numpy(dtype=bool)


def whose(var: pd.DataFrame, declared: str, options: Options, where: str, notices: list[str]) -> str:
    """The species of the genes: as the user says, as the data says, else as the names of the genes show.

    Returns
    -------
    `"human"`, `"mouse"`, or empty where nothing tells and no gene table is needed.

    Raises
    ------
    BadInput
        If a gene table is needed and nothing tells which, or several species are mixed.
    """
    if options.species:
        if declared and declared != options.species:
            notices.append(f"the data says it is {declared}; taken as {options.species}, as asked for.")
        return options.species
    if declared in OTHER:
        return declared
    genes = var[are_genes(var)]
    found = identify.species(genes["gene_symbol"].tolist(), genes["ensembl_id"].tolist())
    if len(found) == 1 and found[0].name in OTHER:
        notices.append(f"species taken to be {found[0].name}: {found[0].evidence}.")
        return found[0].name
    if options.needs_table:
        told = " and ".join(one.name for one in found) or "nothing that can be told from their names"
        raise BadInput(f"{where}: the genes look like {told}; say --species human or --species mouse.")
    return ""


def named(var: pd.DataFrame, species: str, options: Options, where: str, notices: list[str]) -> Named:
    """Look the genes up and name them as asked for.

    The gene table is read only where `--map-genes` or `--biotype` need it, so that the same command writes the same
    file whatever this machine has fetched. A gene keeps its Ensembl id where the table has it; else its symbol is
    looked up; a retired id is kept, and counts as not mapped.

    Parameters
    ----------
    var
        From `bench.data.genes.canonical_var`.
    species
        `"human"` or `"mouse"` where `options` need the gene table.

    Raises
    ------
    BadInput
        If the table cannot be had, a biotype does not exist, or the genes are plainly another species'.
    """
    var, genes = var.assign(biotype=""), are_genes(var)
    by_name = var["gene_symbol"].str.upper().str.startswith("MT-").to_numpy(dtype=bool)
    if not options.needs_table or not genes.any():
        return Named(var, np.ones(len(var), dtype=bool), by_name & genes, {}, {})
    known = Genes.of(species)
    _require_biotypes(known, options)
    mapping = _look_up(var[genes], known)
    _require_species(mapping, species, where)
    ids = np.full(len(var), "", dtype=object)
    ids[genes] = mapping.ids
    mapped = ~genes | (ids != "")
    symbols = _objects(known.to_symbols(ids.tolist()))
    var = var.assign(
        biotype=known.biotypes(ids.tolist()),
        ensembl_id=np.where(ids != "", ids, var["ensembl_id"]),
        gene_symbol=_symbols(var, symbols, notices),
    )
    if options.map_genes:
        wanted = symbols if options.map_genes == "symbol" else ids
        var = var.set_axis(pd.Index(_names(var, wanted, ids, notices), dtype=object), axis=0)
    mitochondrial = (by_name | (_objects(known.chromosomes(ids.tolist())) == "MT")) & genes
    return Named(var, mapped, mitochondrial, mapping.report(), known.provenance)


def _look_up(genes: pd.DataFrame, known: Genes) -> Mapping:
    """By the Ensembl id where there is one, else by the symbol, else by the name."""
    queries = [
        id_ or symbol or str(name)
        for id_, symbol, name in zip(genes["ensembl_id"], genes["gene_symbol"], genes.index, strict=True)
    ]
    return known.to_ids(queries)


def _require_biotypes(known: Genes, options: Options) -> None:
    biotypes = set(known.table["biotype"])
    for biotype in options.biotype:
        if biotype not in biotypes:
            raise unknown("biotype", biotype, biotypes)


def _require_species(mapping: Mapping, species: str, where: str) -> None:
    """Refuse genes of which more are written like another species' than like this one's."""
    exact = sum(outcome in (Outcome.EXACT, Outcome.CHOSEN) for outcome in mapping.outcomes)
    recased = mapping.outcomes.count(Outcome.RECASED)
    foreign = mapping.outcomes.count(Outcome.FOREIGN)
    if recased + foreign > exact:
        raise BadInput(
            f"{where}: of {len(mapping.names):,} genes {exact:,} are in the {species} gene table as they are written,"
            f" {recased:,} only once case is ignored, and {foreign:,} are Ensembl ids of another species;"
            f" is it --species {OTHER[species]}?"
        )
    if not any(outcome in MAPPED for outcome in mapping.outcomes):
        first = mapping.names[0]
        raise BadInput(f"{where}: none of its genes (first: {first!r}) is in the {species} gene table; see --species.")


def _symbols(var: pd.DataFrame, new: np.ndarray, notices: list[str]) -> np.ndarray:
    """Current symbols where there are any, else those of the source."""
    old = var["gene_symbol"].to_numpy(dtype=object)
    renamed = np.flatnonzero((new != "") & (old != "") & (new != old))
    if len(renamed):
        notices.append(
            f"{len(renamed):,} genes have another symbol by now (first: {old[renamed[0]]!r} is {new[renamed[0]]!r})."
        )
    return np.where(new != "", new, old)


def _names(var: pd.DataFrame, wanted: np.ndarray, ids: np.ndarray, notices: list[str]) -> np.ndarray:
    """New names of mapped genes; others keep their own, unless it is by now the name of another gene.

    Where a name is not to be had, the Ensembl id is the name: distinct genes must stay distinct.
    """
    own, own_ids = var.index.to_numpy(dtype=object), var["ensembl_id"].to_numpy(dtype=object)
    names = np.where(wanted != "", wanted, np.where(ids != "", ids, own))
    lost = (ids == "") & (own_ids != "") & pd.Index(own).isin(wanted[wanted != ""])
    by_id = np.flatnonzero(lost | ((wanted == "") & (ids != "")))
    if len(by_id):
        notices.append(
            f"{len(by_id):,} genes are named by their Ensembl id, having no symbol that is theirs alone"
            f" (first: {own_ids[by_id[0]]})."
        )
    return np.where(lost, own_ids, names)


def _objects(texts: list[str]) -> np.ndarray:
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array
