"""Whatever a file holds, the outcome is canonical data or a BadInput: never another exception."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from scipy import sparse

from bench.data import canonical
from bench.errors import BadInput
from bench.specs import ROLES, DatasetSpec

LABELS = st.one_of(
    st.none(), st.sampled_from(["T", "B", "", "nan", "ñ", "🧬"]), st.floats(), st.integers(-3, 3), st.booleans()
)
PRINTABLE = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=5)
NAMES = st.one_of(
    st.sampled_from(["a", "b", "a-1", "ENSG00000000001.2"]), PRINTABLE, PRINTABLE, PRINTABLE, st.text(max_size=5)
)


@st.composite
def matrices(draw: st.DrawFn, n: int, m: int) -> Any:
    values = np.array(
        draw(st.lists(st.sampled_from([0, 0, 0, 1, 2, 250]), min_size=n * m, max_size=n * m)), dtype=float
    ).reshape(n, m)
    dtype = draw(st.sampled_from(["f8", "f4", "i8", "u1", "?"]))
    if dtype == "f8" and draw(st.integers(0, 3)) == 0:
        for value in draw(st.lists(st.sampled_from([np.nan, np.inf, -1, 0.5, 1e300]), max_size=1)):
            values[draw(st.integers(0, n - 1)), draw(st.integers(0, m - 1))] = value
    form = draw(st.sampled_from([np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array]))
    return form(values.astype(dtype))


@st.composite
def labels(draw: st.DrawFn, n: int) -> Any:
    kind = draw(st.sampled_from(["text", "text", "category", "category", "number", "number", "anything"]))
    if kind == "number":
        return np.array(draw(st.lists(st.floats(), min_size=n, max_size=n)))
    source = LABELS if kind == "anything" else st.sampled_from(["T", "B", None, "ñ"])
    column = np.empty(n, dtype=object)
    column[:] = draw(st.lists(source, min_size=n, max_size=n))
    return pd.Categorical(column) if kind == "category" else column


@st.composite
def sources(draw: st.DrawFn) -> ad.AnnData:
    n, m = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    obs = pd.DataFrame(
        {role: draw(labels(n)) for role in draw(st.sets(st.sampled_from(sorted(ROLES)), max_size=2))}, index=range(n)
    )
    obs.index = pd.Index(draw(st.lists(NAMES, min_size=n, max_size=n)), dtype=object)
    var = pd.DataFrame(index=pd.Index(draw(st.lists(NAMES, min_size=m, max_size=m)), dtype=object))
    for column in draw(st.sets(st.sampled_from(["gene_ids", "feature_name", "feature_types", "feature_type"]))):
        var[column] = np.array(
            draw(st.lists(st.one_of(NAMES, st.none(), st.just("ADT")), min_size=m, max_size=m)), dtype=object
        )
    layers = {name: draw(matrices(n, m)) for name in draw(st.sets(st.sampled_from(["counts", "x"])))}
    return ad.AnnData(draw(matrices(n, m)), obs=obs, var=var, layers=layers)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "duplicate_genes": st.sampled_from(["error", "sum", "sum", "first"]),
        "unlabelled": st.sampled_from(["error", "drop", "drop"]),
        "strict": st.booleans(),
        "gene_key": st.sampled_from(["", "", "feature_name"]),
    },
)


def assert_canonical(data: ad.AnnData, roles: set[str]) -> None:
    assert isinstance(data.X, sparse.csr_matrix)
    assert data.X.dtype == np.float32
    data.X.check_format(full_check=True)
    assert data.X.has_sorted_indices
    assert (data.X.data > 0).all()
    assert (data.X.data == np.rint(data.X.data)).all()
    assert data.n_obs
    assert data.n_vars
    assert (np.asarray(data.X.sum(axis=1)) > 0).all()
    for names in (data.obs_names, data.var_names):
        assert names.is_unique
        assert all(isinstance(name, str) for name in names)
    assert set(data.obs) == roles
    for column in data.obs:
        assert all(pd.isna(v) or (isinstance(v, str) and v.strip()) for v in data.obs[column])
    if "cell_type" in data.obs:
        assert not data.obs["cell_type"].isna().any()
    assert list(data.var) == ["gene_symbol", "ensembl_id", "feature_types"]
    assert all(isinstance(v, str) for column in data.var for v in data.var[column])
    assert all(isinstance(notice, str) for notice in data.uns["notices"])
    assert not data.obsm
    assert not data.layers
    assert data.raw is None


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(raw=sources(), options=OPTIONS, layer=st.sampled_from(["", "", "", "X", "X", "X", "counts", "raw"]))
def test_any_source_becomes_canonical_or_is_refused(raw: ad.AnnData, options: dict[str, Any], layer: str) -> None:
    roles = {role: role for role in raw.obs}
    try:
        data = canonical.canonicalise(raw, DatasetSpec("x", "", "a:b", roles=roles, options=options, layer=layer))
    except BadInput:
        event("refused")
        return
    event("canonical")
    assert_canonical(data, set(roles))
    assert data.n_obs <= raw.n_obs


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=50)
@given(raw=sources())
def test_canonical_data_is_canonical_again(raw: ad.AnnData) -> None:
    spec = DatasetSpec("x", "", "a:b", options={"duplicate_genes": "sum", "unlabelled": "drop"})
    try:
        once = canonical.canonicalise(raw, spec)
    except BadInput:
        return
    twice = canonical.canonicalise(once, spec)
    assert (once.X != twice.X).nnz == 0
    assert list(once.var_names) == list(twice.var_names)
    assert list(once.obs_names) == list(twice.obs_names)
