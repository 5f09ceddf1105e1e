"""Models and genes that do not fit together are refused when runs are planned, whatever the task."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import pytest
from tests.cli.conftest import Bench
from tests.cli.sites import install
from tests.cli.test_bad_input import cells

import bench as api
from bench.catalogue import catalogue
from bench.errors import BadInput
from bench.runs import record as records

BAD_INPUT = 2
IDS = [f"ENSG{i:011d}" for i in range(60)]


@pytest.fixture(scope="session")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = Path(__file__).with_name("readers.py").read_text()
    return install(tmp_path_factory.mktemp("site"), "readers", source)


def plain(data: ad.AnnData) -> None:
    pass


def ensembl_names(data: ad.AnnData) -> None:
    data.var_names = IDS


def versioned_names(data: ad.AnnData) -> None:
    data.var_names = [f"{name}.3" for name in IDS]


def ids_in_an_odd_column(data: ad.AnnData) -> None:
    data.var["key"] = IDS


def ids_in_a_known_column(data: ad.AnnData) -> None:
    data.var["gene_ids"] = IDS


def symbols_in_an_odd_column(data: ad.AnnData) -> None:
    data.var["hugo"] = list(data.var_names)
    data.var_names = IDS


def symbols_in_a_known_column(data: ad.AnnData) -> None:
    data.var["feature_name"] = list(data.var_names)
    data.var_names = IDS


def mouse_ids(data: ad.AnnData) -> None:
    data.var_names = [f"ENSMUSG{i:011d}" for i in range(60)]


def mouse_symbols(data: ad.AnnData) -> None:
    data.var_names = [f"Gene{i}" for i in range(60)]


REFUSED: dict[str, tuple[str, Callable[[ad.AnnData], None], str]] = {
    "ids where symbols are needed": (
        "symbols",
        ensembl_names,
        "model symbols needs gene symbols; var_names look like Ensembl ids (100 %)",
    ),
    "no vocabulary, but a kind": ("any-symbols", ensembl_names, "needs gene symbols; var_names look like Ensembl ids"),
    "symbols where ids are needed": ("ids", plain, "model ids needs Ensembl ids; var_names look like gene symbols"),
    "a column that can be used": (
        "symbols",
        symbols_in_an_odd_column,
        "Column var['hugo'] can be used: --data-set gene_key=hugo",
    ),
    "an id column that can be used": (
        "ids",
        ids_in_an_odd_column,
        "Column var['key'] can be used: --data-set gene_key=key",
    ),
    "few genes known": (
        "symbols --set known=6",
        plain,
        "only 10 % of 60 genes (",
    ),
    "none known": ("symbols", mouse_symbols, "none of 60 genes (first: 'Gene0') is among the 60 that symbols knows"),
    "another species": ("ids", mouse_ids, "none of 60 genes (first: 'ENSMUSG00000000000')"),
    "the species is named": ("ids", mouse_ids, "species looks like mouse"),
    "a vocabulary of another form": ("listy", plain, "its vocabulary readers:a_list returned list"),
    "a vocabulary that fails": ("raising", plain, "model raising cannot tell which genes it knows: RuntimeError"),
}


@pytest.fixture
def here(readers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process knows the readers: starting `bench` for each case would cost a minute."""
    monkeypatch.syspath_prepend(readers)
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    catalogue.cache_clear()
    yield
    sys.modules.pop("readers", None)
    catalogue.cache_clear()


def written(change: Callable[[ad.AnnData], None], folder: Path) -> Path:
    """A file of 60 genes, changed."""
    data = cells()
    change(data)
    data.write_h5ad(folder / "x.h5ad")
    return folder / "x.h5ad"


