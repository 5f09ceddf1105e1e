"""A stranger's file is looked at with h5py before anndata touches it (rows 1 to 9 of the bad inputs)."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
from scipy import sparse

from bench.data import safety
from bench.data.files import describe, load_h5ad
from bench.errors import BadInput


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.h5ad"
    ad.AnnData(sparse.csr_matrix(np.eye(5, 4, dtype=np.float32))).write_h5ad(path)
    return path


def refusal(path: Path) -> str:
    """What the user is told, the same when planning and when loading."""
    with pytest.raises(BadInput) as planning:
        describe(path, obs={})
    with pytest.raises(BadInput) as loading:
        load_h5ad(str(path))
    assert str(planning.value) == str(loading.value)
    return str(planning.value)


def test_a_sound_file_passes(good: Path) -> None:
    safety.check(good)
    assert load_h5ad(str(good)).shape == (5, 4)


def test_a_missing_file_names_its_nearest_neighbour(good: Path) -> None:
    text = refusal(good.with_name("goood.h5ad"))
    assert "not found" in text
    assert "Did you mean" in text
    assert "good.h5ad" in text
    assert "bench list datasets" in text


def test_a_missing_folder_is_a_missing_file(tmp_path: Path) -> None:
    assert "not found" in refusal(tmp_path / "nowhere" / "x.h5ad")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "cells.zarr"
    folder.mkdir()
    assert "is a directory; give a .h5ad file" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all" * 100], ids=["empty", "random"])
def test_other_bytes_have_a_bad_signature(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.h5ad"
    path.write_bytes(content)
    assert "bad signature" in refusal(path)


def test_a_truncated_file_says_how_much_is_there(good: Path) -> None:
    whole = good.read_bytes()
    good.write_bytes(whole[: len(whole) // 2])
    assert f"is truncated: {len(whole) // 2:,} of {len(whole):,} bytes" in refusal(good)


def test_hdf5_without_obs_is_not_anndata(tmp_path: Path) -> None:
    path = tmp_path / "x.h5ad"
    with h5py.File(path, "w") as file:
        file["values"] = np.arange(3)
    assert "is HDF5 but not AnnData: no 'obs' group" in refusal(path)


@pytest.mark.parametrize("where", ["X", "obs", "uns/deep/inside"])
def test_a_link_to_another_file_is_refused_wherever_it_is(good: Path, where: str) -> None:
    with h5py.File(good, "a") as file:
        if where in file:
            del file[where]
        file[where] = h5py.ExternalLink("victim.h5", "/secret")
    text = refusal(good)
    assert "refused" in text
    assert f"links to another file (/{where} -> victim.h5)" in text


def test_a_link_is_refused_even_where_its_target_does_not_exist(good: Path) -> None:
    with h5py.File(good, "a") as file:
        file["layers/a"] = h5py.SoftLink("/nowhere")
    assert "soft link (/layers/a -> /nowhere)" in refusal(good)


def test_data_stored_in_another_file_is_refused_and_not_read(good: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"s3cr3t..")
    with h5py.File(good, "a") as file:
        file.create_dataset("uns/x", shape=(8,), dtype="u1", external=[(str(secret), 0, 8)])
    text = refusal(good)
    assert "stores data outside itself" in text
    assert "s3cr3t" not in text


def test_a_virtual_dataset_is_data_stored_elsewhere(good: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.arange(4)
    with h5py.File(good, "a") as file:
        virtual = h5py.VirtualLayout(shape=(4,), dtype=int)
        virtual[:] = h5py.VirtualSource(other, "secret", shape=(4,))
        file.create_virtual_dataset("uns/x", virtual)
    assert "stores data outside itself" in refusal(good)


def test_a_small_file_that_asks_for_much_memory_is_refused_before_reading(good: Path) -> None:
    with h5py.File(good, "a") as file:
        file.create_dataset("layers/bomb", shape=(2_000_000_000, 400), dtype="f8", chunks=(1000, 100), compression=1)
    assert good.stat().st_size < 100_000
    assert "would need 5,960.5 GiB in memory" in refusal(good)


def test_of_a_file_that_is_not_read_whole_only_the_tables_must_fit(good: Path) -> None:
    with h5py.File(good, "a") as file:
        file.create_dataset("layers/large", shape=(2_000_000_000, 400), dtype="f8", chunks=(1000, 100))
    with safety.opened(good, whole=False) as file:
        assert file["layers/large"].shape[0] == 2_000_000_000
    with h5py.File(good, "a") as file:
        file.create_dataset("obs/large", shape=(800_000_000_000,), dtype="f8", chunks=(1000,))
    with pytest.raises(BadInput, match=r"would need 5,960\.5 GiB in memory"), safety.opened(good, whole=False):
        pass


def test_a_name_that_is_no_text_is_damage(good: Path) -> None:
    good.write_bytes(good.read_bytes().replace(b"layers", b"layer\xff"))
    assert "codec can't decode byte 0xff" in refusal(good)


def test_one_large_dataset_under_many_names_counts_each_time(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "available_memory", lambda: 20 * 8_000_000)
    with h5py.File(good, "a") as file:
        file.create_dataset("uns/a", data=np.zeros(1_000_000), compression=1)
    safety.check(good)
    with h5py.File(good, "a") as file:
        for k in range(30):
            file[f"uns/b{k}"] = file["uns/a"]
    assert "would need" in refusal(good)


def test_a_group_that_holds_itself_ends(good: Path) -> None:
    with h5py.File(good, "a") as file:
        file["uns/loop"] = file["uns"]
    assert "links in a circle" in refusal(good)


def test_available_memory_respects_the_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "_CGROUP", tmp_path)
    free = safety.available_memory()
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert free > 2_000_000 == safety.available_memory()
    (tmp_path / "memory.max").write_text("max\n")
    assert safety.available_memory() > 2_000_000


def test_a_damaged_index_in_a_sparse_matrix_is_a_bad_input(good: Path) -> None:
    from bench.data import canonical

    with h5py.File(good, "a") as file:
        file["X/indices"][0] = 1_000_000
    with pytest.raises(BadInput, match=r"damaged sparse matrix|anndata cannot read"):
        canonical.load(describe(good, obs={}))


def test_every_prefix_of_a_file_is_refused_with_a_sentence(good: Path, tmp_path: Path) -> None:
    whole = good.read_bytes()
    path = tmp_path / "cut.h5ad"
    for size in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        path.write_bytes(whole[:size])
        with pytest.raises(BadInput):
            load_h5ad(str(path))
