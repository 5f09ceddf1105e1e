"""Models that know only some genes, by symbols or by Ensembl ids. A plugin like any other."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, ModelSpec, WeightsSpec

EMBEDS = frozenset({Cap.EMBEDS_CELLS})


@dataclass(frozen=True)
class Config:
    """How many genes of the data it knows, of the sixty it reads."""

    known: int = option(60, "genes GENE0 to GENE(known - 1), or their ids", low=0, high=60)


@hookimpl
def bench_models() -> list[ModelSpec]:
    """Readers of symbols and of ids, and some whose vocabulary is broken."""
    return [
        _model("symbols", gene_ids="symbol", vocabulary="readers:symbols"),
        _model("ids", gene_ids="ensembl", vocabulary="readers:ids"),
        _model("either", vocabulary="readers:symbols"),
        _model("strange", gene_ids="ensembl", vocabulary="readers:strange_ids"),
        _model("any-symbols", gene_ids="symbol"),
        _model("mousy", gene_ids="symbol", vocabulary="readers:symbols", species=frozenset({"mouse"})),
        _model("weighted", vocabulary="readers:symbols", weights=WeightsSpec("Ten numbers.", source="a friend")),
        _model("needy", requires=("no-such-distribution>=2",)),
        _model("listy", vocabulary="readers:a_list"),
        _model("raising", vocabulary="readers:raises"),
    ]


def _model(name: str, **fields: object) -> ModelSpec:
    return ModelSpec(name, f"reads {name}", "readers:Reader", EMBEDS, Config, fits="no", **fields)


def symbols(config, *, weights, species):
    return frozenset(f"GENE{i if i < config.known else i + 1000}" for i in range(60))


def ids(config, *, weights, species):
    return frozenset(f"ENSG{i if i < config.known else i + 1000:011d}" for i in range(60))


def strange_ids(config, *, weights, species):
    return frozenset(f"ENSG{i + 1000:011d}" for i in range(60))


def a_list(config, *, weights, species):
    return ["GENE1"]


def raises(config, *, weights, species):
    raise RuntimeError("no dictionary")


class Reader:
    """Sums of gene blocks."""

    def __init__(self, config, *, weights, seed, device):
        pass

    def fit(self, cells):
        pass

    def embed(self, cells):
        import numpy as np

        blocks = np.array_split(np.log1p(cells.X.toarray()), 8, axis=1)
        return np.column_stack([block.sum(axis=1) for block in blocks]).astype("float32")
