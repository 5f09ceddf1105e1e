"""A trained folder says all that is needed to use the model, and is read as a stranger's."""

from __future__ import annotations

import json
import resource
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import sparse

from bench import config
from bench.config import option
from bench.data import fingerprints
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.options import PartsConfig
from bench.data.cells.parts import divide
from bench.data.cells.statistics import GeneStatistics
from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput, BenchError
from bench.training import folder, provenance
from bench.training.command import Training
from bench.training.folder import Card
from bench.training.provenance import Provenance
from bench.training.trouble import explained
from bench.weights import trained

GENES = [f"GENE{k}" for k in range(40)]


@dataclass(frozen=True)
class Net:
    """Options of some model."""

    width: int = option(8, "of a token", low=1)
    lr: float = option(3e-4, "learning rate", low=0)
    covariates: tuple[str, ...] = option((), "columns")
    note: str = option("", "anything")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def cells(tmp_path: Path) -> CellDataset:
    """Twenty cells of four donors."""
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(1.0, (20, len(GENES))).astype("f4"))
    obs = pd.DataFrame({"donor": list("abcd") * 5}, index=[f"c{k}" for k in range(20)])
    ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=GENES)).write_h5ad(tmp_path / "twenty.h5ad")
    store = store_of(tmp_path / "twenty.h5ad")
    return CellDataset([store], Vocabulary.of([store]))


def card(cells: CellDataset, **changes: Any) -> Card:
    whole = Card(
        model="ours",
        version="1",
        verb="pretrain",
        seed=7,
        config={"model": config.as_dict(Net(covariates=("batch", "donor"), note="010")), "trainer": {"max_steps": 5}},
        vocabulary=cells.vocabulary,
        statistics=GeneStatistics.of(cells),
        categories={"batch": ("10x v3", "ä: yes")},
        classes={"cell_type": ("B", "T")},
        extra={"sizes": {"hidden": 3}},
    )
    return replace(whole, **changes)


def described(cells: CellDataset, out: Path, weights: Path | None = None) -> Provenance:
    asked = Training("ours", "finetune" if weights else "pretrain", ("twenty.h5ad",), out, {}, seed=7, weights=weights)
    parts = divide(cells, PartsConfig(by="donor", val=0.25, test=0.25))
    seen = {"steps": 5, "epochs": 0.5, "cells_seen": 10, "val_loss": 1.5, "wall_s": 2.0}
    return provenance.describe(asked, cells.stores, parts, **seen)  # type: ignore[arg-type]


def state() -> dict[str, torch.Tensor]:
    """A tied weight, a scalar, a view that is not contiguous."""
    weight = torch.arange(6.0).reshape(2, 3)
    return {"a.weight": weight, "b.tied": weight, "c.steps": torch.tensor(3), "d.turned": weight.T}


def written(cells: CellDataset, out: Path, of: Card | None = None) -> Path:
    folder.write(out, of or card(cells), state(), described(cells, out), fingerprints.of_dataset(cells))
    return out


def test_what_is_written_is_read(cells: CellDataset, tmp_path: Path) -> None:
    asked, out = card(cells), written(cells, tmp_path / "out")
    read = folder.read_card(out, ["ours", "other"])
    assert replace(read, statistics=None, config={}) == replace(asked, statistics=None, config={})
    assert read.statistics is not None
    np.testing.assert_array_equal(read.statistics.medians, GeneStatistics.of(cells).medians)
    assert folder.section(read, "model", Net) == Net(covariates=("batch", "donor"), note="010")
    tensors = folder.read_state(out)
    assert {name: value.tolist() for name, value in tensors.items()} == {k: v.tolist() for k, v in state().items()}
    assert [len(one) for one in folder.fingerprints_before(out)] == [20]


def test_what_a_model_does_not_need_is_not_there(cells: CellDataset, tmp_path: Path) -> None:
    out = written(cells, tmp_path / "out", card(cells, statistics=None, categories={}, classes={}, extra={}))
    assert not (out / trained.STATISTICS).exists()
    assert folder.read_card(out, ["ours"]).statistics is None


