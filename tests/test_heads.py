"""Heads learn from vectors, tune on whole groups, and survive what few-shot curves ask of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BadInput
from bench.heads import Head, KNNHead, LogisticHead, MLPHead, validation_cut

HEADS: dict[str, Callable[[], Head]] = {
    "logistic": lambda: LogisticHead(0),
    "knn": KNNHead,
    "mlp": lambda: MLPHead(0),
}
LABELS = st.lists(st.sampled_from(["B", "NK", "T", "mono"]), min_size=1, max_size=40)


def blobs(labels: np.ndarray, seed: int = 0, width: int = 6) -> np.ndarray:
    """Cells around one centre per class, centres six deviations apart per axis."""
    rng = np.random.default_rng(seed)
    centres = {name: np.eye(4, width)[i] * 6 for i, name in enumerate(["B", "NK", "T", "mono"])}
    return (np.stack([centres[name] for name in labels]) + rng.normal(size=(len(labels), width))).astype(np.float32)


class TestValidationCut:
    @given(LABELS, st.integers(1, 5), st.integers(0, 5))
    def test_no_class_is_held_out_whole(self, labels: list[str], n_groups: int, seed: int) -> None:
        names = np.array(labels)
        groups = np.array([f"g{i % n_groups}" for i in range(len(names))])
        for known in (groups, None):
            cut = validation_cut(names, known, seed)
            assert cut.dtype == bool
            assert cut.shape == names.shape
            assert set(names[~cut]) == set(names)

    @given(st.integers(3, 10), st.integers(0, 20))
    def test_whole_groups_are_cut(self, n_groups: int, seed: int) -> None:
        groups = np.repeat([f"g{i}" for i in range(n_groups)], 10)
        labels = np.tile(["a", "b"], len(groups) // 2)
        cut = validation_cut(labels, groups, seed)
        assert not set(groups[cut]) & set(groups[~cut])
        assert cut.any()

    @pytest.mark.parametrize("sizes", [(500, 500), (990, 10), (10, 990)])
    def test_groups_too_large_to_spare_stay_in_training(self, sizes: tuple[int, int]) -> None:
        groups = np.repeat(["g0", "g1"], sizes)
        cut = validation_cut(np.full(1000, "a"), groups, 0)
        assert cut.mean() == pytest.approx(0.2)

    def test_share_is_near_the_fraction(self) -> None:
        groups = np.repeat([f"g{i}" for i in range(20)], 30)
        assert validation_cut(np.full(600, "a"), groups, 0, 0.1).mean() == pytest.approx(0.1, abs=0.03)
        assert validation_cut(np.full(600, "a"), None, 0, 0.1).mean() == pytest.approx(0.1)

    def test_random_cells_keep_the_share_of_each_class(self) -> None:
        labels = np.repeat(["a", "b", "c"], [100, 20, 1])
        cut = validation_cut(labels, None, 0)
        assert [int(cut[labels == name].sum()) for name in "abc"] == [20, 4, 0]

    def test_one_group_is_as_none(self) -> None:
        labels = np.repeat(["a", "b"], 50)
        np.testing.assert_array_equal(validation_cut(labels, np.full(100, "g"), 4), validation_cut(labels, None, 4))

    def test_seed_decides(self) -> None:
        groups = np.repeat([f"g{i}" for i in range(8)], 10)
        labels = np.full(80, "a")
        cuts = {tuple(validation_cut(labels, groups, seed)) for seed in range(10)}
        assert len(cuts) > 1
        assert tuple(validation_cut(labels, groups, 0)) in cuts

    def test_one_cell_per_class_leaves_nothing(self) -> None:
        assert not validation_cut(np.array(["a", "b", "c"]), np.array(["g", "h", "g"]), 0).any()


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
class TestEveryHead:
    def test_separated_classes_are_told_apart(self, make: Callable[[], Head]) -> None:
        labels = np.repeat(["T", "B", "mono"], 40)
        head = make()
        head.fit(blobs(labels), labels, np.tile(["d1", "d2", "d3", "d4"], 30))
        assert list(head.classes) == ["B", "T", "mono"]
        probabilities = head.predict(blobs(labels, seed=1))
        assert (head.classes[probabilities.argmax(axis=1)] == labels).mean() > 0.95

    @given(labels=LABELS, n_groups=st.integers(1, 4))
    @settings(max_examples=25, deadline=None)
    def test_any_few_cells_give_probabilities(self, make: Callable[[], Head], labels: list[str], n_groups: int) -> None:
        names = np.array(labels)
        head = make()
        head.fit(blobs(names), names, np.array([f"g{i % n_groups}" for i in range(len(names))]))
        probabilities = head.predict(blobs(np.array(["B", "NK", "T", "mono"]), seed=1))
        assert list(head.classes) == sorted(set(labels))
        assert probabilities.shape == (4, len(head.classes))
        assert (probabilities >= 0).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)

    def test_one_class_is_certain(self, make: Callable[[], Head]) -> None:
        labels = np.full(5, "T")
        head = make()
        head.fit(blobs(labels), labels, None)
        np.testing.assert_array_equal(head.predict(blobs(labels)), np.ones((5, 1)))

    def test_class_only_one_group_has_is_learned(self, make: Callable[[], Head]) -> None:
        labels = np.repeat(["T", "B", "mono"], [60, 60, 20])
        groups = np.where(labels == "mono", "d1", np.tile(["d1", "d2"], 70))
        head = make()
        head.fit(blobs(labels), labels, groups)
        found = head.classes[head.predict(blobs(labels, seed=1)).argmax(axis=1)]
        assert (found[labels == "mono"] == "mono").mean() > 0.8

    def test_same_seed_same_bits_and_input_is_left_alone(self, make: Callable[[], Head]) -> None:
        labels = np.repeat(["T", "B"], 30)
        x = blobs(labels)
        before = x.copy()
        first, again = make(), make()
        first.fit(x, labels, None)
        again.fit(x, labels, None)
        np.testing.assert_array_equal(first.predict(x), again.predict(x))
        np.testing.assert_array_equal(x, before)

    def test_constant_dimension_does_no_harm(self, make: Callable[[], Head]) -> None:
        labels = np.repeat(["T", "B"], 30)
        x = np.hstack([blobs(labels), np.full((60, 1), 7, dtype=np.float32)])
        head = make()
        head.fit(x, labels, None)
        assert np.isfinite(head.predict(x)).all()

    def test_no_cell_is_refused(self, make: Callable[[], Head]) -> None:
        with pytest.raises(BadInput, match="no labelled cell"):
            make().fit(np.empty((0, 3), dtype=np.float32), np.empty(0, dtype=str), None)


def test_noisy_labels_call_for_a_stronger_penalty_than_clear_ones() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(["T", "B"], 100)
    clear, noisy = LogisticHead(0), LogisticHead(0)
    clear.fit(blobs(labels), labels, None)
    noisy.fit(rng.normal(size=(200, 50)).astype(np.float32), labels, None)
    assert noisy.strength < clear.strength


def test_penalty_is_tuned_on_unseen_groups() -> None:
    """A group's own offset tells its classes apart inside the group, and only there."""
    rng = np.random.default_rng(0)
    groups = np.repeat([f"d{i}" for i in range(6)], 60)
    labels = np.tile(["T", "B"], 180)
    sign = np.where(labels == "T", 1, -1)
    offsets = rng.normal(size=(6, 30))[np.repeat(np.arange(6), 60)] * sign[:, None]
    x = (offsets + rng.normal(size=(360, 30)) * 0.3).astype(np.float32)
    by_group, by_cells = LogisticHead(0), LogisticHead(0)
    by_group.fit(x, labels, groups)
    by_cells.fit(x, labels, None)
    assert by_group.strength < by_cells.strength


def test_k_shrinks_to_the_cells_per_class() -> None:
    labels = np.array(["B", "NK", "T", "mono"])
    head = KNNHead(k=15)
    head.fit(blobs(labels), labels, None)
    assert (head.predict(blobs(labels)).argmax(axis=1) == np.arange(4)).all()


def test_knn_votes_by_angle_not_by_length() -> None:
    head = KNNHead(k=1)
    head.fit(np.array([[1, 0], [0, 1]], dtype=np.float32), np.array(["x", "y"]), None)
    np.testing.assert_array_equal(head.predict(np.array([[100, 30], [0.01, 0.02]], dtype=np.float32)), np.eye(2))


def test_mlp_keeps_the_epoch_that_did_best_on_unseen_groups() -> None:
    """Where labels are noise, more epochs only overfit: the loss stays near that of knowing nothing."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(200, 20)).astype(np.float32), rng.choice(["a", "b"], 200)
    head = MLPHead(0)
    head.fit(x[:150], labels[:150], None)
    probabilities = head.predict(x[150:])
    truth = np.searchsorted(head.classes, labels[150:])
    assert -np.log(probabilities[np.arange(50), truth]).mean() < 0.9
