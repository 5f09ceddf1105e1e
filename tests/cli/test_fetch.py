"""`bench fetch`, and what a fetched dataset or fetched weights are good for, through the console script."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.cli.conftest import Bench
from tests.cli.sites import install
from tests.downloads.server import Server, choosy, no_ranges, serving, status, whole

BAD_INPUT, FAILED = 2, 3
PLUGIN = """
from bench.hookspecs import hookimpl
from bench.specs import Cap, DatasetSpec, ModelSpec, RemoteFile, WeightsSpec

BENCH_API = 1
BASE = "{base}"
FILES = {files!r}
H5AD = "bench.data.files:load_h5ad"


def remote(name, *paths, **fields):
    return RemoteFile(name, tuple(BASE + p for p in paths), **fields)


@hookimpl
def bench_datasets():
    roles = {{"cell_type": "cell_type", "batch": "batch"}}
    return [
        DatasetSpec("remote", "cells", H5AD, roles=roles, unverified="its licence", reference="doi",
                    files=(remote("cells.h5ad", "/gone", "/cells", kind="hdf5", **FILES["cells"]),)),
        DatasetSpec("unsure", "cells", H5AD, roles=roles, files=(remote("cells.h5ad.gz", "/packed", unpack=True),)),
        DatasetSpec("several", "cells", "remote:load_parts", roles=roles,
                    files=(remote("a.h5ad", "/cells"), remote("b.h5ad", "/cells"))),
        DatasetSpec("page", "cells", H5AD, files=(remote("cells.h5ad", "/page", "/ill"),)),
        DatasetSpec("evil", "cells", H5AD, files=(remote("set.tar.gz", "/evil", unpack=True),)),
        DatasetSpec("zipped", "cells", H5AD, files=(remote("set.zip", "/evil.zip", unpack=True),)),
        DatasetSpec("login", "cells", H5AD, files=(RemoteFile("cells.h5ad"),), manual="Log in at example.org."),
    ]


@hookimpl
def bench_models():
    weights = WeightsSpec("Trained on much.", (remote("matrix.npy", "/matrix", **FILES["matrix"]),), "example.org")
    return [ModelSpec("heavy", "projects", "remote:Heavy", frozenset({{Cap.EMBEDS_CELLS}}), fits="no", weights=weights)]


def load_parts(path):
    import anndata
    return anndata.read_h5ad(path + "/a.h5ad")


class Heavy:
    def __init__(self, config, *, weights, seed, device):
        import numpy as np
        from bench.weights import arrays
        self.matrix = (np.random.default_rng(seed).normal(size=(60, 8)) if weights == "untrained"
                       else arrays.read(weights / "matrix.npy")[""])

    def fit(self, cells):
        pass

    def embed(self, cells):
        import numpy as np
        return (np.log1p(cells.X.toarray()) @ self.matrix).astype("float32")
"""


def cells() -> bytes:
    """A small file: three types that differ, two batches."""
    rng = np.random.default_rng(0)
    types = np.resize(["T", "B", "NK"], 120)
    rates = np.where(np.arange(60)[None, :] % 3 == np.resize([0, 1, 2], 120)[:, None], 4.0, 0.5)
    obs = pd.DataFrame(
        {"cell_type": types, "batch": np.resize(["a", "a", "b"], 120)}, index=[f"c{i}" for i in range(120)]
    )
    data = ad.AnnData(sparse.csr_matrix(rng.poisson(rates).astype("f4")), obs=obs)
    data.var_names = [f"GENE{i}" for i in range(60)]
    return written(lambda path: data.write_h5ad(path))


def written(write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "file")
        return (Path(folder) / "file").read_bytes()


def evil_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../pw.txt"))
    return buffer.getvalue()


def evil_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("zeros", b"0" * 20_000_000)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """What the plugin's addresses hold."""
    with serving() as running:
        body = cells()
        matrix = io.BytesIO()
        np.save(matrix, np.random.default_rng(1).normal(size=(60, 8)))
        running.at("/cells", choosy(body))
        running.at("/packed", whole(gzip.compress(body)))
        running.at("/page", no_ranges(b"<!DOCTYPE html><html>Please log in</html>"))
        running.at("/ill", status(404))
        running.at("/evil", whole(evil_tar()))
        running.at("/evil.zip", whole(evil_zip()))
        running.at("/matrix", whole(matrix.getvalue()))
        running.bodies = {"cells": body, "matrix": matrix.getvalue()}  # type: ignore[attr-defined]
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    """A distribution whose datasets and weights are on the server."""
    bodies: dict[str, bytes] = server.bodies  # type: ignore[attr-defined]
    files = {n: {"sha256": hashlib.sha256(b).hexdigest(), "size": len(b)} for n, b in bodies.items()}
    source = PLUGIN.format(base=server.at("", status(404)), files=files)
    return install(tmp_path_factory.mktemp("remote-site"), "remote", source)


