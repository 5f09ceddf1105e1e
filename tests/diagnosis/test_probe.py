"""Time and memory of a model, measured on a few cells of the very data and extrapolated."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import anndata as ad
import pytest
from tests.cli.sites import install
from tests.diagnosis.patients import healthy

from bench.catalogue import catalogue
from bench.data.canonical import canonicalise
from bench.diagnosis import probe
from bench.diagnosis.demand import Cost
from bench.runs.choose import Candidate, configured
from bench.specs import Cap, DatasetSpec, ModelSpec

SLUGGISH = """
import time
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec

@hookimpl
def bench_models():
    embeds = frozenset({Cap.EMBEDS_CELLS})
    names = ("Linear", "Endless", "Broken", "Gone")
    return [ModelSpec(name, "", f"sluggish:{name}", embeds, fits="no") for name in names]

class Linear:
    def __init__(self, config, *, weights, seed, device):
        pass
    def embed(self, cells):
        time.sleep(0.001 * cells.n_obs)
        return cells.X.toarray()

class Endless(Linear):
    def embed(self, cells):
        time.sleep(600)

class Broken(Linear):
    def embed(self, cells):
        raise RuntimeError("no such layer")

class Gone(Linear):
    def embed(self, cells):
        import os
        os._exit(7)
"""


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    roles = {role: role for role in ("cell_type", "batch", "donor")}
    return canonicalise(healthy(1200), DatasetSpec("x", "", "a:b", roles=roles))


@pytest.fixture
def sluggish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = install(tmp_path / "site", "sluggish", SLUGGISH)
    monkeypatch.setenv("PYTHONPATH", str(site))  # the child finds it, this process need not
    return site


def candidate(name: str, **fields: object) -> Candidate:
    spec = ModelSpec(name, "", f"sluggish:{name}", frozenset({Cap.EMBEDS_CELLS}), fits="no")
    return Candidate(replace(spec, **fields), {}, "", "")


def test_two_trials_on_a_line_give_one_time() -> None:
    measured = [Cost(250, 2.5, 2**29), Cost(500, 5.0, 2**29)]
    text = probe.predicted(measured, 5_000)
    assert text.startswith("fitting and applying it takes about 50 s and 512.0 MiB for 5,000 cells")
    assert "extrapolated from 250 and 500 cells" in text


def test_a_fixed_cost_makes_a_range() -> None:
    measured = [Cost(250, 10.0, 2**29), Cost(500, 11.0, 2**29 + 2**20)]
    text = probe.predicted(measured, 5_000)
    assert "about 29 s to 110 s and 513.0 MiB to 531.0 MiB" in text


def test_larger_data_never_takes_less() -> None:
    measured = [Cost(250, 4.0, 2**29), Cost(500, 3.0, 2**28)]
    assert "about 3.0 s to 6.0 s and 256.0 MiB" in probe.predicted(measured, 1_000)


def test_one_trial_is_taken_in_proportion() -> None:
    text = probe.predicted([Cost(250, 2.5, 2**29)], 2_500)
    assert "about 25 s and 512.0 MiB for 2,500 cells, extrapolated from 250 cells" in text


def test_small_data_is_tried_on_parts_of_it() -> None:
    assert probe.trial_sizes(100_000) == (250, 500)
    assert probe.trial_sizes(100) == (25, 50)


def test_a_model_is_tried_in_a_process_of_its_own(cells: ad.AnnData, sluggish: Path) -> None:
    found = probe.probe(cells, candidate("Linear"))
    assert found.level == "ok"
    assert "for 1,200 cells, extrapolated from 250 and 500 cells" in found.text
    # a millisecond per cell, and some of the machine's own
    seconds = re.match(r"fitting and applying it takes about ([12])\.\d s", found.text)
    assert seconds, found.text


def test_a_model_that_fails_is_a_warning(cells: ad.AnnData, sluggish: Path) -> None:
    found = probe.probe(cells, candidate("Broken"))
    assert (found.level, found.text) == ("warning", "failed on 250 cells of this dataset: no such layer")


def test_a_model_that_ends_the_process_is_named_with_its_code(cells: ad.AnnData, sluggish: Path) -> None:
    found = probe.probe(cells, candidate("Gone"))
    assert found.level == "warning"
    assert "ended the process with exit code 7" in found.text


@pytest.mark.slow
def test_a_model_that_does_not_end_is_given_up(cells: ad.AnnData, sluggish: Path) -> None:
    found = probe.probe(cells, candidate("Endless"), limit=4)
    assert found.level == "note"
    assert "250 cells were not done within 4 s" in found.text


def test_what_cannot_be_tried_gets_the_reason(cells: ad.AnnData) -> None:
    other = frozenset({Cap.PREDICTS_MODALITY})
    assert "how to try a model that gives PredictsModality" in probe.probe(cells, candidate("x", gives=other)).text
    unlabelled = cells[:, :].copy()
    del unlabelled.obs["cell_type"]
    assert "the data has no cell_type" in probe.probe(unlabelled, candidate("x", fits="labels")).text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pca", "logreg"])
def test_real_models_are_tried(cells: ad.AnnData, name: str) -> None:
    found = probe.probe(cells, configured(catalogue().model(name), {}, ""))
    assert found.level == "ok", found
