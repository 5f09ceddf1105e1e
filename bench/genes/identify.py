"""What gene names are, and whose: symbols or ids of a database, and of which species.

Nothing here changes a name. What is only likely is said to be a guess.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.errors import BadInput
from bench.wording import percent

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["symbol", "ensembl", "mixed", "unknown"]

MOST = 0.8
"""Share of names from which on a list is called by one kind."""
SOME = 0.1
"""Share of names below which a kind is an exception: spike-ins, genes that have no symbol."""

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec"
_FORMS = {
    "ensembl": r"ENS[A-Z]{0,4}G\d{11}",
    "versioned": r"ENS[A-Z]{0,4}G\d{11}\.\d+",
    "transcript": r"ENS[A-Z]{0,4}[TP]\d{11}(?:\.\d+)?",
    "date": rf"(?:\d{{1,2}}-(?i:{_MONTHS})|(?i:{_MONTHS})-\d{{1,2}}|\d{{4}}-\d\d-\d\d(?: 00:00:00)?)",
    "peak": r"[\w.]+[:_-]\d{3,}[-_]\d{3,}",
    "number": r"[\d.]+",
    "refseq": r"[NX][MRP]_\d+(?:\.\d+)?",
    "symbol": r"(?=.*[A-Za-z])[^\s,;|]{1,40}",
}
"""The first form that a name has is what it is."""
_NAME = re.compile("|".join(f"(?P<{kind}>{form})" for kind, form in _FORMS.items()))

SPECIES_BY_PREFIX: Mapping[str, str] = {
    "ENSG": "human",
    "ENSMUSG": "mouse",
    "ENSRNOG": "rat",
    "ENSDARG": "zebrafish",
    "ENSMMUG": "rhesus macaque",
    "ENSMFAG": "crab-eating macaque",
    "ENSPTRG": "chimpanzee",
    "ENSCJAG": "marmoset",
    "ENSSSCG": "pig",
    "ENSBTAG": "cow",
    "ENSOCUG": "rabbit",
    "ENSGALG": "chicken",
    "ENSCAFG": "dog",
    "ENSOARG": "sheep",
}
"""Ensembl stable id prefixes, https://www.ensembl.org/info/genome/stable_ids/prefixes.html."""

_GENOMES: Mapping[str, str] = {
    "GRCh37": "human", "GRCh38": "human", "hg19": "human", "hg38": "human",
    "GRCm38": "mouse", "GRCm39": "mouse", "mm10": "mouse", "mm39": "mouse",
}  # fmt: skip
"""Assemblies that Cell Ranger puts before every name where genomes were mixed, as in `GRCh38_CD4`, `mm10___Cd4`."""
_GENOME = re.compile(rf"({'|'.join(_GENOMES)})_+\S+")

_HUMAN_CASE = re.compile(r"[A-Z][A-Z0-9.\-]*(?:orf\d+[A-Z0-9\-]*)?")
_MOUSE_CASE = re.compile(r"(?=.*[a-z])(?:mt-)?[A-Z0-9][A-Za-z0-9.\-]*")


@dataclass(frozen=True)
class Names:
    """What a list of gene names holds: how many of each form."""

    n: int
    """Names that are not empty."""
    forms: Mapping[str, int]

    @property
    def kind(self) -> Kind:
        """The one kind of most names, `"mixed"` where two matter, `"unknown"` where they are something else."""
        symbol, ensembl = self.share("symbol", "date"), self.share("ensembl", "versioned")
        if max(symbol, ensembl) >= MOST:
            return "symbol" if symbol > ensembl else "ensembl"
        return "mixed" if min(symbol, ensembl) >= SOME else "unknown"

    @property
    def other(self) -> str:
        """The commonest form that is neither symbol nor Ensembl gene id; empty where there is none."""
        rest = {form: count for form, count in self.forms.items() if form not in ("symbol", "ensembl", "versioned")}
        return max(rest, key=lambda form: rest[form], default="")

    def share(self, *forms: str) -> float:
        """Share of the names that have one of these forms, 0 to 1."""
        return sum(self.forms.get(form, 0) for form in forms) / self.n if self.n else 0.0


