"""Whatever a file holds, it is examined to the end, and the doctor stops exactly where a run would."""

from __future__ import annotations

from typing import Any

import anndata as ad
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.data.test_canonical_property import OPTIONS, sources

from bench.data import canonical
from bench.diagnosis.case import Case
from bench.diagnosis.data import checked
from bench.errors import BadInput
from bench.specs import DatasetSpec


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(raw=sources(), options=OPTIONS, layer=st.sampled_from(["", "", "X", "counts"]))
def test_there_is_an_error_where_the_core_refuses_and_nowhere_else(
    raw: ad.AnnData, options: dict[str, Any], layer: str
) -> None:
    spec = DatasetSpec("x", "", "a:b", roles={role: role for role in raw.obs}, options=options, layer=layer)
    found = checked(Case(spec, raw))
    assert not [finding for finding in found if "could not be examined" in finding.text]
    refusal = refused(raw, spec)
    event("refused" if refusal else "canonical")
    if "is empty after filtering" not in refusal:  # seen only once options are applied: `diagnose` adds these words
        assert any(finding.level == "error" for finding in found) is bool(refusal), (refusal, found)


def refused(raw: ad.AnnData, spec: DatasetSpec) -> str:
    try:
        canonical.canonicalise(raw, spec)
    except BadInput as error:
        return str(error)
    return ""
