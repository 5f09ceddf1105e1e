"""Makes `record_factory` importable (a plain `tests` package would clash with others' in site-packages)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
