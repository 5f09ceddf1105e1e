"""`bench run` as a user meets it: what ends well, what goes wrong, and what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from tests.cli.conftest import BENCH, Bench

SMALL = ["--task", "clustering", "--dataset", "simulated", "--data-set", "n_cells=120", "--data-set", "n_genes=200"]


def records(results: Path) -> list[dict[str, Any]]:
    return [json.loads(p.read_text()) for p in sorted(results.glob("records/*/*.json"))]


def by_model(results: Path) -> dict[str, dict[str, Any]]:
    return {r["model"]["name"]: r for r in records(results)}


@pytest.fixture(scope="module")
def grid(bench: Bench, hazards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """One grid over models that go wrong and one that does not; `bad_inputs.py` has every way to go wrong."""
    cwd = tmp_path_factory.mktemp("grid")
    return bench("run", "--model", "crash,raises,short,fine", *SMALL, "--json", cwd=cwd, plugins=[hazards]), cwd


def test_one_failing_model_never_stops_the_others(grid: tuple[Any, Path]) -> None:
    answer, cwd = grid
    assert answer.returncode == 3
    assert by_model(cwd / "results")["fine"]["status"] == "ok"
    assert len(records(cwd / "results")) == 4


def test_json_is_one_document_and_stdout_holds_nothing_else(grid: tuple[Any, Path]) -> None:
    runs = json.loads(grid[0].stdout)["runs"]
    assert {r["model"] for r in runs if r["status"] == "ok"} == {"fine"}
    fine = next(r for r in runs if r["model"] == "fine")
    assert {"run_id", "model", "task", "dataset", "fold", "seed", "status", "scores"} <= fine.keys()
    assert all({"metric", "value"} <= score.keys() for score in fine["scores"])


def test_a_finished_run_has_provenance_cost_and_controls(grid: tuple[Any, Path]) -> None:
    results = grid[1] / "results"
    record = by_model(results)["fine"]
    assert record["track"] == "zero-shot"
    assert record["model"]["distribution"] == "hazards 1.0"
    assert record["environment"]["packages"]["scanpy"]
    assert record["cost"]["phases"]["predict"] > 0
    assert "fit" not in record["cost"]["phases"]
    assert record["controls"]
    assert (results / record["output"]).exists()


def test_nothing_is_left_lying_about(grid: tuple[Any, Path]) -> None:
    assert list((grid[1] / "results" / ".scratch").iterdir()) == []
    assert {p.name for p in grid[1].iterdir()} == {"results"}


def test_done_is_done_failed_waits_for_retry(grid: tuple[Any, Path], bench: Bench, hazards: Path) -> None:
    _, cwd = grid
    before = len(records(cwd / "results"))
    again = bench("run", "--model", "fine,raises", *SMALL, cwd=cwd, plugins=[hazards])
    assert again.returncode == 3
    assert "2 of 2 runs were done before, 1 of them failed" in again.stderr
    assert len(records(cwd / "results")) == before
    retried = bench("run", "--model", "fine,raises", *SMALL, "--retry-failed", cwd=cwd, plugins=[hazards])
    assert retried.returncode == 3
    assert len(records(cwd / "results")) == before + 1
    forced = bench("run", "--model", "fine", *SMALL, "--force", "--executor", "inline", cwd=cwd, plugins=[hazards])
    assert forced.returncode == 0
    first, second = (r for r in records(cwd / "results") if r["model"]["name"] == "fine")
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert first["scores"] == second["scores"]  # the same question has the same answer


def test_inline_refuses_limits_it_cannot_keep(bench: Bench) -> None:
    answer = bench("run", "--model", "pca", *SMALL, "--executor", "inline", "--timeout", "5s")
    assert answer.returncode == 2
    assert answer.stderr == (
        "bench: --executor inline cannot enforce --timeout or --max-memory; use --executor local.\n"
    )


def test_inline_gives_the_same_scores(bench: Bench, tmp_path: Path) -> None:
    for executor in ("inline", "local"):
        assert bench("run", "--model", "pca", *SMALL, "--executor", executor, "--results", tmp_path / executor)
    inline, local = records(tmp_path / "inline"), records(tmp_path / "local")
    assert inline[0]["scores"] == local[0]["scores"]
    assert inline[0]["cost"]["peak_rss_bytes"] is None
    assert local[0]["cost"]["peak_rss_bytes"]
    assert {p.name for p in (tmp_path / "inline").iterdir()} == {p.name for p in (tmp_path / "local").iterdir()}


def test_what_does_not_go_together_is_listed_and_the_rest_runs(bench: Bench, tmp_path: Path) -> None:
    asked = ["run", "--model", "pca,logreg", *SMALL, "--executor", "inline"]
    answer = bench(*asked, cwd=tmp_path)
    assert answer.returncode == 0
    assert "skipped logreg · clustering · simulated: task clustering needs EmbedsCells" in answer.stderr
    assert Counter(r["status"] for r in records(tmp_path / "results")) == {"ok": 1, "incompatible": 1}
    bench(*asked, cwd=tmp_path)
    assert len(records(tmp_path / "results")) == 2  # said once, recorded once


def test_a_config_file_says_what_options_say(bench: Bench, tmp_path: Path) -> None:
    """Tables for models, tasks and data; one model by a table of its own; the command line has the last word."""
    (tmp_path / "c.toml").write_text(
        "[model.random-projection]\nn_components = 7\n[model]\nn_genes = 150\n"
        "[task]\nsplit_seed = 3\n[data]\nn_cells = 120\nn_genes = 200\n"
    )
    asked = ["--task", "clustering", "--dataset", "simulated", "--config", "c.toml", "--set", "pca.n-components=5"]
    answer = bench("run", "--model", "random-projection,pca,hvg", *asked, "--executor", "inline", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    made = by_model(tmp_path / "results")
    assert made["random-projection"]["model"]["config"] == {"n_components": 7}
    assert made["pca"]["model"]["config"] == {"n_components": 5, "n_genes": 150, "scale": True}
    assert made["hvg"]["model"]["config"]["n_genes"] == 150
    assert {r["split_seed"] for r in made.values()} == {3}
    assert {r["dataset"]["n_obs"] for r in made.values()} == {120}


def test_an_embedding_of_the_file_is_scored_like_a_model(bench: Bench, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = ad.AnnData(rng.poisson(1.0, (120, 30)).astype(np.float32))
    data.obs_names = [f"cell{i}" for i in range(120)]
    data.obs["cell_type"] = np.resize(["T", "B"], 120)
    data.obsm["X_mine"] = rng.normal(size=(120, 4)) + 5 * (data.obs["cell_type"] == "T").to_numpy()[:, None]
    data.write_h5ad(tmp_path / "x.h5ad")
    answer = bench(
        *("run", "--embedding", "X_mine", "--task", "clustering,classification", "--dataset", "x.h5ad"),
        *("--baselines", "--json", "--executor", "inline"),
        *("--task-set", "shots=1", "--task-set", "cell_folds=2"),
        cwd=tmp_path,
    )
    assert answer.returncode == 0, answer.stderr
    runs = json.loads(answer.stdout)["runs"]
    assert {r["model"] for r in runs} == {"obsm:X_mine", "pca", "hvg", "logreg"}
    mine = next(r for r in runs if r["model"] == "obsm:X_mine" and r["task"] == "clustering")
    assert next(s["value"] for s in mine["scores"] if s["metric"] == "asw") > 0.7


@pytest.mark.slow
def test_two_benches_share_a_results_folder(hazards: Path, tmp_path: Path) -> None:
    """The same question asked twice at once: both end well, each run has one visible result."""
    environment = {**os.environ, "PYTHONPATH": str(hazards)}
    command = [BENCH, "run", "--model", "fine,pca", *SMALL]
    both = [subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    ids = [r["run_id"] for r in records(tmp_path / "results")]
    assert len(set(ids)) == 2
    assert len(ids) <= 4
    assert not list((tmp_path / "results" / ".scratch").iterdir())


def test_names_are_completed(bench: Bench) -> None:
    answer = bench(_BENCH_COMPLETE="complete_bash", COMP_WORDS="bench run --model pca,hv", COMP_CWORD="3")
    assert answer.stdout.split() == ["pca,hvg"]
    answer = bench(_BENCH_COMPLETE="complete_bash", COMP_WORDS="bench sh", COMP_CWORD="1")
    assert answer.stdout.split() == ["show"]


def test_what_plugins_print_stays_off_stdout(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(
        "from bench.hookspecs import hookimpl\nprint('hello')\n@hookimpl\ndef bench_models():\n    return []\n"
    )
    info = tmp_path / "loud-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[bench]\nloud = loud\n")
    answer = bench("list", "models", "--json", plugins=[tmp_path])
    assert json.loads(answer.stdout)["troubles"] == []
    assert "hello" in answer.stderr


@pytest.mark.slow
def test_kill_9_in_the_middle_of_a_grid_then_run_again(bench: Bench, hazards: Path, tmp_path: Path) -> None:
    """Every job ends with exactly one visible result, and no worker survives its supervisor."""
    arguments = ["run", "--model", "fine,pca", "--seed", "0..2", *SMALL, "--jobs", "2"]
    environment = {**os.environ, "PYTHONPATH": str(hazards)}
    process = subprocess.Popen([BENCH, *arguments], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(records(tmp_path / "results")) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1)
    scratch = tmp_path / "results" / ".scratch"
    survivors = subprocess.run(["pgrep", "-f", str(scratch)], capture_output=True, text=True, check=False)
    assert survivors.stdout == ""
    assert 2 <= len(records(tmp_path / "results")) < 6
    again = bench(*arguments, cwd=tmp_path, plugins=[hazards])
    assert again.returncode == 0, again.stderr
    answer = bench("results", "--sql", "SELECT count(*) AS n, count(DISTINCT run_id) AS ids FROM runs", cwd=tmp_path)
    assert answer.stdout.split() == ["n,ids", "6,6"]
    assert list(scratch.iterdir()) == []
