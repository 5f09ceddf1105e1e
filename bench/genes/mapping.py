"""Symbols to Ensembl ids and back, by the gene table of a species; what is not certain stays unmapped and is told.

The rules, in order, for one name:

1. An Ensembl id loses its version. It is that gene if the table has it; a `retired` id if it has the prefix of the
   species and the table lacks it; else the id of another species, `foreign`.
2. A symbol is compared as it is written: an exact match wins.
3. Without one, case is ignored (`recased`): human symbols are upper case but for the `orf` in C1orf112, mouse symbols
   begin with a capital (Actb), and tables are often written otherwise. No two symbols of a table differ by case only.
4. A symbol of several genes is the one on an assembled chromosome, then the one that codes for a protein, if there is
   exactly one (`chosen`); else it is `ambiguous` and stays unmapped.
5. All else is `unknown`: an old name, an alias, or no gene. There is no guess.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bench.genes.tables import SOURCES, gene_table, provenance

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 5
"""Names a report shows of each kind."""

_ENSEMBL = re.compile(r"(ENS[A-Z]{0,4}G\d{11})(\.\d+)?")
_ASSEMBLED = re.compile(r"\d{1,2}|X|Y|MT")


class Outcome(StrEnum):
    """What became of one name."""

    EXACT = "exact"
    RECASED = "recased"
    CHOSEN = "chosen"
    AMBIGUOUS = "ambiguous"
    RETIRED = "retired"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


MAPPED = frozenset({Outcome.EXACT, Outcome.RECASED, Outcome.CHOSEN})
MEANING = {
    Outcome.EXACT: "found as written",
    Outcome.RECASED: "found once case is ignored",
    Outcome.CHOSEN: "of several genes, the only one on a chromosome or that codes for a protein",
    Outcome.AMBIGUOUS: "several genes: not mapped",
    Outcome.RETIRED: "an Ensembl id this release no longer has: not mapped",
    Outcome.FOREIGN: "an Ensembl id of another species: not mapped",
    Outcome.UNKNOWN: "an old name, an alias or no gene: not mapped",
}
"""What an outcome says, for reports."""


@dataclass(frozen=True)
class Mapping:
    """The genes of a list of names."""

    names: tuple[str, ...]
    ids: tuple[str, ...]
    """Ensembl id without version of each name; empty where it was not mapped."""
    outcomes: tuple[Outcome, ...]
    versions: int
    """Ensembl ids that lost their version."""

    def report(self) -> dict[str, Any]:
        """How many names had each outcome, with the first of those that were not simply found; JSON-ready."""
        counts = Counter(self.outcomes)
        merged = [id_ for id_, number in Counter(filter(None, self.ids)).items() if number > 1]
        return {
            "names": len(self.names),
            "mapped": sum(counts[outcome] for outcome in MAPPED),
            "versions_removed": self.versions,
            "several_names_of_one_gene": len(merged),
            **{outcome.value: counts[outcome] for outcome in Outcome},
            "examples": {
                outcome.value: self.first(outcome)
                for outcome in Outcome
                if outcome != Outcome.EXACT and counts[outcome]
            },
        }

    def first(self, outcome: Outcome) -> list[str]:
        """The first names that had an outcome."""
        return [n for n, o in zip(self.names, self.outcomes, strict=True) if o == outcome][:EXAMPLES]


@dataclass(frozen=True)
class Genes:
    """The gene table of a species, ready to look names up."""

    species: str
    table: pd.DataFrame
    """From `bench.genes.tables.gene_table`."""

    @classmethod
    def of(cls, species: str) -> Genes:
        """The genes of `"human"` or `"mouse"`; raises `BadInput` as `gene_table` does."""
        return cls(species, gene_table(species))

    @property
    def provenance(self) -> dict[str, Any]:
        """Which table this is, see `bench.genes.tables.provenance`."""
        return provenance(self.species)

    def to_ids(self, names: Iterable[str]) -> Mapping:
        """Ensembl ids of symbols, or of Ensembl ids with or without version, by the rules of this module.

        Parameters
        ----------
        names
            Any text; an empty name is `unknown`.
        """
        names = tuple(names)
        found = [self._look_up(name) for name in names]
        versions = sum(bool(match and match[2]) for match in map(_ENSEMBL.fullmatch, names))
        return Mapping(names, tuple(id_ for id_, _ in found), tuple(outcome for _, outcome in found), versions)

    def to_symbols(self, ids: Sequence[str]) -> list[str]:
        """Symbols of Ensembl ids without version; empty where a gene has none of its own.

        A gene whose symbol would be mapped to another gene, or to none, has no symbol of its own: the way back
        always leads to the same id.
        """
        return [self._symbol(id_) for id_ in ids]

    def biotypes(self, ids: Iterable[str]) -> list[str]:
        """Biotypes of Ensembl ids without version; empty where the table lacks the gene."""
        return [self._column["biotype"].get(id_, "") for id_ in ids]

    def chromosomes(self, ids: Iterable[str]) -> list[str]:
        """Chromosomes of Ensembl ids without version; empty where the table lacks the gene."""
        return [self._column["chromosome"].get(id_, "") for id_ in ids]

    @cached_property
    def _column(self) -> dict[str, dict[str, str]]:
        """Column -> Ensembl id -> value."""
        index = self.table.index.tolist()
        wanted = ("symbol", "biotype", "chromosome")
        return {name: dict(zip(index, self.table[name].tolist(), strict=True)) for name in wanted}

    @cached_property
    def _by_symbol(self) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for id_, symbol in self._column["symbol"].items():
            groups.setdefault(symbol, []).append(id_)
        return groups

    @cached_property
    def _by_folded(self) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for symbol in self._by_symbol:
            groups.setdefault(symbol.casefold(), []).append(symbol)
        return groups

    def _look_up(self, name: str) -> tuple[str, Outcome]:
        match = _ENSEMBL.fullmatch(name)
        if match:
            return self._id(match[1])
        if name in self._by_symbol:
            return self._one(self._by_symbol[name], Outcome.EXACT)
        symbols = self._by_folded.get(name.casefold(), [])
        if not symbols:
            return "", Outcome.UNKNOWN
        return self._one([id_ for symbol in symbols for id_ in self._by_symbol[symbol]], Outcome.RECASED)

    def _id(self, id_: str) -> tuple[str, Outcome]:
        if id_ in self._column["symbol"]:
            return id_, Outcome.EXACT
        own = re.fullmatch(rf"{SOURCES[self.species].prefix}\d+", id_)
        return "", Outcome.RETIRED if own else Outcome.FOREIGN

    def _one(self, ids: list[str], outcome: Outcome) -> tuple[str, Outcome]:
        """The gene a symbol stands for (rule 4)."""
        if len(ids) == 1:
            return ids[0], outcome
        assembled = [id_ for id_ in ids if _ASSEMBLED.fullmatch(self._column["chromosome"][id_])]
        coding = [id_ for id_ in assembled or ids if self._column["biotype"][id_] == "protein_coding"]
        for few in (assembled, coding):
            if len(few) == 1:
                return few[0], Outcome.CHOSEN
        return "", Outcome.AMBIGUOUS

    def _symbol(self, id_: str) -> str:
        symbol = self._column["symbol"].get(id_, "")
        return symbol if symbol and symbol != id_ and self._look_up(symbol)[0] == id_ else ""
