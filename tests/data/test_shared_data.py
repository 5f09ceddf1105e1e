"""Every real file at hand becomes canonical data, or is refused because it holds no counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.data import canonical
from bench.data.files import describe
from bench.data.sets import describe_set
from bench.errors import BadInput

FRACTIONAL = {"pancreas_3tech_acinar_gamma.h5ad", "pancreas_9tech_tiny.h5ad"}
"""Their provenance says so: celseq, celseq2 and smartseq2 values are not integers."""


@pytest.mark.slow
def test_every_file_is_canonical_or_refused_for_its_reason(shared: Path) -> None:
    files = sorted((shared / "data").glob("*.h5ad"))
    assert len(files) >= 27
    for path in files:
        spec = describe(path, obs={})
        if path.name in FRACTIONAL:
            with pytest.raises(BadInput, match=r"X is not integer counts .* --layer"):
                canonical.load(spec)
            continue
        data = canonical.load(spec)
        assert data.n_obs == spec.n_obs, path.name
        assert set(data.obs) == set(spec.roles), path.name
        assert set(data.var["feature_types"]) == spec.modalities, path.name
        assert (data.X.data == np.rint(data.X.data)).all(), path.name
        assert data.X.min() >= 0, path.name


def test_donors_and_batches_of_the_kang_file_are_found_by_name(shared: Path) -> None:
    spec = describe(shared / "data" / "pbmc_kang_ctrl_8donors.h5ad", obs={})
    data = canonical.load(spec)
    assert data.shape == (12261, 1287)
    assert spec.study.startswith("Kang 2018")
    assert data.obs["donor"].nunique() == 8
    assert data.obs["cell_type"].nunique() == 8
    assert data.var["ensembl_id"].str.startswith("ENSG").mean() > 0.8


def test_two_files_of_one_study_have_one_study(shared: Path) -> None:
    names = ("pbmc_kang_ctrl_8donors", "pbmc_kang_ifnb_2000", "pbmc_kang_ifnb_2donors")
    assert len({describe(shared / "data" / f"{name}.h5ad", obs={}).study for name in names}) == 1


def test_a_real_pair_of_files_becomes_one_dataset(shared: Path, tmp_path: Path) -> None:
    files = "".join(f'[[files]]\npath = "{shared / "data" / f"bmmc_cite.{kind}.h5ad"}"\n' for kind in ("rna", "adt"))
    path = tmp_path / "cite.toml"
    path.write_text(files)
    spec = describe_set(path)
    data = canonical.load(spec)
    assert spec.modalities == {"Gene Expression", "Antibody Capture"}
    assert data.shape == (600, 1134)
    assert data.var_names.is_unique
    assert (data.var["feature_types"] == "Antibody Capture").sum() == 134
    alone = canonical.load(describe(shared / "data" / "bmmc_cite.adt.h5ad", obs={}))
    paired = data[alone.obs_names, (data.var["feature_types"] == "Antibody Capture").to_numpy()]
    np.testing.assert_array_equal(paired.X.toarray(), alone.X.toarray())
