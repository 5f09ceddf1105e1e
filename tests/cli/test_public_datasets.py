"""Public datasets from the command line: which are here, and a run on a published split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from bench.data import canonical
from bench_datasets.plugin import bench_datasets


def test_the_list_tells_which_datasets_are_here(bench, tmp_path: Path) -> None:
    def here() -> dict[str, str]:
        listed = bench("list", "datasets", "--json", BENCH_CACHE_DIR=str(tmp_path))
        return {row["name"]: row["here"] for row in json.loads(listed.stdout)["datasets"]}

    before = here()
    assert before["pbmc68k"] == "yes"
    assert before["norman19"] == "fetch"
    assert before["kaggle22-cite"] == before["ssl-hippocampus"] == "manual"
    (tmp_path / "datasets" / "norman19").mkdir(parents=True)
    (tmp_path / "datasets" / "norman19" / "NormanWeissman2019_filtered.h5ad").write_bytes(b"\x89HDF")
    assert here()["norman19"] == "yes"


def write_store(folder: Path) -> None:
    """The demo's 700 cells as scTab's authors would write them, dealt to four donors in three parts."""
    cells = canonical.load(next(spec for spec in bench_datasets() if spec.name == "pbmc68k"))
    root = folder / "merlin_cxg_2023_05_15_sf-log1p_minimal"
    (root / "categorical_lookup").mkdir(parents=True)
    ids = [f"ENSG{k:011d}" for k in range(cells.n_vars)]
    pd.DataFrame({"feature_id": ids, "feature_name": list(cells.var_names)}).to_parquet(root / "var.parquet")
    code, names = pd.factorize(cells.obs["cell_type"])
    pd.DataFrame({"label": list(names)}).to_parquet(root / "categorical_lookup" / "cell_type.parquet")
    counts = cells.X.toarray()
    values = np.log1p(counts * (np.float32(10_000) / counts.sum(axis=1, keepdims=True)))
    donor = np.random.default_rng(0).integers(0, 5, cells.n_obs)
    for part, donors in {"train": (0, 1, 2), "val": (3,), "test": (4,)}.items():
        rows = np.flatnonzero(np.isin(donor, donors))
        table = pa.table(
            {
                "X": pa.array(list(values[rows].astype(np.float32)), pa.list_(pa.float32())),
                "soma_joinid": rows,
                "cell_type": code[rows],
                "tech_sample": donor[rows],
                "dataset_id": np.zeros(len(rows), dtype=np.int64),
                "assay": np.zeros(len(rows), dtype=np.int64),
            }
        )
        (root / part).mkdir()
        parquet.write_table(table, root / part / "part.0.parquet", row_group_size=64)


@pytest.mark.slow
def test_a_run_on_the_published_split_of_a_fetched_dataset(bench, tmp_path: Path) -> None:
    write_store(tmp_path / "datasets" / "sctab-minimal" / "merlin_cxg_2023_05_15_sf-log1p_minimal")
    asked = ("run", "--model", "knn", "--task", "classification", "--dataset", "sctab-minimal", "--task-set", "shots=5")
    done = bench(*asked, "--data-set", "n_cells=600", "--json", BENCH_CACHE_DIR=str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    assert (run["fold"], run["status"]) == ("published", "ok")
    (record,) = (json.loads(path.read_text()) for path in (tmp_path / "results" / "records").rglob("*.json"))
    assert record["split"]["by"] == "donor"
    assert record["split"]["held_out"] == ["tech_sample 4"]
    assert "classifiers tune on the published validation cells" in record["split"]["notes"]
    assert record["dataset"]["n_obs"] == 600
    scores = {score["metric"]: score["value"] for score in run["scores"] if not score.get("part")}
    assert scores["accuracy"] > 0.6


@pytest.mark.slow
def test_a_column_of_ones_own_is_a_published_split_when_asked_for(bench, tmp_path: Path) -> None:
    cells = canonical.load(next(spec for spec in bench_datasets() if spec.name == "pbmc68k"))
    cells.obs["split"] = np.where(np.random.default_rng(0).random(cells.n_obs) < 0.3, "test", "train")
    cells.obs["phase"] = cells.obs["split"].replace("test", "held out")
    cells.write_h5ad(tmp_path / "mine.h5ad")
    asked = ("run", "--model", "knn", "--task", "classification", "--dataset", tmp_path / "mine.h5ad", "--json")
    wrong = bench(*asked, "--obs", "split=phase")
    assert wrong.returncode == 2
    assert "the split must say train, val, test; it also says 'held out'" in wrong.stderr
    done = bench(*asked, "--obs", "split=split", "--task-set", "shots=5")
    assert done.returncode == 0, done.stderr
    assert [run["fold"] for run in json.loads(done.stdout)["runs"]] == ["published"]
