"""Roles: what is asked for, what is taken by itself, and what never is."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from bench.data.files import describe
from bench.data.roles import map_roles
from bench.errors import BadInput

COLUMNS = ("cell_type", "donor", "split", "part")


def test_columns_named_like_a_role_are_taken() -> None:
    assert map_roles(COLUMNS, {}, "x") == {"cell_type": "cell_type", "donor": "donor"}


def test_a_column_named_split_is_taken_only_when_asked_for() -> None:
    assert "split" not in map_roles(COLUMNS, {}, "x")
    assert map_roles(COLUMNS, {"split": "split"}, "x")["split"] == "split"
    assert map_roles(COLUMNS, {"split": "part"}, "x")["split"] == "part"
    assert "split" not in map_roles(COLUMNS, {"split": ""}, "x")


def test_an_empty_column_takes_a_role_away() -> None:
    assert map_roles(COLUMNS, {"donor": ""}, "x") == {"cell_type": "cell_type"}


def test_unknown_roles_and_columns_are_refused() -> None:
    with pytest.raises(BadInput, match=r"unknown role 'splt'. Did you mean 'split'"):
        map_roles(COLUMNS, {"splt": "part"}, "x")
    with pytest.raises(BadInput, match="unknown obs column of x: 'prt'"):
        map_roles(COLUMNS, {"split": "prt"}, "x")


def test_a_file_with_a_column_split_has_no_such_role(tmp_path: Path) -> None:
    obs = pd.DataFrame({"split": ["a", "b"], "donor": ["d1", "d2"]}, index=["c1", "c2"])
    ad.AnnData(np.ones((2, 2), dtype=np.float32), obs=obs).write_h5ad(tmp_path / "x.h5ad")
    assert describe(tmp_path / "x.h5ad", obs={}).roles == {"donor": "donor"}
    assert describe(tmp_path / "x.h5ad", obs={"split": "split"}).roles["split"] == "split"
