"""A generator of single-cell counts whose types, batches, donors and perturbations are known.

The mean of gene g in a cell with library size L is

    mu_g = L * softmax_g(base + type + donor + batch_strength * batch + perturbation)

where every term is a vector over genes, and the count is Gamma-Poisson (negative binomial) with variance
mu + DISPERSION * mu^2, the customary model of UMI counts (Grun et al. 2014, 10.1038/nmeth.2930). Type,
batch, donor and perturbation are drawn independently of each other, so no two are confounded.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from bench.errors import BadInput

MARKER_SHARE = 0.04
"""Part of the genes that marks a cell type; programmes of different types may overlap."""
MARKER_EFFECT = 0.8
"""Mean log increase of a marker gene in its type."""
DONOR_SPREAD = 0.15
"""Standard deviation of a donor's log effect on a gene."""
TARGET_EFFECT = -2.0
"""Log change of the perturbed gene itself (a knock-down to 14 %)."""
DOWNSTREAM_SHARE = 0.02
"""Part of the genes that a perturbation changes besides its target."""
DOWNSTREAM_SPREAD = 1.0
CONTROL_SHARE = 0.5
"""Part of the cells that stays unperturbed, where there are perturbations."""
DISPERSION = 0.3
LIBRARY_MEDIAN, LIBRARY_SPREAD = 1000.0, 0.35
"""UMI per cell: log-normal."""

_BLOCK = 1000
"""Cells drawn at once: bounds the dense memory."""


@dataclass(frozen=True)
class _Sizes:
    n_cells: int
    n_genes: int
    n_cell_types: int
    n_batches: int
    n_donors: int
    n_perturbations: int


def simulate(
    n_cells: int,
    n_genes: int,
    n_cell_types: int,
    n_batches: int,
    n_donors: int,
    n_perturbations: int,
    batch_strength: float,
    seed: int,
) -> ad.AnnData:
    """Draw cells.

    Parameters
    ----------
    n_cells, n_genes
        Shape.
    n_cell_types, n_batches, n_donors
        Numbers of levels; types get rarer from the first to the last (2 : 1).
    n_perturbations
        Perturbed genes besides `"control"`; a perturbation is named after its gene.
    batch_strength
        Standard deviation of a batch's log effect on a gene; 0: batches do not differ.
    seed
        Of everything.

    Returns
    -------
    `X` (n_cells, n_genes) CSR float32 counts, `obs` `cell_type, batch, donor, perturbation`.

    Raises
    ------
    BadInput
        With every parameter that is out of range.
    """
    sizes = _Sizes(n_cells, n_genes, n_cell_types, n_batches, n_donors, n_perturbations)
    _require(sizes, batch_strength, seed)
    random = np.random.default_rng(seed)
    genes = [f"SIMG{k:0{max(4, len(str(n_genes)))}d}" for k in range(1, n_genes + 1)]
    targets = random.choice(n_genes, n_perturbations, replace=False)
    levels = _levels(random, sizes)
    effects = {
        "cell_type": _markers(random, sizes),
        "batch": batch_strength * random.standard_normal((n_batches, n_genes)),
        "donor": DONOR_SPREAD * random.standard_normal((n_donors, n_genes)),
        "perturbation": _perturbations(random, sizes, targets),
    }
    base = random.normal(0, 1.2, n_genes)
    blocks = []
    for start in range(0, n_cells, _BLOCK):
        rows = slice(start, start + _BLOCK)
        logits = base + sum(effects[name][levels[name][rows]] for name in effects)
        blocks.append(_counts(random, logits))
    obs = pd.DataFrame(
        {
            "cell_type": _named("type", levels["cell_type"]),
            "batch": _named("batch", levels["batch"]),
            "donor": _named("donor", levels["donor"]),
            "perturbation": np.array(["control", *(genes[k] for k in targets)], dtype=object)[levels["perturbation"]],
        },
        index=[f"cell{k}" for k in range(1, n_cells + 1)],
    )
    return ad.AnnData(sparse.vstack(blocks, format="csr"), obs=obs, var=pd.DataFrame(index=genes))


def _require(sizes: _Sizes, batch_strength: float, seed: int) -> None:
    problems = [
        f"{field.name} must be at least {low}, not {getattr(sizes, field.name)}"
        for field in fields(sizes)
        if getattr(sizes, field.name) < (low := 0 if field.name == "n_perturbations" else 1)
    ]
    if sizes.n_perturbations > sizes.n_genes:
        problems.append(f"n_perturbations ({sizes.n_perturbations}) cannot exceed n_genes ({sizes.n_genes})")
    if not 0 <= batch_strength <= 10:
        problems.append(f"batch_strength must be between 0 and 10, not {batch_strength}")
    if seed < 0:
        problems.append(f"seed must be 0 or more, not {seed}")
    if problems:
        raise BadInput(f"dataset simulated: {'; '.join(problems)}.")


def _levels(random: np.random.Generator, sizes: _Sizes) -> dict[str, np.ndarray]:
    """Level of every cell in every factor, drawn independently."""
    abundance = np.linspace(2, 1, sizes.n_cell_types)
    perturbed = np.full(sizes.n_perturbations, (1 - CONTROL_SHARE) / max(sizes.n_perturbations, 1))
    shares = np.array([CONTROL_SHARE if sizes.n_perturbations else 1.0, *perturbed])
    return {
        "cell_type": random.choice(sizes.n_cell_types, sizes.n_cells, p=abundance / abundance.sum()),
        "batch": random.integers(sizes.n_batches, size=sizes.n_cells),
        "donor": random.integers(sizes.n_donors, size=sizes.n_cells),
        "perturbation": random.choice(len(shares), sizes.n_cells, p=shares),
    }


def _markers(random: np.random.Generator, sizes: _Sizes) -> np.ndarray:
    """(n_cell_types, n_genes) log effects: each type raises a programme of genes of its own."""
    effects = np.zeros((sizes.n_cell_types, sizes.n_genes))
    size = max(1, round(MARKER_SHARE * sizes.n_genes))
    for own in effects:
        own[random.choice(sizes.n_genes, size, replace=False)] = MARKER_EFFECT * random.uniform(0.5, 1.5, size)
    return effects


def _perturbations(random: np.random.Generator, sizes: _Sizes, targets: np.ndarray) -> np.ndarray:
    """(1 + n_perturbations, n_genes) log effects; the first row is the control: none."""
    effects = np.zeros((1 + sizes.n_perturbations, sizes.n_genes))
    size = round(DOWNSTREAM_SHARE * sizes.n_genes)
    for own, target in zip(effects[1:], targets, strict=True):
        own[random.choice(sizes.n_genes, size, replace=False)] = DOWNSTREAM_SPREAD * random.standard_normal(size)
        own[target] = TARGET_EFFECT
    return effects


def _counts(random: np.random.Generator, logits: np.ndarray) -> sparse.csr_matrix:
    """Negative binomial counts with expression proportional to exp(logits), library sizes log-normal."""
    expression = np.exp(logits - logits.max(axis=1, keepdims=True))
    library = random.lognormal(np.log(LIBRARY_MEDIAN), LIBRARY_SPREAD, (len(logits), 1))
    mean = library * expression / expression.sum(axis=1, keepdims=True)
    rate = random.gamma(1 / DISPERSION, DISPERSION * mean)
    return sparse.csr_matrix(random.poisson(rate), dtype=np.float32)


def _named(kind: str, levels: np.ndarray) -> np.ndarray:
    return np.array([f"{kind}{level + 1}" for level in levels], dtype=object)
