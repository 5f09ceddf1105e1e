"""A study is a list of commands, each of which bench would take."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench_study import outline, perform
from bench_study.outline import UNTRAINED
from bench_study.steps import Places, Step, probe, steps

from bench import config
from bench.catalogue import catalogue, check
from bench.errors import BadInput
from bench.runs.choose import task_options
from bench.training.configure import configured
from bench.training.request import command_of

STUDIES = ("study.toml", "ablations.toml")


@pytest.mark.parametrize("name", STUDIES)
def test_every_setting_of_a_pretraining_is_one_of_its_model(study_folder: Path, name: str) -> None:
    for asked in outline.read(study_folder / name).pretrainings:
        command = command_of(catalogue().model(asked.model), "pretrain")
        found = configured(command, asked.config, {k: str(v) for k, v in asked.set.items()}, asked.seed)
        if asked.model == "ours":
            from bench_ours.rules import check as goes_together

            goes_together(found.sections["model"], found.sections["objective"])


@pytest.mark.parametrize("name", STUDIES)
def test_every_entry_can_sit_its_exams(study_folder: Path, name: str) -> None:
    study = outline.read(study_folder / name)
    trains = {asked.name: asked.model for asked in study.pretrainings}
    for entry in study.entries:
        spec = catalogue().model(entry.model)
        config.build(spec.config, entry.set, entry.name)
        assert (spec.weights is not None) == bool(entry.weights), entry.name
        for exam in map(study.exam, entry.exams):
            task = catalogue().task(exam.task)
            on_top = probe(entry, exam)
            task_options(task, {**exam.set, **({"probe": on_top} if on_top else {})})
            assert not check(spec, task, catalogue().dataset(task.default_dataset), on_top), entry.name
        if entry.weights not in ("", UNTRAINED):
            trained = trains[entry.weights]
            runs = command_of(catalogue().model(trained), "pretrain").run_as or trained
            assert entry.model.partition("-finetuned")[0] == runs, entry.name


def test_every_question_of_the_seed_has_an_entry(study_folder: Path) -> None:
    study = outline.read(study_folder / "study.toml")
    asked = {(c.entry, c.against) for c in study.comparisons}
    rivals = {"ours-from-scratch", "logreg", "mlp", "vae-mlp"}
    assert {against for entry, against in asked if entry == "ours-finetuned"} >= rivals
    assert {e.name for e in study.entries if "kang" in e.exams} >= rivals | {"ours-finetuned", "ours-pretrained", "pca"}


def dry(study: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "bench_study", "run", "--study", str(study), "--dry-run", *more]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "docs" / "study")}
    run = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_a_dry_run_prints_the_commands_and_makes_nothing(study_folder: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    lines = dry(study_folder / "study.toml", "--data", "cells", "--work", str(work))
    assert not work.exists()
    verbs = [next(verb for verb in ("data prepare", "pretrain", "run") if f"bench {verb} " in line) for line in lines]
    assert verbs == sorted(verbs, key=("data prepare", "pretrain", "run").index)
    weights = [line for line in lines if f"--weights {work}/trained/ours" in line]
    assert len(weights) == 6  # probe and fine-tuning on two datasets, clustering, integration
    assert not any("kang" in line or "zheng" in line for line in lines if "bench pretrain" in line)


def test_a_name_that_nothing_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text("[[entry]]\nname = 'a'\nlabel = 'a'\nmodel = 'pca'\nexams = ['kang']\n")
    with pytest.raises(BadInput, match=r"unknown exam in study.toml: 'kang'"):
        outline.read(path)
    path.write_text("[[entri]]\nname = 'a'\n")
    with pytest.raises(BadInput, match=r"unknown key of study.toml: 'entri'. Did you mean 'entry'"):
        outline.read(path)


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ('set = { "objective.pretext"', 'sett = { "objective.pretext"', "'sett'. Did you mean 'set'"),
        ("[ablation.base.set]", "[ablation.base.sets]", "'sets'. Did you mean 'set'"),
        ("[ablation.base]", "[ablation.bass]", "option 'model' of base of study.toml must be set"),
        ("[[ablation]]", "[ablation]", "write each ablation as a table of its own, below [[ablation]]"),
    ],
)
def test_a_misspelt_ablation_is_refused_and_not_run_as_the_base(
    study_folder: Path, tmp_path: Path, right: str, wrong: str, words: str
) -> None:
    text = (study_folder / "ablations.toml").read_text(encoding="utf-8")
    path = tmp_path / "study.toml"
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(BadInput, match=re.escape(words)):
        outline.read(path)


def test_entries_that_differ_in_the_model_alone_share_a_command(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    (tmp_path / "corpus.tsv").write_text("file\tstudy\tcells\tgenes\tuse\twhy\n")
    exam = "[[exam]]\nname = 'e'\ntitle = 'E'\ntask = 'clustering'\ndataset = '@DATA@/x.h5ad'\n"
    entry = "[[entry]]\nname = '{0}'\nlabel = ''\nmodel = '{1}'\nexams = ['e']\nset = {{ width = {2} }}\n"
    path.write_text(exam + entry.format("a", "pca", 1) + entry.format("b", "pca", 2) + entry.format("c", "hvg", 3))
    found = [" ".join(step.command) for step in steps(outline.read(path), Places(Path("d"), Path("w")))]
    assert ["--model pca,hvg" in found[0], "--model pca " in found[1], len(found)] == [True, True, 2]
    assert "--set pca.width=1 --set hvg.width=3" in found[0]
    assert "--dataset d/x.h5ad" in found[0]


def script(folder: Path, name: str, code: str, **more: object) -> Step:
    return Step(name, (sys.executable, "-c", code), "stage", **more)  # type: ignore[arg-type]


def test_what_is_done_is_not_done_again_and_a_failure_stops_no_other(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made.txt"
    write = f"import os; open({str(made)!r}, 'a').write(os.environ['OMP_NUM_THREADS'])"
    planned = [
        script(tmp_path, "make", write, made=made, threads=3),
        script(tmp_path, "fail", "import sys; sys.exit('it broke')"),
        script(tmp_path, "use", "print('used')", needs=(tmp_path / "nothing.txt",)),
    ]
    for _ in range(2):
        troubles = perform.perform(planned, 2, tmp_path / "logs")
        assert [text.partition(":")[0] for text in troubles] == ["fail", "use"]
        assert "exit code 1" in troubles[0]
        assert "nothing.txt is missing" in troubles[1]
    assert made.read_text() == "3"
    told = capfd.readouterr().err
    assert "[1/3," in told
    assert "make: is there" in told
    assert "it broke" in told


def test_an_interrupted_step_ends_the_study(tmp_path: Path) -> None:
    later = tmp_path / "later.txt"
    planned = [
        script(tmp_path, "stop", f"import sys; sys.exit({perform.INTERRUPTED})"),
        Step("later", (sys.executable, "-c", f"open({str(later)!r}, 'w')"), "next"),
    ]
    with pytest.raises(KeyboardInterrupt):
        perform.perform(planned, 1, tmp_path / "logs")
    assert not later.exists()


def test_steps_of_a_stage_share_the_cores_and_stages_follow_each_other(tmp_path: Path) -> None:
    wait = (
        "import pathlib, time; p = pathlib.Path({0!r}); end = time.time() + 20\n"
        "while not p.exists() and time.time() < end: time.sleep(0.02)\n"
        "assert p.exists()"
    )
    touch = "import pathlib; pathlib.Path({0!r}).touch()"
    first, second = str(tmp_path / "1"), str(tmp_path / "2")
    planned = [
        script(tmp_path, "a", wait.format(first)),  # ends only if b runs beside it
        script(tmp_path, "b", touch.format(first)),
        Step("c", (sys.executable, "-c", f"assert __import__('os').path.exists({first!r})"), "next", cores=2),
        Step("d", (sys.executable, "-c", touch.format(second)), "next", cores=2),
    ]
    assert perform.perform(planned, 2, tmp_path / "logs") == []
    assert Path(second).exists()
