"""What a file is as a store: planned without writing, then written."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from bench.data import counts, genes
from bench.data import obs as cells
from bench.data.cells import places, tables
from bench.data.cells.columns import Columns
from bench.data.cells.progress import watched
from bench.data.cells.writer import NpyFile, StoreWriter
from bench.data.modalities import GENE_EXPRESSION
from bench.data.tally import Tally
from bench.errors import BadInput
from bench.wording import listed

if TYPE_CHECKING:
    import h5py

    from bench.data.options import DataOptions

_PER_CELL = 256
"""Bytes of a cell on disk besides its counts and codes: row end, total, name; more than needed."""


@dataclass(frozen=True)
class Plan:
    """A file that can be converted, as far as can be known before its cells are settled one by one."""

    where: str
    """The file, for messages."""
    place: places.Place
    var: pd.DataFrame
    """Of all features, as the file has them."""
    genes: pd.DataFrame
    """Those that are kept: unique names, `gene_symbol`, `ensembl_id`."""
    membership: sparse.csr_matrix | None
    """int64 (features, genes), 1 where a feature's counts are a gene's; None where features are genes one by one."""
    notices: list[str]
    needed: int
    """Bytes on disk, an estimate from above: all entries with counts of four bytes rewritten from two, 256 bytes and
    the codes of each cell, and what is to be kept meanwhile."""


def plan(file: h5py.File, layer: str, options: DataOptions, where: str) -> Plan:
    """Find the counts and the genes of an opened file, all values seen.

    Raises
    ------
    BadInput
        If there are none, or they cannot be used.
    """
    place = places.find(file, layer, where)
    matrix = place.matrix
    var = tables.read(file, place.var, where)
    if 0 in matrix.shape:
        raise BadInput(f"{where} is empty: {matrix.shape[0]:,} cells x {matrix.shape[1]:,} genes; give one with both.")

    def named(position: int) -> tuple[object, object]:
        cell, gene = matrix.place(position)
        return _cell_name(file, where, cell), var.index[gene]

    counts.require_counts(place.tally.faults(place.origin, named), where)
    notices = counts.notices(place.origin, layer, "csc" if isinstance(matrix, Columns) else "csr")
    kept, membership = _genes(var, options, where, notices)
    per_entry = 6 + (2 if len(kept) <= 2**16 else 4)
    codes = 4 * tables.shape(file, "obs", where)[1]
    needed = place.tally.nonzero * per_entry + matrix.shape[0] * (_PER_CELL + codes) + matrix.scratch_bytes()
    return Plan(where, place, var, kept, membership, notices, needed)


def write(plan: Plan, file: h5py.File, options: DataOptions, folder: Path) -> dict[str, Any]:
    """Write all files of a store but `meta.json`; what belongs into that of their content.

    Raises
    ------
    BadInput
        If no cell is left, or cells are empty under `strict`.
    """
    notices = list(plan.notices)
    obs = tables.read(file, "obs", plan.where)  # before the counts: a table that is refused is so at once
    obs.index = cells.cell_names(obs, plan.where, notices)
    kept, nnz = _write_matrix(plan, file, folder)
    kept = cells.wanted(pd.DataFrame(index=obs.index), kept, options, plan.where, notices)
    obs = obs[kept]
    codes = tables.coded(obs, plan.where, notices)
    tables.storable(obs, codes).to_parquet(folder / "obs.parquet")
    plan.genes.to_parquet(folder / "genes.parquet")
    (folder / "codes").mkdir()
    for number, column in enumerate(codes):
        with NpyFile(folder / "codes" / f"{number}.npy", np.int32) as array:
            array.append(column.codes)
    return {
        "n_cells": len(obs),
        "n_genes": len(plan.genes),
        "nnz": nnz,
        "columns": {column.name: list(column.categories) for column in codes},
        "counts": plan.place.origin,
        "notices": notices,
    }


def _genes(
    var: pd.DataFrame, options: DataOptions, where: str, notices: list[str]
) -> tuple[pd.DataFrame, sparse.csr_matrix | None]:
    """Table of the genes, and which features they are: what becomes of one count of each feature says it."""
    var = genes.canonical_var(var, options, where, notices)
    measured = np.flatnonzero(var["feature_types"] == GENE_EXPRESSION)
    if not len(measured):
        kinds = listed(sorted(set(var["feature_types"])))
        raise BadInput(f"{where} holds no genes but {kinds}; give a file with gene expression.")
    if len(measured) < len(var):
        notices.append(f"{len(var) - len(measured):,} features that are no genes are left out.")
    ones = np.ones(len(measured), dtype=np.int64)
    each = sparse.csr_matrix((ones, (measured, np.arange(len(measured)))), shape=(len(var), len(measured)))
    each, kept = genes.settle_duplicates(each, var.iloc[measured], options.duplicate_genes, where, notices)
    table = kept[["gene_symbol", "ensembl_id"]].astype(str)
    return table, None if each.shape[1] == len(var) else each


def _write_matrix(plan: Plan, file: h5py.File, folder: Path) -> tuple[np.ndarray, int]:
    """Write counts block by block; which cells have any, bool (n,), and the number of entries."""
    matrix = plan.place.matrix
    scratch = folder / "scratch"
    scratch.mkdir()
    done = 0
    with StoreWriter(folder, len(plan.genes)) as writer:
        parts = matrix.blocks(scratch)
        for block in watched(parts, f"converting {plan.where}", matrix.shape[0], lambda part: part.shape[0]):
            writer.append(_settled(block, plan, file, done))
            done += block.shape[0]
        kept, nnz = writer.kept(), writer.nnz
    shutil.rmtree(scratch)
    return kept, nnz


def _settled(block: sparse.csr_matrix, plan: Plan, file: h5py.File, start: int) -> sparse.csr_matrix:
    """Cells from `start` on with every gene once, in order, no zeros stored."""
    if plan.membership is not None or not block.has_canonical_format:
        block = block.astype(np.int64)  # sums of counts of one byte would not fit into one
        block = block if plan.membership is None else sparse.csr_matrix(block @ plan.membership)
        block.sum_duplicates()
        tally = Tally(0)
        tally.add(block.data)

        def named(position: int) -> tuple[object, object]:
            cell = int(np.searchsorted(block.indptr, position, side="right")) - 1
            return _cell_name(file, plan.where, start + cell), plan.genes.index[block.indices[position]]

        counts.require_counts(tally.faults(f"{plan.place.origin}, added up,", named), plan.where)
    block.eliminate_zeros()
    return block


def _cell_name(file: h5py.File, where: str, cell: int) -> object:
    return tables.read(file, "obs", where).index[cell]
