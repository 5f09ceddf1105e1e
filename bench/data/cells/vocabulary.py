"""Which genes a model knows, in what order, and which genes of a store these are.

Genes are told apart by Ensembl ids where every store has them, else by symbols. Files of both kinds side by side
would be read as disjoint sets of genes, so they are refused.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from bench.atomic import replacing
from bench.data.cells.store import CellStore
from bench.data.modalities import GENE_EXPRESSION
from bench.errors import BadInput
from bench.genes.identify import MOST, look
from bench.genes.vocabulary import FEWEST, WORDS
from bench.wording import counted, percent

GeneKind = Literal["ensembl", "symbol"]

_COLUMNS: dict[GeneKind, str] = {"ensembl": "ensembl_id", "symbol": "gene_symbol"}
"""Where a store has names of a kind; the better kind first, as an id does not change its meaning."""
_OTHER: dict[GeneKind, GeneKind] = {"ensembl": "symbol", "symbol": "ensembl"}


@dataclass(frozen=True)
class Vocabulary:
    """Names of genes; a gene's position among them is its number in `Cells.genes` and in a model.

    Raises
    ------
    BadInput
        If there are no names, or one is empty or comes twice.
    """

    kind: GeneKind
    names: tuple[str, ...]
    others: tuple[str, ...] = field(default=(), compare=False)
    """What the genes are called by names of the other kind, for data that have no others: empty where that is not
    known, or where two genes share a name; or no names at all."""

    def __post_init__(self) -> None:
        if not self.names:
            raise BadInput("a vocabulary of no genes; give stores that share genes, or take their union.")
        if len(self.others) not in (0, len(self.names)):
            raise BadInput(f"a vocabulary of {counted(len(self), 'gene')} has {len(self.others):,} other names.")
        for names in (self.names, [name for name in self.others if name]):
            name, times = Counter(names).most_common(1)[0] if names else ("", 0)
            if times > 1 or "" in names:
                what = f"{name!r} {times} times" if times > 1 else "a gene without a name"
                raise BadInput(f"a vocabulary of {counted(len(self), 'gene')} holds {what}; write each once.")

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, stores: Sequence[CellStore], genes: Literal["union", "shared"] = "union") -> Vocabulary:
        """The genes of some stores, sorted by name, so that the order of the stores does not matter.

        Parameters
        ----------
        stores
            At least one.
        genes
            Those of any store, or those of every one.

        Raises
        ------
        BadInput
            If the stores do not name their genes alike, or none is in all of them.
        """
        kind = _common_kind(stores)
        sets = [set(_names(store, kind)) - {""} for store in stores]
        names = reduce(set.union if genes == "union" else set.intersection, sets)
        if not names:
            raise BadInput(f"no gene is in all of {counted(len(stores), 'file')}; take the genes of any (union).")
        return cls._named(kind, sorted(names), [store.genes for store in stores])

    @classmethod
    def of_genes(cls, var: pd.DataFrame) -> Vocabulary:
        """All genes of canonical data that have a name, sorted: Ensembl ids where most have one, else symbols.

        Parameters
        ----------
        var
            Of the data (see `bench.data.canonical`); features that are no genes are left out.

        Raises
        ------
        BadInput
            If no gene has a name.
        """
        genes = var[var["feature_types"] == GENE_EXPRESSION]
        ids = [name for name in genes["ensembl_id"] if name]
        kind: GeneKind = "ensembl" if ids and len(ids) >= MOST * len(genes) else "symbol"
        return cls._named(kind, sorted(set(genes[_COLUMNS[kind]]) - {""}), [genes])

    @classmethod
    def _named(cls, kind: GeneKind, names: Sequence[str], tables: Sequence[pd.DataFrame]) -> Vocabulary:
        """With the other names that some tables of genes give them, the first in the alphabet where these differ."""
        pairs = pd.concat([table[[_COLUMNS[kind], _COLUMNS[_OTHER[kind]]]].astype(str) for table in tables])
        pairs.columns = pd.Index(["name", "other"])
        others = pairs[(pairs["name"] != "") & (pairs["other"] != "")].groupby("name")["other"].min()
        others = others[~others.duplicated(keep=False)].reindex(names).fillna("")
        return cls(kind, tuple(names), tuple(others) if (others != "").any() else ())

    @property
    def by_kind(self) -> dict[GeneKind, frozenset[str]]:
        """Names of the genes by kind, their own kind first."""
        found = {self.kind: frozenset(self.names), _OTHER[self.kind]: frozenset(self.others) - {""}}
        return {kind: names for kind, names in found.items() if names}

    def at(self, positions: np.ndarray) -> Vocabulary:
        """The genes at some positions, in their order."""
        names, others = (tuple(array[k] for k in positions) if array else () for array in (self.names, self.others))
        return Vocabulary(self.kind, names, others)

    def remap(self, store: CellStore) -> np.ndarray:
        """Position of each gene of a store: see `positions`."""
        return self.positions(store.genes, _file(store))

    def positions(self, genes: pd.DataFrame, where: str) -> np.ndarray:
        """Position of each of some genes, int32 (n,), -1 where it is left out; no position comes twice.

        Genes are known by names of the vocabulary's kind or, where hardly any is, by those of the other kind. Left out
        are genes that are not in the vocabulary, those without a name, and all but the first of those that share one
        (see `notices`).

        Parameters
        ----------
        genes
            Index: names; `gene_symbol`, `ensembl_id`, empty where missing.
        where
            Whose genes, for messages.

        Raises
        ------
        BadInput
            If fewer than `FEWEST` of the genes, and of the vocabulary, are in both: names of another species, say.
        """
        kind, enough = self._kind_for(genes)
        found = self._places(genes, kind)
        if not enough:
            example = next((name for name in genes.index if name), "")
            raise BadInput(
                f"{where}: only {(found >= 0).sum():,} of {counted(len(genes), 'gene')} (first: {example!r}) are among"
                f" the {len(self):,} of the vocabulary, {WORDS[self.kind]} such as {self.names[0]!r}; give data of the"
                f" same species, named alike (bench data prepare --map-genes {self.kind})."
            )
        return found.astype(np.int32)

    def _kind_for(self, genes: pd.DataFrame) -> tuple[GeneKind, bool]:
        """By which names some genes are known, and whether enough of them are."""
        for kind in self.by_kind:
            if (self._places(genes, kind) >= 0).sum() >= FEWEST * min(len(genes), len(self)):
                return kind, True
        return self.kind, False

    def _places(self, genes: pd.DataFrame, kind: GeneKind) -> np.ndarray:
        """Position of each gene by names of a kind, -1 where it has none, or one that is not known or came before."""
        known = pd.Index(self.names if kind == self.kind else self.others, dtype=object)
        names = pd.Index(genes[_COLUMNS[kind]].tolist(), dtype=object)
        # a position more for what is not found: others are empty where they are not known
        positions = np.append(np.flatnonzero(known != ""), -1)
        return np.where(names.duplicated(), -1, positions[known[known != ""].get_indexer(names)])

    def notices(self, stores: Sequence[CellStore]) -> list[str]:
        """What is left out of stores, and stores that share hardly any gene with the others: a sentence each."""
        tables = [store.genes for store in stores]
        kinds = [self._kind_for(genes)[0] for genes in tables]
        names = [pd.Index(genes[_COLUMNS[kind]].tolist()) for kind, genes in zip(kinds, tables, strict=True)]
        of_each = zip(stores, kinds, names, strict=True)
        left_out = [text for store, kind, own in of_each for text in self._left_out(store, kind, own)]
        return left_out + list(_strangers(stores, names))

    @property
    def sha256(self) -> str:
        """Of kind, names and their order."""
        return hashlib.sha256(json.dumps([self.kind, self.names]).encode()).hexdigest()

    def write(self, path: Path) -> None:
        """Write a Parquet file of a column of names, called as their kind is, and one of the other names, if any."""
        columns = {self.kind: list(self.names)} | ({_OTHER[self.kind]: list(self.others)} if self.others else {})
        with replacing(path) as temporary:
            pd.DataFrame(columns).to_parquet(temporary)

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """Read what `write` wrote.

        Raises
        ------
        BadInput
            If it is no such file.
        """
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            reason = (str(error).splitlines() or [""])[0][:200]
            raise BadInput(f"cannot read the vocabulary {path} ({reason}); give the one that was written.") from None
        kinds = [kind for kind in _COLUMNS if list(table.columns) in ([kind], [kind, _OTHER[kind]])]
        if not kinds or not all(isinstance(name, str) for column in table for name in table[column]):
            raise BadInput(f"{path} is no vocabulary: it needs a column of names, called ensembl or symbol.")
        return cls(kinds[0], *(tuple(table[column]) for column in table))

    def _left_out(self, store: CellStore, kind: GeneKind, names: pd.Index) -> Iterator[str]:
        given = names[names != ""]
        again = given[given.duplicated()]
        missing, unknown = len(names) - len(given), int((~given.isin(self.by_kind[kind])).sum())
        if missing:
            yield f"{store.name}: {counted(missing, 'gene')} left out that have no name among {WORDS[kind]}."
        if len(again):
            yield f"{store.name}: {counted(len(again), 'gene')} left out that share a name (first: {again[0]!r})."
        if unknown:
            yield f"{store.name}: {counted(unknown, 'gene')} left out that are not in the vocabulary."


def _names(store: CellStore, kind: GeneKind) -> list[str]:
    """Names of a kind of all genes of a store, empty where missing."""
    return store.genes[_COLUMNS[kind]].tolist()


def _common_kind(stores: Sequence[CellStore]) -> GeneKind:
    """The first kind of names that every store has for most of its genes."""
    kinds = [[kind for kind in _COLUMNS if _has(store, kind)] for store in stores]
    for kind in _COLUMNS:
        if all(kind in having for having in kinds):
            return kind
    mend = "add what is missing with bench data prepare FILE --map-genes ensembl"
    for store, having in zip(stores, kinds, strict=True):
        if not having:
            text = f"{_file(store)} names its genes neither by Ensembl ids nor by symbols throughout"
            raise BadInput(f"{text} ({_described(store)}); {mend}.")
    by_id, by_symbol = (_file(stores[kinds.index([kind])]) for kind in _COLUMNS)
    raise BadInput(f"{by_id} names its genes by Ensembl ids alone and {by_symbol} by symbols alone; {mend}.")


def _has(store: CellStore, kind: GeneKind) -> bool:
    given = [name for name in _names(store, kind) if name]
    forms = ("symbol", "date") if kind == "symbol" else ("ensembl",)
    return len(given) >= MOST * store.n_genes and look(given).share(*forms) >= MOST


def _described(store: CellStore) -> str:
    """What the names of a store's genes are instead."""
    looked = look(store.genes.index)
    shares = f"{percent(looked.share('ensembl', 'versioned'))} ids, {percent(looked.share('symbol'))} symbols"
    return f"{shares}; the first is {store.genes.index[0]!r}"


def _strangers(stores: Sequence[CellStore], names: Sequence[pd.Index]) -> Iterator[str]:
    """Notices of stores that share hardly any gene with the others: of another species, or spelled another way."""
    holders = Counter(name for own in names for name in set(own) if name)
    for store, own in zip(stores, names, strict=True):
        unique = [name for name in set(own) if name]
        shared = sum(holders[name] > 1 for name in unique)
        others = len(holders) - len(unique) + shared
        if shared < FEWEST * min(len(unique), others):
            yield (
                f"{store.name}: {shared:,} of {counted(len(unique), 'gene')} are in any other file; where the species"
                " is the same, name them alike (bench data prepare --map-genes ensembl)."
            )


def _file(store: CellStore) -> str:
    return store.source.name
