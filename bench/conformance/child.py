"""The process in which a plugin is examined: `python -m bench.conformance.child REQUEST.json ROWS`.

Each row is appended to the file ROWS as one line of JSON when its check has ended, so that whatever the plugin
does to this process, the rows before it are kept.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from bench.conformance.request import Request, rows
from bench.runs.worker import die_with_parent


def main(request_path: Path, rows_path: Path) -> int:
    """Append rows until all checks have ended."""
    die_with_parent()
    asked = json.loads(request_path.read_text(encoding="utf-8"))
    earlier = asked.pop("earlier")
    with rows_path.open("a", encoding="utf-8") as file:
        for row in rows(Request(**asked), earlier):
            file.write(json.dumps(asdict(row)) + "\n")
            file.flush()
            os.fsync(file.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
