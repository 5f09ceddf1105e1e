"""`bench pretrain` and `bench finetune` as a user runs them, with a model of a third party."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cli.broken_files import cells
from tests.cli.conftest import Bench, source_of
from tests.cli.sites import install

import bench as bench_api
from bench.catalogue import catalogue
from bench.cli import training
from bench.cli.main import CORE, command
from bench.cli.several import spread
from bench.cli.training import following, said
from bench.errors import BadInput
from bench.training.configure import command_of
from bench.training.request import Request
from bench.training.slurm import words

BAD_INPUT, INTERRUPTED = 2, 130
Trained = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def trainees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed distribution whose model trains."""
    site = install(tmp_path_factory.mktemp("site"), "trainees", source_of("trainees"))
    (site / "trainees_net.py").write_text(source_of("trainees_net"))
    configs = site / "trainees_configs"
    configs.mkdir()
    (configs / "quick.yaml").write_text((Path(__file__).parent / "trainees_configs" / "quick.yaml").read_text())
    return site


@pytest.fixture
def trained(bench: Bench, trainees: Path, tmp_path: Path) -> Trained:
    """Run a command line in a folder with a file `x.h5ad`, with that distribution installed."""
    return lambda command, **more: bench(*command.split(), cwd=tmp_path, plugins=[trainees], **more)


# --- several values after one option -----------------------------------------------------------------


def test_an_option_takes_every_word_up_to_the_next() -> None:
    words = ["--data", "a", "b", "c", "--out", "x", "--data=d", "e", "-d", "f", "g", "--seed", "3"]
    data = "--data a --data b --data c --out x --data=d --data e -d f -d g --seed 3"
    assert " ".join(spread(words)) == data


def test_what_follows_another_option_is_left_alone() -> None:
    words = ["--data", "a", "--out", "x", "b", "--resume", "c", "--", "d"]
    assert list(spread(words)) == words


@given(st.lists(st.lists(st.text(min_size=1).filter(lambda word: not word.startswith("-")), min_size=1), max_size=3))
def test_no_value_is_lost_or_changed(groups: list[list[str]]) -> None:
    words = [word for group in groups for word in ("--data", *group)]
    assert list(spread(words)) == [word for group in groups for value in group for word in ("--data", value)]


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=9)
REQUESTS = st.builds(
    Request,
    verb=st.just("pretrain"),
    model=TEXT,
    data=st.lists(TEXT, min_size=1, max_size=3).map(tuple),
    out=TEXT.map(Path),
    config=TEXT | st.just(""),
    settings=st.dictionaries(st.from_regex(r"[a-z]+\.[a-z_]+", fullmatch=True), TEXT, max_size=3),
    seed=st.none() | st.integers(0, 2**32 - 1),
    device=st.sampled_from(["cpu", "cuda"]),
    devices=st.integers(1, 64),
    nodes=st.integers(1, 64),
    resume=st.just("if-there"),
    loggers=st.sampled_from([("csv",), ("csv", "wandb")]),
)


