"""The registry of public datasets: every entry can be relied on, and a wrong one is refused with the reason."""

from __future__ import annotations

import dataclasses
import re
import time
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.catalogue import malformed
from bench.data.options import DataOptions
from bench.errors import BadInput
from bench.specs import ROLES, DatasetSpec, load_target
from bench_datasets.plugin import bench_datasets
from bench_datasets.registry import FOLDER, read, registry

SPECS = registry()
DOI = re.compile(r"10\.\d{4,}/\S+")

ENTRY = """
name = "mine"
summary = "some cells"
[[files]]
name = "mine.h5ad"
urls = ["https://example.org/mine.h5ad"]
"""


def name(spec: DatasetSpec) -> str:
    return spec.name


def test_what_the_field_evaluates_on_is_there() -> None:
    names = {spec.name for spec in SPECS}
    assert {"sctab", "sctab-minimal", "pbmc12k", "kaggle22-cite", "kaggle22-multiome", "kaggle23"} <= names
    assert {"pancreas-scib", "immune-scib", "lung-scib", "simulated-scib"} <= names
    assert {"norman19", "adamson16", "replogle22-k562", "replogle22-rpe1", "kang18", "sciplex3"} <= names
    assert {"bmmc-cite", "bmmc-multiome", "dogma-seq", "tea-seq"} <= names
    assert len([n for n in names if n.startswith("ssl-")]) == 5
    assert len([n for n in names if n.startswith("tabula-sapiens-")]) == 34


def test_names_are_unique_also_beside_the_datasets_that_need_no_download() -> None:
    names = [spec.name for spec in bench_datasets()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_an_entry_is_well_formed(spec: DatasetSpec) -> None:
    assert malformed(spec) == []
    assert set(spec.roles) <= set(ROLES)
    assert set(spec.options) <= {field.name for field in dataclasses.fields(DataOptions)}
    assert spec.study
    assert spec.source
    assert DOI.fullmatch(spec.reference) or len(spec.reference) > 10
    assert len(spec.summary) <= 130
    assert "{" not in f"{spec.name}{spec.summary}{spec.files}{spec.manual}"
    assert callable(load_target(spec.target))


@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_its_files_can_be_had_and_recognised(spec: DatasetSpec) -> None:
    assert spec.files
    assert len({file.name for file in spec.files}) == len(spec.files)
    for file in spec.files:
        assert Path(file.name).name == file.name
        assert file.urls or spec.manual, "without an address there must be a way by hand"
        for url in file.urls:
            assert urlsplit(url).scheme == "https"
            assert urlsplit(url).hostname
        assert re.fullmatch(r"([0-9a-f]{64})?", file.sha256)
        assert re.fullmatch(r"([0-9a-f]{32})?", file.md5)
        assert file.size is None or file.size > 1000
        assert file.kind
        assert not file.unpack or file.kind in {"gzip", "zip", "tar"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_it_says_where_its_facts_were_read(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert all(path.stem in spec.name for spec in read(path))


def test_a_dataset_says_what_is_known_from_memory_only() -> None:
    unverified = {spec.name for spec in SPECS if spec.unverified}
    assert {"ssl-hippocampus", "pbmc12k", "tea-seq", "kaggle22-cite"} <= unverified
    assert not {"kang18", "norman19", "pancreas-scib", "sctab"} & unverified


@pytest.mark.alone
def test_reading_the_registry_is_quick() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        registry()
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.05  # 0.01 on an idle machine


def test_a_family_stands_for_one_dataset_per_member(tmp_path: Path) -> None:
    text = ENTRY.replace('"mine"', '"mine-{member}"').replace("/mine.h5ad", "/{id}.h5ad")
    (tmp_path / "mine.toml").write_text(text + '[members]\nliver = "1a"\nlung = "2b"\n')
    liver, lung = registry(tmp_path)
    assert (liver.name, liver.files[0].urls) == ("mine-liver", ("https://example.org/1a.h5ad",))
    assert (lung.name, lung.files[0].urls) == ("mine-lung", ("https://example.org/2b.h5ad",))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda text: text + 'url = "https://example.org"\n', r"unknown key of file 1 of registry x.toml: 'url'"),
        (lambda text: 'nam = "x"\n' + text, "unknown key of registry x.toml: 'nam'. Did you mean 'name'"),
        (lambda text: text.replace('summary = "some cells"', ""), "must set 'summary'"),
        (lambda text: text.replace('"some cells"', "3"), "'summary' must be str, not int"),
        (lambda text: text + "size = true\n", "'size' must be int, not bool"),
        (lambda text: text.partition("[[files]]")[0], "must set 'files'"),
        (lambda text: text + "[roles]\ncelltype = 'a'\n", "unknown role of registry x.toml: 'celltype'"),
        (lambda text: text + "[", "cannot be read"),
    ],
)
def test_a_wrong_entry_is_refused(tmp_path: Path, wrong, message: str) -> None:
    (tmp_path / "x.toml").write_text(wrong(ENTRY))
    with pytest.raises(BadInput, match=message):
        registry(tmp_path)


@pytest.mark.slow
def test_the_wheel_brings_the_registry(tmp_path: Path) -> None:
    hatchling = pytest.importorskip("hatchling.builders.wheel")
    root = Path(__file__).parents[2]
    (built,) = hatchling.WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(built) as wheel:
        shipped = {Path(n).name for n in wheel.namelist() if n.startswith("bench_datasets/registry/")}
    assert shipped == {path.name for path in FOLDER.glob("*.toml")}