@pytest.fixture
def fetch(bench: Bench, site: Path, tmp_path: Path) -> Bench:
    """`bench` with that distribution and a cache of its own."""

    def run(*arguments: str | Path, **environment: str):  # type: ignore[no-untyped-def]
        environment = {"BENCH_CACHE_DIR": str(tmp_path / "cache"), **environment}
        return bench(*arguments, plugins=[site], cwd=tmp_path, **environment)

    return run


def examine(dataset: str, *more: str | Path) -> list[str | Path]:
    """The arguments of a run of the model that has weights."""
    return ["run", "--model", "heavy", "--task", "clustering", "--dataset", dataset, "--executor", "inline", *more]


def test_a_dataset_is_fetched(fetch: Bench) -> None:
    missing = fetch(*examine("remote", "--weights", "untrained"))
    assert missing.returncode == BAD_INPUT
    assert "dataset remote is not on this machine: bench fetch dataset remote (" in missing.stderr

    fetched = fetch("fetch", "dataset", "remote")
    assert fetched.returncode == 0, fetched.stderr
    assert "cells.h5ad" in fetched.stdout
    assert "verified" in fetched.stdout
    assert "next: bench run --model " in fetched.stdout
    assert " --dataset remote" in fetched.stdout
    assert "/gone: 404 Not Found; asking the next address" in fetched.stderr
    assert "not checked against a public source: its licence" in fetched.stderr


def test_fetched_again_nothing_moves_and_json_is_one_document(fetch: Bench, server: Server, tmp_path: Path) -> None:
    first = fetch("fetch", "dataset", "unsure", "--json")
    asked = len(server.asked)
    second = fetch("fetch", "dataset", "unsure", "--json")
    assert len(server.asked) == asked
    assert json.loads(first.stdout) == json.loads(second.stdout)
    (file,) = json.loads(second.stdout)["files"]
    assert (file["file"], file["checked"]) == ("cells.h5ad", "unverified")
    assert json.loads(second.stdout)["path"] == file["path"] == str(tmp_path / "cache/datasets/unsure/cells.h5ad")


@pytest.mark.slow
def test_several_files_are_one_dataset_with_one_identity(fetch: Bench, tmp_path: Path) -> None:
    assert fetch("fetch", "dataset", "several").returncode == 0
    command = examine("several", "--weights", "untrained", "--json")
    first = json.loads(fetch(*command).stdout)["runs"][0]
    (tmp_path / "cache" / "datasets" / "several" / "fetched.json").unlink()
    again = json.loads(fetch(*command).stdout)["runs"][0]
    assert first["status"] == again["status"] == "ok"
    assert first["run_id"] == again["run_id"]
    assert first["provenance"]["model"]["weights"] == "untrained"


