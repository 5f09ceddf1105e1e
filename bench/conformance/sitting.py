"""A task under examination: the dataset it gets, the exam it makes, and plain models that sit it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import config
from bench.catalogue import catalogue
from bench.conformance.cells import probe_cells
from bench.conformance.check import Skip
from bench.conformance.fairness import fingerprint
from bench.data.features import lognorm
from bench.errors import BadInput
from bench.runs.models import LABEL
from bench.specs import Cap, TaskSpec, load_target
from bench.tasks import Exam, Output, Score, Task, Truth

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

PLANTED = "planted"
"""Name of everything that is put beside the probe's counts to see whether an exam lets it through."""
WIDTH = 10


@dataclass
class TaskSubject:
    """One task, with the first of its exams and a plain model's answer."""

    spec: TaskSpec
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def owner(self) -> str:
        """Whose options these are, for messages."""
        return f"task {self.spec.name}"

    def fresh(self) -> Task:
        """A new task object."""
        return load_target(self.spec.target)(config.build(self.spec.config, self.options, self.owner))

    @cached_property
    def task(self) -> Task:
        """The task object that makes the exam and scores."""
        return self.fresh()

    @cached_property
    def data(self) -> ad.AnnData:
        """The probe, where the task takes it, else its own dataset; labels are planted in every corner."""
        if self.spec.modalities == {"Gene Expression"}:
            probe = probe_cells(seed=self.seed)
            probe.obs = probe.obs[list(dict.fromkeys((*self.spec.obs, "batch", "donor")))]
            try:
                self.fresh().folds(probe.copy())
            except BadInput:
                pass  # it wants more, or something else: its own dataset has that
            else:
                return _planted(probe)
        from bench.data import canonical

        return _planted(canonical.load(catalogue().dataset(self.spec.default_dataset)))

    @cached_property
    def fold(self) -> str:
        """The first fold."""
        return self.task.folds(self.data.copy())[0]

    def split(self, data: ad.AnnData, *, label_aware: bool = False, task: Task | None = None) -> tuple[Exam, Truth]:
        """Exam and truth of the first fold, from a copy of data."""
        return (task or self.task).split(data.copy(), self.fold, 0, label_aware=label_aware)

    @cached_property
    def exam_and_truth(self) -> tuple[Exam, Truth]:
        """Of the probe."""
        return self.split(self.data)

    @cached_property
    def output(self) -> Output:
        """A plain model's answer."""
        exam, _ = self.exam_and_truth
        return self.task.sit(self.examinee(), exam)

    @cached_property
    def scores(self) -> list[Score]:
        """Of the plain model's answer."""
        return self.task.score(self.output, self.exam_and_truth[1])

    def use(self, options: Mapping[str, Any]) -> None:
        """Go through an exam with other options, as far as there is a model for it."""
        other = replace(self, options={**self.options, **options})
        if self.spec.needs in EXAMINEES:
            other.scores  # noqa: B018 - splits, sits and scores
        else:
            other.split(other.data)

    @cached_property
    def calls(self) -> list[tuple[str, ad.AnnData]]:
        """What sit() hands to a model, by method; the task object has made no other exam."""
        task, plain = self.fresh(), self.examinee()
        exam, _ = self.split(self.data, task=task)
        seen: list[tuple[str, ad.AnnData]] = []
        task.sit(lambda: Spy(plain(), seen), exam)
        return seen

    def secrets(self, truth: Truth) -> dict[str, pd.Series]:
        """Columns that no model may know, of the scored rows only, missing values left out.

        They are those of the truth, numbers aside, which stand in many places by chance; and the labels, as
        the truth may hold them as numbers.
        """
        known = truth.obs.loc[truth.obs["scored"].to_numpy(dtype=bool)] if "scored" in truth.obs else truth.obs
        columns = {str(c): known[c] for c in known if known[c].dtype.kind not in "biuf"}
        if LABEL in self.spec.obs:
            columns[LABEL] = self.data.obs.loc[self.data.obs_names.isin(known.index), LABEL]
        return {c: values.dropna().astype(str) for c, values in columns.items() if c not in self.spec.shows}

    def examinee(self) -> Callable[[], Any]:
        """Makes a plain model of the capability that the task needs."""
        if self.spec.needs not in EXAMINEES:
            raise Skip(f"the kit has no plain model for {self.spec.needs} yet")
        return EXAMINEES[self.spec.needs]


