"""What each of two processes does that train together: see `test_devices`.

python tests/training/two.py FILE FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from guesser import train  # beside this file: as a script it is in no package

STEPS: dict[str, Any] = {"max_steps": 4, "val_every": 2, "log_every": 1}


def main(file: Path, folder: Path) -> None:
    """A training to compare with one process, one to compare with itself in two parts, and these parts."""
    torch.set_num_threads(1)
    two: dict[str, Any] = {"devices": 2, "data": {"batch_size": 32}}
    train(file, folder / "two", dropout=0.0, trainer=STEPS, **two)
    train(file, folder / "whole", trainer=STEPS, **two)
    train(file, folder / "parts", trainer=STEPS | {"stop_after": 3}, **two)
    train(file, folder / "parts", trainer=STEPS, resume=True, **two)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
