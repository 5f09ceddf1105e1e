"""Whether scored cells were trained on is computed from what the trained folder holds, else it is as declared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from bench.catalogue import catalogue
from bench.data import fingerprints
from bench.data.cells.convert import store_of
from bench.data.cells.dataset import CellDataset
from bench.data.cells.vocabulary import Vocabulary
from bench.runs import contamination, origin
from bench.specs import Cap, DatasetSpec, ModelSpec, WeightsSpec
from bench.training import folder, provenance
from bench.training.command import Training
from bench.training.folder import Card
from bench.weights import location, trained

GENES = [f"GENE{k}" for k in range(80)]
COUNTS = np.random.default_rng(0).poisson(1.0, (100, 80)).astype("f4")
MODEL = ModelSpec("net", "a net", "net:Net", frozenset({Cap.EMBEDS_CELLS}), weights=WeightsSpec("x"))
DATASET = DatasetSpec("blood", "cells", "a:b", study="kang2018")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


def cells(rows: slice, genes: slice = slice(None), ids: bool = False) -> ad.AnnData:
    """Some of the hundred cells, canonical, on some of the genes."""
    names = GENES[genes]
    symbols = [""] * len(names) if ids else names
    var = pd.DataFrame({"gene_symbol": symbols, "ensembl_id": "", "feature_types": "Gene Expression"})
    obs = pd.DataFrame(index=[f"c{k}" for k in range(100)][rows])
    return ad.AnnData(sparse.csr_matrix(COUNTS[rows, genes]), obs=obs, var=var.set_axis(names))


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Path]:
    """Leaves a folder as a training on some of the cells does: `train("a", slice(0, 50), weights=...)`."""

    def made(name: str, rows: slice, weights: Path | None = None, unseen: np.ndarray | None = None) -> Path:
        cells(rows).write_h5ad(tmp_path / f"{name}.h5ad")
        store = store_of(tmp_path / f"{name}.h5ad")
        dataset, out = CellDataset([store], Vocabulary.of([store])), tmp_path / f"{name}-out"
        asked = Training("net", "finetune" if weights else "pretrain", (), out, {}, weights=weights)
        seen = {"steps": 100, "epochs": 1.0, "cells_seen": 50, "val_loss": None, "wall_s": 1.0}
        where = provenance.describe(asked, [store], **seen)  # type: ignore[arg-type]
        prints = [*fingerprints.of_dataset(dataset, unseen), *folder.fingerprints_before(weights)]
        card = Card("net", "1", asked.verb, 0, {}, dataset.vocabulary)
        folder.write(out, card, torch.nn.Linear(2, 2).state_dict(), where, prints)
        return out

    return made


def reasons(found: contamination.ContaminationPart | None, weights: str = "x", model: ModelSpec = MODEL) -> list[str]:
    return [f"{flag['kind']}: {flag['reason']}" for flag in contamination.flags(found, model, DATASET, weights)]


def test_cells_that_were_trained_on_are_counted(train: Callable[..., Path]) -> None:
    test = cells(slice(30, 80), slice(10, 80))
    rows = list(test.obs_names[:40])  # c30 to c69, of which 20 were trained on
    found = contamination.measure(str(train("a", slice(0, 50))), test, rows)
    assert found is not None
    assert {name: found[name] for name in ("trained", "cells", "seen", "kept", "scored", "scored_seen")} == {  # type: ignore[literal-required]
        **{"trained": 50, "cells": 50, "seen": 20, "kept": 0},
        **{"scored": 40, "scored_seen": 20},
    }
    assert found["files"] == [{"name": "a", "cells": 50, "genes": 70, "seen": 20, "scored_seen": 20}]
    assert (found["comparable"], found["problem"]) == (1.0, "")
    assert reasons(found) == ["contaminated: 20 of 40 scored cells were in the training data (a)"]


def test_cells_that_nobody_scores_are_no_contamination(train: Callable[..., Path]) -> None:
    test = cells(slice(30, 80))
    found = contamination.measure(str(train("a", slice(0, 50))), test, list(test.obs_names[20:]))
    assert found is not None
    assert (found["seen"], found["scored_seen"], reasons(found)) == (20, 0, [])


def test_cells_that_were_kept_for_the_test_are_no_contamination(train: Callable[..., Path]) -> None:
    test = cells(slice(30, 80))
    found = contamination.measure(str(train("a", slice(0, 50), unseen=np.arange(25, 50))), test, list(test.obs_names))
    assert found is not None
    assert (found["seen"], found["kept"], reasons(found)) == (0, 20, [])


def test_where_conditions_are_scored_all_cells_are(train: Callable[..., Path]) -> None:
    found = contamination.measure(str(train("a", slice(0, 50))), cells(slice(30, 80)), ["KLF1", "GATA1"])
    assert found is not None
    assert (found["scored"], found["scored_seen"]) == (50, 20)


def test_the_training_that_weights_began_with_counts_too(train: Callable[..., Path]) -> None:
    tuned = train("b", slice(60, 100), weights=train("a", slice(0, 50)))
    test = cells(slice(40, 70))
    found = contamination.measure(str(tuned), test, list(test.obs_names))
    assert found is not None
    assert {file["name"]: file["seen"] for file in found["files"]} == {"a": 10, "b": 10}
    assert reasons(found) == ["contaminated: 20 of 30 scored cells were in the training data (b, a)"]


def test_names_of_another_kind_are_said_not_to_be_comparable(train: Callable[..., Path]) -> None:
    test = cells(slice(30, 80), ids=True)
    found = contamination.measure(str(train("a", slice(0, 50))), test, list(test.obs_names))
    assert found is not None
    assert found["comparable"] == 0
    (said,) = reasons(found)
    assert said.startswith("unchecked: scored cells may have been in the training data: only 0 % of the pairs of cells")


def test_fingerprints_that_are_damaged_or_of_another_training_are_said(train: Callable[..., Path]) -> None:
    out, test = train("a", slice(0, 50)), cells(slice(60, 80))
    part = fingerprints.of_anndata(cells(slice(0, 10)), "a", "symbol")
    fingerprints.write(out / trained.FINGERPRINTS, [part])
    found = contamination.measure(str(out), test, list(test.obs_names))
    assert found is not None
    assert found["problem"] == "fingerprints are of 10 of 50 cells"
    (out / trained.FINGERPRINTS).write_bytes(b"PK")
    found = contamination.measure(str(out), test, list(test.obs_names))
    assert found is not None
    assert "damaged file of arrays" in found["problem"]
    assert reasons(found)[0].startswith("unchecked: ")
    (out / trained.FINGERPRINTS).unlink()
    found = contamination.measure(str(out), test, list(test.obs_names))
    assert found is not None
    assert "fingerprints.npz is missing" in found["problem"]


@pytest.mark.parametrize("weights", ["", "untrained", "/no/such/folder"])
def test_other_weights_have_nothing_to_compute(weights: str) -> None:
    test = cells(slice(0, 5))
    assert contamination.measure(weights, test, list(test.obs_names)) is None


def test_what_the_authors_declare_is_believed_where_nothing_is_computed() -> None:
    for named in ("kang2018", "blood"):
        said = reasons(None, model=replace(MODEL, pretrained_on=("cellxgene", named.upper())))
        assert said == [f"contaminated: {named} was among its training data (declared, not computed)"]
    assert reasons(None, model=replace(MODEL, pretrained_on=("cellxgene",))) == []
    assert reasons(None, weights="untrained", model=replace(MODEL, pretrained_on=("blood",))) == []


def test_own_weights_are_those_of_which_all_is_known(train: Callable[..., Path]) -> None:
    spec, out = catalogue().model("ours"), train("a", slice(0, 50))

    def status(path: Path) -> str:
        return origin.status(spec, str(path), location.identity(path, ()))

    tuned = train("b", slice(60, 100), weights=out)
    assert (status(out), status(tuned)) == ("own", "own")
    assert origin.status(spec, "untrained", "") == "untrained"
    assert origin.status(spec, str(out), "the sha256 when it was planned") == "unverified"
    (out / trained.FINGERPRINTS).unlink()
    assert status(out) == "unverified"
    assert status(train("c", slice(0, 50), weights=out.parent)) == "unverified"  # began with nobody knows what
    (tuned / trained.PROVENANCE).unlink()
    assert status(tuned) == "unverified"


def test_weights_that_began_with_some_of_which_the_cells_are_not_known_are_not_own(train: Callable[..., Path]) -> None:
    """Fine-tuning does not make up for fingerprints that were taken away."""
    spec, test, first = catalogue().model("ours"), cells(slice(30, 80)), train("a", slice(0, 50))
    (first / trained.FINGERPRINTS).unlink()
    tuned = train("b", slice(80, 100), weights=first)
    found = contamination.measure(str(tuned), test, list(test.obs_names))
    assert found is not None
    assert found["problem"] == "fingerprints are of 20 of 70 cells"
    assert origin.status(spec, str(tuned), location.identity(tuned, ()), found) == "unverified"


def test_a_reader_is_told_what_weights_were_trained_on(train: Callable[..., Path]) -> None:
    tuned = train("b", slice(60, 100), weights=train("a", slice(0, 50)))
    assert origin.trained_on(str(tuned)) == [
        {"model": "net", "verb": "pretrain", "files": ["a"], "cells": 50, "steps": 100},
        {"model": "net", "verb": "finetune", "files": ["b"], "cells": 40, "steps": 100},
    ]
    assert origin.trained_on("untrained") == origin.trained_on("") == []


@pytest.mark.slow
def test_a_model_that_is_run_on_what_it_was_pretrained_on_is_told_so(tmp_path: Path) -> None:
    """Through the installed command: pretrain, run on the same cells, look at the record and the table."""
    from bench_datasets import pbmc68k, plugin

    pbmc68k.load(plugin._pbmc68k_path()).write_h5ad(tmp_path / "blood.h5ad")
    brief = ["trainer.max_steps=3", "parts.val=0.1", "parts.test=0.2", "parts.by=cells"]
    bench("pretrain", "--model", "mae-mlp", "--data", "blood.h5ad", "--out", "net", *settings(brief), at=tmp_path)
    told = bench(
        *("run", "--model", "mae-mlp", "--weights", "net", "--task", "clustering", "--dataset", "blood.h5ad"),
        *("--obs", "cell_type=bulk_labels", "--executor", "inline", "--json"),
        at=tmp_path,
    )
    (run,) = json.loads(told)["runs"]
    found, part = run["provenance"]["model"], run["contamination"]
    assert (found["weights"], found["trained_on"][0]["files"]) == ("own", ["blood"])
    assert (part["seen"], part["kept"], part["trained"]) == (560, 140, 700)
    assert [flag["kind"] for flag in run["flags"] if flag["kind"] != "suspect"] == ["contaminated"]
    assert "contaminated" in bench("results", at=tmp_path)


def settings(pairs: list[str]) -> list[str]:
    return [word for pair in pairs for word in ("--set", pair)]


def bench(*words: str, at: Path) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("bench"), *words], cwd=at, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
