"""How much of a dataset a model knows, measured on genes and on counts."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from bench.errors import BadInput
from bench.genes import vocabulary
from bench.specs import Cap, DatasetSpec, ModelSpec

DATASET = DatasetSpec("x", "", "a:b")
SYMBOLS = [f"GENE{i}" for i in range(10)]
IDS = [f"ENSG{i:011d}" for i in range(10)]
KNOWN: list[str] = []


def known_genes(config: Any, *, weights: Any, species: str) -> frozenset[str]:
    """What `vocabulary` of the models below names."""
    assert weights in (None, "untrained")
    return frozenset(KNOWN)


def model(**fields: Any) -> ModelSpec:
    named = {"vocabulary": f"{__name__}:known_genes", "gene_ids": "symbol", **fields}
    return ModelSpec("reader", "", "a:b", frozenset({Cap.EMBEDS_CELLS}), **named)


def data(**columns: Any) -> ad.AnnData:
    """Three cells; gene i has i counts in each."""
    defaults = {"gene_symbol": SYMBOLS, "ensembl_id": IDS, "feature_types": "Gene Expression"}
    var = pd.DataFrame({**defaults, **columns}, index=SYMBOLS, dtype=object)
    counts = np.tile(np.arange(10, dtype=np.float32), (3, 1))
    return ad.AnnData(sparse.csr_matrix(counts), var=var)


@pytest.fixture(autouse=True)
def _all_known() -> None:
    KNOWN[:] = SYMBOLS


def judged(cells: ad.AnnData, spec: ModelSpec) -> vocabulary.Suitability:
    return vocabulary.suitability(cells, spec, {}, "", DATASET)


def test_shares_of_genes_and_of_counts_are_measured() -> None:
    found = vocabulary.coverage(data(), frozenset(SYMBOLS[8:]), "symbol")
    assert (found.genes, found.known, found.vocabulary) == (10, 2, 2)
    assert found.share == pytest.approx(0.2)
    assert found.counts == pytest.approx((8 + 9) / 45)
    assert str(found) == "20 % of 10 genes (38 % of the counts)"


def test_any_kind_of_name_counts_where_the_model_takes_any() -> None:
    cells = data()
    assert vocabulary.coverage(cells, frozenset(IDS), "any").known == 10
    assert vocabulary.coverage(cells, frozenset(SYMBOLS), "any").known == 10
    assert vocabulary.coverage(cells, frozenset(IDS), "symbol").known == 0


def test_features_that_are_no_genes_are_left_out() -> None:
    cells = data(feature_types=["Gene Expression"] * 5 + ["Antibody Capture"] * 5)
    found = vocabulary.coverage(cells, frozenset(SYMBOLS), "symbol")
    assert (found.genes, found.counts) == (5, 1.0)


@pytest.mark.parametrize(
    ("n", "refused", "noted"), [(0, True, False), (2, True, False), (3, False, True), (6, False, False)]
)
def test_bounds_are_three_and_six_tenths(n: int, refused: bool, noted: bool) -> None:
    KNOWN[:] = [*SYMBOLS[:n], *(f"ELSEWHERE{k}" for k in range(10))]
    verdict = judged(data(), model())
    assert (bool(verdict.refusal), bool(verdict.notice)) == (refused, noted)


@pytest.mark.parametrize(("n", "refused"), [(0, True), (1, True), (2, False), (4, False)])
def test_a_model_of_few_genes_is_judged_by_how_many_of_them_are_there(n: int, refused: bool) -> None:
    KNOWN[:] = [*SYMBOLS[:n], *(f"ELSEWHERE{k}" for k in range(4 - n))]
    verdict = judged(data(), model())
    assert bool(verdict.refusal) is refused
    if n == 2:
        assert verdict.notice == (
            "model reader knows 20 % of 10 genes (2 % of the counts); 2 of the 4 that it reads are missing."
        )
    if n == 4:
        assert verdict.notice == "model reader knows 40 % of 10 genes (13 % of the counts)."


def test_a_model_that_takes_any_gene_is_never_asked() -> None:
    assert judged(data(), model(vocabulary="", gene_ids="any")) == vocabulary.Suitability()


def test_a_model_may_take_any_gene_with_some_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "load_target", lambda target: lambda config, *, weights, species: None)
    assert judged(data(), model(gene_ids="any")) == vocabulary.Suitability()
    assert judged(data(ensembl_id=""), model(gene_ids="ensembl")).refusal


def test_the_kind_of_names_may_be_known_from_the_vocabulary_alone() -> None:
    KNOWN[:] = IDS
    assert judged(data(), model(gene_ids="any")).refusal == ""
    verdict = judged(data(ensembl_id=""), model(gene_ids="any"))
    assert verdict.refusal.startswith("model reader needs Ensembl ids; var_names look like gene symbols")
    assert "bench data prepare --map-genes ensembl" in verdict.refusal
    KNOWN[:] = [*IDS, *SYMBOLS]
    assert judged(data(ensembl_id=""), model(gene_ids="any")).coverage.known == 10


def test_a_model_that_knows_both_kinds_of_names_reads_data_of_either(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"ensembl": frozenset(IDS), "symbol": frozenset(SYMBOLS[:6])}
    monkeypatch.setattr(vocabulary, "load_target", lambda target: lambda config, *, weights, species: both)
    reader = model(gene_ids="any")
    assert judged(data(), reader).coverage == vocabulary.Coverage(10, 10, 1.0, 10)
    assert judged(data(ensembl_id=""), reader).coverage == vocabulary.Coverage(10, 6, 15 / 45, 6)
    refused = judged(data(ensembl_id="", gene_symbol=[f"ODD{k}" for k in range(10)]), reader).refusal
    assert refused.startswith("model reader needs Ensembl ids")


def test_an_empty_kind_of_names_is_refused_with_what_is_there_instead() -> None:
    verdict = judged(data(ensembl_id=""), model(gene_ids="ensembl"))
    assert verdict.refusal.startswith(
        "model reader needs Ensembl ids; var_names look like gene symbols (100 %). Add them"
    )


def test_another_species_is_refused_where_ids_are_sure() -> None:
    mouse = [name.replace("ENSG", "ENSMUSG") for name in IDS]
    verdict = judged(data(ensembl_id=mouse), model(species=frozenset({"human"})))
    assert verdict.refusal == "model reader knows human, the genes are mouse"


def test_a_species_that_is_only_guessed_refuses_nothing() -> None:
    verdict = judged(data(ensembl_id=""), model(species=frozenset({"mouse"})))
    assert verdict.refusal == ""


@given(st.sets(st.sampled_from([*SYMBOLS, *IDS, "", "x"])), st.sampled_from(["any", "symbol", "ensembl"]))
def test_coverage_is_a_share(known: set[str], gene_ids: str) -> None:
    found = vocabulary.coverage(data(), frozenset(known), gene_ids)
    assert 0 <= found.known <= found.genes == 10
    assert 0 <= found.counts <= 1


def test_a_vocabulary_must_be_a_set_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "load_target", lambda target: lambda config, *, weights, species: {1, 2})
    with pytest.raises(BadInput, match="it must return a frozenset of gene names"):
        vocabulary.vocabulary(model(), {}, "untrained", "")
