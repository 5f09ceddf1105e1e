"""Every installed model and task is what it says it is."""

from __future__ import annotations

from typing import Any

import pytest

from bench.catalogue import catalogue, unmet
from bench.conformance.examine import requested
from bench.conformance.request import rows
from bench.specs import ModelSpec, TaskSpec

QUICK: dict[str, dict[str, Any]] = {
    "scvi": {"max_epochs": 3},
    "scanvi": {"max_epochs": 3, "label_epochs": 2},
    "ours": {"size": "nano"},
    "ours-finetuned": {"size": "nano", "max_epochs": 2, "epoch_steps": 4, "batch_size": 64},
}
"""Training long enough to be examined, not to be good."""
SLOW = {"ours", "scvi", "scvi-pretrained", "scanvi", "integration", "celltypist", "scanorama", "xgboost"}
"""Those that take seconds to import or to compile."""
INSTALLED = [*catalogue().models, *catalogue().tasks]


@pytest.mark.parametrize(
    "spec", [pytest.param(s, id=s.name, marks=[pytest.mark.slow] * (s.name in SLOW)) for s in INSTALLED]
)
def test_an_installed_plugin_passes_the_kit(spec: ModelSpec | TaskSpec) -> None:
    kind = "model" if isinstance(spec, ModelSpec) else "task"
    if isinstance(spec, ModelSpec) and unmet(spec.requires):
        pytest.skip("; ".join(unmet(spec.requires)))
    weights = "untrained" if isinstance(spec, ModelSpec) and spec.weights else ""
    found = list(rows(requested(spec.name, kind, QUICK.get(spec.name, {}), weights, 0, "cpu"), {}))
    assert {row.check: row.found for row in found if row.result == "FAILED"} == {}
    assert sum(row.result == "ok" for row in found) >= 12
