"""An embedding that is already in the user's file, examined like a model (`bench run --embedding KEY`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.catalogue import catalogue
from bench.errors import BadInput
from bench.runs.job import Job
from bench.specs import Cap, DatasetSpec, ModelSpec

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np


def model_spec(job: Job) -> ModelSpec:
    """The spec of a job's model, or of the stored embedding that takes its place."""
    return stored_spec(job.embedding) if job.embedding else catalogue().model(job.model)


def stored_spec(key: str) -> ModelSpec:
    """The spec of an embedding nobody here has made: how it was fitted is not known."""
    return ModelSpec(
        name=f"obsm:{key}",  # no model can be called so
        summary="an embedding stored in the dataset; how it was made is not known here",
        target="bench.runs.stored:StoredEmbedding",
        gives=frozenset({Cap.EMBEDS_CELLS}),
        fits="cells",
    )


def stored_model(key: str, dataset: DatasetSpec) -> Callable[[], StoredEmbedding]:
    """A factory of the embedding under `obsm[key]` of a dataset."""
    from bench.data.canonical import load_embedding

    names, values = load_embedding(dataset, key)
    return lambda: StoredEmbedding(key, dict(zip(names, values, strict=True)))


class StoredEmbedding:
    """Looks cells up by name."""

    def __init__(self, key: str, vectors: dict[str, np.ndarray]) -> None:
        self._key, self._vectors = key, vectors

    def fit(self, cells: ad.AnnData) -> None:
        """Nothing to learn."""

    def embed(self, cells: ad.AnnData) -> np.ndarray:
        """Return the stored vectors, rows in the order given.

        Raises
        ------
        BadInput
            If a cell has no vector.
        """
        import numpy as np

        absent = [name for name in cells.obs_names if name not in self._vectors]
        if absent:
            raise BadInput(f"obsm[{self._key!r}] has no row for {len(absent):,} cells (first: {absent[0]!r}).")
        return np.stack([self._vectors[name] for name in cells.obs_names])