@pytest.mark.parametrize("most", [40_000, 100])
def test_a_full_disk_is_told_with_what_to_do(cells: CellDataset, tmp_path: Path, most: int) -> None:
    """Files may not grow beyond some bytes: that of the weights has 80,000, the others much less, but more than 100."""
    out, before = tmp_path / "out", resource.getrlimit(resource.RLIMIT_FSIZE)
    where, prints = described(cells, out), fingerprints.of_dataset(cells)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        told = r"no room in .*out: File too large, .* are free; free some and go on"
        with pytest.raises(BenchError, match=told), explained(out):
            folder.write(out, card(cells), {"a": torch.zeros(20_000)}, where, prints)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(out.iterdir()) == []


def test_its_config_is_a_config_of_another_training(cells: CellDataset, tmp_path: Path) -> None:
    table = config.read(written(cells, tmp_path / "out") / trained.CONFIG)
    assert list(table) == ["about", "seed", "model", "trainer"]
    assert (table["seed"], table["about"]["model"], table["model"]["covariates"]) == (7, "ours", ["batch", "donor"])


def test_whoever_trained_it_may_read_its_files(cells: CellDataset, tmp_path: Path) -> None:
    modes = {path.name: path.stat().st_mode for path in written(cells, tmp_path / "out").iterdir()}
    assert len(set(modes.values())) == 1, modes


def test_another_model_is_named(cells: CellDataset, tmp_path: Path) -> None:
    out = written(cells, tmp_path / "out")
    with pytest.raises(BadInput, match="holds a trained ours, not mae-mlp; give a folder of that"):
        folder.read_card(out, ["mae-mlp"])


def test_options_of_another_version_are_named(cells: CellDataset, tmp_path: Path) -> None:
    read = folder.read_card(written(cells, tmp_path / "out"), ["ours"])
    with pytest.raises(BadInput, match="the trained ours has no options of 'optim', only of model, trainer"):
        folder.section(read, "optim", Net)
    with pytest.raises(BadInput, match=r"unknown option of trainer of the trained ours: 'max_steps'"):
        folder.section(read, "trainer", Net)


@pytest.mark.parametrize("name", trained.FILES)
def test_every_file_is_compared_with_what_was_written(cells: CellDataset, tmp_path: Path, name: str) -> None:
    out = written(cells, tmp_path / "out")
    content = (out / name).read_bytes()
    (out / name).write_bytes(content[: len(content) // 2])
    if name == trained.PROVENANCE:  # it alone says what belongs together; without it the model counts as unverified
        assert folder.read_card(out, ["ours"]).seed == 7
        with pytest.raises(BadInput, match=r"provenance\.json is damaged"):
            provenance.read(out)
        return
    with pytest.raises(BadInput, match=f"{name} is not the file that was written with the others"):
        folder.read_card(out, ["ours"])


def test_fingerprints_which_tell_of_the_data_may_be_taken_away(cells: CellDataset, tmp_path: Path) -> None:
    out = written(cells, tmp_path / "out")
    (out / trained.FINGERPRINTS).unlink()
    assert folder.read_card(out, ["ours"]).seed == 7
    assert folder.fingerprints_before(out) == []


def unsigned(cells: CellDataset, out: Path) -> Path:
    """A folder whose files nobody vouches for."""
    written(cells, out)
    (out / trained.PROVENANCE).unlink()
    return out


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (trained.CONFIG, "- 1", "must be a table of options"),
        (trained.CONFIG, "a: 1", r"config\.yaml is damaged \(about is missing\)"),
        (trained.CONFIG, "about: 1\nseed: 1", "about is int, not an object"),
        (trained.CONFIG, "about: {format: 9}\nseed: 1", "has format 9, this bench reads up to 1: upgrade"),
        (trained.CONFIG, "about: &a {x: *a}", r"an alias \(\*name\) is not read"),
        (trained.CONFIG, "about: !!python/object:os.system {}", "code is not read"),
        (trained.CATEGORIES, "[]", "a list, not a table"),
        (trained.CATEGORIES, '{"categories": {"a": [1]}, "classes": {}}', r"categories\.a\[0\] is int, not text"),
        (trained.CATEGORIES, "[" * 100_000, r"categories\.json is damaged"),
        (trained.VOCABULARY, "", r"vocabulary\.parquet is damaged"),
        (trained.VOCABULARY, "PAR1", r"vocabulary\.parquet is damaged"),
        (trained.STATISTICS, "PAR1", r"statistics\.parquet is damaged"),
    ],
)
def test_damaged_files_are_named(cells: CellDataset, tmp_path: Path, name: str, content: str, said: str) -> None:
    out = unsigned(cells, tmp_path / "out")
    (out / name).write_text(content)
    with pytest.raises(BadInput, match=said):
        folder.read_card(out, ["ours"])


