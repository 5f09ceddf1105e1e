"""The models a task meets: fresh, seeded, measured, checked, and blind to what they may not see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import answers
from bench.capabilities import ModelClass, Weights
from bench.config import build
from bench.data.identity import cells_hash
from bench.runs.meter import Meter
from bench.specs import BridgeSpec, Cap, ModelSpec, load_target
from bench.tasks import MakeModel

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np
    import pandas as pd

LABEL = "cell_type"


class Embedder:
    """A model that embeds cells, as tasks and bridges see it.

    Labels reach `fit` only where the spec declares `fits="labels"`, and never reach `embed`. The model gets
    copies: what it does to them in place nobody else sees. Fits and embeddings of the same cells are shared
    between the models of one job: a model is seeded, so a second fit would give the same result.
    """

    def __init__(self, make: Callable[[], Any], spec: ModelSpec, meter: Meter, shared: dict[str, Any]) -> None:
        self._make, self._spec, self._meter, self._shared = make, spec, meter, shared
        self._fit_key = "unfitted"

    def fit(self, cells: ad.AnnData) -> None:
        """Learn from cells; a zero-shot model is not shown them at all."""
        if self._spec.fits == "no":
            return
        visible = visible_to(self._spec, cells)
        self._fit_key = self._key(visible)
        if self._fit_key not in self._shared:
            model = self._new()
            with self._meter.phase("fit"):
                model.fit(visible)
            self._shared[self._fit_key] = model

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return float32 (n_cells, n_dims), checked."""
        visible = without_labels(cells)
        key = f"{self._fit_key}:{self._key(visible)}"
        if key not in self._shared:
            if self._fit_key not in self._shared:
                self._shared[self._fit_key] = self._new()
            with self._meter.phase("predict"):
                values = self._shared[self._fit_key].embed(visible)
            self._meter.count(visible.n_obs)
            checked = answers.embedding(f"model {self._spec.name}", values, len(cells.obs_names))
            checked.flags.writeable = False  # it is shared
            self._shared[key] = checked
        return self._shared[key]

    def _key(self, visible: ad.AnnData) -> str:
        with self._meter.phase("sit"):  # the harness's own time
            return cells_hash(visible, tuple(visible.obs.columns))

    def _new(self) -> Any:
        return made(self._make, self._meter)


class Predictor:
    """A model that predicts labels, as a task sees it: measured and checked.

    `phase` is what its own time is charged to: `fit`/`predict` for a model, `bridge` for a probe, whose
    inner model is charged by itself.
    """

    def __init__(self, inner: Any, spec: ModelSpec, meter: Meter, bridged: bool) -> None:
        self._inner, self._spec, self._meter = inner, spec, meter
        self._fit_phase, self._predict_phase = ("bridge", "bridge") if bridged else ("fit", "predict")
        self._bridged = bridged

    def fit(self, cells: ad.AnnData) -> None:
        """Learn from the labelled cells; a bare model sees what its spec declares, a probe's own model likewise."""
        if not self._bridged and self._spec.fits == "no":
            return
        visible = cells.copy() if self._bridged else visible_to(self._spec, cells)
        with self._meter.phase(self._fit_phase):
            self._inner.fit(visible)

    def predict(self, cells: ad.AnnData) -> pd.DataFrame:
        """Return probabilities (obs_names x classes), rows in the order given."""
        with self._meter.phase(self._predict_phase):
            frame = self._inner.predict(without_labels(cells))
        if not self._bridged:
            self._meter.count(cells.n_obs)
        return answers.probabilities(f"model {self._spec.name}", frame, list(cells.obs_names))


def factory(
    spec: ModelSpec,
    make: Callable[[], Any],
    needs: Cap,
    bridge: BridgeSpec | None,
    task_config: Any,
    seed: int,
    meter: Meter,
) -> MakeModel:
    """A factory of what the task needs, over a factory of the bare model.

    Parameters
    ----------
    spec
        Of the model.
    make
        Makes the bare model, configured and seeded.
    needs
        What the task asks of a model.
    bridge
        What adapts it to the task; None where it gives what the task needs.
    task_config
        Handed to the bridge.
    seed
        Of the bridge's own randomness.
    meter
        Charged with every call.
    """
    shared: dict[str, Any] = {}

    def embedder() -> Embedder:
        return Embedder(make, spec, meter, shared)

    if bridge is not None:
        adapt = load_target(bridge.target)
        return lambda: Predictor(adapt(embedder, config=task_config, seed=seed), spec, meter, bridged=True)
    if needs is Cap.EMBEDS_CELLS:
        return embedder
    if needs is Cap.PREDICTS_LABELS:
        return lambda: Predictor(made(make, meter), spec, meter, bridged=False)
    return make


def configured_model(
    spec: ModelSpec, config: Mapping[str, Any], weights: str, seed: int, device: str
) -> Callable[[], Any]:
    """A factory of fresh bare models.

    Parameters
    ----------
    spec
        Of the model.
    config
        Its options.
    weights
        Path, `"untrained"`, or empty for a model that has none.
    seed, device
        Handed to the model.
    """
    model_class: ModelClass = load_target(spec.target)
    options = build(spec.config, config, f"model {spec.name}")
    given: Weights = Path(weights) if weights not in ("", "untrained") else "untrained" if weights else None
    return lambda: model_class(options, weights=given, seed=seed, device=device)


def made(make: Callable[[], Any], meter: Meter) -> Any:
    """A fresh bare model; what its construction takes is loading."""
    with meter.phase("load"):
        return make()


def visible_to(spec: ModelSpec, cells: ad.AnnData) -> ad.AnnData:
    """A copy of the cells with what `fit` of a model may see."""
    return cells.copy() if spec.fits == "labels" else without_labels(cells)


def without_labels(cells: ad.AnnData) -> ad.AnnData:
    """A copy of the cells without their labels."""
    copy = cells.copy()
    if LABEL in copy.obs:
        del copy.obs[LABEL]
    return copy
