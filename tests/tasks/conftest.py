"""Canonical cells to examine: real ones, small, and sorted by type as files often are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from bench import config
from bench.data import canonical
from bench.specs import DatasetSpec, TaskSpec, load_target
from bench_datasets.plugin import bench_datasets


def _load(name: str) -> ad.AnnData:
    specs: dict[str, DatasetSpec] = {spec.name: spec for spec in bench_datasets()}
    data = canonical.load(specs[name])
    return data[np.argsort(data.obs["cell_type"].astype(str), kind="stable")].copy()


@pytest.fixture(scope="session")
def _blood() -> ad.AnnData:
    return _load("pbmc68k-semisim")


@pytest.fixture
def blood(_blood: ad.AnnData) -> ad.AnnData:
    """700 real blood cells of 10 types in 2 semi-simulated batches, sorted by type; yours to change."""
    return _blood.copy()


@pytest.fixture
def donors(blood: ad.AnnData) -> ad.AnnData:
    """The same cells without batches, dealt to 4 donors."""
    del blood.obs["batch"]
    dealt = np.random.default_rng(0).integers(0, 4, blood.n_obs)
    blood.obs["donor"] = pd.Series([f"d{i}" for i in dealt], index=blood.obs_names)
    return blood


@pytest.fixture
def make_task() -> Callable[..., Any]:
    """Builds a task from its spec with some options set."""

    def make(spec: TaskSpec, **options: Any) -> Any:
        return load_target(spec.target)(config.build(spec.config, options, f"task {spec.name}"))

    return make


@pytest.fixture
def hide_labels_everywhere() -> Callable[[ad.AnnData], ad.AnnData]:
    """Puts the type of every cell wherever AnnData has room for it."""

    def spread(data: ad.AnnData) -> ad.AnnData:
        types = data.obs["cell_type"].astype(str)
        code = pd.Categorical(types).codes.astype(np.float32)
        data.obs["leiden"] = types
        data.obs["score"] = code
        data.uns["types"] = dict(zip(data.obs_names, types, strict=True))
        data.obsm["X_types"] = code[:, None]
        data.layers["types"] = data.X.multiply(code[:, None] + 1).tocsr()
        data.obsp["same"] = (data.X[:, :1] > 0).astype(np.float32) @ (data.X[:, :1] > 0).astype(np.float32).T
        data.varm["loadings"] = np.ones((data.n_vars, 2))
        data.var["marker_of"] = types.iloc[0]
        data.raw = data.copy()
        return data

    return spread
