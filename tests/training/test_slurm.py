"""The script of a job: read by sbatch as it was meant, run by bash as it was meant, whatever things are called."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BadInput
from bench.training.request import Request
from bench.training.slurm import script, submit, words

HOSTILE = [
    "two words",
    "it's",
    'a "quote"',
    "$(touch hurt)",
    "`touch hurt`",
    "a;touch hurt",
    "-x",
    "#",
    "\\",
    "a\\ b",
    "ä*?",
]
PLAIN = Request("pretrain", "net", ("a.h5ad", "b.h5ad"), Path("out"))


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#SBATCH")]


def read_as_sbatch_does(line: str) -> Iterator[str]:
    """`get_argument` of SLURM's src/sbatch/opt.c, in Python: quotes, backslashes, and # for the rest of the line."""
    rest = line.removeprefix("#SBATCH")
    while rest := rest.lstrip():
        argument, quote, place = "", "", 0
        while place < len(rest) and (quote or not rest[place].isspace()):
            if rest[place] == "\\":
                place += 1
                argument += rest[place]
            elif quote and rest[place] == quote:
                quote = ""
            elif not quote and rest[place] in "\"'":
                quote = rest[place]
            elif not quote and rest[place] == "#":
                return
            else:
                argument += rest[place]
            place += 1
        assert not quote, f"unmatched quote in {line}"
        yield argument
        rest = rest[place:]


def options_of(text: str) -> dict[str, str]:
    every = [argument for line in lines_of(text) for argument in read_as_sbatch_does(line)]
    assert all(argument.startswith("--") for argument in every)
    return {name.removeprefix("--"): value for name, _, value in (argument.partition("=") for argument in every)}


def test_options_of_sbatch_come_before_any_command() -> None:
    """sbatch ignores those that come after it."""
    lines = script(PLAIN, {"partition": "gpu"}).splitlines()
    assert lines[0] == "#!/bin/bash"
    commands = [n for n, line in enumerate(lines) if line and not line.startswith("#")]
    assert max(n for n, line in enumerate(lines) if line.startswith("#SBATCH")) < min(commands)
    assert len(commands) == 1
    assert lines[commands[0]].startswith("srun ")


def test_what_is_asked_of_slurm() -> None:
    request = dataclasses.replace(PLAIN, device="cuda", devices=4, nodes=2)
    options = options_of(script(request, {"partition": "gpu", "exclusive": "", "cpus_per_task": "8"}))
    assert options["nodes"] == "2"
    assert options["ntasks-per-node"] == "4"
    assert options["gres"] == "gpu:4"
    assert options["signal"] == "SIGUSR1@90"
    assert options["requeue"] == options["exclusive"] == ""
    assert options["chdir"] == os.getcwd()
    assert options["output"] == f"{Path('out').absolute()}/slurm-%j.out"
    assert (options["partition"], options["cpus-per-task"]) == ("gpu", "8")


def test_gpus_are_asked_for_once() -> None:
    assert "gres" not in options_of(script(PLAIN, {}))
    on_gpu = dataclasses.replace(PLAIN, device="cuda")
    assert options_of(script(on_gpu, {"gres": "gpu:a100:1"}))["gres"] == "gpu:a100:1"
    assert "gres" not in options_of(script(on_gpu, {"gpus-per-node": "h100:1"}))


@pytest.mark.parametrize(
    ("name", "said"), [("nodes", "--nodes"), ("ntasks_per_node", "--devices"), ("chdir", "leave it out")]
)
def test_what_bench_sets_is_not_set_twice(name: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        script(PLAIN, {name: "3"})


@pytest.mark.parametrize("name", ["", "Time", "a b", "x\n#SBATCH --y", "-p"])
def test_what_is_no_option_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="is no option of sbatch"):
        script(PLAIN, {name: "3"})


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "\x1b[31m", "a\x00"])
def test_a_value_of_two_lines_is_refused(value: str) -> None:
    with pytest.raises(BadInput, match="control characters"):
        script(PLAIN, {"comment": value})
    with pytest.raises(BadInput, match="control characters"):
        script(dataclasses.replace(PLAIN, out=Path(value)), {})


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1))
def test_sbatch_reads_any_value_as_it_was_meant(value: str) -> None:
    assert options_of(script(PLAIN, {"comment": value}))["comment"] == value


def test_a_percent_sign_in_the_folder_is_no_pattern() -> None:
    assert options_of(script(dataclasses.replace(PLAIN, out=Path("/a%j")), {}))["output"] == "/a%%j/slurm-%j.out"


@settings(max_examples=12, deadline=None)  # each starts a shell and an interpreter
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=4))
def test_bash_hands_the_words_over_as_they_are(names: list[str]) -> None:
    """Here `srun` is a function that prints its words, one in a line of JSON."""
    request = dataclasses.replace(PLAIN, data=tuple(names), settings={"model.x": "".join(names)})
    text = script(request, {}).replace("srun ", "told ", 1)
    tell = f"{sys.executable} -S -c 'import json, sys; print(json.dumps(sys.argv[1:]))' \"$@\""
    answer = subprocess.run(
        ["bash", "-c", f"told() {{ {tell}; }}\n{text}"], capture_output=True, text=True, check=True, env={}
    )
    assert json.loads(answer.stdout) == ["--kill-on-bad-exit=1", *words(request)]


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for programs that come before all others; its `sbatch` runs the script, its `srun` tells its words."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    program(programs / "sbatch", 'echo "Submitted batch job 42"; exec bash "$1"')
    told = f"import json, pathlib, sys; pathlib.Path({str(tmp_path / 'told')!r}).write_text(json.dumps(sys.argv[1:]))"
    program(programs / "srun", f'exec {sys.executable} -S -c "{told}" "$@"')
    return programs


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_job_with_hostile_names_is_submitted_and_does_what_was_meant(
    sbatch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    request = Request("finetune", "net", (f"{name}.h5ad",), Path("x") / name, settings={"a.b": name}, weights=name)
    path, number = submit(request, {"comment": name})
    assert (path, number) == (tmp_path / "x" / name / "finetune.sbatch", "42")
    assert subprocess.run(["bash", "-n", str(path)], capture_output=True, check=True).stderr == b""
    assert json.loads((tmp_path / "told").read_text())[1:] == words(request)
    assert options_of(path.read_text())["output"] == f"{path.parent}/slurm-%j.out"
    assert not list(tmp_path.rglob("hurt"))


def test_cpus_of_a_task_are_handed_on(sbatch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """srun took them from sbatch by itself before SLURM 22.05."""
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "6")
    submit(dataclasses.replace(PLAIN, out=tmp_path), {})
    assert json.loads((tmp_path / "told").read_text())[1] == "--cpus-per-task=6"


def test_a_script_that_is_refused_stays(sbatch: Path, tmp_path: Path) -> None:
    program(sbatch / "sbatch", 'echo "sbatch: error: invalid partition specified: gpux" >&2; exit 1')
    with pytest.raises(BadInput, match="invalid partition specified: gpux; set what it needs with --slurm"):
        submit(dataclasses.replace(PLAIN, out=tmp_path / "new"), {"partition": "gpux"})
    assert (tmp_path / "new" / "pretrain.sbatch").is_file()


def test_without_sbatch_the_script_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match=r"no sbatch here; the script is written, for sbatch .*pretrain\.sbatch"):
        submit(dataclasses.replace(PLAIN, out=tmp_path / "new"), {})
    assert (tmp_path / "new" / "pretrain.sbatch").is_file()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be written"):
        submit(dataclasses.replace(PLAIN, out=tmp_path / "file" / "out"), {})
