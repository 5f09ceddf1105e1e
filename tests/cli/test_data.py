"""`bench data show` and `bench data prepare` as a user runs them, on real data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.cli.conftest import Bench
from typer.testing import CliRunner

from bench.cli.data import app
from bench.errors import BadInput
from bench.preparation.outline import outline

BAD_INPUT = 2


@pytest.fixture(scope="module")
def environment(shared: Path) -> dict[str, str]:
    """The gene tables at hand, and no network."""
    return {"BENCH_GENE_TABLES": str(shared / "tables"), "BENCH_OFFLINE": "1"}


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """300 cells, 60 genes."""
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(1.0, (300, 60)).astype(np.float32))
    obs = pd.DataFrame({"celltype": np.resize(["T", "B"], 300)}, index=[f"cell{k}" for k in range(300)])
    ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"GENE{k}" for k in range(60)])).write_h5ad(tmp_path / "x.h5ad")
    return tmp_path


def test_show_describes_a_file(bench: Bench, shared: Path) -> None:
    answer = bench("data", "show", shared / "data" / "pbmc_zheng_facs.h5ad")
    assert answer.returncode == 0, answer.stderr
    for said in ("3,874", "16,791 Gene Expression", "human", "cell_type=cell_type", "CD19+ B (795)", "not looked for"):
        assert said in answer.stdout
    assert answer.stderr == ""


def test_show_as_json_is_one_document(bench: Bench, shared: Path) -> None:
    answer = bench("data", "show", shared / "data" / "pancreas_endocrinogenesis.h5ad", "--whole", "--json")
    found = json.loads(answer.stdout)
    assert (found["cells"], found["species"], found["counts"]) == (739, "mouse", "X")
    assert found["canonical"] == [739, 7192]
    assert [matrix["name"] for matrix in found["matrices"]] == ["X", "unspliced"]


def test_show_suggests_roles(bench: Bench, cells: Path) -> None:
    answer = bench("data", "show", "x.h5ad", cwd=cells)
    assert "--obs cell_type=celltype" in answer.stdout


@pytest.mark.slow
def test_prepare_says_what_it_did_and_bench_runs_on_it(
    bench: Bench, shared: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    made = bench(
        *("data", "prepare", shared / "data" / "pancreas_endocrinogenesis.h5ad", "--out", "ready.h5ad"),
        *("--map-genes", "ensembl", "--drop-unmapped", "--biotype", "protein_coding", "--report", "report.json"),
        cwd=tmp_path,
        **environment,
    )
    assert made.returncode == 0, made.stderr
    for said in ("6,793 of 7,192 genes mapped (mouse, GENCODE M37)", "ambiguous", "Ptp4a1", "--dataset ready.h5ad"):
        assert said in made.stdout
    assert "left out: layers unspliced" in made.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["cells"] == [739, 739]
    assert report["mapping"]["mapped"] == 6793
    data = ad.read_h5ad(tmp_path / "ready.h5ad")
    assert data.var_names.str.startswith("ENSMUSG").all()
    assert json.loads(data.uns["bench_prepare"])["mapping"] == report["mapping"]
    run = bench("run", "--model", "pca", "--task", "clustering", "--dataset", "ready.h5ad", "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    (document,) = json.loads(run.stdout)["runs"]
    assert (document["status"], document["dataset"]) == ("ok", "ready")
    assert document["provenance"]["dataset"]["study"].startswith("Bastidas-Ponce 2019")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "options", "cells", "said"),
    [
        ("pbmc_cite_5k10k.rna", "--map-genes symbol", 400, "13,467 of 15,792 genes mapped (human, GENCODE v48)"),
        ("pbmc_zheng_facs", "--max-percent-mt 5", 3834, "pct_counts_mt above 5"),
        ("cardio_ipsc_day2_day5", "--map-genes symbol --duplicate-genes sum", 1090, "retired"),
        ("pancreas_baron_human_mouse", "--map-genes ensembl", 350, "11,438 of 11,887 genes mapped"),
        ("perturb_norman_k562", "--min-genes 5", 3371, "n_genes_by_counts below 5"),
    ],
)
def test_real_files_are_prepared(
    bench: Bench,
    shared: Path,
    environment: dict[str, str],
    tmp_path: Path,
    file: str,
    options: str,
    cells: int,
    said: str,
) -> None:
    path = shared / "data" / f"{file}.h5ad"
    answer = bench("data", "prepare", path, "--out", "o.h5ad", *options.split(), cwd=tmp_path, **environment)
    assert answer.returncode == 0, answer.stderr
    assert said in answer.stdout
    assert f"left: {cells:,} of" in answer.stdout
    assert outline(str(tmp_path / "o.h5ad"), whole=True).canonical[0] == cells


def test_a_pair_keeps_its_antibodies(bench: Bench, shared: Path, environment: dict[str, str], tmp_path: Path) -> None:
    files = "".join(f"[[files]]\npath = '{shared}/data/pbmc_cite_5k10k.{kind}.h5ad'\n" for kind in ("rna", "adt"))
    (tmp_path / "pair.toml").write_text(f"name = 'pair'\n{files}")
    answer = bench("data", "prepare", "pair.toml", "--out", "o.h5ad", "--json", cwd=tmp_path, **environment)
    report = json.loads(answer.stdout)
    assert report["features"] == {"Gene Expression": [15792, 12351], "Antibody Capture": [14, 14]}
    shown = json.loads(bench("data", "show", "o.h5ad", "--json", cwd=tmp_path).stdout)
    assert shown["features"] == {"Gene Expression": 12351, "Antibody Capture": 14}


def test_a_dry_run_writes_nothing(bench: Bench, cells: Path) -> None:
    answer = bench("data", "prepare", "x.h5ad", "--dry-run", "--min-genes", "40", cwd=cells)
    assert answer.returncode == 0, answer.stderr
    assert "nothing was written" in answer.stdout
    assert [path.name for path in cells.iterdir()] == ["x.h5ad"]


CHOICES = {
    "prepare x.h5ad": "say which file to write, with --out",
    "prepare x.h5ad --out y.csv": r"must end in \.h5ad",
    "prepare x.h5ad --out no/y.h5ad": "there is no folder",
    "prepare x.h5ad --out x.h5ad": "exists; choose another name",
    "prepare x.h5ad --out x.h5ad --force": "is the file that is read",
    "prepare x.h5ad --out y.h5ad --min-genes -1": "-1 is below 0",
    "prepare x.h5ad --out y.h5ad --max-percent-mt 101": r"101\.0 is above 100",
    "prepare x.h5ad --out y.h5ad --max-percent-mt nan": "nan is not a number to work with",
    "prepare x.h5ad --out y.h5ad --min-genes 9 --max-genes 3": "--max-genes 3 is below --min-genes 9",
    "prepare x.h5ad --out y.h5ad --drop-unmapped": "say --map-genes symbol or ensembl",
    "prepare x.h5ad --out y.h5ad --min-genes 0 --max-percent-mt 5": "no mitochondrial gene is known",
    "prepare x.h5ad --out y.h5ad --min-genes 0 --min-counts 9999": "0 of 300 cells",
    "prepare x.h5ad --out y.h5ad --obs cell_type=celltyp": r"Did you mean 'celltype'\?",
    "prepare x.h5ad --out y.h5ad --obs celltype=celltype": r"Did you mean 'cell_type'\?",
    "prepare x.h5ad --out y.h5ad --layer count": "unknown layer",
    "prepare x.h5ad --out y.h5ad --duplicate-genes sum --data-set duplicate_genes=first": "differ; keep one",
    "prepare x.h5ad --out y.h5ad --report r.txt": r"must be a \.json file",
    "prepare y.h5ad --out z.h5ad": "not found",
    "show x.h5ad --obs donor=ind": "unknown obs column",
}


@pytest.mark.parametrize("command", CHOICES)
def test_bad_choices_are_refused_before_anything_is_written(
    cells: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """In this process: starting `bench` for each would cost a minute."""
    monkeypatch.chdir(cells)
    refused = CliRunner().invoke(app, command.split()).exception
    assert isinstance(refused, BadInput)
    assert re.search(CHOICES[command], str(refused))
    assert [path.name for path in cells.iterdir()] == ["x.h5ad"]


COMMANDS = {
    "prepare x.h5ad --out y.h5ad": "300 of 300 cells have fewer than 200 genes",
    "prepare x.h5ad --out y.h5ad --min-genes 0 --map-genes symbol": "the gene table of human is not on this machine",
    "show y.h5ad": "Did you mean",
    "show pbmc68": "Did you mean 'pbmc68k'?",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_commands(bench: Bench, cells: Path, command: str) -> None:
    answer = bench("data", *command.split(), cwd=cells, BENCH_OFFLINE="1")
    assert COMMANDS[command] in answer.stderr
    assert answer.returncode == BAD_INPUT
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""
    assert [path.name for path in cells.iterdir()] == ["x.h5ad"]


def test_the_help_costs_nothing(bench: Bench) -> None:
    answer = bench("data", "prepare", "--help")
    assert answer.returncode == 0
    assert "Examples:" in answer.stdout
