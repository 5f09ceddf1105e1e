"""The verbs in Python, and the ways of `bench run` that only a whole run shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import bench
from bench.errors import BadInput
from bench.runs import record as records

SMALL = {"n_cells": 120, "n_genes": 200}


def record_files(results: Path) -> list[Path]:
    return sorted((results / "records").glob("??/*.json"))


@pytest.fixture
def blood(tmp_path: Path) -> Path:
    """Real cells as a user has them: counts in X, own column names, an embedding of their own."""
    from bench.catalogue import catalogue
    from bench.data import canonical

    cells = canonical.load(catalogue().dataset("pbmc68k"))[:200].copy()
    cells.obs = cells.obs.rename(columns={"cell_type": "annotation"})
    cells.obs["sample"] = np.resize(["a", "b"], 200)
    cells.obsm["pca"] = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    cells.uns.clear()
    cells.write_h5ad(tmp_path / "blood.h5ad")
    return tmp_path / "blood.h5ad"


def test_run_and_results(tmp_path: Path) -> None:
    frame = bench.run("pca", "clustering", "simulated", data_set=SMALL, results=tmp_path, executor="inline")
    assert set(frame["metric"]) == {"avg_bio", "nmi", "ari", "asw"}
    assert bench.results(tmp_path, model="pca").equals(frame)
    assert bench.results(tmp_path, model="hvg").empty
    assert bench.index(tmp_path) == 0


def test_what_does_not_go_together_is_an_error_alone_and_a_warning_in_a_grid(tmp_path: Path) -> None:
    ask: Callable = lambda *models: bench.run(  # noqa: E731
        models, "clustering", "simulated", data_set=SMALL, results=tmp_path, executor="inline"
    )
    with pytest.raises(BadInput, match="needs EmbedsCells"):
        ask("logreg")
    with pytest.warns(UserWarning, match="skipped logreg"):
        assert set(ask("logreg", "pca")["model"]) == {"pca"}


@pytest.mark.parametrize("wrong", [{"jobs": 0}, {"executor": "cloud"}, {"timeout": -1.0}, {"task": ()}])
def test_wrong_arguments_are_refused_at_once(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(BadInput):
        bench.run(**{"model": "pca", "task": "clustering", "results": tmp_path, **wrong})
    assert list(tmp_path.iterdir()) == []


def test_a_stored_embedding_is_never_taken_for_a_model(blood: Path, tmp_path: Path) -> None:
    """It is called by its key, unverified, and keeps apart from the model of the same name."""
    asked = {"obs": {"cell_type": "annotation"}, "results": tmp_path / "results", "executor": "inline"}
    bench.run("pca", "clustering", blood, **asked)
    frame = bench.run(task="clustering", dataset=blood, embedding="pca", **asked)
    assert set(frame["model"]) == {"obsm:pca"}
    assert set(frame["weights"]) == {"unverified"}
    kept = [records.read(p) for p in record_files(tmp_path / "results")]
    stored = next(r for r in kept if r["embedding"])
    assert stored["embedding"] == "pca"
    assert stored["model"]["distribution"] == ""
    assert stored["flags"][-1]["kind"] == "unverified"
    with pytest.raises(BadInput, match="X_pca"):
        bench.run(task="clustering", dataset=blood, embedding="X_pca", **asked)


def test_embed_writes_the_file_again_with_one_more_embedding(blood: Path, tmp_path: Path) -> None:
    source = ad.read_h5ad(blood)
    source.obs["annotation"] = source.obs["annotation"].astype(object).where(np.arange(200) > 5)
    counts = source.X.tolil()
    counts[7] = 0
    source.X = counts.tocsr()
    source.write_h5ad(blood)
    written = bench.embed("pca", blood, tmp_path / "out.h5ad", set={"n_components": 10})
    out = ad.read_h5ad(tmp_path / "out.h5ad")
    assert (written.key, written.n_cells, written.n_dims) == ("X_pca", 199, 10)
    assert out.obs_names.equals(source.obs_names)
    assert np.isnan(out.obsm["X_pca"][7]).all()
    assert np.isfinite(np.delete(out.obsm["X_pca"], 7, axis=0)).all()
    assert np.array_equal(out.obsm["pca"], source.obsm["pca"])
    assert (out.X != source.X).nnz == 0


def test_embed_refuses_what_it_cannot_write_back(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"must be a \.h5ad file"):
        bench.embed("pca", "simulated", tmp_path / "out.h5ad")
    assert list(tmp_path.iterdir()) == []


def test_two_copies_of_a_file_are_one_question(blood: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5ad"
    copy.write_bytes(blood.read_bytes())
    obs = {"cell_type": "annotation"}
    frame = bench.run(
        "pca", "clustering", [str(blood), str(copy)], obs=obs, seed=[0, 0], results=tmp_path / "r", executor="inline"
    )
    assert frame["run_id"].nunique() == 1
    assert len(list(record_files(tmp_path / "r"))) == 1


def test_a_damaged_cache_of_controls_is_made_anew(tmp_path: Path) -> None:
    def ask(**more: object) -> None:
        bench.run("pca", "clustering", "simulated", data_set=SMALL, results=tmp_path, executor="inline", **more)

    ask()
    (cache,) = (tmp_path / "controls").iterdir()
    right = cache.read_text()
    for damage in ('["x"]', '{"a": [{"metric": 1}]}', right[:50]):
        cache.write_text(damage)
        ask(force=True)
        assert json.loads(cache.read_text()) == json.loads(right)
        cache.write_text(damage)
        bench.run("hvg", "clustering", "simulated", data_set=SMALL, results=tmp_path, executor="inline", force=False)
        assert all(records.read(p)["status"] == "ok" for p in record_files(tmp_path))


def test_files_can_be_read_by_colleagues(tmp_path: Path) -> None:
    """Nothing is more private than the user's umask makes it."""
    bench.run("pca", "clustering", "simulated", data_set=SMALL, results=tmp_path, executor="inline")
    plain = tmp_path / "plain"
    plain.touch()
    for path in (*record_files(tmp_path), *(tmp_path / "controls").iterdir(), *(tmp_path / "outputs").iterdir()):
        assert path.stat().st_mode == plain.stat().st_mode


