"""What a checkpoint says of the data it was trained on, and which other data it may be used with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.data.cells.dataset import CellDataset
from bench.data.cells.parts import Parts
from bench.errors import BadInput
from bench.wording import listed


@dataclass(frozen=True)
class Origin:
    """Where training cells come from, as text that a checkpoint can hold."""

    files: list[tuple[str, str]]
    """Name and identity of each store, in order."""
    vocabulary: str
    """Its sha256."""
    categories: dict[str, tuple[str, ...]]
    """Column of `obs` that the model sees or names -> what its codes stand for."""
    parts: str
    """Identity of the division of the cells; empty where they are not divided."""

    @classmethod
    def of(cls, dataset: CellDataset, parts: Parts | None, columns: Iterable[str]) -> Origin:
        """That of a dataset, how it is divided, and of the columns that the model sees or names."""
        files = [(store.name, store.identity) for store in dataset.stores]
        categories = {column: dataset.categories[column] for column in columns}
        return cls(files, dataset.vocabulary.sha256, categories, parts.identity if parts else "")

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    def require_known(self, state: Mapping[str, Any]) -> None:
        """Refuse data in which numbers mean something else to the model of a checkpoint.

        Raises
        ------
        BadInput
            If genes or categories are others.
        """
        if state["vocabulary"] != self.vocabulary:
            raise BadInput("the checkpoint knows other genes than these data have; give the vocabulary it came with.")
        for column, words in state["categories"].items():
            ours = self.categories.get(column, ())
            if tuple(words) != ours:
                text = f"the checkpoint knows {column} as {listed(words)}, these data have {listed(ours) or 'none'}"
                raise BadInput(f"{text}; give the categories it came with.")

    def require_same(self, state: Mapping[str, Any]) -> None:
        """Refuse to go on training with other cells.

        Raises
        ------
        BadInput
            If the content of the files or their order, or the division of the cells is another.
        """
        theirs, ours = [tuple(file) for file in state["files"]], self.files
        names, our_names = ([name for name, _ in files] for files in (theirs, ours))
        changed = [name for (name, was), (_, now) in zip(theirs, ours, strict=False) if was != now]
        if len(theirs) != len(ours) or (changed and names != our_names):
            text = f"the checkpoint was trained on {listed(names)}, and the data are {listed(our_names)}"
            raise BadInput(f"{text}; resume with the same data in the same order, or begin anew.")
        if changed:
            text = f"{listed(changed)} changed since the checkpoint was written"
            raise BadInput(f"{text}; resume with what it was, or begin anew.")
        if state["parts"] != self.parts:
            text = "the cells are divided otherwise than for the checkpoint, which has seen some that would test it"
            raise BadInput(f"{text}; resume with the same parts.by, parts.val, parts.test and parts.seed.")
