"""What `bench data prepare` can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.config import option
from bench.errors import BadInput

MIN_GENES = 200
"""Genes a cell must show unless told otherwise, as in the tutorials of scanpy and Seurat."""
MIN_CELLS = 3
"""Cells a gene must be seen in unless told otherwise, as there."""


@dataclass(frozen=True)
class Options:
    """Filters and names; a filter that is not set is not applied, but for `min_genes` and `min_cells`."""

    min_genes: int | None = option(None, f"drop cells with fewer genes; {MIN_GENES} unless told", low=0)
    min_cells: int | None = option(None, f"drop genes seen in fewer cells; {MIN_CELLS} unless told", low=0)
    max_genes: int | None = option(None, "drop cells with more genes", low=1)
    min_counts: int | None = option(None, "drop cells with fewer counts", low=0)
    max_percent_mt: float | None = option(
        None, "drop cells with a larger share of mitochondrial counts, in percent", low=0, high=100
    )
    species: Literal["", "human", "mouse"] = option("", "whose genes these are; empty: as the data says or shows")
    map_genes: Literal["", "symbol", "ensembl"] = option("", "name genes by current symbols, or by Ensembl ids")
    drop_unmapped: bool = option(False, "drop genes that were not mapped")
    biotype: tuple[str, ...] = option((), "keep genes of these biotypes only")
    keep_obs: bool = option(True, "keep all columns of obs, not the roles alone")

    def __post_init__(self) -> None:
        if self.drop_unmapped and not self.map_genes:
            raise BadInput("--drop-unmapped drops what --map-genes could not name; say --map-genes symbol or ensembl.")
        if self.max_genes is not None and self.max_genes < self.least_genes:
            raise BadInput(f"--max-genes {self.max_genes} is below --min-genes {self.least_genes}: no cell is left.")

    @property
    def least_genes(self) -> int:
        """`min_genes`, or its default."""
        return MIN_GENES if self.min_genes is None else self.min_genes

    @property
    def least_cells(self) -> int:
        """`min_cells`, or its default."""
        return MIN_CELLS if self.min_cells is None else self.min_cells

    @property
    def needs_table(self) -> bool:
        """Whether the gene table of the species is read."""
        return bool(self.map_genes or self.biotype)
