"""`bench doctor` through the installed console script."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Bench
from tests.cli.sites import install
from tests.cli.test_bad_input import cells
from tests.cli.test_vocabulary import readers, symbols_in_an_odd_column  # noqa: F401 - a fixture

OK, STOPPED = 0, 2


@pytest.fixture
def ill(tmp_path: Path) -> Path:
    """Labels under another name and missing for some cells, a duplicate gene."""
    data = cells()
    data.obs["cell_type"] = data.obs["cell_type"].where(np.arange(data.n_obs) > 9)
    data.obs = data.obs.rename(columns={"cell_type": "annotation"})
    data.var_names = ["GENE1", "GENE1", *data.var_names[2:]]
    data.write_h5ad(tmp_path / "ill.h5ad")
    return tmp_path


def test_healthy_data_is_exit_0_and_gets_its_command(bench: Bench, tmp_path: Path) -> None:
    cells().write_h5ad(tmp_path / "x.h5ad")
    answer = bench("doctor", "x.h5ad", cwd=tmp_path)
    assert answer.returncode == OK, answer.stderr
    *_, verdict, command = answer.stdout.splitlines()
    assert verdict.startswith("Nothing stops a run; ")
    assert command == "bench run --model pca --task classification,clustering,integration --dataset x.h5ad"
    assert "counts are in X: whole numbers, none negative" in answer.stdout


def test_ill_data_is_exit_2_with_everything_at_once(bench: Bench, ill: Path) -> None:
    answer = bench("doctor", "ill.h5ad", cwd=ill)
    assert answer.returncode == STOPPED
    for text in ("--data-set duplicate_genes=sum", "--data-set unlabelled=drop", "--obs cell_type=annotation"):
        assert text in answer.stdout
    assert "Traceback" not in answer.stderr


@pytest.mark.slow
def test_the_command_it_advises_runs(bench: Bench, ill: Path) -> None:
    found = json.loads(bench("doctor", "ill.h5ad", "--task", "clustering", "--json", cwd=ill).stdout)
    program, *arguments = shlex.split(found["command"])
    assert program == "bench"
    answer = bench(*arguments, cwd=ill)
    assert answer.returncode == OK, answer.stderr


def test_json_is_one_document(bench: Bench, ill: Path) -> None:
    answer = bench("doctor", "ill.h5ad", "--json", cwd=ill)
    found = json.loads(answer.stdout)
    assert set(found) == {"findings", "verdict", "command"}
    assert {"level", "subject", "text", "mend"} == set(found["findings"][0])
    assert answer.returncode == STOPPED


REFUSED = {
    "random bytes": "is not an HDF5/AnnData file",
    "no file": "dataset file not found",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_opened_is_a_finding(bench: Bench, tmp_path: Path, case: str) -> None:
    if case == "random bytes":
        (tmp_path / "x.h5ad").write_bytes(b"\x00\x01" * 500)
    answer = bench("doctor", "x.h5ad", cwd=tmp_path)
    assert answer.returncode == STOPPED
    assert REFUSED[case] in answer.stdout
    assert answer.stderr == ""


def test_a_mistyped_model_is_said_at_once(bench: Bench) -> None:
    answer = bench("doctor", "pbmc68k", "--model", "pcaa")
    assert answer.returncode == STOPPED
    assert "Did you mean 'pca'?" in answer.stderr
    assert answer.stdout == ""


def test_options_of_a_dataset_need_a_dataset(bench: Bench) -> None:
    answer = bench("doctor", "--model", "pca")
    assert answer.returncode == STOPPED
    assert "are about a dataset" in answer.stderr


def test_what_a_model_knows_of_the_genes(bench: Bench, readers: Path, tmp_path: Path) -> None:  # noqa: F811
    cells().write_h5ad(tmp_path / "x.h5ad")
    command = "doctor x.h5ad --json --no-trials --model symbols,ids,mousy,weighted,needy"
    answer = bench(*command.split(), cwd=tmp_path, plugins=[readers])
    said = {}
    for finding in json.loads(answer.stdout)["findings"]:
        said.setdefault(finding["subject"], []).append(finding)
    assert said["model symbols"][0]["text"] == "knows 100 % of 60 genes (100 % of the counts)"
    assert "needs Ensembl ids; var_names look like gene symbols (100 %)" in said["model ids"][0]["text"]
    assert said["model ids"][0]["level"] == "error"
    assert "needs weights. Ten numbers. Get them from a friend" in said["model weighted"][0]["text"]
    assert said["model needy"][0]["mend"] == "pip install 'no-such-distribution>=2'"
    assert answer.returncode == STOPPED
    assert "--model symbols,mousy " in json.loads(answer.stdout)["command"]


def test_the_column_with_the_names_a_model_needs(bench: Bench, readers: Path, tmp_path: Path) -> None:  # noqa: F811
    data = cells()
    symbols_in_an_odd_column(data)
    data.write_h5ad(tmp_path / "x.h5ad")
    answer = bench("doctor", "x.h5ad", "--no-trials", "--model", "symbols", "--json", cwd=tmp_path, plugins=[readers])
    mends = {f["mend"] for f in json.loads(answer.stdout)["findings"] if f["subject"] == "model symbols"}
    assert mends == {"--data-set gene_key=hugo"}


@pytest.mark.slow
def test_time_and_memory_are_predicted(bench: Bench, tmp_path: Path) -> None:
    answer = bench("doctor", "simulated", "--model", "pca", "--task", "clustering", cwd=tmp_path)
    assert "for 2,000 cells, extrapolated from 250 and 500 cells" in " ".join(answer.stdout.split())
    assert bench("run", "--model", "pca", "--task", "clustering", "-d", "simulated", cwd=tmp_path).returncode == OK
    again = " ".join(bench("doctor", "simulated", "--model", "pca", cwd=tmp_path).stdout.split())
    assert "on 2,000 cells)" in again
    assert "scaled from run" in again


@pytest.mark.slow
def test_the_installation(bench: Bench, tmp_path: Path) -> None:
    answer = bench("doctor", cwd=tmp_path)
    assert answer.returncode == OK, answer.stdout
    for subject in ("packages", "plugins", "results", "cache", "environment"):
        assert subject in answer.stdout
    assert "devices: cpu" in answer.stdout
    assert answer.stdout.endswith("Nothing is broken.\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os; os._exit(3)", "it ended the process with exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it died with signal 11 (SIGSEGV)"),
    ],
)
def test_a_plugin_that_ends_the_process_does_not_end_the_doctor(
    bench: Bench, tmp_path: Path, source: str, said: str
) -> None:
    site = install(tmp_path / "site", "vanishes", source)
    answer = bench("doctor", plugins=[site])
    assert answer.returncode == STOPPED
    assert f"'vanishes' (vanishes 1.0) not loaded: {said}" in answer.stdout
    assert answer.stdout.endswith("Something is broken.\n")