class Spy:
    """A plain model that keeps what it is handed."""

    def __init__(self, inner: Any, seen: list[tuple[str, Any]]) -> None:
        self._inner, self._seen = inner, seen

    def __getattr__(self, method: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            self._seen += [(method, one.copy()) for one in (*given, *named.values()) if hasattr(one, "obs_names")]
            return getattr(self._inner, method)(*given, **named)

        return call


class PlainEmbedder:
    """A fixed random projection of log-normalised counts."""

    def fit(self, cells: ad.AnnData) -> None:
        """Learn nothing."""

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, 10)."""
        projection = np.random.default_rng(0).standard_normal((cells.n_vars, WIDTH))
        return np.asarray(lognorm(cells.X) @ projection, dtype=np.float32)


class PlainClassifier(PlainEmbedder):
    """Nearest class mean of the plain embedding."""

    def fit(self, cells: ad.AnnData) -> None:
        """Average the labelled cells of each class."""
        values, labels = self.embed(cells), cells.obs[LABEL].to_numpy(dtype=object)
        known = cells.obs[LABEL].notna().to_numpy()
        self._classes = sorted(set(labels[known]))
        self._means = np.stack([values[known & (labels == name)].mean(axis=0) for name in self._classes])

    def predict(self, cells: ad.AnnData) -> pd.DataFrame:
        """Return probabilities (obs_names x classes)."""
        import pandas as pd

        near = -np.linalg.norm(self.embed(cells)[:, None] - self._means[None], axis=2)
        weight = np.exp(near - near.max(axis=1, keepdims=True))
        return pd.DataFrame(weight / weight.sum(axis=1, keepdims=True), cells.obs_names.copy(), self._classes)


EXAMINEES: dict[Cap, Callable[[], Any]] = {
    Cap.EMBEDS_CELLS: PlainEmbedder,
    Cap.PREDICTS_LABELS: PlainClassifier,
}
"""A plain model of each capability; tasks that need another one get the checks of spec and exam only."""


def prints(parts: dict[str, ad.AnnData] | Any) -> dict[str, Any]:
    """Names and hashes of everything in the parts of an exam."""
    return {name: fingerprint(cells) | {"names": tuple(cells.obs_names)} for name, cells in parts.items()}


def readable(cells: ad.AnnData, secret: pd.Series) -> tuple[str, int]:
    """The column of `obs` in which most secret values stand beside their cell, and how many do."""
    shared = cells.obs_names.intersection(secret.index)
    best = ("", 0)
    for column in cells.obs:
        values = cells.obs.loc[shared, column]
        right = int((values.notna() & (values.astype(str) == secret.loc[shared])).sum())
        best = max(best, (str(column), right), key=lambda pair: pair[1])
    return best


def _planted(cells: ad.AnnData) -> ad.AnnData:
    """The same cells with their labels put wherever AnnData has room for them."""
    import pandas as pd

    values = cells.obs[LABEL] if LABEL in cells.obs else cells.obs.iloc[:, 0]
    codes = pd.factorize(values)[0].astype(np.float32)
    cells.obs[PLANTED] = np.array([f"planted {value}" for value in values], dtype=object)
    cells.uns[PLANTED] = dict(zip(cells.obs_names, map(str, values), strict=True))
    cells.obsm[PLANTED] = codes[:, None]
    cells.layers[PLANTED] = cells.X.multiply(codes[:, None] + 1).tocsr()
    cells.varm[PLANTED] = np.ones((cells.n_vars, 2))
    cells.var[PLANTED] = "planted"
    cells.raw = cells.copy()
    return cells
