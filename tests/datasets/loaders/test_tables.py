"""Counts published as tables, written here in the form GEO and Kaggle have them in."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest

from bench.data import canonical
from bench.errors import BadInput
from bench.specs import DatasetSpec
from bench_datasets.loaders import tables

HEADER = ",barcode,assigned_cluster,GCG,INS"


def write_donor(folder: Path, name: str, rows: list[str], header: str = HEADER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / f"{name}_umifm_counts.csv.gz", "wt") as file:
        file.write("\n".join([header, *rows]) + "\n")


def test_donors_of_one_species_are_stacked(tmp_path: Path) -> None:
    write_donor(
        tmp_path, "GSM2230757_human1", ["human1_lib1.0001,GATTACA-1,alpha,7,0", "human1_lib1.0002,ACGT-1,beta,0,9"]
    )
    write_donor(tmp_path, "GSM2230758_human2", ["human2_lib1.0001,TTTT-1,alpha,3,1"])
    write_donor(
        tmp_path, "GSM2230761_mouse1", ["mouse1_lib1.0001,CCCC-1,beta,1,1"], ",barcode,assigned_cluster,Gcg,Ins1"
    )
    params = {"path": str(tmp_path), "species": "human"}
    roles = {"cell_type": "cell_type", "donor": "donor"}
    target = "bench_datasets.loaders.tables:load_baron"
    data = canonical.load(DatasetSpec("x", "cells", target, params=params, roles=roles))
    assert list(data.obs_names) == ["human1_lib1.0001", "human1_lib1.0002", "human2_lib1.0001"]
    assert list(data.obs["donor"]) == ["human1", "human1", "human2"]
    assert list(data.obs["cell_type"]) == ["alpha", "beta", "alpha"]
    assert np.array_equal(data.X.toarray(), [[7, 0], [0, 9], [3, 1]])
    assert list(tables.load_baron(str(tmp_path), "mouse").var_names) == ["Gcg", "Ins1"]


@pytest.mark.parametrize(
    ("header", "message"),
    [(",barcode,cluster,GCG,INS", "no table of Baron"), (",barcode,assigned_cluster,INS,GCG", "has other genes")],
)
def test_another_table_is_refused(tmp_path: Path, header: str, message: str) -> None:
    write_donor(tmp_path, "GSM1_human1", ["a,b,alpha,1,2"])
    write_donor(tmp_path, "GSM2_human2", ["c,d,alpha,1,2"], header)
    with pytest.raises(BadInput, match=message):
        tables.load_baron(str(tmp_path), "human")


def test_an_archive_without_such_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no \*_human\*_umifm_counts"):
        tables.load_baron(str(tmp_path), "human")


def write_pandas(file: Path, cells: list[str], features: list[str], values: np.ndarray) -> None:
    """As `DataFrame.to_hdf(format="fixed")` writes a table of one type."""
    with h5py.File(file, "w") as opened:
        group = opened.create_group(file.stem)
        group["axis0"] = np.array(features, dtype="S")
        group["axis1"] = np.array(cells, dtype="S")
        group["block0_items"] = np.array(features, dtype="S")
        group.create_dataset("block0_values", data=values.astype(np.float32), compression="gzip")


def kaggle(folder: Path, cells: list[str]) -> dict:
    write_pandas(
        folder / "rna_raw.h5", ["c1", "c2"], ["ENSG00000121410_A1BG", "ENSG00000268895_A1BG-AS1"], np.eye(2) * 4
    )
    write_pandas(folder / "adt_raw.h5", cells, ["CD86", "CD274"], np.array([[1, 0], [3, 5]]))
    (folder / "metadata.csv").write_text(
        "cell_id,day,donor,cell_type,technology\nc2,3,13176,HSC,citeseq\nc1,2,31800,EryP,citeseq\nz,2,1,MasP,multiome\n"
    )
    return {"path": str(folder), "genes": "rna_raw.h5", "others": "adt_raw.h5", "kind": "Antibody Capture"}


def test_tables_of_the_competition_are_joined_with_their_metadata(tmp_path: Path) -> None:
    params = kaggle(tmp_path, ["c1", "c2"])
    roles = {"cell_type": "cell_type", "donor": "donor", "time_point": "day"}
    target = "bench_datasets.loaders.tables:load_kaggle"
    data = canonical.load(DatasetSpec("x", "cells", target, params=params, roles=roles))
    assert list(data.var_names) == ["A1BG", "A1BG-AS1", "CD86", "CD274"]
    assert list(data.var["ensembl_id"]) == ["ENSG00000121410", "ENSG00000268895", "", ""]
    assert list(data.var["feature_types"]) == ["Gene Expression"] * 2 + ["Antibody Capture"] * 2
    assert np.array_equal(data.X.toarray(), [[4, 0, 1, 0], [0, 4, 3, 5]])
    assert data.obs.loc["c1"].to_dict() == {"cell_type": "EryP", "donor": "31800", "time_point": "2"}


def test_tables_of_other_cells_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="do not hold the same cells"):
        tables.load_kaggle(**kaggle(tmp_path, ["c2", "c1"]))


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    params = kaggle(tmp_path, ["c1", "c2"])
    (tmp_path / "metadata.csv").unlink()
    with pytest.raises(BadInput, match=r"metadata.csv cannot be read"):
        tables.load_kaggle(**params)
    (tmp_path / "adt_raw.h5").unlink()
    with pytest.raises(BadInput, match=r"not found: .*adt_raw.h5"):
        tables.load_kaggle(**params)
