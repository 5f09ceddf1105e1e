"""scTab: a store in the form its authors wrote, from which only what is asked for is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from bench.data import canonical
from bench.errors import BadInput
from bench.specs import DatasetSpec
from bench_datasets.loaders import sctab
from bench_datasets.registry import registry

GENES = 40
SIZES = {"train": 96, "val": 32, "test": 32}
GROUP = 16
"""Cells per row group (1,024 in the real store)."""
LABELS = {
    "cell_type": ["B cell", "T cell", "monocyte"],
    "dataset_id": [sctab.ATLASES["hlca"], "00000000-0000-4000-8000-000000000000"],
    "assay": ["10x 3' v2", "10x 3' v3"],
}
OPTIONS = {"parts": "train,val,test", "n_cells": 0, "atlas": "", "unrecovered": "error", "seed": 0}


def write(folder: Path, spoil: int = -1) -> dict[str, np.ndarray]:
    """A store below `folder`; `spoil`: a training cell whose values are no counts. Returns the counts by name."""
    random = np.random.default_rng(0)
    root = folder / "merlin_cxg_2023_05_15_sf-log1p"
    (root / "categorical_lookup").mkdir(parents=True)
    ids = [f"ENSG{k:011d}" for k in range(GENES)]
    pd.DataFrame({"feature_id": ids, "feature_name": [f"G{k}" for k in range(GENES)]}).to_parquet(root / "var.parquet")
    for column, labels in LABELS.items():
        pd.DataFrame({"label": labels}).to_parquet(root / "categorical_lookup" / f"{column}.parquet")
    donors = pd.DataFrame({"label": [f"study_d{k}" for k in range(6)]})
    donors.to_parquet(root / "categorical_lookup" / "tech_sample.parquet")
    first, kept = 0, {}
    for number, (part, size) in enumerate(SIZES.items()):
        counts = random.poisson(1.5, (size, GENES)).astype(np.float32)
        counts[:, 0] += 1
        values = np.log1p(counts * (np.float32(10_000) / counts.sum(axis=1, keepdims=True))).astype(np.float32)
        if part == "train" and spoil >= 0:
            values[spoil] *= random.uniform(0.8, 1.2, GENES).astype(np.float32)
        codes = {column: random.integers(len(labels), size=size) for column, labels in LABELS.items()}
        codes["tech_sample"] = 2 * number + random.integers(2, size=size)
        joinid = np.arange(first, first + size)
        kept |= {str(name): row for name, row in zip(joinid, counts, strict=True)}
        first += size
        table = pa.table({"X": pa.array(list(values), pa.list_(pa.float32())), "soma_joinid": joinid, **codes})
        (root / part).mkdir()
        for start in range(0, size, 2 * GROUP):
            file = root / part / f"part.{start // (2 * GROUP)}.parquet"
            parquet.write_table(table.slice(start, 2 * GROUP), file, row_group_size=GROUP)
        (root / part / "_metadata").write_bytes(b"not data")
    return kept


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("sctab")
    return folder, write(folder)


def test_counts_split_and_labels_are_those_of_the_store(store) -> None:
    folder, counts = store
    spec = next(spec for spec in registry() if spec.name == "sctab")
    data = canonical.load(replace(spec, params={**spec.params, "path": str(folder), "n_cells": 0}))
    assert data.shape == (sum(SIZES.values()), GENES)
    for name, row in zip(data.obs_names, data.X.toarray(), strict=True):
        assert np.array_equal(row, counts[name])
    assert data.obs["split"].value_counts().to_dict() == SIZES
    assert set(data.obs["cell_type"]) == set(LABELS["cell_type"])
    assert data.var["ensembl_id"].iloc[0] == "ENSG00000000000"
    assert data.var["gene_symbol"].iloc[1] == "G1"
    parts = data.obs.groupby("donor")["split"].nunique()
    assert (parts == 1).all()
    assert "sampled with seed 0: 96 of 96 train cells" in " ".join(data.uns["notices"])


def test_a_sample_keeps_the_shares_of_the_parts(store) -> None:
    folder, counts = store
    data = sctab.load(str(folder), **{**OPTIONS, "n_cells": 40})
    assert data.obs["split"].value_counts().to_dict() == {"train": 24, "val": 8, "test": 8}
    assert all(np.array_equal(row, counts[n]) for n, row in zip(data.obs_names, data.X.toarray(), strict=True))
    again = sctab.load(str(folder), **{**OPTIONS, "n_cells": 40})
    other = sctab.load(str(folder), **{**OPTIONS, "n_cells": 40, "seed": 1})
    assert list(data.obs_names) == list(again.obs_names) != list(other.obs_names)


def test_only_the_row_groups_that_are_needed_are_read(store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = store
    read: list[int] = []
    tables = sctab._tables

    def counted(*args):
        for table in tables(*args):
            read.append(table.num_rows)
            yield table

    monkeypatch.setattr(sctab, "_tables", counted)
    sctab.load(str(folder), **{**OPTIONS, "parts": "train", "n_cells": 20})
    assert read == [GROUP, GROUP]  # of 6


def test_one_part_or_one_atlas_alone(store) -> None:
    folder, _ = store
    test = sctab.load(str(folder), **{**OPTIONS, "parts": "test"})
    assert set(test.obs["split"]) == {"test"}
    lung = sctab.load(str(folder), **{**OPTIONS, "atlas": "hlca"})
    assert set(lung.obs["dataset_id"]) == {sctab.ATLASES["hlca"]}
    assert 0 < lung.n_obs < sum(SIZES.values())


def test_a_store_without_some_tables_of_labels_keeps_the_codes(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "merlin_cxg_2023_05_15_sf-log1p" / "categorical_lookup" / "tech_sample.parquet").unlink()
    data = sctab.load(str(tmp_path / "merlin_cxg_2023_05_15_sf-log1p"), **OPTIONS)
    assert set(data.obs["tech_sample"]) == {f"tech_sample {k}" for k in range(6)}


def test_cells_without_counts_are_an_error_unless_they_may_be_dropped(tmp_path: Path) -> None:
    write(tmp_path, spoil=3)
    with pytest.raises(BadInput, match=r"no integer counts behind 1 of 16 cells.*unrecovered=drop"):
        sctab.load(str(tmp_path), **OPTIONS)
    data = sctab.load(str(tmp_path), **{**OPTIONS, "unrecovered": "drop"})
    assert data.n_obs == sum(SIZES.values()) - 1
    assert "3" not in data.obs_names
    assert data.uns["notices"][-1] == "1 cells left out: no integer counts behind their values."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": "dev"}, "unknown part of dataset sctab: 'dev'"),
        ({"atlas": "hcla"}, "unknown atlas of dataset sctab: 'hcla'. Did you mean 'hlca'"),
        ({"n_cells": -1}, "n_cells must be 0 or more"),
        ({"unrecovered": "keep"}, "unrecovered one of error, drop"),
    ],
)
def test_wrong_options_are_refused(store, options: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        sctab.load(str(store[0]), **{**OPTIONS, **options})


def test_more_cells_than_memory_are_refused(store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sctab.safety, "available_memory", lambda: 1000)
    with pytest.raises(BadInput, match=r"160 cells need about .*--data-set n_cells=NUMBER"):
        sctab.load(str(store[0]), **OPTIONS)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not the unpacked archive of scTab"):
        sctab.load(str(tmp_path), **OPTIONS)
    (tmp_path / "var.parquet").write_bytes(b"PAR1 is not enough")
    with pytest.raises(BadInput, match=r"var.parquet cannot be read"):
        sctab.load(str(tmp_path), **OPTIONS)


def test_data_are_made_only_of_a_spec_that_was_fetched() -> None:
    spec = next(spec for spec in registry() if spec.name == "sctab")
    assert isinstance(spec, DatasetSpec)
    with pytest.raises(BadInput, match="path"):
        canonical.load(spec)
