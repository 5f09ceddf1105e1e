"""Checks that a model looks at nothing it may not see, and leaves everything as it was."""

from __future__ import annotations

import hashlib
import pickle
import random
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.conformance.check import Failure, Skip, listening
from bench.conformance.compare import difference, repeated
from bench.conformance.subject import LABEL, ModelSubject

if TYPE_CHECKING:
    import anndata as ad

PARTS = ("obs", "var", "uns", "obsm", "varm", "layers", "obsp", "varp")


def labels(subject: ModelSubject) -> str:
    """Labels that are hidden, shown or permuted do not change one bit, where the spec does not declare them.

    The harness hides labels from such models anyway; here they are handed over on purpose. A label-aware
    model is given the labels of `fit`, and other ones when it is asked.
    """
    if subject.cap == "PredictsLabels" and subject.spec.fits != "labels":
        raise Skip(f"fits={subject.spec.fits!r}: it never sees a label")
    other = subject.probe.copy()
    other.obs[LABEL] = np.random.default_rng(3).permutation(other.obs[LABEL].to_numpy())
    hidden = _hidden(subject)
    if subject.spec.fits == "labels":
        answers = [_asked_with(subject, subject.fitted, cells) for cells in (subject.probe, other)]
        _refuse_difference(subject, answers, hidden, "when it is asked")
        return "learns from labels as declared, and does not look at those of the cells it is asked about"
    answers = [_told(subject, cells) for cells in (subject.probe, other)]
    if not all(repeated(a, hidden, subject.device) for a in answers):
        again = subject.answer(subject.probe, subject.fit(subject.to_fit(subject.probe)))
        if not repeated(again, hidden, subject.device):
            raise Skip("cannot be told before 'determinism' is ok: the answer changes by itself")
    _refuse_difference(subject, answers, hidden, "though fits is not 'labels'")
    return "hidden, shown and permuted labels give the same bits"


def input_kept(subject: ModelSubject) -> str:
    """The cells a model is given are the same afterwards."""
    cells = subject.to_fit(subject.probe)
    cells.uns["notices"] = ["a note"]
    before = fingerprint(cells)
    model = subject.fit(cells)
    _refuse_change(before, fingerprint(cells), "fit")
    asked = subject.seen(subject.probe, labels=False)
    before = fingerprint(asked)
    subject.ask(model, asked)
    _refuse_change(before, fingerprint(asked), "predict" if subject.cap == "PredictsLabels" else "embed")
    return "nothing changed"


def manners(subject: ModelSubject) -> str:
    """Nothing is printed on stdout; what is done to global generators of random numbers is noted."""
    before = _generators()
    with listening() as heard:
        subject.answer(subject.probe, subject.fit(subject.to_fit(subject.probe)))
    after = _generators()
    printed = heard.getvalue().strip()
    if printed:
        raise Failure(
            f"prints {printed.splitlines()[0][:80]!r} on stdout, which belongs to answers; use logging or stderr"
        )
    touched = [name for name in before if before[name] != after[name]]
    return f"note: moves the global generator of {', '.join(touched)}" if touched else "prints nothing"


def fingerprint(cells: ad.AnnData) -> dict[str, str]:
    """A hash of each part of an AnnData."""
    matrix: Any = cells.X
    kind = [type(matrix).__name__, str(matrix.shape), str(matrix.dtype)]
    arrays = [getattr(matrix, name, matrix) for name in ("indptr", "indices", "data")]
    parts = {"X": _digest([kind, [np.asarray(a).tobytes() for a in arrays]])}
    for name in PARTS:
        value = getattr(cells, name)
        content = value if name in ("obs", "var") else {key: value[key] for key in value}
        parts[name] = _digest(_plain(content))
    return parts | {"raw": str(cells.raw is None)}


def _plain(value: Any) -> Any:
    """What is in a container, so that equal content gives equal bytes."""
    if hasattr(value, "columns") and hasattr(value, "index"):
        columns = [(str(c), str(value[c].dtype), list(map(str, value[c]))) for c in value.columns]
        return [list(map(str, value.index)), columns]
    if isinstance(value, dict):
        return [(str(key), _plain(value[key])) for key in value]
    if hasattr(value, "toarray"):
        value = value.toarray()
    return (str(value.dtype), value.shape, value.tobytes()) if isinstance(value, np.ndarray) else repr(value)


def _digest(value: Any) -> str:
    return hashlib.sha256(pickle.dumps(value)).hexdigest()


def _generators() -> dict[str, str]:
    states = {"random": _digest(random.getstate()), "numpy": _digest(repr(np.random.get_state(legacy=False)))}
    torch = sys.modules.get("torch")
    return states | ({"torch": _digest(torch.get_rng_state().numpy().tobytes())} if torch else {})


def _hidden(subject: ModelSubject) -> np.ndarray:
    """The answer without labels; a model that cannot do without them has looked for them."""
    try:
        answer = subject.reference
    except (Exception, SystemExit) as error:
        blind = f"{type(error).__name__}: {error}"
    else:
        if answer.dtype.kind in "fiub":
            return answer
        raise Skip(f"cannot be told of answers that are {answer.dtype}")
    try:
        _told(subject, subject.probe)
    except (Exception, SystemExit):
        raise Skip("it does not answer, with labels or without") from None
    raise Failure(
        f"model uses labels: with them it answers, without them it raises {blind}; declare fits='labels', or do without"
    )


def _told(subject: ModelSubject, cells: ad.AnnData) -> np.ndarray:
    """The answer of a model that is shown labels in `fit` and when it is asked."""
    model = subject.fitted if subject.spec.fits == "no" else subject.fit(subject.seen(cells, labels=True))
    return _asked_with(subject, model, cells)


def _asked_with(subject: ModelSubject, model: Any, cells: ad.AnnData) -> np.ndarray:
    return subject.ask(model, subject.seen(cells, labels=True))


def _refuse_difference(subject: ModelSubject, answers: list[np.ndarray], hidden: np.ndarray, when: str) -> None:
    changed = [answer for answer in answers if not repeated(answer, hidden, subject.device)]
    if changed:
        apart = max(difference(answer, hidden) for answer in changed)
        raise Failure(
            f"model uses labels {when}: hidden, shown and permuted obs[{LABEL!r}] give different answers"
            f" (by {apart:.1e} of the scale); leave that column alone, or declare fits='labels'"
        )


def _refuse_change(before: dict[str, str], after: dict[str, str], method: str) -> None:
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        raise Failure(f"model changed {', '.join(changed)} in {method}(); work on a copy of the cells")