@settings(deadline=None, max_examples=50)
@given(REQUESTS | REQUESTS.map(lambda r: dataclasses.replace(r, verb="finetune", weights="-w", task="a b")))
def test_a_job_asks_for_what_was_asked_for(request: Request) -> None:
    """Whatever things are called."""
    caught: list[tuple[Request, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "start", lambda asked, executor, slurm: caught.append((asked, executor)))
        start = words(request).index(request.verb)
        command(CORE[request.verb]).main(words(request)[start + 1 :], standalone_mode=False)
    assert caught == [(request, "local")]


# --- what is refused ---------------------------------------------------------------------------------

PRETRAIN = "pretrain --model bag --data x.h5ad --out out"
FINETUNE = "finetune --model bag --data x.h5ad --out out --task classification"
NO_GPU = "torch sees no GPU here"
BAD: dict[str, str] = {
    "pretrain --model pca --data x.h5ad --out out": "model pca has no pretrain; models that have one: bag, ",
    "pretrain --model bag --out out": "Missing option '--data'",
    f"{PRETRAIN} y.h5ad": "unexpected extra argument(s) (y.h5ad)",
    "pretrain --model bag --data x.h5ad y.h5ad --out out": "dataset file not found: ",
    "pretrain --model bag --data x.h5ad --out x.h5ad": "x.h5ad is a file; name a folder",
    "pretrain --model bag --data x.h5ad --out .": "is not empty (",
    f"{PRETRAIN} --resume": "holds no checkpoint to go on from; leave --resume out",
    f"{PRETRAIN} --config code.yaml": "code is not read",
    f"{PRETRAIN} --config odd.yaml": "unknown section of config odd.yaml: 'modl'. Did you mean 'model'?",
    f"{PRETRAIN} --set model.widht=3 --set optim.lr=low": "'low' is not float.\nunknown option of section model:",
    f"{PRETRAIN} --logger csv,tensorbord": "unknown logger 'tensorbord'. Did you mean 'tensorboard'?",
    f"{PRETRAIN} --slurm time=1:00:00": "--slurm sets options of a job; add --executor slurm",
    f"{PRETRAIN} --device cuda": NO_GPU,
    f"{PRETRAIN} --devices 100000": "ask for no more",
    FINETUNE: "finetune needs weights to begin with: --weights DIR",
}


@pytest.mark.parametrize(
    "command", [pytest.param(c, marks=pytest.mark.slow) if said == NO_GPU else c for c, said in BAD.items()]
)
def test_bad_commands(trained: Trained, tmp_path: Path, command: str) -> None:
    cells().write_h5ad(tmp_path / "x.h5ad")
    (tmp_path / "odd.yaml").write_text("modl: {width: 3}\n")
    (tmp_path / "code.yaml").write_text("model: {width: !!python/object/apply:os.system [ls]}\n")
    answer = trained(command, CUDA_VISIBLE_DEVICES="")
    assert BAD[command] in answer.stderr
    assert answer.returncode == BAD_INPUT
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [f"{PRETRAIN} --set model.widht=3", f"{PRETRAIN} --resume"])
def test_no_training_framework_is_loaded_to_find_a_mistake(trainees: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "x.h5ad").touch()
    code = (
        "import sys; from bench.cli.main import main\n"
        f"sys.argv = ['bench', *{command.split()}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 2, end.code\n"
        f"print([m for m in ('torch', 'lightning', 'numpy') if m in sys.modules])"
    )
    site = {**os.environ, "PYTHONPATH": str(trainees)}
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=site
    )
    assert answer.stdout == "[]\n"


# --- what is shown -----------------------------------------------------------------------------------


def test_show_prints_what_can_be_set(trained: Trained) -> None:
    shown = trained("show model bag").stdout
    assert "bench pretrain: a bag of genes that predicts counts" in shown
    assert "  --config quick (default)\n" in shown
    assert re.search(r" model\.width=6 +of a cell's vector \(int\)\n", shown)  # as the default configuration has it
    training = json.loads(trained("show model bag --json").stdout)["training"]
    assert list(training) == ["pretrain", "finetune"]
    assert training["pretrain"]["configs"] == ["quick"]
    assert {"name": "model.width", "type": "int", "default": "6", "help": "of a cell's vector"} in training["pretrain"][
        "options"
    ]


def test_names_of_models_are_completed(trained: Trained) -> None:
    answer = trained("", _BENCH_COMPLETE="complete_bash", COMP_WORDS="bench pretrain --model ", COMP_CWORD="3")
    assert "bag" in answer.stdout.split()
    assert "pca" not in answer.stdout.split()