@pytest.mark.parametrize(("rows", "said"), [(2_000_000, "2,000,000 rows in"), (900_000, "900,000 rows hold fewer")])
def test_a_table_that_is_much_larger_inside_is_refused_unread(
    cells: CellDataset, tmp_path: Path, rows: int, said: str
) -> None:
    """A text that comes again takes no room in a Parquet file, and all of the memory in a table."""
    out = unsigned(cells, tmp_path / "out")
    again = pa.DictionaryArray.from_arrays(np.zeros(rows, dtype="i4"), ["A" * 100_000])
    pq.write_table(pa.table({"symbol": again}), out / trained.VOCABULARY)
    assert (out / trained.VOCABULARY).stat().st_size < 1_000_000
    with pytest.raises(BadInput, match=rf"vocabulary\.parquet is damaged \(.*{said}"):
        folder.read_card(out, ["ours"])


def test_statistics_of_other_genes_are_refused(cells: CellDataset, tmp_path: Path) -> None:
    out = unsigned(cells, tmp_path / "out")
    Vocabulary("symbol", tuple(reversed(cells.vocabulary.names))).write(out / trained.VOCABULARY)
    with pytest.raises(BadInput, match="of another vocabulary"):
        folder.read_card(out, ["ours"])


def test_a_folder_of_something_else_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no whole trained model: config\.yaml is missing"):
        folder.read_card(tmp_path, ["ours"])


def test_a_training_says_where_its_weights_come_from(cells: CellDataset, tmp_path: Path) -> None:
    found = provenance.read(written(cells, tmp_path / "out"))
    (own,) = found["trainings"]
    (store,) = cells.stores
    assert own["data"] == [{"name": "twenty", "identity": store.identity, "cells": 20, "genes": len(GENES)}]
    assert own["parts"] == {"train": 10, "val": 5, "test": 5}
    assert (own["divided_by"], sorted(map(len, own["groups"].values()))) == ("donor", [1, 1])
    assert (own["model"], own["verb"], own["seed"], own["began_with"]) == ("ours", "pretrain", 7, "")
    assert (own["steps"], own["cells_seen"], own["val_loss"]) == (5, 10, 1.5)
    assert own["environment"]["packages"]["torch"] == torch.__version__
    assert set(found["files"]) == set(trained.FILES) - {trained.PROVENANCE}


def test_a_fine_tuning_keeps_what_its_weights_came_from(cells: CellDataset, tmp_path: Path) -> None:
    first = written(cells, tmp_path / "first")
    found = described(cells, tmp_path / "second", weights=first)
    assert [training["verb"] for training in found["trainings"]] == ["pretrain", "finetune"]
    assert found["trainings"][1]["began_with"] == trained.identity(first)


def test_after_weights_of_unknown_origin_nothing_is_known_before(cells: CellDataset, tmp_path: Path) -> None:
    first = written(cells, tmp_path / "first")
    for name in (trained.PROVENANCE, trained.FINGERPRINTS):
        (first / name).unlink()
    (own,) = described(cells, tmp_path / "second", weights=first)["trainings"]
    assert own["began_with"] == trained.identity(first)
    assert folder.fingerprints_before(first) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "has format 2, this bench reads up to 1: upgrade"),
        ({"trainings": []}, "it names no training"),
        ({"trainings": [{}]}, r"trainings\[0\]\.began_with is missing"),
        ({"trainings": None}, "trainings is NoneType, not a list"),
    ],
)
def test_a_provenance_of_other_form_is_refused(
    cells: CellDataset, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    out = written(cells, tmp_path / "out")
    note = json.loads((out / trained.PROVENANCE).read_text())
    (out / trained.PROVENANCE).write_text(json.dumps({**note, **change}))
    with pytest.raises(BadInput, match=said):
        provenance.read(out)
