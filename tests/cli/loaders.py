"""Models that read weights of strangers through `bench.weights`, each of another kind. A plugin like any other."""

from __future__ import annotations

from bench.hookspecs import API, hookimpl
from bench.specs import Cap, ModelSpec, RemoteFile, WeightsSpec

BENCH_API = API
PUBLISHED = RemoteFile("page.pt", size=1_200_000_000, sha256="ab" * 32)
FILES = {
    "page": "page.pt",
    "pointer": "pointer.pt",
    "code": "code.pt",
    "shapes": "shapes.pt",
    "table": "table.pkl",
    "pickled-code": "code.pkl",
}


@hookimpl
def bench_models() -> list[ModelSpec]:
    """One model per file."""
    weights = WeightsSpec("Made for a test.", source="a stranger")
    embeds = frozenset({Cap.EMBEDS_CELLS})
    return [
        ModelSpec(name, f"reads {file}", f"loaders:{name.title().replace('-', '')}", embeds, fits="no", weights=weights)
        for name, file in FILES.items()
    ]


class Reader:
    """Reads its file when it is made."""

    name = ""

    def __init__(self, config, *, weights, seed, device):
        self.read(weights / FILES[self.name])

    def read(self, path):
        from bench.weights import torch_file

        return torch_file.read(path, PUBLISHED if self.name in ("page", "pointer") else None)

    def fit(self, cells):
        pass

    def embed(self, cells):
        import numpy as np

        blocks = np.array_split(np.log1p(cells.X.toarray()), 8, axis=1)
        return np.column_stack([block.sum(axis=1) for block in blocks]).astype("float32")


class Page(Reader):
    name = "page"


class Pointer(Reader):
    name = "pointer"


class Code(Reader):
    name = "code"


class Shapes(Reader):
    name = "shapes"

    def read(self, path):
        from bench.weights import matching

        expected = {f"layer{i}.weight": (8, 8) for i in range(7)}
        matching.match(super().read(path), expected, f"weights {path.name}", "Set --set width=16.")


class Table(Reader):
    name = "table"

    def read(self, path):
        from bench.weights import pickles

        assert pickles.read(path) == {"GENE1": 0.5}


class PickledCode(Table):
    name = "pickled-code"
