"""A dataset as its loader returns it, before anything is refused: what the checks look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import config
from bench.data import counts, genes
from bench.data import obs as cells
from bench.data.modalities import GENE_EXPRESSION
from bench.data.options import DataOptions
from bench.diagnosis.finding import Finding, flag_in
from bench.errors import BadInput
from bench.specs import DatasetSpec

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd
    from scipy import sparse


@dataclass(frozen=True)
class Case:
    """One dataset under examination.

    What cannot be read is None or absent here, and an error among `refusals`.
    """

    spec: DatasetSpec
    raw: ad.AnnData

    @cached_property
    def options(self) -> DataOptions:
        """Choices about imperfect data."""
        return config.build(DataOptions, self.spec.options, self.where)

    @property
    def where(self) -> str:
        """How messages of the core call the dataset."""
        return f"dataset {self.spec.name}"

    @cached_property
    def looks(self) -> list[counts.Look]:
        """Every place where counts could be."""
        return counts.survey(self.raw)

    @cached_property
    def place(self) -> counts.Look | None:
        """Where the counts are; else, so that the rest can be examined, the first place that holds numbers."""
        named = [look for look in self.looks if look.origin == self.spec.layer] or self.looks
        fit = [look for look in named if not look.fault]
        return next((look for look in (*fit, *named) if look.matrix is not None), None)

    @property
    def matrix(self) -> sparse.csr_matrix | None:
        """(n_cells, n_features) of `place`."""
        return self.place.matrix if self.place else None

    @property
    def source_var(self) -> pd.DataFrame:
        """The features of `place`, with all columns of the source."""
        place = self.place
        return self.raw.raw.var if place is not None and place.origin == "raw" else self.raw.var

    @cached_property
    def var(self) -> pd.DataFrame | None:
        """Canonical names of all features, which may still repeat; None where a name is refused."""
        try:
            return genes.canonical_var(self.source_var, self.options, self.where, [])
        except BadInput:
            return None

    @cached_property
    def are_genes(self) -> np.ndarray:
        """bool (n_features,): features that are genes."""
        if self.var is None:
            return np.ones(len(self.source_var), dtype=bool)
        return (self.var["feature_types"] == GENE_EXPRESSION).to_numpy(dtype=bool)

    @cached_property
    def totals(self) -> np.ndarray | None:
        """float64 (n_cells,): counts of each cell, what is not finite left out."""
        return None if self.matrix is None else _sums(self.matrix, axis=1)

    @cached_property
    def gene_totals(self) -> np.ndarray | None:
        """float64 (n_features,): counts of each feature, what is not finite left out."""
        return None if self.matrix is None else _sums(self.matrix, axis=0)

    @cached_property
    def obs(self) -> Mapping[str, np.ndarray]:
        """Role -> (n_cells,) object array of str, None where missing; roles whose column is refused are absent."""
        found: dict[str, np.ndarray] = {}
        for role, column in self.spec.roles.items():
            try:
                values = cells.canonical_obs(self.raw.obs, {role: column}, self.where, [])[role]
            except BadInput:
                continue
            texts = values.to_numpy(dtype=object, copy=True)
            texts[values.isna().to_numpy()] = None
            found[role] = texts
        return found


def refusals(case: Case) -> list[Finding]:
    """What makes names of features, names of cells, or a column of `obs` unreadable."""
    attempts: list[tuple[str, Any]] = [
        ("genes", lambda: genes.canonical_var(case.source_var, case.options, case.where, [])),
        ("cells", lambda: cells.cell_names(case.raw.obs, case.where, [])),
    ]
    attempts += [
        ("columns", lambda role=role, column=column: cells.canonical_obs(case.raw.obs, {role: column}, case.where, []))
        for role, column in case.spec.roles.items()
    ]
    found = []
    for subject, attempt in attempts:
        try:
            attempt()
        except BadInput as error:
            found.append(refused(subject, error, case.where))
    return list(dict.fromkeys(found))  # a name of a cell is met with every column


def refused(subject: str, error: Exception, where: str = "") -> Finding:
    """The finding of something that the core refuses, in its own words."""
    text = str(error).removeprefix(f"{where}: ")
    return Finding("error", subject, text, flag_in(text))


def _sums(matrix: sparse.csr_matrix, axis: int) -> np.ndarray:
    if not np.isfinite(matrix.data).all():
        matrix = matrix.copy()
        matrix.data = np.where(np.isfinite(matrix.data), matrix.data, 0)
    return np.asarray(matrix.sum(axis=axis, dtype=np.float64)).ravel()
