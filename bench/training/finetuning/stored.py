"""Labelled cells of stores, gathered in memory as models get them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from bench.data.cells.dataset import CellDataset
from bench.data.cells.vocabulary import GeneKind, Vocabulary
from bench.data.modalities import GENE_EXPRESSION
from bench.data.splits import GROUP_ROLES
from bench.errors import BadInput
from bench.training.finetuning.namer import GROUP, LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.data.cells.store import CellStore
    from bench.training.finetuning.options import LabelledData

STORE, CELLS = "store", "cells"
"""What cells are held together by where it is no column of `obs`: their file, or nothing."""


@dataclass(frozen=True)
class Gathered:
    """Cells of some stores that have a label."""

    cells: ad.AnnData
    """Canonical, with `obs["cell_type"]`, and `obs["group"]` where cells are held together by something."""
    rows: np.ndarray
    """int64 (n,) their positions in the dataset."""
    dataset: CellDataset
    """All cells of the stores."""
    by: str
    """What groups are: a column of `obs`, `STORE` or `CELLS`."""
    notices: tuple[str, ...]
    """What was left out."""


def gather(stores: Sequence[CellStore], options: LabelledData) -> Gathered:
    """Read the labelled cells of all stores, with the genes of any of them.

    Raises
    ------
    BadInput
        If a column does not exist, no cell has a label, or a labelled one has no group.
    """
    vocabulary = Vocabulary.of(stores)
    known = {column for store in stores for column in store.columns}
    roles = [options.group] if options.group not in ("", STORE, CELLS) else [r for r in GROUP_ROLES if r in known]
    dataset = CellDataset(stores, vocabulary, list(dict.fromkeys([options.label, *roles])))
    labels = _words(dataset, options.label, np.arange(len(dataset)))
    rows = np.flatnonzero(labels != "")
    columns = {LABEL: labels[rows]}
    by, groups = _groups(dataset, rows, options, roles)
    if groups is not None:
        columns[GROUP] = groups
    read = dataset.__getitems__(rows)
    counts = sparse.csr_matrix((read.counts, read.genes, read.offsets), shape=(len(rows), len(vocabulary)))
    counts.sort_indices()
    names = pd.Index([f"{row}" for row in rows], dtype=object)
    cells = ad.AnnData(counts, obs=pd.DataFrame(columns, index=names), var=_genes(vocabulary))
    return Gathered(cells, rows, dataset, by, (*vocabulary.notices(stores), *dataset.notices))


def _groups(
    dataset: CellDataset, rows: np.ndarray, options: LabelledData, roles: Sequence[str]
) -> tuple[str, np.ndarray | None]:
    """What holds cells together, and the group (n,) of each; the first choice that tells some apart."""
    asked = options.group
    for column in roles:
        groups = _words(dataset, column, rows)
        if asked and (groups == "").any():
            store, row = _place(dataset, int(rows[np.argmax(groups == "")]))
            raise BadInput(
                f"{column} is missing for labelled cells of {store} (first: row {row}), so they could be on any side;"
                f" fill it in, or set data.group={STORE} or {CELLS}."
            )
        if asked or (len(np.unique(groups)) > 1 and (groups != "").all()):
            return column, groups
    if asked == STORE or (not asked and len(dataset.stores) > 1):
        return STORE, (np.searchsorted(dataset.starts, rows, side="right") - 1).astype(str)
    return CELLS, None


def _words(dataset: CellDataset, column: str, rows: np.ndarray) -> np.ndarray:
    """What a column says of some cells, (n,) of text, empty where missing."""
    words = np.array([*dataset.categories[column], ""], dtype=object)
    found: np.ndarray = words[dataset.codes(column, rows)]  # -1 is the last one
    return found


def _place(dataset: CellDataset, position: int) -> tuple[str, int]:
    number = int(np.searchsorted(dataset.starts, position, side="right")) - 1
    return dataset.stores[number].name, position - int(dataset.starts[number])


def _genes(vocabulary: Vocabulary) -> pd.DataFrame:
    """Both names of each gene, empty where not known."""
    by_kind = {vocabulary.kind: vocabulary.names, _other(vocabulary.kind): vocabulary.others or [""] * len(vocabulary)}
    columns = {"gene_symbol": by_kind["symbol"], "ensembl_id": by_kind["ensembl"], "feature_types": GENE_EXPRESSION}
    return pd.DataFrame(columns, index=pd.Index(vocabulary.names, dtype=object), dtype=object)


def _other(kind: GeneKind) -> GeneKind:
    return "symbol" if kind == "ensembl" else "ensembl"
