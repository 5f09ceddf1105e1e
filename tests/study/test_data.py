"""What is trained on and what is asked: no study is on both sides, and every type has its counterpart or a reason."""

from __future__ import annotations

import csv
from pathlib import Path

import anndata as ad
import pytest
from bench_study import outline
from bench_study.steps import Places, write_sets

from bench.data import canonical, layout
from bench.data.files import describe
from bench.data.fingerprints import of_anndata
from bench.data.overlap import Sought
from bench.data.sets import describe_set
from bench_classification.plugin import ClassificationConfig
from bench_classification.task import Classification

SHARED_TYPES = {"B", "NK", "T CD4", "T CD8", "monocyte"}
FEWEST_GENES = 5_000
"""Fewer are a panel, in which a zero may be a gene that nobody looked for."""


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("name", ["kang_labels.tsv", "zheng_labels.tsv"])
def test_a_type_is_mapped_to_a_shared_one_or_left_out_for_a_reason(study_folder: Path, name: str) -> None:
    table = rows(study_folder, name)
    assert {row["becomes"] for row in table} - {""} == SHARED_TYPES
    for row in table:
        assert row["becomes"] or row["why"], row["label"]


def test_the_corpus_holds_no_study_that_is_examined_and_no_panel(study_folder: Path) -> None:
    files = outline.corpus(study_folder)
    used = [file for file in files if file.use]
    assert len(used) >= 5
    exams = [e for name in ("study.toml", "ablations.toml") for e in outline.read(study_folder / name).exams]
    sets = "".join((study_folder / Path(e.dataset).name).read_text() for e in exams if e.dataset.endswith(".toml"))
    examined = {file.study for file in files if any(file.file in text for text in (sets, *(e.dataset for e in exams)))}
    assert len(examined) == 3
    assert not examined & {file.study for file in used}
    assert all(file.genes >= FEWEST_GENES for file in used)
    assert all(file.why for file in files)


def test_every_file_at_hand_was_considered_and_is_what_the_table_says(study_folder: Path, shared: Path) -> None:
    table = {file.file: file for file in outline.corpus(study_folder)}
    paths = sorted((shared / "data").rglob("*.h5ad"))
    assert {path.relative_to(shared / "data").as_posix() for path in paths} == table.keys()
    studies: dict[str, str] = {}
    for path in paths:
        file, found = table[path.relative_to(shared / "data").as_posix()], layout.read(path)
        assert found.n_obs == file.cells, file.file
        assert len(ad.read_h5ad(path, backed="r").var) == file.genes, file.file
        assert studies.setdefault(found.study, file.study) == file.study, f"{file.file} is of {found.study}"


def cells(path: Path) -> ad.AnnData:
    return canonical.load(describe(path, obs={}, options={"unlabelled": "keep", "duplicate_genes": "first"}))


@pytest.mark.slow
def test_no_cell_that_is_asked_about_is_in_the_corpus(study_folder: Path, shared: Path) -> None:
    asked = ["pbmc_kang_ctrl_8donors.h5ad", "pbmc_zheng_facs.h5ad", "bmmc_cite.rna.h5ad", "bmmc_multiome.rna.h5ad"]
    sought = [Sought(of_anndata(cells(shared / "data" / name), name, "symbol", whole=True)) for name in asked]
    for file in (file for file in outline.corpus(study_folder) if file.use):
        prints = of_anndata(cells(shared / "data" / file.file), file.file, "symbol")
        for of in sought:
            found = of.overlap(prints)
            assert not found.seen.any(), file.file
            assert found.comparable > 0.9, file.file
    same_study = of_anndata(cells(shared / "data" / "pbmc_kang_ifnb_2000.h5ad"), "ifnb", "symbol")
    assert sought[0].overlap(same_study).seen.sum() > 900  # what the corpus leaves out would have been found


def test_one_study_is_learned_from_and_the_other_asked_about(
    study_folder: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    study = outline.read(study_folder / "study.toml")
    places = Places(shared / "data", tmp_path / "work")
    write_sets(study, places)
    data = canonical.load(describe_set(places.filled(study.exam("zheng").dataset)))
    assert data.shape == (15_136, 1_285)
    assert set(data.obs["cell_type"]) == SHARED_TYPES
    task = Classification(ClassificationConfig())
    assert task.folds(data) == ["published"]
    exam, truth = task.split(data, "published", 0)
    learned, asked = exam.parts["train"], exam.parts["test"]
    zheng = set(ad.read_h5ad(shared / "data" / "pbmc_zheng_facs.h5ad", backed="r").obs_names)
    assert (learned.n_obs, asked.n_obs) == (11_963, 3_173)
    assert not zheng & set(learned.obs_names)
    assert set(asked.obs_names) <= zheng
    assert learned.obs["group"].nunique() == 8  # its donors: whole ones are held out to tune by
    assert not exam.split.optimistic
    assert set(truth.obs["cell_type"]) == SHARED_TYPES
