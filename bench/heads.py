"""Classifiers on top of cell vectors: what probes an embedding, and what the baseline models end in.

Whatever a head tunes (strength of the penalty, number of epochs) is tuned on a validation part cut out of
its own training part, by group where groups are known, so that the tuning rewards what carries over to an
unseen donor and never looks at a test cell.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bench.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sklearn.neighbors import NearestNeighbors
    from sklearn.neural_network import MLPClassifier

VALIDATION_FRACTION = 0.2
"""Share of the training part that `validation_cut` aims at."""


class Head(Protocol):
    """Learns to name cells from their vectors."""

    classes: np.ndarray
    """Names of the classes, str, sorted; set by `fit`."""

    def fit(self, x: np.ndarray, labels: np.ndarray, groups: np.ndarray | None) -> None:
        """Learn from float32 vectors (n, d), labels (n,) and, where known, the group (n,) of each cell."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return float64 probabilities (n, n_classes), rows summing to 1, columns as `classes`."""
        ...


def validation_cut(
    labels: np.ndarray, groups: np.ndarray | None, seed: int, fraction: float = VALIDATION_FRACTION
) -> np.ndarray:
    """Choose the validation part of a training part.

    Whole groups are chosen where some of them come near to `fraction`; else random cells of each class, as
    where there are only two large groups: holding out half of the training part would cost more than it
    tells. A class is never held out whole: the cells of one that would not be learned at all stay in
    training.

    Parameters
    ----------
    labels
        (n,) class of each cell; one constant where there are none.
    groups
        (n,) independent unit of each cell (donor, batch), or None.
    seed
        Of the choice.
    fraction
        Share of cells to aim at, between 0 and 1.

    Returns
    -------
    bool (n,), True for validation; all False where nothing can be spared (one cell per class).
    """
    labels = np.asarray(labels, dtype=str)
    rng = np.random.default_rng(seed)
    names = np.unique(np.asarray(groups, dtype=str)) if groups is not None else np.empty(0, dtype=str)
    if groups is None or len(names) < 2:
        return _cut_cells(labels, rng, fraction)
    cut = _cut_groups(np.asarray(groups, dtype=str), names, rng, fraction)
    if not fraction / 2 <= cut.mean() <= fraction * 2:
        return _cut_cells(labels, rng, fraction)
    return cut & np.isin(labels, labels[~cut])


@dataclass
class LogisticHead:
    """Multinomial logistic regression on standardised vectors.

    The inverse strength C of the L2 penalty is the one of `grid` with the lowest log-loss on the
    validation part; the model is then refitted on all cells. Solver: L-BFGS (scikit-learn).
    """

    seed: int
    grid: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0)
    default: float = 0.1
    """C where no cell can be spared for validation."""
    classes: np.ndarray = field(init=False, repr=False)
    strength: float = field(init=False, repr=False)
    """The C that was chosen."""

    def fit(self, x: np.ndarray, labels: np.ndarray, groups: np.ndarray | None) -> None:
        """Choose C, then learn from all cells; raises `BadInput` where there is none."""
        labels, self.classes = _classes_of(labels)
        self._scaling = _Standardiser.of(x)
        if len(self.classes) < 2:
            return
        scaled = self._scaling(x)
        cut = validation_cut(labels, groups, self.seed)
        self.strength = self._choose(scaled, labels, cut) if cut.any() else self.default
        self._model = next(self._path(scaled, labels, (self.strength,)))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities (n, n_classes)."""
        if len(self.classes) < 2:
            return np.ones((len(x), 1))
        return _normalised(np.asarray(self._model.predict_proba(self._scaling(x))))

    def _choose(self, x: np.ndarray, labels: np.ndarray, cut: np.ndarray) -> float:
        """The C of the lowest validation log-loss; the path stops when the loss has risen."""
        truth = np.searchsorted(self.classes, labels[cut])
        best, lowest = self.default, np.inf
        if len(np.unique(labels[~cut])) < 2:
            return best
        for model in self._path(x[~cut], labels[~cut], self.grid):
            loss = _log_loss(np.asarray(model.predict_proba(x[cut])), truth)
            if loss > lowest:
                break
            best, lowest = model.C, loss
        return best

    def _path(self, x: np.ndarray, labels: np.ndarray, grid: tuple[float, ...]) -> Iterator:
        """Models from the strongest penalty to the weakest, each started from the one before."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(warm_start=True, max_iter=200)
        for strength in sorted(grid):
            model.set_params(C=strength)
            with warnings.catch_warnings():
                # 200 steps settle the predictions; the last digits of the weights are not what is asked for
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(x, labels)
            yield model


