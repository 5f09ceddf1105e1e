"""Which terms are kinds of which: from published formats, and from what else is called so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data import ontology
from bench.errors import BadInput

BLOOD = r"""format-version: 1.2
ontology: excerpt of cl

[Term]
id: CL:0000000
name: cell

[Term]
id: CL:0000084
name: T cell
def: "A type of lymphocyte: its id is not name: this." [GO_REF:0000031]
synonym: "T-cell" EXACT []
is_a: CL:0000542 {is_inferred="true"} ! lymphocyte

[Term]
id: CL:0000542
name: lymphocyte
is_a: CL:0000000 ! cell
is_a: BFO:0000002 ! defined elsewhere

[Term]
id: CL:0000624
name: CD4-positive, alpha-beta T cell
is_a: CL:0000084 ! T cell
is_a: CL:0000542

[Term]
id: CL:0011107
name: obsolete Muller cell
is_a: CL:0000000 ! cell
is_obsolete: true
replaced_by: CL:0000636

[Term]
id: X:1
name: A\! \{strange\} name ! and a comment

[Typedef]
id: part_of
name: part of
is_a: CL:0000000
"""


@pytest.fixture
def blood(tmp_path: Path) -> ontology.Ontology:
    path = tmp_path / "cl.obo"
    path.write_text(BLOOD)
    return ontology.read(path)


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_terms_are_found_by_id_and_by_name(blood: ontology.Ontology) -> None:
    assert blood.term("CL:0000084") == blood.term("T cell") == "CL:0000084"
    assert blood.term("A! {strange} name") == "X:1"
    assert blood.term("T-cell") is None, "a synonym may be one of several terms"


def test_a_term_is_a_kind_of_all_above_it(blood: ontology.Ontology) -> None:
    cd4 = {"CL:0000624", "CL:0000084", "CL:0000542", "CL:0000000", "BFO:0000002"}
    assert blood.ancestors("CL:0000624") == cd4
    assert blood.ancestors("CL:0000000") == {"CL:0000000"}


def test_obsolete_terms_and_relations_are_no_terms(blood: ontology.Ontology) -> None:
    assert set(blood.names) == {"CL:0000000", "CL:0000084", "CL:0000542", "CL:0000624", "X:1"}


def test_a_name_of_two_terms_is_the_name_of_none(tmp_path: Path) -> None:
    path = written(tmp_path, "a.obo", "[Term]\nid: A\nname: both\n[Term]\nid: B\nname: both\n")
    assert ontology.read(path).term("both") is None
    assert ontology.read(path).term("B") == "B"


def test_a_table_of_child_and_parent_is_an_ontology(tmp_path: Path) -> None:
    text = "child\tparent\r\n# from the paper\r\nCD4 T\tT cell\r\n\r\nCD8 T\tT cell\r\nT cell\tlymphocyte\r\n"
    found = ontology.read(written(tmp_path, "cells.tsv", text))
    assert found.ancestors("CD4 T") == {"CD4 T", "T cell", "lymphocyte"}
    assert found.term("lymphocyte") == "lymphocyte"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.owl", "<rdf/>", "must end in .obo or .tsv"),
        ("a.obo", "", "holds no term"),
        ("a.obo", "format-version: 1.2\n", "holds no term"),
        ("a.obo", "[Term]\nname: nameless\n", "line 1 has no id"),
        ("a.obo", "\n[Term]\nid: A\nid: B\n", "line 2 has no id, or several"),
        ("a.obo", b"\x1f\x8b\x08\x00\xff\xfe", "no UTF-8 text"),
        ("a.tsv", "CD4 T,T cell\n", "line 1: needs child and parent"),
        ("a.tsv", "CD4 T\tT cell\tlymphocyte\n", "line 1: needs child and parent"),
        ("a.tsv", "a\tb\nCD4 T\t\n", "line 2: needs child and parent"),
        ("a.tsv", "a\ta\n", "is a kind of itself"),
        ("a.tsv", "a\tb\nb\tc\nc\ta\n", "a, b, c, a|b, c, a, b|c, a, b, c"),
    ],
)
def test_what_is_no_ontology_is_refused_in_a_sentence(
    tmp_path: Path, name: str, content: str | bytes, problem: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(BadInput, match=problem) as refused:
        ontology.read(path)
    assert str(path) in str(refused.value)


def test_a_missing_file_a_folder_and_a_huge_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.obo").mkdir()
    for name in ("none.obo", "folder.obo"):
        with pytest.raises(BadInput, match="cannot read"):
            ontology.read(tmp_path / name)
    monkeypatch.setattr(ontology, "LARGEST", 10)
    with pytest.raises(BadInput, match="has more than"):
        ontology.read(written(tmp_path, "a.tsv", "a\tb\n" * 10))


def test_a_chain_of_a_hundred_thousand_kinds_is_followed_to_its_end(tmp_path: Path) -> None:
    chain = "".join(f"{i}\t{i + 1}\n" for i in range(100_000))
    assert len(ontology.read(written(tmp_path, "a.tsv", chain)).ancestors("0")) == 100_001


@settings(deadline=None)
@given(st.binary(max_size=200) | st.lists(st.sampled_from(BLOOD.splitlines())).map(lambda ls: "\n".join(ls).encode()))
def test_any_bytes_are_an_ontology_or_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    for name in ("a.obo", "a.tsv"):
        path = written(tmp_path_factory.getbasetemp(), name, content)
        try:
            found = ontology.read(path)
        except BadInput:
            continue
        for term in found.names:
            assert not any(term in found.ancestors(above) for above in found.ancestors(term) - {term})
