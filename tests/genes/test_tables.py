"""Gene tables: what they say, that they are read once, and that bad files are refused with file and line."""

from __future__ import annotations

import gzip
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.data.identity import file_sha256
from bench.downloads.places import tables_folder
from bench.errors import BadInput
from bench.genes import tables
from bench.genes.tables import SOURCES, gene_table

GENES = ["ENSG00000000001,TP53,3,900,protein_coding", "ENSG00000000002,MT-ND1,2,956,protein_coding"]
PLACES = [
    "chrom,start,end,gene_id,gene_name,strand",
    "chr17,100,200,ENSG00000000001.3,TP53,-",
    "chrM,3306,4262,ENSG00000000002.2,MT-ND1,+",
]


def write(folder: Path, genes: list[str] | bytes, places: list[str] | bytes) -> None:
    """Tables of the user's own, for human."""
    for file, content in zip(SOURCES["human"].files, (genes, places), strict=True):
        text = content if isinstance(content, bytes) else "\n".join([*content, ""]).encode()
        (folder / file.name).write_bytes(gzip.compress(text))


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing."""

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A web server over a folder; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def own(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("BENCH_GENE_TABLES", str(folder))
    write(folder, GENES, PLACES)
    return folder


def test_a_table_says_what_its_two_files_say(own: Path) -> None:
    table = gene_table("human")
    assert table.loc["ENSG00000000001"].to_dict() == {
        "symbol": "TP53",
        "biotype": "protein_coding",
        "chromosome": "17",
        "start": 100,
        "end": 200,
        "strand": "-",
        "length": 900,
        "version": 3,
    }
    assert table.loc["ENSG00000000002", "chromosome"] == "MT"


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_the_published_tables_are_those_named_here(real: Path, species: str) -> None:
    for file in SOURCES[species].files:
        assert file_sha256(real / file.name) == file.sha256
        assert (real / file.name).stat().st_size == file.size
    assert tables.provenance(species)["release"] == SOURCES[species].release


def test_own_tables_have_no_release(own: Path) -> None:
    assert tables.provenance("human")["release"] == ""


def test_the_published_tables_agree_with_a_table_derived_from_them(real: Path) -> None:
    derived = pd.read_csv(real / "gene_table_human_mouse.tsv.gz", sep="\t", keep_default_na=False)
    for species, rows in derived.set_index("ensembl_gene_id").groupby("species"):
        table = gene_table(str(species))
        assert len(table) == len(rows)
        for column in tables.COLUMNS:
            assert (table.loc[rows.index, column].astype(str) == rows[column].astype(str)).all()


def test_positions_are_half_open(real: Path) -> None:
    """TP53 is 17:7,661,779-7,687,546 in Ensembl, both ends counted from 1 and included."""
    gene = gene_table("human").loc["ENSG00000141510"]
    assert (gene["chromosome"], gene["start"], gene["end"], gene["strand"]) == ("17", 7_661_778, 7_687_546, "-")


def test_a_second_reading_parses_nothing(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = gene_table("human")
    monkeypatch.setattr(tables, "_parse", lambda *_: pytest.fail("parsed again"))
    pd.testing.assert_frame_equal(gene_table("human"), first)


def test_changed_files_are_parsed_again(own: Path) -> None:
    gene_table("human")
    write(own, [GENES[0].replace("TP53", "P53"), GENES[1]], PLACES)
    assert gene_table("human").loc["ENSG00000000001", "symbol"] == "P53"


def test_a_damaged_copy_is_made_again(own: Path) -> None:
    first = gene_table("human")
    (copy,) = tables_folder().glob("*.parquet")
    copy.write_bytes(b"PAR1 and then nothing")
    pd.testing.assert_frame_equal(gene_table("human"), first)
    pd.testing.assert_frame_equal(pd.read_parquet(copy), first)


def test_a_cache_that_cannot_be_written_to_is_done_without(own: Path, cache: Path) -> None:
    cache.mkdir()
    (cache / "tables").write_text("a file where the folder should be")
    assert len(gene_table("human")) == 2


def test_without_network_one_sentence_says_how_to_get_the_files(cache: Path) -> None:
    assert not tables.at_hand("mouse")
    with pytest.raises(BadInput, match=r"gene table of mouse.*BENCH_OFFLINE.*raw\.githubusercontent\.com.*sha256"):
        gene_table("mouse")


def test_fetched_files_need_no_network(published: Path, cache: Path) -> None:
    tables_folder().mkdir(parents=True)
    for file in SOURCES["mouse"].files:
        shutil.copyfile(published / file.name, tables_folder() / file.name)
    assert tables.at_hand("mouse")
    assert not tables.at_hand("human")
    assert gene_table("mouse").loc["ENSMUSG00000059552", "symbol"] == "Trp53"


def test_tables_are_fetched_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a server on this machine, as from the public one."""
    monkeypatch.delenv("BENCH_OFFLINE")
    served = tmp_path / "served"
    served.mkdir()
    write(served, GENES, PLACES)
    with serving(served) as address:
        remote = [
            replace(f, urls=(f"{address}/{f.name}",), sha256=file_sha256(served / f.name), size=None)
            for f in SOURCES["human"].files
        ]
        source = replace(SOURCES["human"], genes=remote[0], coordinates=remote[1])
        monkeypatch.setitem(tables.SOURCES, "human", source)
        assert not tables.at_hand("human")
        first = gene_table("human")
    assert tables.at_hand("human")
    assert tables.provenance("human")["release"] == "GENCODE v48"
    pd.testing.assert_frame_equal(gene_table("human"), first)  # the server is gone by now


