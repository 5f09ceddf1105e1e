"""Tables of gene embeddings from files, such as the mean ESM2 embedding of each gene's proteins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput
from bench.weights import safetensors_file
from bench.wording import counted, listed

NAMES = ("ensembl", "symbol", "gene")
"""What the column of names may be called."""


@dataclass(frozen=True)
class GeneTable:
    """A vector for each of some genes."""

    path: Path
    names: tuple[str, ...]
    vectors: np.ndarray
    """float32 (genes, width)."""

    @classmethod
    def read(cls, path: Path) -> GeneTable:
        """Read a table of names and numbers (.parquet), or a file with a vector per gene (.safetensors).

        Raises
        ------
        BadInput
            If it is missing, damaged, of another kind, or holds what is no vector of numbers per gene.
        """
        if path.suffix not in _READERS:
            raise BadInput(f"gene_table {path} must end in {' or '.join(_READERS)}.")
        names, vectors = _READERS[path.suffix](path)
        if not vectors.size or not np.isfinite(vectors).all():
            raise BadInput(f"gene_table {path} holds no numbers, or some that are missing or infinite; mend it.")
        if len(set(names)) < len(names):
            raise BadInput(f"gene_table {path} names a gene twice; keep one row of each.")
        return cls(path, names, vectors)

    def shared(self, vocabulary: Vocabulary) -> tuple[Vocabulary, np.ndarray, str]:
        """The genes of a vocabulary that are in the table, in their order; others would be read as what is unknown.

        Returns
        -------
        These genes, their rows float32 (genes, width), and a sentence about those without; empty where there are none.

        Raises
        ------
        BadInput
            If none is in the table.
        """
        rows = pd.Index(self.names, dtype=object)
        places = rows.get_indexer(pd.Index(vocabulary.names, dtype=object))
        if vocabulary.others:  # embeddings of proteins often go by symbols
            places = np.where(places < 0, rows.get_indexer(pd.Index(vocabulary.others, dtype=object)), places)
        known = np.flatnonzero(places >= 0)
        absent = [name for name, place in zip(vocabulary.names, places, strict=True) if place < 0]
        if not len(known):
            raise BadInput(
                f"gene_table {self.path} has none of the {counted(len(vocabulary), 'gene')} of the data"
                f" ({listed(vocabulary.names, 1)}); its first is {self.names[0]!r}: name them alike."
            )
        left_out = f"{counted(len(absent), 'gene')} left out that gene_table {self.path.name} lacks: {listed(absent)}."
        return vocabulary.at(known), self.vectors[places[known]], left_out if absent else ""


def _parquet(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """A column of names, the others numbers; names may be the index."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise BadInput(f"cannot read gene_table {path}: {reason}.") from None
    column = next((name for name in NAMES if name in table), "")
    if column:
        table = table.set_index(column)
    if not all(isinstance(name, str) for name in table.index):
        raise BadInput(f"gene_table {path} does not name its genes; add a column called {' or '.join(NAMES)}.")
    words = [str(name) for name, kind in table.dtypes.items() if kind.kind not in "fiu"]
    if words:
        raise BadInput(f"gene_table {path}: column {words[0]!r} holds no numbers; leave it out.")
    return tuple(table.index), table.to_numpy(dtype=np.float32)


def _safetensors(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """A tensor of one dimension for each gene, called like it."""
    tensors = safetensors_file.read(path)
    widths = {array.shape for array in tensors.values()}
    if len(widths) != 1 or len(next(iter(widths))) != 1:
        raise BadInput(f"gene_table {path} must hold one vector per gene, all of one width.")
    return tuple(tensors), np.stack([np.asarray(array, dtype=np.float32) for array in tensors.values()])


_READERS = {".parquet": _parquet, ".safetensors": _safetensors}