@dataclass
class KNNHead:
    """Share of each class among the k nearest training cells by cosine distance, one vote per cell.

    k shrinks to the mean number of training cells per class: with 15 neighbours among 8 cells of 8 classes
    every class would get the same share, whatever the cell.
    """

    k: int = 15
    classes: np.ndarray = field(init=False, repr=False)
    _index: NearestNeighbors = field(init=False, repr=False)

    def fit(self, x: np.ndarray, labels: np.ndarray, groups: np.ndarray | None) -> None:
        """Keep the cells; nothing is tuned, so `groups` is not used."""
        from sklearn.neighbors import NearestNeighbors

        labels, self.classes = _classes_of(labels)
        self._codes = np.searchsorted(self.classes, labels)
        neighbours = min(self.k, round(len(labels) / len(self.classes)))
        self._index = NearestNeighbors(n_neighbors=neighbours, metric="cosine", algorithm="brute")
        self._index.fit(x.astype(np.float64))  # float32 rounding would let the block size decide near-ties

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return shares of votes (n, n_classes)."""
        if len(x) == 0:
            return np.empty((0, len(self.classes)))
        nearest = self._codes[self._index.kneighbors(x.astype(np.float64), return_distance=False)]
        votes = np.stack([(nearest == code).sum(axis=1) for code in range(len(self.classes))], axis=1)
        return votes / nearest.shape[1]


@dataclass
class MLPHead:
    """One hidden layer (ReLU, Adam; scikit-learn) on standardised vectors, stopped early by group.

    scikit-learn's own early stopping cuts random cells, so the epochs are run here one by one: training
    ends when the validation log-loss has not fallen for `patience` epochs, and the weights of the best epoch
    are kept. Where no cell can be spared it trains for `epochs_unwatched`.
    """

    seed: int
    hidden: int = 128
    max_epochs: int = 200
    patience: int = 10
    epochs_unwatched: int = 50
    classes: np.ndarray = field(init=False, repr=False)

    def fit(self, x: np.ndarray, labels: np.ndarray, groups: np.ndarray | None) -> None:
        """Learn; raises `BadInput` where there is no cell."""
        from sklearn.neural_network import MLPClassifier

        labels, self.classes = _classes_of(labels)
        self._scaling = _Standardiser.of(x)
        if len(self.classes) < 2:
            return
        # an instance, not a number: a number would shuffle every epoch alike
        randomness = np.random.RandomState(self.seed)
        self._model = MLPClassifier((self.hidden,), random_state=randomness)
        scaled = self._scaling(x)
        cut = validation_cut(labels, groups, self.seed)
        if cut.any():
            self._train_watched(self._model, scaled, labels, cut)
        else:
            for _ in range(self.epochs_unwatched):
                self._model.partial_fit(scaled, labels, classes=self.classes)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities (n, n_classes)."""
        if len(self.classes) < 2:
            return np.ones((len(x), 1))
        return _normalised(np.asarray(self._model.predict_proba(self._scaling(x))))

    def _train_watched(self, model: MLPClassifier, x: np.ndarray, labels: np.ndarray, cut: np.ndarray) -> None:
        truth = np.searchsorted(self.classes, labels[cut])
        learned, learned_labels, watched = x[~cut], labels[~cut], x[cut]
        lowest, waited = np.inf, 0
        best: tuple[list[np.ndarray], list[np.ndarray]] | None = None
        for _ in range(self.max_epochs):
            model.partial_fit(learned, learned_labels, classes=self.classes)
            loss = _log_loss(np.asarray(model.predict_proba(watched)), truth)
            waited = 0 if loss < lowest else waited + 1
            if loss < lowest:
                lowest, best = loss, copy.deepcopy((model.coefs_, model.intercepts_))
            if waited >= self.patience:
                break
        if best is not None:
            model.coefs_, model.intercepts_ = best


@dataclass(frozen=True)
class _Standardiser:
    """Centres columns and divides them by their standard deviation, both of the training cells."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> _Standardiser:
        deviation = x.std(axis=0, dtype=np.float64)
        return cls(x.mean(axis=0, dtype=np.float64), np.where(deviation > 0, deviation, 1))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return ((x - self.mean) / self.deviation).astype(np.float32)


def _classes_of(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(labels) == 0:
        raise BadInput("no labelled cell to learn from; give cells whose 'cell_type' is known.")
    labels = np.asarray(labels, dtype=str)
    return labels, np.unique(labels)


def _cut_cells(labels: np.ndarray, rng: np.random.Generator, fraction: float) -> np.ndarray:
    cut = np.zeros(len(labels), dtype=bool)
    for name in np.unique(labels):
        members = np.flatnonzero(labels == name)
        spared = min(int(fraction * len(members) + 0.5), len(members) - 1)
        cut[rng.permutation(members)[:spared]] = True
    return cut


def _cut_groups(groups: np.ndarray, names: np.ndarray, rng: np.random.Generator, fraction: float) -> np.ndarray:
    """Groups in random order, each taken if it brings the part nearer to the fraction."""
    chosen, missing = [], fraction * len(groups)
    for name in rng.permutation(names):
        size = int((groups == name).sum())
        if abs(missing - size) < abs(missing):
            chosen.append(name)
            missing -= size
    return np.isin(groups, chosen)


def _log_loss(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean negative log probability of the true class (column `truth`), in nats."""
    chosen = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.maximum(chosen, 1e-15)).mean())


def _normalised(probabilities: np.ndarray) -> np.ndarray:
    """As float64 with rows that sum to 1 in it (the models work in float32)."""
    probabilities = probabilities.astype(np.float64)
    return probabilities / probabilities.sum(axis=1, keepdims=True)