@dataclass(frozen=True)
class Species:
    """Whose genes these are, and how that is known."""

    name: str
    evidence: str
    sure: bool
    """False for what letters suggest: human and macaque symbols are written alike, so are mouse and rat."""


def form(name: str) -> str:
    """The form of one name, a key of `Names.forms`; `"other"` where it has none of them."""
    match = _NAME.fullmatch(name)
    return match.lastgroup or "other" if match else "other"


def look(names: Iterable[str]) -> Names:
    """Count the forms of the names that are not empty."""
    forms = Counter(form(name) for name in names if name)
    return Names(sum(forms.values()), dict(forms))


def dates(names: Iterable[str]) -> list[str]:
    """Names that a spreadsheet has turned into dates, such as `1-Mar` for MARCHF1."""
    return [name for name in names if name and form(name) == "date"]


def columns_with(var: pd.DataFrame, kind: Kind) -> list[str]:
    """Columns of a source's `var` that hold names of a kind, one for nearly every feature."""
    found = []
    for column in var.columns:
        values = [value for value in var[column].tolist() if isinstance(value, str) and value]
        # a biotype or a chromosome is a word for many genes, a name is for one
        if len(values) >= MOST * len(var) and len(set(values)) > len(values) / 2 and look(values).kind == kind:
            found.append(str(column))
    return found


def species(symbols: Sequence[str], ids: Sequence[str]) -> list[Species]:
    """Whose genes these are: one species, several where genomes were mixed, none where nothing tells.

    Parameters
    ----------
    symbols, ids
        Symbols and Ensembl ids of the genes, empty where missing.
    """
    by_prefix = _by_prefix(ids)
    if by_prefix:
        return by_prefix
    known = [symbol for symbol in symbols if form(symbol) == "symbol"]
    return (_by_genome(known) or _by_tables(known) or _by_case(known)) if known else []


def _by_prefix(ids: Sequence[str]) -> list[Species]:
    prefixes = Counter(re.split(r"\d", name, maxsplit=1)[0] for name in ids if name)
    total = prefixes.total()
    return [
        Species(SPECIES_BY_PREFIX[prefix], f"{percent(count / total)} of the Ensembl ids begin with {prefix}", True)
        for prefix, count in prefixes.most_common()
        if prefix in SPECIES_BY_PREFIX and count >= SOME * total
    ]


def _by_genome(symbols: Sequence[str]) -> list[Species]:
    genomes = Counter(match[1] for match in map(_GENOME.fullmatch, symbols) if match)
    return [
        Species(_GENOMES[genome], f"{percent(count / len(symbols))} of the names begin with {genome}_", True)
        for genome, count in genomes.most_common()
        if count >= SOME * len(symbols)
    ]


def _by_tables(symbols: Sequence[str]) -> list[Species]:
    """The species whose gene table, where it is at hand, has far more of the symbols than any other's."""
    from bench.genes import tables

    if not all(map(tables.at_hand, tables.SOURCES)):
        return []  # nothing is downloaded to answer this
    try:
        shares = {name: _share_in(symbols, frozenset(tables.gene_table(name)["symbol"])) for name in tables.SOURCES}
    except BadInput:
        return []  # a damaged table is the business of whoever maps genes with it
    best, other = sorted(shares, key=lambda name: -shares[name])[:2]
    if shares[best] < 0.5 or shares[best] < 2 * shares[other]:
        return []
    evidence = f"{percent(shares[best])} of the symbols are in the {best} gene table, {percent(shares[other])}"
    return [Species(best, f"{evidence} in that of {other}", True)]


def _by_case(symbols: Sequence[str]) -> list[Species]:
    lettered = [symbol for symbol in symbols if sum(map(str.isalpha, symbol)) > 1]
    for name, case, described in (
        ("human", _HUMAN_CASE, "in capitals"),
        ("mouse", _MOUSE_CASE, "capitalised (Title case)"),
    ):
        share = sum(case.fullmatch(symbol) is not None for symbol in lettered) / max(1, len(lettered))
        if share >= MOST:
            return [Species(name, f"a guess: {percent(share)} of the symbols are written {described}", False)]
    return []


def _share_in(symbols: Sequence[str], known: frozenset[str]) -> float:
    return sum(symbol in known for symbol in symbols) / len(symbols)
