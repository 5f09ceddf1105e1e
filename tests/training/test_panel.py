"""What a folder says of the genes a model reads: read back as it was written, and never believed unseen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from torch import nn

from bench.data.cells.vocabulary import Vocabulary
from bench.errors import BadInput
from bench.training.embedding import loaded, seeded
from bench.training.folder import Card
from bench.training.panel import PANEL, known_genes, panel_of, written
from bench.weights.trained import WEIGHTS

NAMES = tuple(f"GENE{k}" for k in range(60))


def card(panel: Any) -> Card:
    return Card("x", "1", "pretrain", 0, {}, Vocabulary("symbol", NAMES), extra={PANEL: panel})


@given(st.sets(st.integers(0, 59), min_size=1))
def test_positions_come_back_as_they_were_written(positions: set[int]) -> None:
    ordered = sorted(positions)
    panel = panel_of(card(written(np.array(ordered))), Path("out"))
    assert panel.kind == "symbol"
    assert panel.names == tuple(NAMES[position] for position in ordered)


def test_genes_keep_their_other_names() -> None:
    """So that data with symbols alone are read by a model that was trained by Ensembl ids."""
    vocabulary = Vocabulary("ensembl", tuple(f"ENSG{k:011d}" for k in range(3)), ("A", "", "C"))
    panel = panel_of(Card("x", "1", "pretrain", 0, {}, vocabulary, extra={PANEL: "1-2"}), Path("out"))
    assert (panel.names, panel.others) == (vocabulary.names[1:], ("", "C"))


def test_neighbours_are_written_as_one() -> None:
    assert written(np.array([0, 1, 2, 5, 7, 8])) == "0-2,5,7-8"


@pytest.mark.parametrize(
    "panel",
    [None, [1, 2], "", "-", "1-", "60", "0-60", "0-99999999999999999999", "5-3", "7,3", "1,,2", "１", "1;2", 3],
)
def test_anything_else_is_refused(panel: Any) -> None:
    with pytest.raises(BadInput, match=r"out: its config.yaml does not say which genes the model reads; copy"):
        panel_of(card(panel), Path("out"))


def test_a_gene_is_not_read_twice() -> None:
    with pytest.raises(BadInput, match="'GENE5' 2 times"):
        panel_of(card("1-5,5-9"), Path("out"))


def test_an_untrained_model_takes_any_gene() -> None:
    assert known_genes("untrained", ("x",)) is None
    assert known_genes(None, ("x",)) is None


def test_a_network_is_filled_with_what_was_saved(tmp_path: Path) -> None:
    weight, bias = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(2, dtype=np.float32)
    save_file({"weight": weight, "bias": bias}, tmp_path / WEIGHTS)
    network = loaded(tmp_path, lambda: nn.Linear(3, 2))
    assert torch.equal(network(torch.eye(3)), torch.from_numpy(weight.T + 1))


def test_weights_of_another_network_are_refused_before_it_takes_memory(tmp_path: Path) -> None:
    save_file({"weight": np.zeros((2, 3), dtype=np.float32), "bias": np.zeros(2, dtype=np.float32)}, tmp_path / WEIGHTS)
    with pytest.raises(BadInput, match=r"does not fit the model: .*weight is 2 x 3, the model has 100000000 x 1000"):
        loaded(tmp_path, lambda: nn.Linear(10**8, 10**8))


def test_a_seed_makes_the_same_weights_and_moves_nobody_elses_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    one, again, other = (seeded(seed, lambda: nn.Linear(3, 2)).weight for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
