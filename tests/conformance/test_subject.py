"""What a model says it knows is looked at before it is asked."""

from __future__ import annotations

from typing import Any

import pytest

from bench.conformance import subject
from bench.conformance.check import Failure
from bench.conformance.subject import ModelSubject
from bench.specs import Cap, ModelSpec


def of(told: Any, monkeypatch: pytest.MonkeyPatch) -> ModelSubject:
    """A model whose vocabulary function returns something."""
    monkeypatch.setattr(subject, "load_target", lambda target: lambda config, *, weights, species: told)
    return ModelSubject(
        ModelSpec("reader", "", "a:b", frozenset({Cap.EMBEDS_CELLS}), vocabulary="a:b"), Cap.EMBEDS_CELLS
    )


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (frozenset(), "vocabulary a:b returned no gene; return those it knows, or None for any"),
        ({"ensembl": frozenset()}, "vocabulary a:b returned no gene"),
        (["CD4"], "returned list; it must return a frozenset of gene names"),
        ({}, "returned dict; it must return a frozenset"),
        ({"refseq": frozenset({"NM_000616"})}, "returned dict; it must return a frozenset"),
    ],
)
def test_a_vocabulary_of_no_genes_is_told_of(told: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failure, match=words):
        _ = of(told, monkeypatch).probe


def test_cells_are_made_of_the_names_that_a_model_prefers(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = frozenset(f"ENSG{k:011d}" for k in range(400))
    both = {"ensembl": ids, "symbol": frozenset({"CD4"})}
    assert set(of(both, monkeypatch).probe.var["ensembl_id"]) <= ids
    assert of(None, monkeypatch).probe.n_vars > 0