# --- what is trained ---------------------------------------------------------------------------------


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """Variables of a machine with a SLURM of shell scripts: one job, taken away when it has begun to train."""
    programs = tmp_path / "programs"
    programs.mkdir()
    program(programs / "sbatch", 'echo "Submitted batch job 42"')
    program(programs / "scontrol", f'echo "$@" >> {tmp_path}/requeued')
    program(
        programs / "srun",
        "shift; export SLURM_JOB_ID=42 SLURM_JOB_NAME=x SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0\n"
        f'"$@" 2>> {tmp_path}/err &\n'
        f"until grep -q '^step' {tmp_path}/err || ! kill -0 $!; do sleep 0.2; done\n"
        "kill -USR1 $!; wait $!",
    )
    return {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.slow
def test_a_job_that_is_taken_away_goes_on_where_it_was(
    trained: Trained, tmp_path: Path, cluster: dict[str, str], trainees: Path
) -> None:
    """sbatch writes down, srun starts the very command, SLURM warns it, it asks to be queued again, and goes on."""
    cells().write_h5ad(tmp_path / "x.h5ad")
    endless = "--set trainer.max_steps=1000000 --set trainer.patience=0 --set trainer.val_every=20"
    answer = trained(f"pretrain --model bag --data x.h5ad --out job {endless} --executor slurm", **cluster)
    script = tmp_path / "job" / "pretrain.sbatch"
    assert answer.stdout == f"submitted {script} as job 42\n"
    environment = {**os.environ, **cluster, "PYTHONPATH": str(trainees), "BENCH_CACHE_DIR": str(tmp_path / "cache")}
    made = []
    for start in (1, 2):
        job = subprocess.run(["bash", script], capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert job.returncode == INTERRUPTED, (tmp_path / "err").read_text()
        made.append(int(re.search(r"bag: ([\d,]+) steps.* stopped before its end", job.stdout)[1].replace(",", "")))
        assert (tmp_path / "requeued").read_text().splitlines() == ["requeue 42"] * start
        (tmp_path / "err").write_text("")
    assert 0 < made[0] < made[1]
    rows = (tmp_path / "job" / "logs" / "metrics.csv").read_text().splitlines()
    steps = [int(row.split(",")[0]) for row in rows[1:]]
    assert steps == sorted(set(steps))
    assert min(steps) < made[0] < max(steps)


@pytest.fixture
def here(trainees: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process works in a folder with a file `x.h5ad`, with that distribution installed."""
    cells().write_h5ad(tmp_path / "x.h5ad")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(trainees))
    catalogue.cache_clear()
    yield
    catalogue.cache_clear()


@pytest.mark.slow
def test_a_model_is_trained_resumed_repeated_and_examined(here: None) -> None:
    """As the functions of Python do it; the command that is printed at the end is one that runs."""
    fitted = bench_api.pretrain("bag", ["x.h5ad"], "out", set={"trainer.max_steps": 3}, loggers=("csv",))
    assert (fitted.steps, fitted.stopped) == (3, "max_steps")
    assert fitted.best.step == 2
    with pytest.raises(BadInput, match="is not empty"):
        bench_api.pretrain("bag", "x.h5ad", "out")
    assert bench_api.pretrain("bag", "x.h5ad", "out", resume=True, set={"trainer.max_steps": 4}).steps == 4
    again = bench_api.pretrain("bag", "x.h5ad", "again", config="out/config.yaml", loggers=("csv",))
    assert again.best == bench_api.pretrain("bag", "x.h5ad", "out", resume=True, config="out/config.yaml").best
    asked = Request("pretrain", "bag", ("x.h5ad",), Path("out"))
    assert said(asked, again).startswith("bag: 4 steps, best validation loss ")
    command = shlex.split(following(asked, command_of(catalogue().model("bag"), "pretrain")))
    assert command[:6] == ["bench", "run", "--model", "bag", "--weights", "out"]
    frame = bench_api.run("bag", "clustering", "x.h5ad", weights="out", results="results", executor="inline")
    assert set(frame["model"]) == {"bag"}


@pytest.mark.slow
def test_a_fine_tuning_is_told_what_for_and_what_it_begins_with(here: None, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    fitted = bench_api.finetune("bag", "x.h5ad", "out", weights="weights", task="classification")
    assert fitted.notices == (f"classification beginning with {tmp_path / 'weights'}",)
