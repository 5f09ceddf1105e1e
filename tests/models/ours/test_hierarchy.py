"""Labels of which some are kinds of others, as annotators leave them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.data import ontology
from bench.errors import BadInput
from bench_ours.hierarchy import Hierarchy, LabelLoss

LABELS = ["CD8 T", "T", "CD4 T", "B", "lymphocyte"]
"""As coded by a dataset: 0 to 4."""


@pytest.fixture
def cells(tmp_path: Path) -> ontology.Ontology:
    path = tmp_path / "cells.tsv"
    path.write_text("CD4 T\tT\nCD8 T\tT\nT\tlymphocyte\nB\tlymphocyte\nmonocyte\tmyeloid\n")
    return ontology.read(path)


@pytest.fixture
def hierarchy(cells: ontology.Ontology) -> Hierarchy:
    return Hierarchy.of(LABELS, cells, "cell_type")


def test_only_labels_without_kinds_in_the_data_are_told_apart(hierarchy: Hierarchy) -> None:
    assert hierarchy.classes == ("CD8 T", "CD4 T", "B")
    assert hierarchy.members == ((0,), (0, 1), (1,), (2,), (0, 1, 2))
    assert not hierarchy.notices


def test_a_coarse_label_without_finer_ones_in_the_data_is_a_class(cells: ontology.Ontology) -> None:
    found = Hierarchy.of(["T", "B"], cells, "cell_type")
    assert found.classes == ("T", "B")
    assert found.members == ((0,), (1,))


def test_two_names_of_one_term_are_one_class(tmp_path: Path) -> None:
    path = tmp_path / "cl.obo"
    path.write_text("[Term]\nid: CL:1\nname: T cell\n[Term]\nid: CL:2\nname: B cell\n")
    found = Hierarchy.of(["T cell", "CL:2", "CL:1"], ontology.read(path), "cell_type")
    assert found.classes == ("T cell", "CL:2")
    assert found.members == ((0,), (1,), (0,))


def test_a_label_outside_the_ontology_is_a_class_of_its_own_with_a_notice(cells: ontology.Ontology) -> None:
    found = Hierarchy.of(["T", "CD4 T", "doublet"], cells, "cell_type")
    assert found.classes == ("CD4 T", "doublet")
    assert found.members == ((0,), (0,), (1,))
    assert found.notices == ("1 label of column 'cell_type' not in cells.tsv, each beside the hierarchy: doublet.",)


def test_an_ontology_of_something_else_is_refused(cells: ontology.Ontology) -> None:
    with pytest.raises(BadInput, match=r"no label of column 'tissue' \(liver, lung\) is an id or a name"):
        Hierarchy.of(["liver", "lung"], cells, "tissue")


def test_a_coarse_label_has_the_probability_of_its_kinds(hierarchy: Hierarchy) -> None:
    logits = torch.tensor([[1.0, -0.5, 2.0]] * 5)
    chance = logits[0].softmax(-1)
    expected = [chance[0], chance[0] + chance[1], chance[1], chance[2], torch.tensor(1.0)]
    loss = LabelLoss(hierarchy)(logits, torch.arange(5))
    assert loss.tolist() == pytest.approx([-p.log().item() for p in expected], abs=1e-6)


def test_where_all_labels_are_classes_it_is_cross_entropy(cells: ontology.Ontology) -> None:
    flat = Hierarchy.of(["B", "CD4 T", "CD8 T"], cells, "cell_type")
    logits = 30 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50) % 4 - 1
    assert torch.allclose(LabelLoss(flat)(logits, labels), LabelLoss()(logits, labels), atol=1e-5)


@pytest.mark.parametrize("known", [True, False])
def test_missing_labels_have_neither_loss_nor_gradient(hierarchy: Hierarchy, known: bool) -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    loss = LabelLoss(hierarchy if known else None)(logits, torch.tensor([-1, 1, -1, -1]))
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert (loss != 0).tolist() == [False, True, False, False]
    assert gradient.isfinite().all()
    assert gradient[[0, 2, 3]].eq(0).all()


def test_extreme_logits_stay_finite(hierarchy: Hierarchy) -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4], [0.0, 0.0, 1e4]], requires_grad=True)
    loss = LabelLoss(hierarchy)(logits, torch.tensor([2, 1, 4]))
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert loss.isfinite().all()
    assert gradient.isfinite().all()
    assert loss[2].item() == 0


def test_half_precision_is_scored_in_full(hierarchy: Hierarchy) -> None:
    assert LabelLoss(hierarchy)(torch.randn(5, 3).bfloat16(), torch.arange(5)).dtype == torch.float32
