"""The generator: what it claims to know about its cells can be found in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from bench.data import canonical
from bench.data.features import ExpressionPCA
from bench.data.identity import cells_hash
from bench.errors import BadInput
from bench.specs import DatasetSpec
from bench_datasets.plugin import bench_datasets

SPEC = next(spec for spec in bench_datasets() if spec.name == "simulated")
ROLES = ["cell_type", "batch", "donor", "perturbation"]


def simulated(**params: Any) -> DatasetSpec:
    small = {"n_cells": 600, "n_genes": 300}
    return replace(SPEC, params={**SPEC.params, **small, **params})


def accuracy(data: Any, role: str) -> float:
    """Of a linear classifier of the role on principal components, on held-out cells."""
    values = ExpressionPCA(20, n_genes=300).fit(data).transform(data)
    model = LogisticRegression(C=0.1, max_iter=500)
    return float(cross_val_score(model, values, data.obs[role].to_numpy(dtype=str), cv=3).mean())


def test_defaults_give_the_shape_and_levels_they_say() -> None:
    data = canonical.load(SPEC)
    assert data.shape == (2000, 1000)
    assert list(data.obs) == ROLES
    assert [data.obs[role].nunique() for role in ROLES] == [6, 3, 8, 5]
    assert "control" in set(data.obs["perturbation"])
    assert data.var_names[0] == "SIMG0001"
    assert set(data.obs["perturbation"]) - {"control"} <= set(data.var_names)


@settings(deadline=None, max_examples=25)
@given(
    n_cells=st.integers(1, 60),
    n_genes=st.integers(5, 40),
    levels=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    n_perturbations=st.integers(0, 5),
    strength=st.floats(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_is_seeded_and_canonical(
    n_cells: int, n_genes: int, levels: list[int], n_perturbations: int, strength: float, seed: int
) -> None:
    spec = simulated(
        n_cells=n_cells, n_genes=n_genes, n_cell_types=levels[0], n_batches=levels[1], n_donors=levels[2],
        n_perturbations=n_perturbations, batch_strength=strength, seed=seed,
    )  # fmt: skip
    data = canonical.load(spec)
    assert data.shape == (n_cells, n_genes)
    assert cells_hash(data, ROLES) == cells_hash(canonical.load(spec), ROLES)


def test_another_seed_gives_other_cells() -> None:
    assert cells_hash(canonical.load(simulated(seed=1))) != cells_hash(canonical.load(simulated(seed=2)))


def test_without_strength_there_is_no_batch_signal_and_more_strength_gives_more() -> None:
    signal = [accuracy(canonical.load(simulated(batch_strength=s, n_batches=2)), "batch") for s in (0.0, 0.1, 0.4)]
    assert abs(signal[0] - 0.5) < 0.08
    assert signal[0] + 0.05 < signal[1] < signal[2]
    assert signal[2] > 0.9


def test_types_can_be_told_apart_but_not_perfectly() -> None:
    assert 0.5 < accuracy(canonical.load(SPEC), "cell_type") < 0.99


def test_a_perturbation_lowers_its_own_gene() -> None:
    data = canonical.load(SPEC)
    counts = np.asarray(data.X.todense())
    perturbation = data.obs["perturbation"].to_numpy()
    for gene in set(perturbation) - {"control"}:
        values = counts[:, data.var_names.get_loc(gene)]
        assert values[perturbation == gene].mean() < 0.5 * values[perturbation == "control"].mean()


def test_counts_vary_more_than_poisson() -> None:
    data = canonical.load(simulated(n_cells=3000, n_cell_types=1, n_donors=1, n_batches=1, n_perturbations=0))
    counts = np.asarray(data.X.todense(), dtype=np.float64)
    high = counts.mean(axis=0) > 3
    excess = (counts.var(axis=0) - counts.mean(axis=0))[high] / counts.mean(axis=0)[high] ** 2
    assert 0.25 < np.median(excess) < 0.7  # dispersion 0.3 and the spread of library sizes


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"n_cells": 0, "n_batches": 0}, "n_cells must be at least 1.*n_batches must be at least 1"),
        ({"n_perturbations": 301}, "cannot exceed n_genes"),
        ({"batch_strength": -1.0}, "batch_strength"),
        ({"batch_strength": float("nan")}, "batch_strength"),
        ({"seed": -1}, "seed"),
    ],
)
def test_impossible_parameters_are_refused_together(params: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        canonical.load(simulated(**params))