def test_the_memory_of_a_run_is_its_own(tmp_path: Path) -> None:
    """However much the process that started it holds."""
    held = np.ones(150_000_000)  # 1.2 GB
    bench.run("pca", "clustering", "simulated", data_set=SMALL, results=tmp_path)
    (path,) = record_files(tmp_path)
    assert 100e6 < records.read(path)["cost"]["peak_rss_bytes"] < held.nbytes


def test_a_file_is_looked_at_examined_and_prepared(blood: Path, tmp_path: Path) -> None:
    assert bench.outline(blood).cells == 200
    found = bench.doctor(blood, task="clustering", results=tmp_path)
    assert "--obs cell_type=annotation" in set(found["mend"])
    report = bench.prepare(blood, tmp_path / "ready.h5ad", min_genes=1, obs={"cell_type": "annotation"})
    assert report.cells == (200, 200)
    mended = bench.doctor(tmp_path / "ready.h5ad", task="clustering", results=tmp_path)
    assert "error" not in set(mended["level"])
    with pytest.raises(BadInput, match="Did you mean 'min_genes'"):
        bench.prepare(blood, None, min_gene=1)


def test_two_runs_are_compared(tmp_path: Path) -> None:
    ask = {"task": "clustering", "dataset": "simulated", "data_set": SMALL, "results": tmp_path, "executor": "inline"}
    bench.run("random-projection", seed=[0, 1], **ask)
    first, second = sorted(set(bench.results(tmp_path)["run_id"]))
    assert not bench.diff(first, second, tmp_path).identical
    assert {d.name for d in bench.diff(first, second, tmp_path).differences} >= {"seed"}


def test_a_plugin_is_examined() -> None:
    report = bench.check("random-projection")
    assert report.passed, str(report)


def test_what_cannot_be_fetched_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    assert bench.fetch("simulated") == []
    with pytest.raises(BadInput, match="one dataset, or one model"):
        bench.fetch()
