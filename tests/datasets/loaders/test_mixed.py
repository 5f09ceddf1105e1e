"""Atlases of which some batches hold no counts: on cells of scIB's own file where they are at hand."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from bench.data import canonical
from bench.errors import BadInput
from bench.specs import DatasetSpec
from bench_datasets.loaders import mixed

SEEN = np.array([[1, 0, 5], [250, 2, 0], [0, 7, 30]])
"""Molecules of three cells."""


def corrected(seen: np.ndarray) -> np.ndarray:
    """What CEL-seq data hold: molecules estimated from barcodes of which some occurred twice."""
    return -256 * np.log(1 - seen / 256)


def write(path: Path, **batches: np.ndarray) -> str:
    values = np.vstack(list(batches.values())).astype(np.float32)
    tech = [batch for batch, rows in batches.items() for _ in rows]
    data = ad.AnnData(
        np.log1p(values),
        obs=pd.DataFrame({"tech": tech, "celltype": "alpha"}, index=[f"c{k}" for k in range(len(tech))]),
        var=pd.DataFrame(index=["GCG", "INS", "SST"]),
        layers={"counts": values},
    )
    data.write_h5ad(path)
    return str(path)


def test_counts_stay_corrected_counts_come_back_and_the_rest_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.h5ad", inDrop1=SEEN, celseq=corrected(SEEN), smarter=SEEN * 0.13)
    data = mixed.load(path, "tech", "celseq", "")
    assert list(data.obs["tech"]) == ["inDrop1"] * 3 + ["celseq"] * 3
    assert np.array_equal(data.X.toarray(), np.vstack([SEEN, SEEN]))
    assert data.uns["notices"] == [
        "batch celseq: counts before the correction for barcode collisions restored (K = 256).",
        "batch smarter left out: 3 cells whose values are no counts.",
    ]


def test_expected_counts_are_rounded_only_when_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "x.h5ad", inDrop1=SEEN, fluidigmc1=SEEN + 0.31)
    assert set(mixed.load(path, "tech", "", "").obs["tech"]) == {"inDrop1"}
    data = mixed.load(path, "tech", "", "fluidigmc1")
    assert np.array_equal(data.X.toarray()[3:], SEEN)
    assert data.uns["notices"] == ["batch fluidigmc1: values rounded to integers, 100% of them were none."]


def test_a_cell_whose_counts_do_not_come_back_is_left_out(tmp_path: Path) -> None:
    values = corrected(SEEN)
    values[1, 1] += 0.4
    data = mixed.load(write(tmp_path / "x.h5ad", celseq=values), "tech", "celseq", "")
    assert np.array_equal(data.X.toarray(), SEEN[[0, 2]])
    assert "1 cells left out as not exact" in data.uns["notices"][0]


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.h5ad", tpm=SEEN * 0.7)
    with pytest.raises(BadInput, match=r"no batch of obs\['tech'\] holds counts. batch tpm left out"):
        mixed.load(path, "tech", "", "")
    with pytest.raises(BadInput, match="has no batch 'celseq'; it has tpm"):
        mixed.load(path, "tech", "celseq", "")
    ad.AnnData(np.ones((2, 2), dtype=np.float32), obs=pd.DataFrame({"tech": ["a", "b"]})).write_h5ad(
        tmp_path / "y.h5ad"
    )
    with pytest.raises(BadInput, match=r"y.h5ad has no layer 'counts' \(layers: none\)"):
        mixed.load(str(tmp_path / "y.h5ad"), "tech", "", "")


def test_the_published_pancreas(shared: Path, tmp_path: Path) -> None:
    """100 cells of all nine technologies: seven can be used, and their counts are integers."""
    data = ad.read_h5ad(shared / "data" / "pancreas_9tech_tiny.h5ad")
    data.layers["counts"] = data.X.copy()
    data.X = np.log1p(data.X)
    path = tmp_path / "pancreas.h5ad"
    data.write_h5ad(path)
    params = {"path": str(path), "column": "batch", "restore": "celseq,celseq2", "round": ""}
    roles = {"cell_type": "cell_type", "batch": "batch"}
    found = canonical.load(DatasetSpec("x", "cells", "bench_datasets.loaders.mixed:load", params=params, roles=roles))
    assert set(found.obs["batch"]) == {"celseq", "celseq2", "smartseq2", "inDrop1", "inDrop2", "inDrop3", "inDrop4"}
    lost = [notice for notice in found.uns["notices"] if "left out" in notice]
    assert [notice.split()[1] for notice in lost] == ["fluidigmc1", "smarter"]


def test_restored_counts_of_hundreds_of_real_cells_are_exact(shared: Path, tmp_path: Path) -> None:
    data = ad.read_h5ad(shared / "data" / "pancreas_3tech_acinar_gamma.h5ad")
    data.layers["counts"] = data.X.copy()
    data.write_h5ad(tmp_path / "x.h5ad")
    restored = mixed.load(str(tmp_path / "x.h5ad"), "batch", "celseq,celseq2", "")
    assert restored.n_obs == data.obs["batch"].isin(["celseq", "celseq2"]).sum()
    assert all("not exact" not in notice for notice in restored.uns["notices"])
    values = data[restored.obs_names].X.toarray()
    np.testing.assert_allclose(corrected(restored.X.toarray()), values, rtol=1e-5)
