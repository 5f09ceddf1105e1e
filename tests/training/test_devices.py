"""Two processes train as one does with batches twice as large, and go on where they were stopped."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.guesser import train
from torch import Tensor

from bench.training.begun import CHECKPOINTS, LAST, LOGS
from bench.training.loggers import read

STEPS: dict[str, Any] = {"max_steps": 4, "val_every": 2, "log_every": 1}


def weights(out: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(out / LAST, weights_only=True)["state_dict"]
    return state


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_go_on_bit_for_bit(file: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    processes, pipe = [], subprocess.PIPE
    for rank in ("0", "1"):
        of_torchrun = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "GROUP_RANK": "0"}
        environment = {**os.environ, **of_torchrun, "RANK": rank, "LOCAL_RANK": rank, "TORCHELASTIC_RUN_ID": "x"}
        environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, Path(__file__).with_name("two.py"), str(file), str(tmp_path)]
        processes.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True))
    printed, told = zip(*(process.communicate() for process in processes), strict=True)
    assert [process.returncode for process in processes] == [0, 0], "\n".join(told)
    assert "validated" in told[0]
    assert "validated" not in told[1], "only the first process speaks"
    for lines in map(str.splitlines, printed):
        assert lines[0] == "interrupted 3", "both stop after the step in which one got a signal"
        assert re.match(r"training stopped at step 3 \(epoch 0; pbmc rows .*\): depth is nan\. ", lines[1])
    assert printed[0] == printed[1], "both name the cells of the one that saw it"

    train(file, tmp_path / "one", dropout=0.0, trainer=STEPS)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert all(torch.allclose(two[name], weight, rtol=1e-5, atol=1e-6) for name, weight in one.items())
    for alone, both in zip(read(tmp_path / "one" / LOGS), read(tmp_path / "two" / LOGS), strict=True):
        timeless = alone.keys() - {"cells_per_second"}
        assert {name: both[name] for name in timeless} == pytest.approx({n: alone[n] for n in timeless}, rel=1e-4)

    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(parts[name], weight) for name, weight in whole.items())
    assert not all(torch.allclose(two[name], weight) for name, weight in whole.items()), "dropout changes something"
    random = torch.load(tmp_path / "parts" / LAST, weights_only=True)["random"]
    assert not torch.equal(random[0]["torch"], random[1]["torch"]), "each process draws its own numbers"
    assert {path.name for path in (tmp_path / "two" / CHECKPOINTS).glob("*.ckpt")} == {
        "last.ckpt",
        "step=2.ckpt",
        "step=4.ckpt",
    }
