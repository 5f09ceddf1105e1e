"""A training that is told to stop, killed, or has no room left leaves a checkpoint that it goes on from."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training import guesser
from tests.training.guesser import train

from bench.errors import BenchError
from bench.training.begun import CHECKPOINTS, LAST, LOGS
from bench.training.checkpoints import CheckpointFiles, look
from bench.training.loggers import read

ENDLESS = {"max_steps": 10**6, "checkpoint_every": 1, "val_every": 50, "patience": 0, "log_every": 1}


def started(file: Path, out: Path) -> subprocess.Popen[str]:
    """A training in a process of its own."""
    asked = json.dumps({"trainer": ENDLESS, "optim": {"lr": 1e-4}})
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, guesser.__file__, str(file), str(out), asked]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def reached(process: subprocess.Popen[str], out: Path, steps: int) -> None:
    """Wait until so many lines of the log are written."""
    log = out / LOGS / "metrics.csv"
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") > steps):
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()[1]


def test_a_training_that_is_told_to_stop_makes_its_step_and_a_checkpoint(file: Path, tmp_path: Path) -> None:
    """Signals of a person, of a system and of SLURM; sent to this process, which trains."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        out = tmp_path / number.name
        learner = Signalling(number, step=6)
        before = signal.getsignal(number)
        fitted = train(file, out, learner, trainer=ENDLESS | {"checkpoint_every": 100})
        assert (fitted.steps, fitted.stopped) == (7, "interrupted")
        assert signal.getsignal(number) is before
        assert look(out / LAST)["global_step"] == 7
        assert not (out / "model.safetensors").exists()
        assert train(file, out, trainer=ENDLESS | {"stop_after": 3}, resume=True).steps == 10


class Signalling(guesser.Guesser):
    """Gets a signal in the middle of a step."""

    def __init__(self, number: signal.Signals, step: int, times: int = 1) -> None:
        super().__init__(765)
        self.number, self.step, self.times = number, step, times

    def losses(self, batch: Any, step: int) -> Any:
        if step == self.step and self.training:
            for _ in range(self.times):
                signal.raise_signal(self.number)
        return super().losses(batch, step)


def test_a_second_interrupt_does_not_wait(file: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(file, tmp_path, Signalling(signal.SIGINT, step=6, times=2))
    assert look(tmp_path / LAST)["global_step"] == 5
    assert train(file, tmp_path, resume=True).steps == 20


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `scontrol`, here a program of ours, writes what it is told; this process is job 12."""
    told, program = tmp_path / "told", tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ntest -f {tmp_path / "out" / LAST} && echo "$@" > {told}\n')
    program.chmod(0o755)
    job = {"SLURM_JOB_ID": "12", "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
    for name, value in (job | {"PATH": f"{program.parent}:{os.environ['PATH']}"}).items():
        monkeypatch.setenv(name, value)
    return told


def test_slurm_queues_a_job_again_that_it_takes_the_machine_from(file: Path, tmp_path: Path, job: Path) -> None:
    fitted = train(file, tmp_path / "out", Signalling(signal.SIGUSR1, step=2))
    assert fitted.stopped == "interrupted"
    assert job.read_text() == "requeue 12\n"


def test_a_job_that_has_ended_is_not_queued_again(file: Path, tmp_path: Path, job: Path) -> None:
    fitted = train(file, tmp_path / "out", Signalling(signal.SIGUSR1, step=2), trainer={"max_steps": 3})
    assert fitted.stopped == "max_steps"
    assert not job.exists()


def test_a_job_that_cannot_be_queued_again_is_told(
    file: Path, tmp_path: Path, job: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin" / "scontrol").unlink()
    train(file, tmp_path / "out", Signalling(signal.SIGUSR1, step=2))
    assert "job 12 could not be queued again; submit it once more." in capfd.readouterr().err


@pytest.mark.slow
def test_a_training_that_is_killed_at_any_time_goes_on(file: Path, tmp_path: Path) -> None:
    """It writes a checkpoint after every step, so that it is likely killed while it writes one."""
    process = started(file, tmp_path)
    reached(process, tmp_path, 30)
    process.kill()
    process.wait()
    step = look(tmp_path / LAST)["global_step"]
    assert step >= 29
    fitted = train(file, tmp_path, trainer=ENDLESS | {"stop_after": 2}, optim={"lr": 1e-4}, resume=True)
    assert fitted.steps == step + 2
    rows = [row["step"] for row in read(tmp_path / LOGS)]
    assert rows == list(range(1, step + 3))
    assert {path.suffix for path in (tmp_path / CHECKPOINTS).iterdir()} == {".ckpt", ".json"}


@pytest.fixture
def small_disk() -> Any:
    """Files may not grow beyond 60 kB: a checkpoint has 80."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))

    yield fill
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_and_the_checkpoint_before_it_stays(
    file: Path, tmp_path: Path, small_disk: Callable[[], None]
) -> None:
    train(file, tmp_path, trainer={"stop_after": 4})
    before = (tmp_path / LAST).read_bytes()
    small_disk()
    told = r"no room in .*: File too large, and \d+\.\d kB are needed, .* are free; .* \(.*last.ckpt is whole\)"
    with pytest.raises(BenchError, match=told):
        train(file, tmp_path, resume=True)
    assert (tmp_path / LAST).read_bytes() == before
    assert not list((tmp_path / CHECKPOINTS).glob(".*"))


def test_a_checkpoint_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    files, path = CheckpointFiles(), tmp_path / "last.ckpt"
    files.save_checkpoint({"weights": torch.ones(3)}, path)
    with pytest.raises(TypeError):
        files.save_checkpoint({"weights": torch.ones(3), "stream": sys.stderr}, path)
    assert files.load_checkpoint(path)["weights"].tolist() == [1, 1, 1]
    assert list(tmp_path.iterdir()) == [path]
