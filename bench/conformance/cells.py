"""Cells to examine plugins on: generated, small, canonical.

Counts are Gamma-Poisson around type, batch and donor means, sparse as UMI counts are. Types, batches and
donors are drawn independently, so none can be told from another. Names and order of cells say nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from bench.conformance.symbols import PREFIX, known_genes

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

N_CELLS = 240
N_GENES = 120
"""Most genes that are drawn from a model's vocabulary."""
FEWEST_KNOWN = 40
"""Where a vocabulary holds fewer well-known genes, its own are taken, whatever they are."""
LEVELS = {
    "cell_type": ("B", "NK", "T"),
    "batch": ("b1", "b2"),
    "donor": ("d1", "d2", "d3"),
    "time_point": ("0", "24"),
    "split": ("test", "train"),
}
"""Of each role, in alphabetical order."""
LIBRARY, DISPERSION, TYPE_EFFECT, BATCH_EFFECT, DONOR_EFFECT = 250.0, 0.3, 1.0, 0.3, 0.15
"""UMI per cell, overdispersion, and standard deviations of the log effects on a gene."""


def probe_cells(
    species: str = "human", vocabulary: Collection[str] = (), *, ensembl: bool = False, seed: int = 0
) -> ad.AnnData:
    """Draw 240 canonical cells of 3 types, 2 batches and 3 donors.

    Parameters
    ----------
    species
        `"human"` or `"mouse"`: whose genes; any other has made-up names.
    vocabulary
        The only genes that may occur; empty: any.
    ensembl
        Whether `vocabulary` holds Ensembl ids rather than symbols.
    seed
        Of everything.

    Returns
    -------
    AnnData with `X` (240, up to 120) CSR float32 counts, one `obs` column per role, and canonical `var`.
    """
    import anndata as ad
    from scipy import sparse

    rng = np.random.default_rng(seed)
    var = _genes(species, vocabulary, ensembl)
    obs = _obs(rng, species, list(var.index))
    effects = {"cell_type": TYPE_EFFECT, "batch": BATCH_EFFECT, "donor": DONOR_EFFECT}
    logits = np.tile(rng.normal(0, 1.2, len(var)), (N_CELLS, 1))
    for role, spread in effects.items():
        codes = np.searchsorted(LEVELS[role], obs[role].to_numpy(dtype=str))
        logits += (spread * rng.standard_normal((len(LEVELS[role]), len(var))))[codes]
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    mean = rng.lognormal(np.log(LIBRARY), 0.35, (N_CELLS, 1)) * share / share.sum(axis=1, keepdims=True)
    counts = rng.poisson(rng.gamma(1 / DISPERSION, DISPERSION * mean))
    counts[:, 0] += counts.sum(axis=1) == 0  # canonical cells have a count
    return ad.AnnData(sparse.csr_matrix(counts, dtype=np.float32), obs=obs, var=var)


def _genes(species: str, vocabulary: Collection[str], ensembl: bool) -> pd.DataFrame:
    import pandas as pd

    known = known_genes(species) if species in PREFIX else {f"gene{k}": "" for k in range(1, N_GENES + 1)}
    if vocabulary:
        allowed = frozenset(vocabulary)
        kept = {s: i for s, i in known.items() if (i if ensembl else s) in allowed}
        if len(kept) < FEWEST_KNOWN:
            taken = set(kept.values() if ensembl else kept)
            own = [name for name in sorted(map(str, allowed)) if name not in taken][: N_GENES - len(kept)]
            kept |= {name: name if ensembl else "" for name in own}
        known = kept
    columns = {"gene_symbol": list(known), "ensembl_id": list(known.values())}
    columns["feature_types"] = ["Gene Expression"] * len(known)
    return pd.DataFrame(columns, index=pd.Index(list(known), dtype=object), dtype=object)


def _obs(rng: np.random.Generator, species: str, genes: list[str]) -> pd.DataFrame:
    import pandas as pd

    barcodes = ["".join(letters) for letters in rng.choice(list("ACGT"), (N_CELLS, 16))]
    levels = {**LEVELS, "perturbation": ("control", *genes[:3])}
    columns = {role: rng.choice(np.array(names, dtype=object), N_CELLS) for role, names in levels.items()}
    return pd.DataFrame({**columns, "species": species}, index=pd.Index(barcodes, dtype=object), dtype=object)
