"""What torch sees: `python -m bench.diagnosis.devices ANSWER`."""

from __future__ import annotations

import sys
from pathlib import Path


def main(answer: Path) -> int:
    """Import torch and leave its version and the devices it can use."""
    from bench.diagnosis.child import leave
    from bench.runs.worker import die_with_parent

    die_with_parent()
    try:
        import torch

        cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
        names = [f"cuda:{number} ({torch.cuda.get_device_name(number)})" for number in range(cuda)]
        devices = ["cpu", *names, *(["mps"] if torch.backends.mps.is_available() else [])]
        leave(answer, {"version": torch.__version__, "devices": devices})
    except Exception as error:  # whatever a broken build raises is what is to be told
        leave(answer, {"error": f"{type(error).__name__}: {str(error)[:200]}"})
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
