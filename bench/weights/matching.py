"""Whether a checkpoint fits an architecture, told in a line instead of a wall of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.errors import BadInput

_NAMED = 5


def match(state: Mapping[str, Any], expected: Mapping[str, Sequence[int]], where: str, hint: str = "") -> None:
    """Refuse a state whose names or shapes are not those of a model.

    Parameters
    ----------
    state
        Name -> tensor or array.
    expected
        Name -> shape, such as `{k: v.shape for k, v in model.state_dict().items()}`.
    where
        What the state came from, for messages: `"weights best_model.pt"`.
    hint
        A last sentence: the option that would make the model fit.

    Raises
    ------
    BadInput
        With the first five names that are missing, unexpected, or of another shape, and how many there are.
    """
    if not isinstance(state, Mapping):
        raise BadInput(f"{where}: holds a {type(state).__name__}, not a table of tensors; give a state dict.")
    shapes = {name: tuple(getattr(value, "shape", ())) for name, value in state.items()}
    wrong = [
        f"{name} is {_shape(shapes[name])}, the model has {_shape(shape)}"
        for name, shape in expected.items()
        if name in shapes and shapes[name] != tuple(shape)
    ]
    problems = [
        *_told("missing", (name for name in expected if name not in shapes)),
        *_told("unexpected", (name for name in shapes if name not in expected)),
        *_told("of another shape", wrong),
    ]
    if problems:
        raise BadInput(f"{where}: does not fit the model: {'; '.join(problems)}. {hint}".strip())


def _told(what: str, names: Iterable[str]) -> list[str]:
    found = [str(name) for name in names]
    more = ", ..." if len(found) > _NAMED else ""
    return [f"{len(found)} {what} ({', '.join(found[:_NAMED])}{more})"] if found else []


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
