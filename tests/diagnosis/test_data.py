"""A whole examination: all that is wrong at once, and a command that is known to work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.diagnosis.patients import healthy

from bench.diagnosis.data import Diagnosis, diagnose, examine
from bench.diagnosis.query import Query
from bench.errors import BadInput
from bench.runs.plan import plan
from bench.runs.request import Request

ALL_TASKS = ("classification", "clustering", "integration")


def examined(path: Path, **fields: object) -> Diagnosis:
    return diagnose(Query(str(path), results=path.parent / "results", trials=False, **fields))


def errors(diagnosis: Diagnosis) -> list[str]:
    return [f"{f.subject}: {f.text}" for f in diagnosis.findings if f.level == "error"]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.h5ad"
    healthy().write_h5ad(path)
    return path


@pytest.fixture
def ill(tmp_path: Path) -> Path:
    """Labels and batches under other names, a duplicate gene, unlabelled cells: four things to mend."""
    data = healthy()
    data.obs["cell_type"] = data.obs["cell_type"].where(np.arange(data.n_obs) > 9)
    data.obs = data.obs.rename(columns={"cell_type": "annotation", "batch": "sample"})[["annotation", "sample"]]
    data.var_names = ["GENE1", "GENE1", *data.var_names[2:]]
    path = tmp_path / "ill.h5ad"
    data.write_h5ad(path)
    return path


def test_nothing_stops_a_run_of_healthy_data(good: Path) -> None:
    found = examined(good)
    assert errors(found) == []
    assert not found.stopped
    assert found.verdict == "Nothing stops a run; 0 warnings."
    command = found.command.split()
    assert command[:3] == ["bench", "run", "--model"]
    assert set(ALL_TASKS) <= set(command[command.index("--task") + 1].split(","))  # others may be installed
    assert command[-2:] == ["--dataset", str(good)]
    assert not found.mended


def test_all_that_is_wrong_is_said_at_once(ill: Path) -> None:
    found = examined(ill)
    assert found.stopped
    assert any("1 duplicate gene name" in error for error in errors(found))
    assert sum("needs obs" in error for error in errors(found)) >= len(ALL_TASKS)
    mends = {f.mend for f in found.findings if f.mend}
    assert {"--obs cell_type=annotation", "--obs batch=sample", "--data-set duplicate_genes=sum"} <= mends


def test_the_advised_command_works(ill: Path) -> None:
    found = examined(ill)
    # the cells without a label are met only once the column of labels is known
    assert any("cell_type is missing for 10 cells" in error for error in errors(found))
    assert found.verdict.endswith("with the advised options it runs.")
    assert found.mended
    options = dict(word.split("=") for word in found.command.split() if "=" in word)
    assert options == {
        "cell_type": "annotation",
        "batch": "sample",
        "duplicate_genes": "sum",
        "unlabelled": "drop",
    }
    columns = {role: options.pop(role) for role in ("cell_type", "batch")}
    planned = plan(
        Request(tasks=ALL_TASKS, models=["pca"], datasets=[str(ill)], obs=columns, data_set=options),
    )
    assert planned.jobs
    assert planned.refusals == ()


def test_what_the_advice_would_make_wrong_is_said(tmp_path: Path) -> None:
    data = healthy()
    data.obs = data.obs[["cell_type"]].assign(sample=data.obs["cell_type"].map({"T": "x", "B": "y", "NK": "z"}))
    data.write_h5ad(tmp_path / "same.h5ad")
    said = [f.text for f in examined(tmp_path / "same.h5ad").findings if f.level == "warning"]
    (same,) = [text for text in said if "are the same partition" in text]
    assert same.startswith("with the advised options: cell_type and batch are the same partition")


def test_why_advice_is_not_enough_is_said(tmp_path: Path) -> None:
    data = healthy()
    data.obs["donor"] = data.obs["donor"].where(np.arange(data.n_obs) > 9)
    data.obs = data.obs.rename(columns={"cell_type": "Cell type"})
    data.write_h5ad(tmp_path / "gaps.h5ad")
    found = examined(tmp_path / "gaps.h5ad")
    said = [f.text for f in found.findings if f.subject == "task classification"]
    assert "with the advised options: donor is missing for 10 cells" in said[0]
    assert "classification" not in found.command
    found = examined(tmp_path / "gaps.h5ad", tasks=["classification"])
    assert found.command.endswith("--obs donor= --obs 'cell_type=Cell type'")
    planned = plan(
        Request(
            tasks=["classification"],
            models=["logreg"],
            datasets=[str(tmp_path / "gaps.h5ad")],
            obs={"cell_type": "Cell type", "donor": ""},
        )
    )
    assert planned.jobs


def test_a_command_keeps_what_was_asked_for(good: Path) -> None:
    asked = {"models": ["scvi"], "tasks": ["integration"], "obs": {"donor": "batch"}, "task_set": {"max_cells": "200"}}
    found = examined(good, **asked)
    assert found.command == (
        f"bench run --model scvi --task integration --dataset {good} --obs donor=batch --task-set max_cells=200"
    )


def test_a_recommended_command_can_be_planned(good: Path) -> None:
    planned = plan(Request(tasks=ALL_TASKS, models=["pca"], datasets=[str(good)]))
    assert len(planned.jobs) == 4 + 1 + 1
    assert planned.refusals == ()


def test_wrong_parts_of_the_question_do_not_hide_the_rest(good: Path) -> None:
    found = examined(good, obs={"batch": "batsh", "nonsense": "donor"}, layer="count", data_set={"strikt": "yes"})
    said = " ".join(errors(found))
    assert "Did you mean 'batch'?" in said
    assert "unknown role 'nonsense'" in said
    assert "unknown layer" in said
    assert "Did you mean 'strict'?" in said
    assert any(f.subject == "counts" and f.level == "ok" for f in found.findings)


def test_a_task_that_was_named_must_run(good: Path, tmp_path: Path) -> None:
    data = healthy()
    data.obs["batch"] = "a"
    data.write_h5ad(tmp_path / "one.h5ad")
    asked = examined(tmp_path / "one.h5ad", tasks=["integration"])
    assert any("needs at least 2 batches" in error for error in errors(asked))
    open_ = examined(tmp_path / "one.h5ad")
    assert errors(open_) == []
    assert [f.level for f in open_.findings if f.subject == "task integration"] == ["note"]
    assert "--task classification,clustering" in open_.command


def test_the_advice_of_a_task_is_followed(tmp_path: Path) -> None:
    data = healthy()
    data.obs = data.obs[["cell_type"]]
    data.obs["cell_type"] = ["rare", "rare", *data.obs["cell_type"][2:]]
    data.write_h5ad(tmp_path / "rare.h5ad")
    found = examined(tmp_path / "rare.h5ad", tasks=["classification"])
    assert any("it can with the advised options" in error for error in errors(found))
    assert found.command.endswith("--task-set min_class_size=5")


def test_reasons_against_a_model_are_told_apart_from_those_against_the_data(good: Path) -> None:
    found = examined(good, models=["logreg", "pca"])
    logreg = [f for f in found.findings if f.subject == "model logreg"]
    assert {f.level for f in logreg} == {"note"}
    assert all("needs EmbedsCells" in f.text for f in logreg)
    assert "--model logreg,pca" in found.command


def test_a_model_that_can_sit_no_task_is_an_error(good: Path) -> None:
    found = examined(good, models=["logreg"], tasks=["clustering"])
    assert any("task clustering needs EmbedsCells" in error for error in errors(found))
    assert found.command == ""


def test_a_missing_file_is_one_finding(tmp_path: Path) -> None:
    found = examined(tmp_path / "none.h5ad")
    assert len(found.findings) == 1
    assert "dataset file not found" in found.findings[0].text


def test_unknown_models_and_tasks_are_refused(good: Path) -> None:
    with pytest.raises(BadInput, match="Did you mean 'pca'"):
        examined(good, models=["pcaa"])
    with pytest.raises(BadInput, match="Did you mean 'clustering'"):
        examined(good, tasks=["clusterin"])


def test_a_registered_dataset_is_examined_too(tmp_path: Path) -> None:
    found = examined(Path("pbmc68k"))
    assert errors(found) == []
    assert any("batch" in f.text for f in found.findings if f.subject == "task integration")
    again = examine(Query("pbmc68k", results=tmp_path, trials=False))
    # free memory may change in between
    assert [f for f in again if f.subject != "size"] == [f for f in found.findings if f.subject != "size"]


def test_a_set_of_files_is_examined_as_one(tmp_path: Path) -> None:
    healthy(100).write_h5ad(tmp_path / "one.h5ad")
    healthy(140).write_h5ad(tmp_path / "two.h5ad")
    path = tmp_path / "both.toml"
    path.write_text("".join(f'[[files]]\npath = "{name}.h5ad"\n' for name in ("one", "two")))
    found = examined(path)
    assert any(f.text == "240 cells x 60 features" for f in found.findings)
    assert errors(found) == []
    assert "--dataset " + str(path) in found.command


def test_time_and_memory_come_from_the_nearest_record(good: Path, tmp_path: Path) -> None:
    from tests.store.record_factory import make_record

    records = tmp_path / "results" / "records" / "aa"
    records.mkdir(parents=True)
    for attempt, cells in enumerate((120, 24_000), start=1):
        changes = {"model__name": "pca", "dataset__n_obs": cells, "cost__wall_s": 10.0, "cost__peak_rss_bytes": 2**29}
        record = make_record(run_id=f"aa{attempt}", **changes)
        (records / f"aa{attempt}.1.json").write_text(json.dumps(record))
    (cost,) = [f for f in examined(good, models=["pca"]).findings if "one run takes" in f.text]
    assert "one run takes about 20 s and 512.0 MiB to 1.0 GiB" in cost.text
    assert "on 120 cells" in cost.text
