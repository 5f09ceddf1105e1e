"""The probe looks like data: canonical, sparse, of genes the model knows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.conformance.cells import N_CELLS, probe_cells
from bench.conformance.fairness import fingerprint
from bench.data.canonical import canonicalise
from bench.specs import ROLES, DatasetSpec


def test_it_is_canonical_already() -> None:
    probe = probe_cells()
    spec = DatasetSpec("probe", "the probe", "x:y", roles={role: role for role in ROLES})
    again = canonicalise(probe, spec)
    assert again.obs_names.equals(probe.obs_names)
    pd.testing.assert_frame_equal(again.var, probe.var, check_index_type=False)
    assert set(ROLES) == set(probe.obs)
    assert (again.X != probe.X).nnz == 0


def test_its_counts_are_sparse_whole_numbers() -> None:
    counts = probe_cells().X
    share_of_zeros = 1 - counts.nnz / np.prod(counts.shape)
    assert 0.4 < share_of_zeros < 0.9
    assert (counts.data == np.rint(counts.data)).all()
    assert (np.asarray(counts.sum(axis=1)) > 0).all()
    assert counts.dtype == np.float32


def test_every_type_is_in_every_batch_and_donor() -> None:
    obs = probe_cells().obs
    assert (pd.crosstab(obs["cell_type"], [obs["batch"], obs["donor"]]) > 3).all(axis=None)
    assert not obs["cell_type"].is_monotonic_increasing


def test_it_is_the_same_every_time() -> None:
    assert fingerprint(probe_cells()) == fingerprint(probe_cells())
    assert fingerprint(probe_cells(seed=1)) != fingerprint(probe_cells())


@pytest.mark.parametrize(("species", "prefix"), [("human", "ENSG"), ("mouse", "ENSMUSG")])
def test_it_has_real_genes(species: str, prefix: str) -> None:
    var = probe_cells(species).var
    assert var["ensembl_id"].str.fullmatch(prefix + r"\d{11}").all()
    assert var["ensembl_id"].is_unique
    assert var["gene_symbol"].is_unique


def test_known_genes_of_a_vocabulary_come_first() -> None:
    known = set(probe_cells().var["gene_symbol"])
    assert set(probe_cells(vocabulary=known | {"ODD1"}).var["gene_symbol"]) == known


def test_a_strange_vocabulary_is_drawn_from_as_it_is() -> None:
    ids = [f"ENSG{k:011d}" for k in range(1, 300)]
    var = probe_cells(vocabulary=ids, ensembl=True).var
    assert len(var) == 120
    assert set(var["ensembl_id"]) <= set(ids)
    assert probe_cells("zebrafish").shape == (N_CELLS, 120)