def test_addresses_are_pinned_to_a_commit() -> None:
    for source in SOURCES.values():
        for file in source.files:
            (url,) = file.urls
            owner_to_path = url.removeprefix("https://raw.githubusercontent.com/").split("/")
            assert len(owner_to_path[2]) == 40
            assert f"cxg_{owner_to_path[-1]}" == file.name


def test_local_tables_must_be_there(own: Path) -> None:
    (own / SOURCES["human"].genes.name).unlink()
    assert not tables.at_hand("human")
    with pytest.raises(BadInput, match=r"has no cxg_genes_homo_sapiens\.csv\.gz; put it there, or unset"):
        gene_table("human")


def test_other_species_have_none(cache: Path) -> None:
    assert not tables.at_hand("rat")
    with pytest.raises(BadInput, match=r"unknown species 'rat'.*human, mouse"):
        gene_table("rat")


BAD_GENES = {
    "not Ensembl": (
        ["TP53,TP53,3,900,protein_coding"],
        r"genes_homo_sapiens.*line 1: 'TP53' is not an Ensembl gene id",
    ),
    "other species": (["ENSMUSG00000000001,Gnai3,1,9,x"], "line 1: 'ENSMUSG00000000001' is not an Ensembl gene id"),
    "twice": ([*GENES, GENES[0]], "line 3: 'ENSG00000000001' comes twice"),
    "short row": ([*GENES, "ENSG00000000003,X"], "line 3: 2 fields instead of 5"),
    "no symbol": (["ENSG00000000001,,3,900,protein_coding"], "line 1: '' is no name"),
    "control": (["ENSG00000000001,A\x1bB,3,900,x"], r"line 1: 'A\\x1bB' is no name"),
    "long": (["ENSG00000000001," + "A" * 300 + ",3,900,x"], "line 1: .* is no name"),
    "negative": (["ENSG00000000001,TP53,3,-900,x"], "line 1: '-900' is not a whole number"),
    "huge": (["ENSG00000000001,TP53,3," + "9" * 400 + ",x"], "line 1: .* is not a whole number"),
    "endless field": (["ENSG00000000001,TP53,3,900," + "x" * 200_000], "line 1: not CSV"),
    "quotes": (['ENSG00000000001,"TP53"x,3,900,x'], "line 1: not CSV"),
    "empty": ([], "holds no gene"),
    "unplaced": ([*GENES, "ENSG00000000003,X,1,1,x"], "no position of 1 genes .*first: ENSG00000000003"),
    "not text": (b"\xff\xfe" * 20, "is not a gzip-packed text file"),
}


@pytest.mark.parametrize("case", BAD_GENES)
def test_bad_genes_are_refused_with_file_and_line(own: Path, case: str) -> None:
    rows, message = BAD_GENES[case]
    write(own, rows, PLACES)
    with pytest.raises(BadInput, match=message):
        gene_table("human")


BAD_PLACES = {
    "header": (PLACES[1:], r"gene_coordinates.*line 1: the header is not chrom,start,end"),
    "strand": ([PLACES[0], PLACES[1].replace("-", "?"), PLACES[2]], r"line 2: strand '\?' is neither \+ nor -"),
    "backwards": ([PLACES[0], PLACES[1].replace("100", "300"), PLACES[2]], "line 2: start 300 is not before end 200"),
    "decimal": ([*PLACES[:2], PLACES[2].replace("3306", "3306.5")], "line 3: '3306.5' is not a whole number"),
}


@pytest.mark.parametrize("case", BAD_PLACES)
def test_bad_positions_are_refused_with_file_and_line(own: Path, case: str) -> None:
    rows, message = BAD_PLACES[case]
    write(own, GENES, rows)
    with pytest.raises(BadInput, match=message):
        gene_table("human")


def test_a_bomb_is_not_unpacked(own: Path) -> None:
    write(own, b"x" * (tables.LARGEST + 1), PLACES)
    assert (own / SOURCES["human"].genes.name).stat().st_size < 200_000
    with pytest.raises(BadInput, match="unpacks to more than 64 MiB"):
        gene_table("human")


def test_a_file_that_was_cut_off_is_refused(own: Path) -> None:
    file = own / SOURCES["human"].genes.name
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(BadInput, match="is not a gzip-packed text file"):
        gene_table("human")


FIELD = st.one_of(st.sampled_from(["ENSG00000000001", "ENSG00000000002.1", "TP53", "1", '"', "+", "chrM"]), st.text())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(FIELD, min_size=3, max_size=6).map(",".join), max_size=3), tail=st.binary(max_size=5))
def test_whatever_a_file_holds_it_is_a_table_or_refused(own: Path, rows: list[str], tail: bytes) -> None:
    for genes, places in ((rows, PLACES), (GENES, [PLACES[0], *rows])):
        try:
            write(own, "\n".join(genes).encode(errors="replace") + tail, "\n".join(places).encode(errors="replace"))
            table = gene_table("human")
        except BadInput:
            continue
        assert tuple(table.columns) == tables.COLUMNS
        assert table.index.is_unique
