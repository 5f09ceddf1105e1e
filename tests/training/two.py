"""What each of two processes does that train together: see `test_devices`.

python tests/training/two.py FILE FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from guesser import Guesser, train  # beside this file: as a script it is in no package

from bench.errors import BadOutput

STEPS: dict[str, Any] = {"max_steps": 4, "val_every": 2, "log_every": 1}


class Disturbed(Guesser):
    """In the second process alone, and in the third step, gets a signal, or a loss that is no number."""

    def __init__(self, what: str) -> None:
        super().__init__(765)
        self.what = what

    def losses(self, batch: Any, step: int) -> Any:
        found = super().losses(batch, step)
        if not self.training or step != 2 or os.environ["RANK"] != "1":
            return found
        if self.what == "signal":
            signal.raise_signal(signal.SIGTERM)
            return found
        return replace(found, parts=dict(found.parts) | {"depth": found.parts["depth"] * float("nan")})


def main(file: Path, folder: Path) -> None:
    """Trainings to compare: with one process, whole and in two parts; and such that only one process can tell how."""
    torch.set_num_threads(1)
    two: dict[str, Any] = {"devices": 2, "data": {"batch_size": 32}}
    train(file, folder / "two", dropout=0.0, trainer=STEPS, **two)
    train(file, folder / "whole", trainer=STEPS, **two)
    train(file, folder / "parts", trainer=STEPS | {"stop_after": 3}, **two)
    train(file, folder / "parts", trainer=STEPS, resume=True, **two)
    fitted = train(file, folder / "signal", Disturbed("signal"), trainer=STEPS, **two)
    print(fitted.stopped, fitted.steps)
    try:
        train(file, folder / "nan", Disturbed("nan"), trainer=STEPS | {"accumulate": 2}, **two)
    except BadOutput as error:
        print(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
