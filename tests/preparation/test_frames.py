"""Tables of strangers become tables that can be written, and nothing changes unsaid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from bench.preparation.frames import embeddings, writable

COLUMNS: dict[str, tuple[Any, list[Any]]] = {
    "integers": ([1, 2, 3], [1, 2, 3]),
    "floats": ([0.5, np.nan, 2], [0.5, np.nan, 2]),
    "numbers among objects": (np.array([1, None, 3], dtype=object), [1, np.nan, 3]),
    "booleans": ([True, False, True], [True, False, True]),
    "text": (["a", "b", None], ["a", "b", np.nan]),
    "categories": (pd.Categorical(["x", None, "x"], categories=["y", "x"]), ["x", np.nan, "x"]),
    "numbered categories": (pd.Categorical([1, 2, 1]), ["1", "2", "1"]),
    "mixed": (["a", 1, None], ["a", "1", np.nan]),
    "lists": ([[1], [], None], ["[1]", "[]", np.nan]),
    "dates": (
        pd.to_datetime(["2026-01-01", None, "2026-01-02"]),
        ["2026-01-01 00:00:00", np.nan, "2026-01-02 00:00:00"],
    ),
    "nullable": (pd.array([1, None, 3], dtype="Int64"), ["1", np.nan, "3"]),
    "NUL": (["a\x00b", "c", "c"], ["ab", "c", "c"]),
    "surrogates": (["a\udc80b", "c", "c"], ["a?b", "c", "c"]),
}


@pytest.mark.parametrize("case", COLUMNS)
@pytest.mark.filterwarnings("ignore")
def test_every_column_can_be_written_and_read_again(tmp_path: Path, case: str) -> None:
    values, expected = COLUMNS[case]
    frame = writable(pd.DataFrame({"column": values}), "obs", [])
    ad.AnnData(np.ones((3, 1)), obs=frame.set_axis(["a", "b", "c"])).write_h5ad(tmp_path / "x.h5ad")
    read = ad.read_h5ad(tmp_path / "x.h5ad").obs["column"].astype(object)
    assert all(a == b or (pd.isna(a) and pd.isna(b)) for a, b in zip(read, expected, strict=True))


def test_what_was_changed_is_said() -> None:
    notices: list[str] = []
    frame = pd.DataFrame({"plain": ["a", "b"], "mixed": ["a", 1], "a/b": [1, 2], "": [1, 2], "_index": [1, 2]})
    assert list(writable(frame, "obs", notices)) == ["plain", "mixed"]
    assert notices == [
        "obs columns of mixed values written as text: mixed.",
        "obs columns with names that cannot be written left out: a/b, , _index.",
    ]


def test_the_order_of_categories_is_kept() -> None:
    ordered = pd.Categorical(["b", "a"], categories=["b", "a"], ordered=True)
    assert list(writable(pd.DataFrame({"c": ordered}), "obs", [])["c"].cat.categories) == ["b", "a"]


def test_embeddings_are_tables_of_numbers() -> None:
    notices: list[str] = []
    obsm = {"X_pca": np.ones((3, 2)), "names": np.array([["a"], ["b"], ["c"]]), "a/b": np.ones((3, 1))}
    found = embeddings(obsm, np.array([True, False, True]), notices)
    assert {key: value.shape for key, value in found.items()} == {"X_pca": (2, 2)}
    assert notices == ["obsm left out, being no tables of numbers: names, a/b."]