@pytest.mark.slow
def test_weights_are_fetched_found_and_known_as_published(fetch: Bench, tmp_path: Path) -> None:
    command = examine("remote", "--json")
    assert fetch("fetch", "dataset", "remote").returncode == 0
    fetched = fetch("fetch", "weights", "heavy")
    assert fetched.returncode == 0, fetched.stderr
    published = json.loads(fetch(*command).stdout)["runs"][0]
    assert published["status"] == "ok"
    assert published["provenance"]["model"]["weights"] == "published"
    own = tmp_path / "own"
    own.mkdir()
    np.save(own / "matrix.npy", np.ones((60, 8)) + np.eye(60, 8))
    other = json.loads(fetch(*command, "--weights", own).stdout)["runs"][0]
    assert other["provenance"]["model"]["weights"] == "unverified"
    assert other["run_id"] != published["run_id"]


def test_missing_weights_name_every_way_to_get_them(fetch: Bench) -> None:
    missing = fetch("run", "--model", "heavy", "--task", "clustering")
    assert missing.returncode == BAD_INPUT
    for way in ("bench fetch weights heavy (4.0 kB)", "example.org", "--weights DIR", "--weights untrained"):
        assert way in missing.stderr


CASES = {
    "fetch dataset remotee": (BAD_INPUT, "unknown dataset 'remotee'. Did you mean 'remote'?"),
    "fetch weights heavyy": (BAD_INPUT, "unknown model 'heavyy'. Did you mean 'heavy'?"),
    "fetch dataset login": (BAD_INPUT, "By hand: Log in at example.org; put cells.h5ad into "),
    "fetch dataset page": (FAILED, "answered with an HTML page, 41 bytes, instead of the file"),
    "fetch dataset evil": (BAD_INPUT, "archive refused: '../pw.txt' leaves the folder"),
    "fetch dataset zipped": (BAD_INPUT, "archive refused: it holds over 500 times its own size"),
    "run --model heavy --weights absent --task clustering": (BAD_INPUT, "model heavy: weights not found: "),
}


@pytest.mark.parametrize("command", CASES)
def test_what_goes_wrong_is_one_message(fetch: Bench, tmp_path: Path, command: str) -> None:
    code, said = CASES[command]
    answer = fetch(*command.split())
    assert answer.returncode == code
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""
    left = [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert set(left) <= {".lock"}
    assert not list(tmp_path.rglob("pw.txt"))


def test_offline_the_route_by_hand_is_told(fetch: Bench, server: Server, tmp_path: Path) -> None:
    asked = len(server.asked)
    answer = fetch("fetch", "dataset", "unsure", BENCH_OFFLINE="1")
    assert answer.returncode == BAD_INPUT
    place = tmp_path / "cache" / "datasets" / "unsure" / "cells.h5ad.gz"
    assert "BENCH_OFFLINE forbids the network" in answer.stderr
    assert f"/packed and save it as {place}" in answer.stderr
    assert len(server.asked) == asked
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(gzip.compress(cells()))
    assert fetch("fetch", "dataset", "unsure", BENCH_OFFLINE="1").returncode == 0
    assert not place.exists()


def test_what_needs_no_fetching_says_so(fetch: Bench) -> None:
    for command in ("fetch dataset simulated", "fetch weights pca"):
        answer = fetch(*command.split())
        assert answer.returncode == 0
        assert "needs no fetching" in answer.stdout


def test_show_tells_the_files(fetch: Bench) -> None:
    shown = json.loads(fetch("show", "dataset", "remote", "--json").stdout)
    (file,) = shown["files"]
    assert file["name"] == "cells.h5ad"
    assert len(file["urls"]) == 2
    assert "cells.h5ad" in fetch("show", "dataset", "remote").stdout
    assert "matrix.npy" in fetch("show", "model", "heavy").stdout


def test_help_imports_neither_numpy_nor_the_network() -> None:
    heavy = {"numpy", "pandas", "anndata", "torch", "requests", "pooch", "tarfile"}
    code = f"import sys, bench.cli.fetch; print(sorted({heavy} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
