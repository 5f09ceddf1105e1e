"""Writes every visible score to one table file, for whoever wants to go on from here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.atomic import replacing
from bench.store.queries import results_sql
from bench.store.trouble import explained

if TYPE_CHECKING:
    from bench.store.index import Store


def export(store: Store, path: Path) -> Path:
    """Write all visible scores, parts and controls included, as `.parquet` or `.csv`; complete or not at all.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    text, parameters = results_sql(controls=True, parts=True)
    with explained(path), store.connection(external=True) as connection, replacing(path) as temporary:
        relation = connection.sql(text, params=parameters)
        if path.suffix == ".parquet":
            relation.write_parquet(str(temporary))
        else:
            relation.write_csv(str(temporary), header=True)
    return path
