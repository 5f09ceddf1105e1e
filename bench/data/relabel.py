"""Other words for the values of a column, so that studies that name their cell types differently can be compared.

A map names every value of its column: one that is forgotten, or misspelt, would silently be a type of its own, or lose
its cells. What has no counterpart is mapped to nothing, and its cells have no label from then on.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data import safety
from bench.data.names import clean
from bench.errors import BadInput, unknown
from bench.wording import counted, listed

if TYPE_CHECKING:
    import anndata as ad

Words = Mapping[str, str]
"""Value -> what it becomes; empty: missing."""
COLUMNS = ("label", "becomes")
"""Of a table of words; others, such as the reason, are for readers."""


def words(given: Any, folder: Path, where: str) -> Words:
    """The words of one column, as a set gives them.

    Parameters
    ----------
    given
        A table `{ "CD4 T cells" = "T CD4" }`, or the name of a tab-separated file with the columns of `COLUMNS`.
    folder
        That the name is relative to.
    where
        Whose they are, for messages.

    Raises
    ------
    BadInput
        If the file is missing or lacks a column, a value comes twice, or nothing is mapped.
    """
    if isinstance(given, str):
        given = _read(folder / given)
    if not isinstance(given, dict) or not given or not all(isinstance(word, str) for word in given.values()):
        raise BadInput(f'{where} must be a table of words, as in {{ "CD4 T cells" = "T CD4" }}, or a .tsv file.')
    # values as they are read from data: with spaces at their ends, if they have some
    return {clean([label], where)[0]: word.strip() for label, word in given.items()}


def relabel(data: ad.AnnData, maps: Mapping[str, Words], where: str) -> list[str]:
    """Rename the values of columns of `obs` in place; missing ones stay missing.

    Returns
    -------
    A sentence for each column, for the notices of the data.

    Raises
    ------
    BadInput
        If a value of the column is not in its map, or a value of the map not in the column.
    """
    from bench.data.obs import labels

    told: list[str] = []
    for column, known in maps.items():
        values = labels(data.obs[column], column, where, [])
        present = {value for value in values if isinstance(value, str)}
        _require_same(present, known, column, where)
        new = [known[value] or None if isinstance(value, str) else None for value in values]
        lost = sum(value is None for value in new) - sum(not isinstance(value, str) for value in values)
        data.obs[column] = new
        kinds = len(set(known.values()) - {""})
        told.append(f"{where}: {len(known)} values of {column} mapped to {kinds}, {counted(lost, 'cell')} to none.")
    return told


def _require_same(present: set[str], known: Words, column: str, where: str) -> None:
    for label in sorted(known.keys() - present):
        raise unknown(f"value in the map of {column} of {where}:", label, present)
    forgotten = sorted(present - known.keys())
    if forgotten:
        named = listed(map(repr, forgotten))
        raise BadInput(f'the map of {column} of {where} leaves out {named}; name every value, "" for none.')


def _read(path: Path) -> dict[str, str]:
    safety.require_file(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # as spreadsheets write it, too
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"cannot read the map {path}: {error}; write it as tab-separated text.") from None
    found: dict[str, str] = {}
    for number, row in rows:
        label, becomes = (row.get(name) for name in COLUMNS)
        if label is None or becomes is None:
            raise BadInput(f"map {path}, line {number}: it needs the columns {' and '.join(COLUMNS)}, tabs between.")
        if label in found:
            raise BadInput(f"map {path}, line {number}: {label!r} is there twice; keep one.")
        found[label] = becomes
    return found
