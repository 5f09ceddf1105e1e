"""Choices about imperfect data: the keys of `--data-set`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.config import option


@dataclass(frozen=True)
class DataOptions:
    """What to do where a dataset is not as clean as canonical data; part of its identity."""

    duplicate_genes: Literal["error", "sum", "first"] = option(
        "error", "genes that share a name: refuse the data, add their counts, or keep the first"
    )
    gene_key: str = option("", "var column that holds the gene names to use; empty: the index of var")
    unlabelled: Literal["error", "drop", "keep"] = option(
        "error", "cells without cell_type: refuse the data, drop them, or keep them: seen by models and never scored"
    )
    strict: bool = option(False, "refuse data with empty cells instead of dropping them")
