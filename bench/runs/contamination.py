"""Whether a model has been trained on the cells it is examined on: computed from fingerprints, else as declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BadInput
from bench.runs import origin
from bench.runs.record import ContaminationPart, SeenFile
from bench.specs import DatasetSpec, ModelSpec
from bench.weights import trained
from bench.wording import counted, listed, percent

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np

    from bench.data.fingerprints import Fingerprints
    from bench.data.overlap import Sought

ENOUGH = 0.9
"""Share of pairs of cells that must be comparable for the absence of shared cells to mean something."""


def measure(weights: str, cells: ad.AnnData, rows: Sequence[str]) -> ContaminationPart | None:
    """Look for the cells of a dataset among those that weights were trained on.

    Parameters
    ----------
    weights
        Of the run's model: a path, `"untrained"`, or empty.
    cells
        All cells of the dataset, canonical.
    rows
        Names of what is scored; where these are no cells, all cells are.

    Returns
    -------
    None where the weights are not those of a training here: nothing can be computed then.
    """
    folder = Path(weights)
    if weights in ("", "untrained") or not trained.is_trained(folder):
        return None
    scored = cells.obs_names.isin(rows)
    search = _Search(cells, scored if scored.any() else ~scored)
    try:
        from bench.data import fingerprints

        for prints in fingerprints.read(trained.found(folder, trained.FINGERPRINTS)):
            search.look(prints)
    except BadInput as error:
        search.problem = str(error)
    return search.told(_cells_of(folder))


def flags(
    found: ContaminationPart | None, model: ModelSpec, dataset: DatasetSpec, weights: str
) -> list[dict[str, str]]:
    """What a reader of the scores must know: `contaminated`, which is not ranked, or `unchecked`."""
    if found is None:
        return _declared(model, dataset) if weights not in ("", "untrained") else []
    if found["scored_seen"]:
        files = [file["name"] for file in found["files"] if file["scored_seen"]]
        return [{"kind": "contaminated", "reason": seen_in_training(found["scored_seen"], found["scored"], files)}]
    if found["problem"] or found["comparable"] < ENOUGH:
        why = found["problem"] or (
            f"only {percent(found['comparable'])} of the pairs of cells have enough genes that both have measured"
        )
        return [{"kind": "unchecked", "reason": f"scored cells may have been in the training data: {why}"}]
    return []


def seen_in_training(seen: int, scored: int, files: Iterable[str]) -> str:
    """How many scored cells a model has been trained on, in words."""
    return f"{seen:,} of {counted(scored, 'scored cell')} were in the training data ({listed(files, 3)})"


def _declared(model: ModelSpec, dataset: DatasetSpec) -> list[dict[str, str]]:
    """A flag where the model's own spec names the dataset or its study."""
    named = {name.casefold() for name in model.pretrained_on}
    for name in (dataset.study, dataset.name):
        if name and name.casefold() in named:
            return [{"kind": "contaminated", "reason": f"{name} was among its training data (declared, not computed)"}]
    return []


def _cells_of(folder: Path) -> int | None:
    """Cells of all data behind some weights; None where no provenance says so."""
    found = origin.known(folder)
    return sum(file["cells"] for of in found["trainings"] for file in of["data"]) if found else None


class _Search:
    """Cells of a dataset, looked for in one file of a training after the other."""

    def __init__(self, cells: ad.AnnData, scored: np.ndarray) -> None:
        import numpy as np

        self._cells, self._scored = cells, scored
        self._seen, self._kept = np.zeros((2, cells.n_obs), dtype=bool)
        self._by_kind: dict[str, Sought] = {}
        self._files: list[SeenFile] = []
        self._trained, self._compared = 0, 0.0
        self.problem = ""

    def look(self, prints: Fingerprints) -> None:
        """Look for all cells in one file."""
        found = self._whole(prints).overlap(prints)
        self._trained += len(prints)
        self._compared += found.comparable * len(prints)
        self._seen |= found.seen
        self._kept |= found.kept
        if found.seen.any():
            self._files.append(
                SeenFile(
                    name=prints.name,
                    cells=len(prints),
                    genes=found.genes,
                    seen=int(found.seen.sum()),
                    scored_seen=int((found.seen & self._scored).sum()),
                )
            )

    def told(self, expected: int | None) -> ContaminationPart:
        """What was found, in a training on so many cells."""
        if not self.problem and expected is not None and expected != self._trained:
            self.problem = f"fingerprints are of {self._trained:,} of {counted(expected, 'cell')}"
        return ContaminationPart(
            trained=self._trained,
            cells=len(self._seen),
            seen=int(self._seen.sum()),
            kept=int((self._kept & ~self._seen).sum()),
            scored=int(self._scored.sum()),
            scored_seen=int((self._seen & self._scored).sum()),
            comparable=self._compared / self._trained if self._trained else 0.0,
            files=self._files,
            problem=self.problem,
        )

    def _whole(self, prints: Fingerprints) -> Sought:
        from bench.data.fingerprints import of_anndata
        from bench.data.overlap import Sought

        if prints.kind not in self._by_kind:
            self._by_kind[prints.kind] = Sought(of_anndata(self._cells, "", prints.kind, whole=True))
        return self._by_kind[prints.kind]
