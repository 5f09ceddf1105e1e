"""Data for examinations: a healthy dataset of enough cells, and what can be done to it."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from bench.diagnosis.case import Case
from bench.diagnosis.data import checked
from bench.diagnosis.finding import Finding
from bench.specs import ROLES, DatasetSpec

GENES = 60
IDS = [f"ENSG{i:011d}" for i in range(GENES)]


def healthy(n: int = 240) -> ad.AnnData:
    """Three types in each of four donors of two batches; counts of sixty genes named by symbols and Ensembl ids."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "cell_type": rng.choice(["T", "B", "NK"], n),
            "donor": np.resize(["d1", "d2", "d3", "d4"], n),
            "batch": np.resize(["a", "b"], n),
        },
        index=[f"cell{i}" for i in range(n)],
    )
    counts = sparse.csr_matrix(rng.poisson(1.0, (n, GENES)).astype(np.float32))
    var = pd.DataFrame({"ensembl_id": IDS}, index=[f"GENE{i}" for i in range(GENES)])
    return ad.AnnData(counts, obs=obs, var=var)


def case(data: ad.AnnData, **fields: object) -> Case:
    """The data under examination, columns named like roles being roles."""
    roles = {role: role for role in ROLES if role in data.obs}
    return Case(DatasetSpec("x", "", "a:b", **{"roles": roles, **fields}), data)


def found(data: ad.AnnData, **fields: object) -> list[Finding]:
    """All findings about the data."""
    return checked(case(data, **fields))


def grave(findings: list[Finding]) -> list[Finding]:
    """Errors and warnings."""
    return [finding for finding in findings if finding.level in ("error", "warning")]
