"""Whatever data a run is given, it ends in a valid record or in one sentence: never in another exception.

Planning and execution are the real ones, in this process; the model and the task are the cheapest there are.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from scipy import sparse

from bench.errors import BenchError
from bench.runs.record import Record
from bench.runs.request import Request
from bench.runs.run import Policy, run
from bench.store.rows import load

FORMS: dict[str, Any] = {"dense": np.asarray, "csr": sparse.csr_matrix, "csc": sparse.csc_matrix}
ODD = ["", " ", "T", "nan", "\u202eRTL", "e\u0301", "🧬", "'); drop table runs; --", "../../etc/x", "x" * 150, "<b>"]
TASKS = {"clustering": {}, "classification": {"shots": "1", "cell_folds": "2"}}


@st.composite
def labels(draw: st.DrawFn, n: int) -> pd.Categorical:
    """Few or many types with odd names, some missing, some with one cell."""
    names = draw(st.lists(st.sampled_from(ODD), min_size=1, max_size=4, unique=True))
    column = np.resize(np.array(names, dtype=object), n)
    if draw(st.booleans()):
        column[: draw(st.integers(1, 3))] = draw(st.sampled_from(["alone", None]))
    return pd.Categorical(column)


@st.composite
def sources(draw: st.DrawFn) -> ad.AnnData:
    """Up to 70 cells, with some of what goes wrong in files."""
    n, m = draw(st.sampled_from([1, 3, 52, 70])), draw(st.sampled_from([1, 2, 30]))
    rate, dtype = draw(st.sampled_from([0.05, 1.0, 40.0])), draw(st.sampled_from(["f4", "f8", "i8"]))
    counts = np.random.default_rng(draw(st.integers(0, 3))).poisson(rate, (n, m)).astype(dtype)
    if dtype == "f8" and draw(st.booleans()):
        counts[0, 0] = draw(st.sampled_from([np.nan, np.inf, -1.0, 0.5, 1e30]))
    odd = [f"{ODD[i % len(ODD)]}{i}" for i in range(n)]
    names = draw(st.sampled_from([[f"c{i}" for i in range(n)], ["same"] * n, odd]))
    roles = draw(st.sampled_from([["cell_type"], ["cell_type", "batch"], ["cell_type", "donor"], []]))
    obs = pd.DataFrame({role: draw(labels(n)) for role in roles}, index=pd.Index(names))
    first = draw(st.sampled_from(["g0", "g1", "ENSG00000000001.2", "x" * 300, "\x1b[0m", *ODD]))
    var = pd.DataFrame(index=[first, *(f"g{i}" for i in range(1, m))])
    return ad.AnnData(FORMS[draw(st.sampled_from(sorted(FORMS)))](counts), obs=obs, var=var)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "duplicate_genes": st.sampled_from(["sum", "first"]),
        "unlabelled": st.sampled_from(["drop", "keep"]),
        "strict": st.booleans().map(str),
    },
)


def examined(
    data: ad.AnnData, folder: Path, task: str, options: dict[str, str], form: str = "x"
) -> tuple[list[Record], str]:
    """Plan and run on a file of this data: its records, and what the user is told where there are none."""
    path = folder / f"{form}.h5ad"
    data.write_h5ad(path)
    request = Request([task], ["random-projection"], [str(path)], data_set=options, task_set=TASKS[task])
    try:
        made = run(request, Policy(folder / "results", executor="inline"))
    except BenchError as error:
        return [], str(error)
    return list(made.records), "; ".join(map(str, made.refusals))


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=sources(), options=OPTIONS, task=st.sampled_from(sorted(TASKS)))
def test_any_data_gives_a_valid_record_or_a_sentence(data: ad.AnnData, options: dict[str, str], task: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made, said = examined(data, folder, task, options)
        event("run" if made else "refused")
        assert made or said
        assert len(said) < 4000
        for record in made:
            event(record["status"])
            assert record["status"] == "ok" or (record["error"] and record["error"]["message"])
        for path in folder.glob("results/records/*/*.json"):
            load(path)  # the index can hold it


@pytest.mark.filterwarnings("ignore")
def test_the_form_of_the_matrix_changes_no_score(tmp_path: Path) -> None:
    """Dense, CSR and CSC of any number type are the same counts."""
    rng = np.random.default_rng(0)
    types = np.resize(["T", "B", "NK"], 70)
    counts = rng.poisson(np.where(np.arange(30) % 3 == pd.factorize(types)[0][:, None], 4.0, 1.0))
    obs = pd.DataFrame({"cell_type": types}, index=[f"c{i}" for i in range(70)])
    scores = []
    for form, make in FORMS.items():
        for dtype in ("f4", "i8"):
            data = ad.AnnData(make(counts.astype(dtype)), obs=obs.copy())
            (record,), _ = examined(data, tmp_path, "clustering", {}, f"{form}-{dtype}")
            assert record["status"] == "ok"
            scores.append(record["scores"])
    assert all(other == scores[0] for other in scores)
