"""The `var` of canonical data: symbols, Ensembl ids, what a feature measures, and unique names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from bench.data import modalities, names
from bench.errors import BadInput, unknown

if TYPE_CHECKING:
    from bench.data.options import DataOptions

SYMBOL_COLUMNS = (
    "gene_symbol", "gene_symbols", "feature_name", "gene_name", "gene_names", "symbol", "symbols", "hgnc_symbol",
    "gene_short_name", "name",
)  # fmt: skip
ENSEMBL_COLUMNS = ("ensembl_id", "ensembl_ids", "ensembl", "ensembl_gene_id", "gene_id", "gene_ids", "feature_id")

_ENSEMBL = re.compile(r"ENS[A-Z]{0,4}G\d{11}(\.\d+)?")
_MISSING_WORDS = frozenset({"", "nan", "None", "NA", "<NA>"})


def looks_like_ensembl(values: list[str]) -> bool:
    """Whether most of the given, non-empty names are Ensembl gene ids (any species, with or without version)."""
    given = [value for value in values if value]
    return bool(given) and 2 * sum(_ENSEMBL.fullmatch(value) is not None for value in given) > len(given)


def canonical_var(var: pd.DataFrame, options: DataOptions, where: str, notices: list[str]) -> pd.DataFrame:
    """`gene_symbol`, `ensembl_id`, `feature_types` of all features, under names that may still repeat.

    Parameters
    ----------
    var
        Of the source.
    options
        `gene_key` chooses the names.
    where
        The dataset, for messages.
    notices
        What was changed is appended.

    Raises
    ------
    BadInput
        If `gene_key` is no column or a name cannot be used.
    """
    index = names.clean(_named(var, options.gene_key, where), f"{where}: gene name")
    ensembl_names = looks_like_ensembl(index)
    symbols = _column(var, SYMBOL_COLUMNS, ensembl=False)
    if options.gene_key or symbols is None:
        symbols = symbols if ensembl_names else index
    ids = _with_names(_column(var, ENSEMBL_COLUMNS, ensembl=True) or [""] * len(index), index, notices)
    return pd.DataFrame(
        {
            "gene_symbol": symbols or [""] * len(index),
            "ensembl_id": _unversioned(ids, notices),
            "feature_types": names.clean(_feature_types(var), f"{where}: feature type"),
        },
        index=pd.Index(index, dtype=object),
        dtype=object,
    )


def settle_duplicates(
    matrix: sparse.csr_matrix, var: pd.DataFrame, how: str, where: str, notices: list[str]
) -> tuple[sparse.csr_matrix, pd.DataFrame]:
    """Counts and features with unique names.

    Features of different kinds may share a name (the gene CD4 and the antibody CD4): all but genes then
    carry their kind in brackets. Features of one kind that share a name are duplicates.

    Parameters
    ----------
    matrix
        (n_cells, n_features) counts.
    var
        From `canonical_var`.
    how
        `"error"`, `"sum"` or `"first"`.

    Raises
    ------
    BadInput
        If names repeat and `how` is `"error"`.
    """
    var = _told_apart(var, notices)
    again = var.index.duplicated()
    if again.any():
        text = f"{int(again.sum()):,} duplicate gene names (first: {var.index[again][0]!r})"
        if how == "error":
            raise BadInput(f"{where}: {text}; use --data-set duplicate_genes=sum or duplicate_genes=first.")
        notices.append(f"{text}: {'counts added up' if how == 'sum' else 'the first of each kept'}.")
        matrix = _summed(matrix, var.index) if how == "sum" else matrix[:, ~again]
        var = var[~again]
    return matrix, var


def _named(var: pd.DataFrame, key: str, where: str) -> list[str]:
    """Names of features: those of a column, where it has them, or the index."""
    own = [str(name) for name in var.index]
    if not key:
        return own
    if key not in var:
        raise unknown(
            f"var column of {where}:", key, map(str, var.columns), "Name one with --data-set gene_key=COLUMN."
        )
    return [chosen or name for chosen, name in zip(_strings(var[key]), own, strict=True)]


def _column(var: pd.DataFrame, known: tuple[str, ...], *, ensembl: bool) -> list[str] | None:
    """The first column of a known name that holds what the name says."""
    by_name = {str(column).lower(): column for column in reversed(var.columns)}
    for name in known:
        if name in by_name:
            values = _strings(var[by_name[name]])
            if any(values) and looks_like_ensembl(values) is ensembl:
                return values
    return None


def _strings(column: pd.Series) -> list[str]:
    """Values as text, empty where missing."""
    texts = ["" if gone else str(value) for value, gone in zip(column.astype(object), column.isna(), strict=True)]
    return ["" if text.strip() in _MISSING_WORDS else text for text in texts]


def _with_names(ids: list[str], index: list[str], notices: list[str]) -> list[str]:
    """Ids, those that are missing taken from names that are ids: genes without a symbol often go by theirs."""
    filled = [own or (name if _ENSEMBL.fullmatch(name) else "") for own, name in zip(ids, index, strict=True)]
    taken = sum(new != own for new, own in zip(filled, ids, strict=True))
    if taken:
        notices.append(f"{taken:,} gene names are Ensembl ids and are used as such.")
    return filled


def _unversioned(ids: list[str], notices: list[str]) -> list[str]:
    """Ensembl ids without their version; what is no Ensembl id is missing."""
    matches = [_ENSEMBL.fullmatch(value) for value in ids]
    versioned = sum(match is not None and match[1] is not None for match in matches)
    if versioned:
        notices.append(f"versions taken off {versioned:,} Ensembl ids.")
    foreign = sum(match is None and bool(value) for match, value in zip(matches, ids, strict=True))
    if foreign:
        notices.append(f"{foreign:,} gene ids are not from Ensembl: read as missing.")
    return ["" if match is None else match[0].partition(".")[0] for match in matches]


def _feature_types(var: pd.DataFrame) -> list[str]:
    for column in modalities.COLUMNS:
        if column in var:
            return [modalities.modality(value, column) for value in _strings(var[column])]
    return [modalities.GENE_EXPRESSION] * len(var)


def _told_apart(var: pd.DataFrame, notices: list[str]) -> pd.DataFrame:
    """Give a name that several kinds of features use to genes, and bracket the kind behind the others."""
    kinds = var["feature_types"].groupby(level=0, sort=False).nunique() if var["feature_types"].nunique() > 1 else None
    if kinds is None or not (kinds > 1).any():
        return var
    shared = set(kinds.index[kinds > 1])
    changed = [
        f"{name} ({kind})" if name in shared and kind != modalities.GENE_EXPRESSION else name
        for name, kind in zip(var.index, var["feature_types"], strict=True)
    ]
    notices.append(f"{len(shared):,} names used by features of several kinds: the kind is added in brackets.")
    return var.set_axis(pd.Index(changed, dtype=object), axis=0)


def _summed(matrix: sparse.csr_matrix, index: pd.Index) -> sparse.csr_matrix:
    """Columns of one name added up, in the order of first appearance."""
    codes, unique = pd.factorize(index)
    membership = sparse.csr_matrix(
        (np.ones(len(codes), dtype=matrix.dtype), (np.arange(len(codes)), codes)), shape=(len(codes), len(unique))
    )
    return sparse.csr_matrix(matrix @ membership)
