"""What the doctor says of real files is what their provenance says."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bench.diagnosis.data import Diagnosis, diagnose
from bench.diagnosis.query import Query

TRUE: dict[str, tuple[str, ...]] = {
    "a549_scicar_time.atac": (
        "note counts: all counts are 0 or 1",
        "note genes: 15,577 features of Peaks: no genes",
        "error task clustering: task clustering needs Gene Expression",
    ),
    "a549_scicar_time.rna": (
        "ok genes: species: human (100 % of the Ensembl ids",
        "warning labels: obs['cell_type'] has one type only ('A549')",
        "ok groups: 5 batches can be held out whole",
    ),
    "bmmc_cite.adt": ("note genes: 134 features of Antibody Capture: no genes",),
    "bmmc_cite.rna": (
        "ok labels: 41 types",
        "note labels: obs['cell_type_coarse'] has 12 types instead of 41",
        "warning groups: only 2 donors",
        "note groups: batch and donor coincide",
    ),
    "cardio_ipsc_day2_day5": (
        "note labels: the labels end in numbers (day2_cluster1",
        "warning groups: every batch has one time_point only",
        "ok genes: 17,590 genes, named by symbols",
    ),
    "pancreas_3tech_acinar_gamma": ("error counts: X is not integer counts (min 0, max 4575, 96.2%",),
    "pancreas_9tech_tiny": (
        "error counts: X is not integer counts",
        "note counts: the fractional values are those of celseq, celseq2, fluidigmc1, smarter",
        "note labels: 4 types of 8 with fewer than 10 cells: 'endothelial' (1)",
    ),
    "pancreas_baron_human_mouse": (
        "ok genes: species: human (100 % of the Ensembl ids begin with ENSG)",
        "note genes: cells of several species (175 human and 175 mouse) under genes named as in human",
        "warning cells: 22 cells with exactly the counts of another cell",
        "ok groups: 6 donors",
    ),
    "pancreas_endocrinogenesis": (
        "ok genes: species: mouse",
        "ok genes: 7,192 genes, named by symbols (100 %); no column holds Ensembl ids",
        "note counts: layers['unspliced'] holds whole numbers too",
        "warning groups: no donors or batches to hold out",
    ),
    "pbmc68k_reduced_counts": ("ok labels: 10 types", "note labels: 1 type of 10 with fewer than 10 cells"),
    "pbmc_10x_3chem": (
        "note groups: batch and donor coincide",
        "ok labels: 3 types",
        "ok task integration: can run",
    ),
    "pbmc_10x_v2_v3_5p": ("ok groups: each batch is of one donor", "warning groups: only 2 donors"),
    "pbmc_cite_5k10k.rna": ("error task clustering: task clustering needs obs cell_type",),
    "pbmc_kang_ctrl_8donors": (
        "ok cells: 12,261 cells x 1,287 features",
        "ok groups: 8 donors can be held out whole",
        "note groups: batch and donor coincide",
        "ok task classification: can run: 8 folds",
    ),
    "pbmc_kang_ifnb_2000": (
        "warning groups: perturbation and batch are the same partition",
        "warning groups: 'unknown' (987 cells) is held out and trained on like one donor",
    ),
    "pbmc_kang_ifnb_2donors": ("warning groups: every batch has one perturbation only",),
    "pbmc_teaseq.rna": (
        "note task classification: 2 types have fewer cells than the 5 folds of random cells",
        "ok task clustering: can run",
    ),
    "perturb_norman_k562": ("warning labels: obs['cell_type'] has one type only ('k562')",),
}
REFUSED = {"pancreas_3tech_acinar_gamma", "pancreas_9tech_tiny"}


@cache
def examined(path: Path) -> Diagnosis:
    return diagnose(Query(str(path), results=path.parent / "none", trials=False))


def lines(diagnosis: Diagnosis) -> list[str]:
    return [f"{finding.level} {finding.subject}: {finding.text}" for finding in diagnosis.findings]


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUE)
def test_what_is_said_is_true(shared: Path, name: str) -> None:
    said = lines(examined(shared / "data" / f"{name}.h5ad"))
    for truth in TRUE[name]:
        assert any(line.startswith(truth) for line in said), (truth, said)


@pytest.mark.slow
def test_every_file_is_examined_to_the_end(shared: Path) -> None:
    files = sorted((shared / "data").glob("**/*.h5ad"))
    assert len(files) >= 30
    for path in files:
        said = lines(examined(path))
        assert not [line for line in said if "could not be examined" in line], path.name
        assert bool([line for line in said if line.startswith("error counts")]) is (path.stem in REFUSED), path.name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "other", "kind"), [("bmmc_cite", "adt", "Antibody Capture"), ("bmmc_multiome", "atac", "Peaks")]
)
def test_a_pair_of_files_is_one_dataset_of_two_kinds(
    shared: Path, tmp_path: Path, name: str, other: str, kind: str
) -> None:
    path = tmp_path / "pair.toml"
    path.write_text("".join(f'[[files]]\npath = "{shared}/data/{name}.{part}.h5ad"\n' for part in ("rna", other)))
    found = examined(path)
    (kinds,) = [line for line in lines(found) if "features of Gene Expression" in line]
    assert kind in kinds
    assert not found.stopped
