"""Classification metrics: ranges, invariances, and agreement with scikit-learn on classes present in the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import balanced_accuracy_score, f1_score

from bench.metrics.classification import (
    FLOOR,
    calibration_error,
    classification_metrics,
    log_loss,
    per_class,
)

TYPES = np.array(["B", "CD4 T", "CD8 T", "NK"])


@st.composite
def exams(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """True types and probabilities over `TYPES`, of which some may be absent from the truth."""
    n = draw(st.integers(1, 40))
    truth = TYPES[draw(hnp.arrays(int, n, elements=st.integers(0, 3)))]
    raw = draw(hnp.arrays(float, (n, 4), elements=st.floats(0.01, 1)))
    return truth, raw / raw.sum(axis=1, keepdims=True)


def measure(truth: np.ndarray, probabilities: np.ndarray, seen: set[str] | None = None) -> dict[str, float | None]:
    found = classification_metrics(truth, probabilities, list(TYPES), set(TYPES) if seen is None else seen)
    return {one.metric: one.value for one in found}


@given(exams())
def test_scores_equal_those_of_scikit_learn(exam: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probabilities = exam
    predicted = TYPES[probabilities.argmax(axis=1)]
    present = np.unique(truth)
    scores = measure(truth, probabilities)
    macro = f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
    weighted = f1_score(truth, predicted, labels=present, average="weighted", zero_division=0)
    assert scores["macro_f1"] == pytest.approx(macro)
    assert scores["weighted_f1"] == pytest.approx(weighted)
    recalls = [(predicted[truth == name] == name).mean() for name in present]
    assert scores["balanced_accuracy"] == pytest.approx(np.mean(recalls))


@given(exams())
def test_scores_stay_in_their_range(exam: tuple[np.ndarray, np.ndarray]) -> None:
    scores = measure(*exam)
    for name in ("macro_f1", "weighted_f1", "accuracy", "balanced_accuracy", "ece"):
        assert 0 <= scores[name] <= 1
    assert 0 <= scores["log_loss"] <= -np.log(FLOOR)


@given(exams(), st.randoms(use_true_random=False))
def test_the_order_of_cells_does_not_matter(exam: tuple[np.ndarray, np.ndarray], random: object) -> None:
    truth, probabilities = exam
    order = list(range(len(truth)))
    random.shuffle(order)
    assert measure(truth[order], probabilities[order]) == pytest.approx(measure(truth, probabilities))


@given(exams())
def test_the_truth_scores_perfectly(exam: tuple[np.ndarray, np.ndarray]) -> None:
    truth, _ = exam
    scores = measure(truth, (truth[:, None] == TYPES).astype(float))
    assert scores == {
        "macro_f1": 1,
        "macro_f1_seen": 1,
        "weighted_f1": 1,
        "accuracy": 1,
        "balanced_accuracy": 1,
        "log_loss": 0,
        "ece": 0,
    }


def test_an_unseen_type_counts_zero_and_is_left_out_beside_it() -> None:
    truth = np.array(["B", "B", "rare"])
    scores = measure(truth, np.array([[1.0, 0, 0, 0]] * 3), seen={"B"})
    assert scores["macro_f1"] == pytest.approx((0.8 + 0) / 2)
    assert scores["macro_f1_seen"] == pytest.approx(0.8)
    assert measure(truth, np.array([[1.0, 0, 0, 0]] * 3), seen=set())["macro_f1_seen"] is None


def test_a_type_that_is_only_predicted_is_no_class_of_the_mean() -> None:
    f1, recall, support = per_class(np.array(["B", "B"]), np.array(["B", "NK"]))
    assert f1 == {"B": pytest.approx(2 / 3)}
    assert (recall, support) == ({"B": 0.5}, {"B": 2})


def test_a_type_without_a_column_has_the_floor_probability() -> None:
    assert log_loss(np.array(["rare"]), np.array([[1.0, 0]]), ["B", "NK"]) == pytest.approx(-np.log(FLOOR))


@given(st.floats(0.01, 1), st.integers(1, 50))
def test_calibration_error_of_one_confidence_is_its_distance_from_the_accuracy(level: float, n: int) -> None:
    correct = np.arange(n) % 2 == 0
    assert calibration_error(correct, np.full(n, level)) == pytest.approx(abs(correct.mean() - level))


def test_calibration_error_averages_bins_by_their_cells() -> None:
    correct = np.array([True, True, True, False])
    confidence = np.array([0.9, 0.9, 0.9, 0.5])
    assert calibration_error(correct, confidence) == pytest.approx(0.75 * 0.1 + 0.25 * 0.5)


def test_balanced_accuracy_equals_scikit_learn() -> None:
    truth, predicted = np.array(["B", "B", "NK", "NK", "NK"]), np.array(["B", "NK", "NK", "NK", "B"])
    probabilities = (predicted[:, None] == TYPES).astype(float)
    assert measure(truth, probabilities)["balanced_accuracy"] == balanced_accuracy_score(truth, predicted)
