"""A plugin module that imports what it does not need yet."""

from __future__ import annotations

import numpy as np

from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec


@hookimpl
def bench_models() -> list[ModelSpec]:
    """A good model, behind a heavy door."""
    gives = frozenset({Cap.EMBEDS_CELLS})
    return [ModelSpec("heavy", f"imports numpy {np.__version__} too early", "misfit_models:Fine", gives, fits="no")]