def asked(words: str) -> dict[str, Any]:
    """`MODEL --OPTION KEY=VALUE` as Python says it."""
    model, *options = words.split()
    pairs = zip(options[::2], options[1::2], strict=True)
    return {"model": model} | {name.strip("-").replace("-", "_"): dict([pair.split("=")]) for name, pair in pairs}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path: Path, case: str) -> None:
    words, change, message = REFUSED[case]
    with pytest.raises(BadInput, match=re.escape(message)):
        api.run(task="clustering", dataset=written(change, tmp_path), results=tmp_path / "results", **asked(words))


@pytest.mark.parametrize("case", ["few genes known", "a vocabulary that fails"])
def test_refused_at_the_command_line(bench: Bench, readers: Path, tmp_path: Path, case: str) -> None:
    words, change, message = REFUSED[case]
    written(change, tmp_path)
    command = f"run --task clustering --dataset x.h5ad --model {words}"
    answer = bench(*command.split(), cwd=tmp_path, plugins=[readers])
    assert message in answer.stderr
    assert answer.returncode == BAD_INPUT
    assert "Traceback" not in answer.stderr


SUITED: dict[str, tuple[str, Callable[[ad.AnnData], None]]] = {
    "symbols": ("symbols", plain),
    "either kind": ("either", plain),
    "Ensembl names": ("ids", ensembl_names),
    "versions are taken off": ("ids", versioned_names),
    "ids found in a column": ("ids", ids_in_a_known_column),
    "symbols found in a column": ("symbols", symbols_in_a_known_column),
    "the column that was named": ("symbols --data-set gene_key=hugo", symbols_in_an_odd_column),
    "the id column that was named": ("ids --data-set gene_key=key", ids_in_an_odd_column),
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("case", SUITED)
def test_suited(tmp_path: Path, case: str) -> None:
    words, change = SUITED[case]
    file, results = written(change, tmp_path), tmp_path / "results"
    api.run(task="clustering", dataset=file, results=results, executor="inline", **asked(words))
    (record,) = (records.read(path) for path in results.glob("records/*/*.json"))
    assert record["status"] == "ok"
    assert not any("knows" in notice for notice in record["dataset"]["notices"])


def test_half_of_the_genes_is_a_notice_of_that_model_alone(bench: Bench, readers: Path, tmp_path: Path) -> None:
    cells().write_h5ad(tmp_path / "x.h5ad")
    command = "run --task clustering --dataset x.h5ad --json --model symbols,pca --set symbols.known=30"
    command += " --executor inline"
    answer = bench(*command.split(), cwd=tmp_path, plugins=[readers])
    notices = {run["model"]: run["provenance"]["dataset"]["notices"] for run in json.loads(answer.stdout)["runs"]}
    (said,) = [notice for notice in notices["symbols"] if "knows" in notice]
    assert said.startswith("model symbols knows 50 % of 60 genes (")
    assert not any("knows" in notice for notice in notices["pca"])


def test_nothing_is_embedded_by_a_model_that_cannot_read_the_genes(bench: Bench, readers: Path, tmp_path: Path) -> None:
    data = cells()
    mouse_symbols(data)
    data.write_h5ad(tmp_path / "x.h5ad")
    command = "embed --data x.h5ad --out y.h5ad --model symbols"
    answer = bench(*command.split(), cwd=tmp_path, plugins=[readers])
    assert "dataset x: none of 60 genes (first: 'Gene0') is among the 60 that symbols knows" in answer.stderr
    assert answer.returncode == BAD_INPUT
    assert not (tmp_path / "y.h5ad").exists()


@pytest.mark.slow
def test_the_rest_of_a_grid_goes_on(bench: Bench, readers: Path, tmp_path: Path) -> None:
    cells().write_h5ad(tmp_path / "x.h5ad")
    command = "run --task clustering --dataset x.h5ad --json --model ids,pca"
    answer = bench(*command.split(), cwd=tmp_path, plugins=[readers])
    found = json.loads(answer.stdout)
    assert answer.returncode == 0
    assert [run["model"] for run in found["runs"]] == ["pca"]
    assert [refused["model"] for refused in found["refused"]] == ["ids"]
