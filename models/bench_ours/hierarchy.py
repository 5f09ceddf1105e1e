"""Labels that are kinds of each other: a cell called only `T cell` may be any kind of T cell there is a label for.

The network chooses among the labels that have no kind below them in the data; a label above them has as probability
the sum of theirs. That a coarse label should be scored on its kinds, not against them, is scPRINT's idea (Kalfon et al.
2025, https://doi.org/10.1038/s41467-025-58699-1); marginalising the softmax is the exact form of it for labels that
exclude each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import BadInput
from bench.wording import counted, listed

if TYPE_CHECKING:
    from bench.data.ontology import Ontology


@dataclass(frozen=True)
class Hierarchy:
    """Which of the classes that are told apart each label may mean."""

    classes: tuple[str, ...]
    """The labels without kinds, in the order of their first occurrence; two names of one term are one class."""
    members: tuple[tuple[int, ...], ...]
    """For each label, positions of the classes it may mean: at least one."""
    notices: tuple[str, ...] = ()

    @classmethod
    def of(cls, labels: Sequence[str], ontology: Ontology, column: str) -> Hierarchy:
        """Look the labels of a column up, by id or name.

        A label that is not in the ontology is a class of its own, with a notice: data hold a few of which no ontology
        knows, and what a kind of it is nobody can say.

        Raises
        ------
        BadInput
            If none of the labels is in the ontology.
        """
        terms = [ontology.term(label) or label for label in labels]
        absent = [label for label in labels if ontology.term(label) is None]
        if len(absent) == len(labels):
            raise BadInput(
                f"no label of column {column!r} ({listed(labels)}) is an id or a name in the ontology"
                f" {ontology.path}; give the one the labels come from."
            )
        above = {term: ontology.ancestors(term) for term in terms}
        inner = {upper for term in terms for upper in above[term] - {term}}
        leaves = list(dict.fromkeys(term for term in terms if term not in inner))
        notice = f"{counted(len(absent), 'label')} of column {column!r} not in {ontology.path.name}"
        return cls(
            tuple(labels[terms.index(leaf)] for leaf in leaves),
            tuple(tuple(i for i, leaf in enumerate(leaves) if term in above[leaf]) for term in terms),
            (f"{notice}, each beside the hierarchy: {listed(absent)}.",) if absent else (),
        )


class LabelLoss(nn.Module):
    """Cross-entropy of labels of which some may be missing.

    Parameters
    ----------
    hierarchy
        Where the labels have one; without, each is a class.
    """

    members: Tensor | None

    def __init__(self, hierarchy: Hierarchy | None = None) -> None:
        super().__init__()
        members = None
        if hierarchy is not None:
            members = torch.zeros(len(hierarchy.members), len(hierarchy.classes), dtype=torch.bool)
            for row, classes in zip(members, hierarchy.members, strict=True):
                row[list(classes)] = True
        self.register_buffer("members", members, persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Score logits (n, classes) on labels int64 (n,), -1 where missing; float32 (n,) in nats, 0 where missing."""
        logits = logits.float()
        if self.members is None:
            return F.cross_entropy(logits, labels, ignore_index=-1, reduction="none")
        missing = labels < 0
        meant = self.members[labels.clamp(min=0)]
        chance = logits.logsumexp(-1) - logits.masked_fill(~meant, -torch.inf).logsumexp(-1)
        return torch.where(missing, 0.0, chance)
