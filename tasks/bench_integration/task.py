"""The integration task: an embedding of all cells, judged by how it mixes batches and keeps types apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench import transductive
from bench.data.exams import is_known, role_values
from bench.data.features import ExpressionPCA
from bench.errors import BadInput
from bench.metrics.scib import NEIGHBORS, integration_metrics
from bench.tasks import Exam, MakeModel, Output, Score, Truth
from bench_integration.plugin import ENGINE, TASK, IntegrationConfig

if TYPE_CHECKING:
    import anndata as ad

MINIMUM = 100
"""LISI looks at 90 neighbours."""
UNINTEGRATED_WIDTH = 50
JITTER = 0.01


class Integration:
    """Embeds all cells, batches known, and measures batch mixing and conservation of types.

    A label-aware model is shown the labels of a seeded fraction; what reads labels is then measured on the
    other cells, `ilisi` and `pcr_comparison` on all.
    """

    def __init__(self, config: IntegrationConfig) -> None:
        self._config = config

    def folds(self, data: ad.AnnData) -> list[str]:
        """One fold; raises `BadInput` below 100 cells, 2 types or 2 batches."""
        transductive.check_labels(data, TASK.name, MINIMUM)
        _check_batches(data)
        return [transductive.FOLD]

    def split(self, data: ad.AnnData, fold: str, split_seed: int, *, label_aware: bool = False) -> tuple[Exam, Truth]:
        """The exam shows counts and batches, and a fraction of the labels to a label-aware model.

        The truth holds the principal components of all cells as they were before integration.
        """
        transductive.check_fold(fold)
        self.folds(data)
        choice = transductive.choose(
            data,
            seed=split_seed,
            max_cells=self._config.max_cells,
            label_fraction=self._config.label_fraction,
            label_aware=label_aware,
            notes=tuple(confounding(data)),
        )
        scored = int(choice.scored.sum())
        if scored <= NEIGHBORS:
            raise BadInput(
                f"task {TASK.name} needs more than {NEIGHBORS} cells whose labels count, here are {scored};"
                " show fewer labels with --task-set label_fraction=0.1, or give more labelled cells."
            )
        batches = role_values(data, "batch")[choice.rows]
        exam = transductive.exam_of(data, choice, {"batch": batches}, label_aware)
        cells = exam.parts["cells"]
        before = ExpressionPCA(UNINTEGRATED_WIDTH).fit(cells).transform(cells)
        return exam, transductive.truth_of(exam, choice, {"batch": batches}, {"unintegrated": before})

    def sit(self, make_model: MakeModel, exam: Exam) -> Output:
        """Fit on all cells, embed all cells."""
        return transductive.embed_all(make_model, exam)

    def score(self, output: Output, truth: Truth) -> list[Score]:
        """All metrics, raw: groups are averaged and weighted when rendering."""
        found = integration_metrics(
            transductive.aligned(output, truth),
            truth.obs["cell_type"].to_numpy(dtype=object),
            truth.obs["batch"].to_numpy(dtype=object),
            truth.arrays["unintegrated"],
            truth.obs["scored"].to_numpy(dtype=bool),
        )
        return transductive.as_scores(found, ENGINE)

    def controls(self, exam: Exam, truth: Truth, split_seed: int) -> dict[str, Output]:
        """The control methods of openproblems' batch integration task: floors that leave or destroy, and labels."""
        rng = np.random.default_rng(split_seed)
        before = truth.arrays["unintegrated"]
        labels = truth.obs["cell_type"].to_numpy(dtype=object)
        batches = truth.obs["batch"].to_numpy(dtype=object)
        embeddings = {
            "no-integration": before,
            "shuffle": rng.permutation(before),
            "shuffle-by-batch": _shuffled_within(before, batches, rng),
            "shuffle-by-cell-type": _shuffled_within(before, labels, rng),
            "one-hot-labels": transductive.one_hot(labels),
            "one-hot-labels-jittered": transductive.one_hot(labels, JITTER, split_seed),
        }
        return {name: Output(truth.rows, {transductive.EMBEDDING: x}) for name, x in embeddings.items()}


def confounding(data: ad.AnnData) -> list[str]:
    """Sentences about what cannot be told from batches."""
    return _confounded_labels(data) + _confounded_donors(data)


def _confounded_donors(data: ad.AnnData) -> list[str]:
    if "donor" not in data.obs:
        return []
    pairs = set(zip(role_values(data, "donor"), role_values(data, "batch"), strict=True))
    donors, batches = ({pair[side] for pair in pairs} for side in (0, 1))
    if not len(pairs) == len(donors) == len(batches):
        return []
    return ["donor and batch coincide, so mixing batches also removes what is different between donors"]


def _confounded_labels(data: ad.AnnData) -> list[str]:
    labels, batches = role_values(data, "cell_type"), role_values(data, "batch")
    known = is_known(labels)
    where = {name: set(batches[known & (labels == name)]) for name in sorted(set(labels[known]))}
    single = [name for name, found in where.items() if len(found) == 1]
    if len(single) == len(where):
        return ["confounded: every type occurs in one batch only, so batch and type cannot be told apart"]
    if single:
        return [f"{len(single)} of {len(where)} types occur in one batch only: {', '.join(single[:5])}"]
    return []


def _check_batches(data: ad.AnnData) -> None:
    batches = role_values(data, "batch")
    missing = int((~is_known(batches)).sum())
    if missing:
        raise BadInput(f"batch is missing for {missing:,} cells; fill it in, or leave these cells out of the file.")
    names = set(batches)
    if len(names) < 2:
        raise BadInput(
            f"task {TASK.name} needs at least 2 batches, found {len(names)} ({', '.join(map(repr, names))});"
            " give another column with --obs batch=COLUMN."
        )


def _shuffled_within(x: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows permuted among the cells of the same group."""
    shuffled = x.copy()
    for name in np.unique(groups.astype(str)):
        rows = np.flatnonzero(groups.astype(str) == name)
        shuffled[rows] = x[rng.permutation(rows)]
    return shuffled
