"""A checkpoint of another architecture is told in one line."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import BadInput
from bench.weights.matching import match


def test_what_fits_passes() -> None:
    match({"w": np.zeros((2, 3)), "n": np.float32(1)}, {"w": (2, 3), "n": ()}, "weights x.pt")


def test_all_differences_are_told_with_the_first_names() -> None:
    state = {"w": np.zeros((2, 3)), **{f"old.{i}": np.zeros(1) for i in range(7)}}
    expected = {"w": (2, 4), "b": (4,), "n": ()}
    with pytest.raises(BadInput) as error:
        match(state, expected, "weights x.pt", hint="Try --set layers=12.")
    assert str(error.value) == (
        "weights x.pt: does not fit the model: 2 missing (b, n); 7 unexpected (old.0, old.1, old.2, old.3, old.4, ...);"
        " 1 of another shape (w is 2 x 3, the model has 2 x 4). Try --set layers=12."
    )


def test_something_else_than_a_table_is_refused() -> None:
    with pytest.raises(BadInput, match="holds a list, not a table of tensors"):
        match([1], {"w": (1,)}, "weights x.pt")  # type: ignore[arg-type]
