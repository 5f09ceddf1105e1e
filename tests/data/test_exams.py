"""What a model is given: the counts and genes of some cells, and nothing that was not listed."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bench.data.exams import hide, is_known, role_values, visible_cells
from bench.errors import BadInput


@pytest.fixture
def cells() -> ad.AnnData:
    """Five cells that carry their type wherever AnnData has room for it."""
    types = np.array(["B", "NK", "B", None, "NK"], dtype=object)
    data = ad.AnnData(
        X=sparse.csr_matrix(np.arange(20, dtype=np.float32).reshape(5, 4)),
        obs=pd.DataFrame({"cell_type": types, "secret": types}, index=[f"c{i}" for i in range(5)]),
        var=pd.DataFrame({"gene_symbol": list("ABCD"), "markers_of": ["B", "NK", "B", "NK"]}, index=list("abcd")),
    )
    data.layers["secret"] = data.X.copy()
    data.obsm["secret"] = np.ones((5, 2))
    data.varm["secret"] = np.ones((4, 2))
    data.obsp["secret"] = sparse.eye(5, format="csr")
    data.uns["secret"] = list(types)
    data.raw = data
    return data


def test_only_listed_content_comes_along(cells: ad.AnnData) -> None:
    seen = visible_cells(cells, np.array([4, 1]), {"batch": np.array(["x", "y"])})
    assert list(seen.obs_names) == ["c4", "c1"]
    assert list(seen.obs.columns) == ["batch"]
    assert list(seen.var.columns) == ["gene_symbol"]
    for place in (seen.layers, seen.obsm, seen.varm, seen.obsp, seen.varp, seen.uns):
        assert not place
    assert seen.raw is None
    np.testing.assert_array_equal(seen.X.toarray(), cells.X[[4, 1]].toarray())


def test_no_memory_is_shared_with_the_dataset(cells: ad.AnnData) -> None:
    seen = visible_cells(cells, np.arange(5))
    assert not seen.is_view
    for part in ("data", "indices", "indptr"):
        own = getattr(seen.X, part)
        assert own.base is None or own.base.nbytes == own.nbytes
        assert not np.shares_memory(own, getattr(cells.X, part))
    seen.X.data[:] = 0
    assert cells.X.sum() > 0


def test_missing_values_of_a_role_are_none(cells: ad.AnnData) -> None:
    values = role_values(cells, "cell_type")
    assert list(values) == ["B", "NK", "B", None, "NK"]
    assert list(is_known(values)) == [True, True, True, False, True]
    assert list(pd.isna(hide(values, np.array([True, False, True, False, True])))) == [False, True, False, True, False]


def test_a_missing_role_is_named_with_what_is_there(cells: ad.AnnData) -> None:
    with pytest.raises(BadInput, match=r"no column 'batch' \(columns: cell_type, secret\).*--obs batch=COLUMN"):
        role_values(cells, "batch")
