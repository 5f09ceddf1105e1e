"""A training as a job of SLURM: one script that can be read, submitted, and started again where it was stopped."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.atomic import replacing
from bench.errors import BadInput
from bench.training.request import Request

OWN: Mapping[str, str] = {
    "nodes": "use --nodes",
    "ntasks-per-node": "use --devices",
    "ntasks": "use --devices and --nodes",
    "chdir": "the job runs in the folder you are in, so leave it out",
}
"""Options of sbatch that follow from something else, and what to do instead."""
GPUS = ("gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket")
"""Ways to ask for GPUs, of which a job needs one."""
OPTION = re.compile(r"[a-z][a-z-]*")
SUBMITTED = re.compile(r"Submitted batch job (\d+)")


def submit(request: Request, options: Mapping[str, str]) -> tuple[Path, str]:
    """Write the script of a training to its folder and hand it to `sbatch`.

    Parameters
    ----------
    request
        What is to be trained; looked at by `bench.training.request.checked` before.
    options
        More options of sbatch: `{"partition": "gpu", "time": "12:00:00"}`; an empty value makes a flag.

    Returns
    -------
    The script, and the number of the job.

    Raises
    ------
    BadInput
        For options that are not for sbatch, or that bench sets; where there is no sbatch, or it refuses the script,
        which has been written then.
    """
    text = script(request, options)
    path = request.out.expanduser().absolute() / f"{request.verb}.sbatch"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror or error}.") from None
    return path, _submitted(path)


def script(request: Request, options: Mapping[str, str]) -> str:
    """The text of the script. Raises `BadInput` for options that sbatch would misread."""
    lines = [f"#SBATCH --{name}" + (f"={_word(value)}" if value else "") for name, value in _asked(request, options)]
    # sbatch reads #SBATCH lines up to the first command, and srun no longer takes its CPUs from sbatch (SLURM 22.05)
    cpus = '${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"}'
    return "\n".join(["#!/bin/bash", *lines, "", f"srun --kill-on-bad-exit=1 {cpus} {shlex.join(words(request))}", ""])


def words(request: Request) -> list[str]:
    """The command line of a request, for a job that begins where it is started first and goes on where it is again."""
    flags: dict[str, object] = {
        "--config": request.config,
        "--seed": request.seed,
        "--device": request.device,
        "--devices": request.devices,
        "--nodes": request.nodes,
        "--logger": ",".join(request.loggers),
        "--weights": request.weights,
        "--task": request.task,
    }
    given = [f"{flag}={value}" for flag, value in flags.items() if value not in ("", None)]
    given += [f"--set={key}={value}" for key, value in request.settings.items()]
    given += [f"--data={name}" for name in request.data]
    start = [sys.executable, "-m", "bench", request.verb, f"--model={request.model}", f"--out={request.out}"]
    return [*start, *given, "--executor=local", "--resume-if-there"]


def _asked(request: Request, options: Mapping[str, str]) -> list[tuple[str, str]]:
    """Options of sbatch: those that are asked for over those of every training."""
    more = {name.replace("_", "-"): value for name, value in options.items()}
    for name in more:
        if name in OWN:
            raise BadInput(f"--slurm {name}: {OWN[name]}.")
        if not OPTION.fullmatch(name):
            raise BadInput(f"--slurm {name[:80]!r} is no option of sbatch; write it as partition=gpu.")
    folder = str(request.out.expanduser().absolute()).replace("%", "%%")
    every = {
        "job-name": f"{request.verb}-{request.model}",
        "nodes": str(request.nodes),
        "ntasks-per-node": str(request.devices),
        "gres": f"gpu:{request.devices}",
        "chdir": os.getcwd(),
        "output": f"{folder}/slurm-%j.out",
        "open-mode": "append",  # what a job said before it was stopped stays
        "requeue": "",
        "signal": "SIGUSR1@90",  # a checkpoint is written then, and the job queued again
    }
    if request.device != "cuda" or any(name in more for name in GPUS):
        del every["gres"]
    return list((every | more).items())


def _word(value: str) -> str:
    r"""A value as sbatch reads it from a script: in quotes, `\` before what would end them.

    sbatch's own rules, not those of a shell: `get_argument` in https://github.com/SchedMD/slurm, src/sbatch/opt.c.

    Raises
    ------
    BadInput
        If it would go on in another line.
    """
    if not value.isprintable():
        raise BadInput(f"sbatch cannot read {value[:200]!r}: it holds control characters; choose another name.")
    if re.fullmatch(r"[\w@%+=:,./-]+", value, re.ASCII):
        return value
    return '"' + re.sub(r'([\\"])', r"\\\1", value) + '"'


def _submitted(path: Path) -> str:
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        by_hand = f"sbatch {shlex.quote(str(path))}"
        raise BadInput(f"nothing was submitted: there is no sbatch here; the script is written, for {by_hand}")
    answer = subprocess.run([sbatch, str(path)], capture_output=True, text=True, check=False)
    if answer.returncode:
        said = (answer.stderr or answer.stdout).strip().splitlines() or [f"exit code {answer.returncode}"]
        raise BadInput(f"sbatch refused {path}: {said[-1]}; set what it needs with --slurm key=value.")
    number = SUBMITTED.search(answer.stdout)
    return number[1] if number else answer.stdout.strip()
