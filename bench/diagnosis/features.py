"""Findings about genes: what their names are, whose they are, which repeat, which say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.data.genes import ENSEMBL_COLUMNS, SYMBOL_COLUMNS
from bench.diagnosis.case import Case
from bench.diagnosis.finding import Finding, Level, option
from bench.genes import identify
from bench.genes.identify import Names
from bench.wording import counted, listed, percent

if TYPE_CHECKING:
    import pandas as pd

SUBJECT = "genes"
KNOWN_COLUMNS = frozenset({*SYMBOL_COLUMNS, *ENSEMBL_COLUMNS})
"""Columns of `var` that are read without being named."""


def kinds_of_features(case: Case) -> list[Finding]:
    """What is measured, where it is not genes alone."""
    if case.var is None:
        return []
    kinds = case.var["feature_types"].value_counts()
    if case.are_genes.all():
        return []
    text = "; ".join(f"{counted(int(n), 'feature')} of {kind}" for kind, n in kinds.items())
    return [Finding("note", SUBJECT, text if case.are_genes.any() else f"{text}: no genes")]


def names(case: Case) -> list[Finding]:
    """Whether genes are called by symbols or ids, and where the other kind is."""
    var = _genes(case)
    if var is None:
        return []
    looked = identify.look(var.index)
    symbols, ids = (var[column] != "" for column in ("gene_symbol", "ensembl_id"))
    if looked.kind == "unknown":
        return [_unknown(case, var, looked)]
    text = f"{len(var):,} genes, named by {_words(looked)}"
    if looked.kind == "ensembl":
        versioned = f", {percent(looked.share('versioned'))} with a version, which is taken off"
        text += versioned if looked.share("versioned") else ""
        text += f"; symbols of {percent(symbols.mean())}" if symbols.any() else "; no column holds symbols"
    else:
        text += f"; Ensembl ids of {percent(ids.mean())}" if ids.any() else "; no column holds Ensembl ids"
    level: Level = "ok" if looked.kind != "mixed" else "warning"
    return [Finding(level, SUBJECT, text), *_unread_columns(case, bool(symbols.any()), bool(ids.any()))]


def species(case: Case) -> list[Finding]:
    """Whose genes these are, as their names tell, and whether the dataset says the same."""
    var = _genes(case)
    if var is None:
        return []
    found = identify.species(var["gene_symbol"].tolist(), var["ensembl_id"].tolist())
    said = [f"{one.name} ({one.evidence})" for one in found]
    if not found:
        return [Finding("note", SUBJECT, "the species cannot be told from the names")]
    if len(found) > 1:
        return [Finding("warning", SUBJECT, f"genes of several species: {'; '.join(said)}")]
    declared = case.spec.species
    if declared and found[0].sure and declared != found[0].name:
        return [Finding("warning", SUBJECT, f"the dataset says {declared}, the genes look {said[0]}")]
    if declared and not found[0].sure:
        return [Finding("ok", SUBJECT, f"species: {declared}, as the dataset says")]
    return [Finding("ok" if found[0].sure else "note", SUBJECT, f"species: {said[0]}"), *_mixed_cells(case, found[0])]


def duplicates(case: Case) -> list[Finding]:
    """Names that stand for several features of one kind, and ids that stand for several names."""
    if case.var is None:
        return []
    again = case.var[["feature_types"]].assign(name=case.var.index).duplicated()
    found = []
    if again.any():
        repeated = case.var.index[again.to_numpy()]
        first = listed(repeated.unique(), 3)
        if case.options.duplicate_genes == "error":
            text = f"{counted(int(again.sum()), 'duplicate gene name')} ({first})"
            found.append(Finding("error", SUBJECT, text, "--data-set duplicate_genes=sum"))
        else:
            how = {"sum": "counts are added up", "first": "the first of each is kept"}[case.options.duplicate_genes]
            found.append(Finding("note", SUBJECT, f"{counted(int(again.sum()), 'duplicate gene name')}: {how}"))
    ids = case.var["ensembl_id"]
    shared = ids[(ids != "") & ids.duplicated() & ~again.to_numpy()]
    if len(shared):
        text = f"{counted(len(shared), 'gene')} with the Ensembl id of another name (first: {shared.iloc[0]})"
        found.append(Finding("note", SUBJECT, text))
    return found


def dates(case: Case) -> list[Finding]:
    """Names that a spreadsheet has spoilt."""
    spoilt = identify.dates(case.source_var.index.astype(str))
    if not spoilt:
        return []
    text = f"{counted(len(spoilt), 'gene name')} turned into a date by a spreadsheet ({listed(spoilt, 3)}): SEPTIN,"
    return [Finding("note", SUBJECT, f"{text} MARCHF and DELEC genes are written so; no model will know them")]


def silent(case: Case) -> list[Finding]:
    """Features without a count in any cell."""
    if case.gene_totals is None or case.gene_totals.size == 0:
        return []
    n = int((case.gene_totals == 0).sum())
    if not n:
        return []
    text = f"{counted(n, 'feature')} of {len(case.gene_totals):,} without a count in any cell; kept"
    return [Finding("ok", SUBJECT, text)]  # so is every file of a whole annotation


def _genes(case: Case) -> pd.DataFrame | None:
    """Canonical `var` of the genes; None where it is refused or there are none."""
    if case.var is None or not case.are_genes.any():
        return None
    return case.var[case.are_genes]


def _words(looked: Names) -> str:
    symbols, ids = looked.share("symbol", "date"), looked.share("ensembl", "versioned")
    if looked.kind == "mixed":
        return f"a mixture: {percent(symbols)} symbols, {percent(ids)} Ensembl ids"
    return f"symbols ({percent(symbols)})" if looked.kind == "symbol" else f"Ensembl ids ({percent(ids)})"


_OTHERS = {
    "number": "numbers (Entrez ids, or positions)",
    "transcript": "Ensembl transcripts or proteins",
    "refseq": "RefSeq accessions",
    "peak": "genomic intervals",
}


def _unknown(case: Case, var: pd.DataFrame, looked: Names) -> Finding:
    what = _OTHERS.get(looked.other, "of no known kind")
    text = f"the names of {counted(len(var), 'gene')} are {what} (first: {str(var.index[0])!r})"
    source = case.source_var[case.are_genes]
    columns = [*identify.columns_with(source, "symbol"), *identify.columns_with(source, "ensembl")]
    if not columns:
        return Finding("warning", SUBJECT, f"{text}; models that know genes by name will know none")
    return Finding(
        "warning", SUBJECT, f"{text}; var[{columns[0]!r}] holds names", option("--data-set", f"gene_key={columns[0]}")
    )


def _unread_columns(case: Case, symbols: bool, ids: bool) -> list[Finding]:
    """Columns with the missing kind of names that are only used when named."""
    source = case.source_var[case.are_genes]
    if case.options.gene_key:
        return []
    found: list[tuple[str, str]] = []
    if not symbols:
        found += [("symbols", column) for column in identify.columns_with(source, "symbol")]
    if not ids:
        found += [("Ensembl ids", column) for column in identify.columns_with(source, "ensembl")]
    return [
        Finding("note", SUBJECT, f"var[{column!r}] holds {kind}", option("--data-set", f"gene_key={column}"))
        for kind, column in found
        if column.lower() not in KNOWN_COLUMNS
    ]


def _mixed_cells(case: Case, genes: identify.Species) -> list[Finding]:
    """Cells of another species than the genes are named for."""
    values = case.obs.get("species")
    if values is None:
        return []
    kinds, sizes = np.unique([str(value) for value in values if value is not None], return_counts=True)
    if len(kinds) < 2:
        return []
    cells = " and ".join(f"{n:,} {kind}" for kind, n in zip(kinds, sizes, strict=True))
    text = f"cells of several species ({cells}) under genes named as in {genes.name}"
    return [Finding("note", SUBJECT, f"{text}: models see all of them as {genes.name}")]
