"""What gene names are and whose, said only as far as it is known."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.genes import identify

FORMS = {
    "CD4": "symbol",
    "HLA-A": "symbol",
    "C1orf112": "symbol",
    "RP11-431K24.1": "symbol",
    "0610007P14Rik": "symbol",
    "7SK": "symbol",
    "ENSG00000000003": "ensembl",
    "ENSMUSG00000000001": "ensembl",
    "ENSG00000000003.15": "versioned",
    "ENST00000000233": "transcript",
    "1-Mar": "date",
    "Sep-02": "date",
    "2001-03-01": "date",
    "chr1-1677585-1678477": "peak",
    "1-9963-10665": "peak",
    "7157": "number",
    "NM_000546": "refseq",
    "two words": "other",
}


@pytest.mark.parametrize("name", FORMS)
def test_the_form_of_a_name(name: str) -> None:
    assert identify.form(name) == FORMS[name]


@given(st.lists(st.text(max_size=60)))
def test_any_names_have_forms_that_add_up(names: list[str]) -> None:
    looked = identify.look(names)
    assert looked.n == sum(map(bool, names)) == sum(looked.forms.values())
    assert 0 <= looked.share("symbol", "ensembl", "versioned") <= 1
    assert looked.kind in {"symbol", "ensembl", "mixed", "unknown"}


def test_a_list_is_called_by_what_most_of_it_is() -> None:
    symbols, ids = [f"GENE{i}" for i in range(50)], [f"ENSG{i:011d}" for i in range(50)]
    assert identify.look(symbols + ids[:5]).kind == "symbol"
    assert identify.look([f"{name}.2" for name in ids]).kind == "ensembl"
    assert identify.look(symbols + ids).kind == "mixed"
    assert identify.look(map(str, range(50))).kind == "unknown"
    assert identify.look(map(str, range(50))).other == "number"


def test_dates_of_a_spreadsheet_are_found() -> None:
    assert identify.dates(["CD4", "2-Mar", "MARCHF1", "9-Sep", "SEPTIN9"]) == ["2-Mar", "9-Sep"]


def test_a_column_of_names_is_told_from_a_column_of_words() -> None:
    var = pd.DataFrame(
        {
            "biotype": ["protein_coding"] * 40,
            "hugo": [f"GENE{i}" for i in range(40)],
            "key": [f"ENSG{i:011d}" for i in range(40)],
            "length": range(40),
        }
    )
    assert identify.columns_with(var, "symbol") == ["hugo"]
    assert identify.columns_with(var, "ensembl") == ["key"]


def test_ensembl_ids_tell_the_species_for_sure() -> None:
    ids = [f"ENSMUSG{i:011d}" for i in range(20)]
    (mouse,) = identify.species(["CD4"] * 20, ids)
    assert (mouse.name, mouse.sure) == ("mouse", True)
    assert "ENSMUSG" in mouse.evidence


def test_two_genomes_in_one_table_are_two_species() -> None:
    ids = [f"ENSMUSG{i:011d}" for i in range(20)] + [f"ENSG{i:011d}" for i in range(30)]
    assert [one.name for one in identify.species([""] * 50, ids)] == ["human", "mouse"]


def test_the_letters_of_symbols_are_only_a_guess(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_GENE_TABLES", str(tmp_path))  # no table is at hand
    (mouse,) = identify.species(["Mrpl15", "Vcpip1", "mt-Co1", "H2-Ab1", "0610007P14Rik"], [""] * 5)
    (human,) = identify.species(["MRPL15", "C1orf112", "HLA-A", "AC021054.1", "MT-CO1"], [""] * 5)
    assert (mouse.name, mouse.sure, human.name, human.sure) == ("mouse", False, "human", False)
    assert "guess" in mouse.evidence
    assert identify.species(["unc-13", "daf-2", "lin-4"], [""] * 3) == []


def test_gene_tables_at_hand_tell_the_species(monkeypatch: pytest.MonkeyPatch, shared: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_GENE_TABLES", str(shared / "tables"))
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    (mouse,) = identify.species(["Mrpl15", "Vcpip1", "Snhg6", "Cops5"], [""] * 4)
    assert (mouse.name, mouse.sure) == ("mouse", True)
    assert "100 % of the symbols are in the mouse gene table, 0 % in that of human" in mouse.evidence


def test_prefixes_of_mixed_genomes_tell_the_species() -> None:
    names = [f"GRCh38_GENE{i}" for i in range(60)] + [f"mm10___Gene{i}" for i in range(40)]
    found = identify.species(names, [])
    assert [(one.name, one.sure) for one in found] == [("human", True), ("mouse", True)]
    assert found[0].evidence == "60 % of the names begin with GRCh38_"
