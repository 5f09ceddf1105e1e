"""Symbols and Ensembl ids: every rule, and how often they agree with the ids that came with real data."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.genes.mapping import EXAMPLES, MAPPED, Genes, Outcome

ROWS = {
    "ENSG00000000001": ("TP53", "protein_coding", "17"),
    "ENSG00000000002": ("C1orf112", "protein_coding", "1"),
    "ENSG00000000003": ("TWICE", "lncRNA", "1"),
    "ENSG00000000004": ("TWICE", "lncRNA", "2"),
    "ENSG00000000005": ("CODES", "lncRNA", "3"),
    "ENSG00000000006": ("CODES", "protein_coding", "3"),
    "ENSG00000000007": ("PLACED", "protein_coding", "GL000008.2"),
    "ENSG00000000008": ("PLACED", "lncRNA", "4"),
    "ENSG00000000009": ("ENSG00000000009", "lncRNA", "5"),
    "ENSG00000000010": ("MT-ND1", "protein_coding", "MT"),
}


@pytest.fixture(scope="module")
def genes() -> Genes:
    table = pd.DataFrame.from_dict(ROWS, orient="index", columns=["symbol", "biotype", "chromosome"])
    return Genes("human", table)


@pytest.mark.parametrize(
    ("name", "id_", "outcome"),
    [
        ("TP53", "ENSG00000000001", Outcome.EXACT),
        ("tp53", "ENSG00000000001", Outcome.RECASED),
        ("C1ORF112", "ENSG00000000002", Outcome.RECASED),
        ("TWICE", "", Outcome.AMBIGUOUS),
        ("twice", "", Outcome.AMBIGUOUS),
        ("CODES", "ENSG00000000006", Outcome.CHOSEN),
        ("PLACED", "ENSG00000000008", Outcome.CHOSEN),
        ("ENSG00000000001", "ENSG00000000001", Outcome.EXACT),
        ("ENSG00000000001.17", "ENSG00000000001", Outcome.EXACT),
        ("ENSG00000000003", "ENSG00000000003", Outcome.EXACT),
        ("ENSG00000000099.1", "", Outcome.RETIRED),
        ("ENSMUSG00000000001", "", Outcome.FOREIGN),
        ("TP53-1", "", Outcome.UNKNOWN),
        ("1-Mar", "", Outcome.UNKNOWN),
        ("", "", Outcome.UNKNOWN),
    ],
)
def test_the_rules(genes: Genes, name: str, id_: str, outcome: Outcome) -> None:
    mapping = genes.to_ids([name])
    assert mapping.ids == (id_,)
    assert mapping.outcomes == (outcome,)


def test_a_symbol_is_a_gene_s_own_only_where_it_leads_back(genes: Genes) -> None:
    symbols = dict(zip(ROWS, genes.to_symbols(list(ROWS)), strict=True))
    assert symbols["ENSG00000000001"] == "TP53"
    assert symbols["ENSG00000000006"] == "CODES"
    assert symbols["ENSG00000000005"] == ""
    assert symbols["ENSG00000000003"] == symbols["ENSG00000000004"] == ""
    assert symbols["ENSG00000000009"] == ""
    assert genes.to_symbols(["ENSG00000000099"]) == [""]


def test_biotypes_and_chromosomes(genes: Genes) -> None:
    assert genes.biotypes(["ENSG00000000010", "", "ENSG00000000099"]) == ["protein_coding", "", ""]
    assert genes.chromosomes(["ENSG00000000010"]) == ["MT"]


def test_the_report_counts_every_outcome_and_shows_the_first(genes: Genes) -> None:
    names = ["TP53", "ENSG00000000001.3", "tp53", "TWICE", *(f"ALIAS{k}" for k in range(9))]
    report = genes.to_ids(names).report()
    assert report["names"] == len(names)
    assert report["mapped"] == 3
    assert report["versions_removed"] == 1
    assert report["several_names_of_one_gene"] == 1
    assert sum(report[outcome.value] for outcome in Outcome) == len(names)
    assert report["examples"] == {
        "recased": ["tp53"],
        "ambiguous": ["TWICE"],
        "unknown": [f"ALIAS{k}" for k in range(EXAMPLES)],
    }


@settings(deadline=None)
@given(names=st.lists(st.one_of(st.sampled_from([*ROWS, *(row[0] for row in ROWS.values())]), st.text())))
def test_any_names_are_mapped_one_by_one(genes: Genes, names: list[str]) -> None:
    mapping = genes.to_ids(names)
    assert mapping.names == tuple(names)
    for id_, outcome in zip(mapping.ids, mapping.outcomes, strict=True):
        assert (outcome in MAPPED) == (id_ in ROWS)
        assert bool(id_) == (outcome in MAPPED)


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_real_symbols_lead_back_to_their_gene(real: Path, species: str) -> None:
    genes = Genes.of(species)
    ids = genes.table.index.tolist()
    symbols = genes.to_symbols(ids)
    named = [(id_, symbol) for id_, symbol in zip(ids, symbols, strict=True) if symbol]
    assert genes.to_ids([symbol for _, symbol in named]).ids == tuple(id_ for id_, _ in named)
    assert len({symbol for _, symbol in named}) == len(named) > 40_000
    assert genes.table["symbol"].str.casefold().nunique() == genes.table["symbol"].nunique()


@pytest.mark.parametrize(
    ("file", "known", "agreeing"),
    [
        ("pbmc_zheng_facs", 0.77, 0.988),
        ("cardio_ipsc_day2_day5", 0.82, 0.996),
        ("bmmc_multiome.rna", 0.95, 0.998),
        ("perturb_gasperini_k562", 0.98, 1.0),
    ],
)
def test_symbols_lead_to_the_ids_that_came_with_the_data(
    shared: Path, real: Path, file: str, known: float, agreeing: float
) -> None:
    """These files brought their ids. Symbols change hands over the years, so old data agree a little less."""
    var = ad.read_h5ad(shared / "data" / f"{file}.h5ad", backed="r").var
    mapping = Genes.of("human").to_ids(var["gene_symbol"].astype(str))
    pairs = [(own, found) for own, found in zip(var["ensembl_id"].astype(str), mapping.ids, strict=True) if found]
    assert len(pairs) >= known * len(var)
    assert sum(own == found for own, found in pairs) >= agreeing * len(pairs)
