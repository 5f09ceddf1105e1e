"""A plugin of models and tasks that are not what they say, each in one way; those called fine are."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import Cap, MetricSpec, ModelSpec, TaskSpec, WeightsSpec

EMBEDS, LABELS = frozenset({Cap.EMBEDS_CELLS}), frozenset({Cap.PREDICTS_LABELS})


@dataclass(frozen=True)
class Config:
    """Width of an embedding."""

    width: int = option(8, "number of dimensions", low=1)


@dataclass
class Mutable:
    width: int = option(8, "number of dimensions", low=1)


@dataclass(frozen=True)
class Helpless:
    width: int = option(8, "", low=1)


@dataclass(frozen=True)
class Mistyped:
    level: str = option(5, "a default that is not of its own type")


@dataclass(frozen=True)
class Unbounded:
    width: int = option(8, "number of dimensions, without a bound")


@dataclass(frozen=True)
class Touched:
    power: int = option(1, "a number that only score() looks at")


@dataclass(frozen=True)
class Words:
    scale: str = option("log", "a word that is not looked at")


@dataclass(frozen=True)
class Touchy:
    shots: int = option(1, "a number that is refused in an unkind way")

    def __post_init__(self) -> None:
        if self.shots < 0:
            raise TypeError("bad")


def _model(name: str, target: str, **more: object) -> ModelSpec:
    told = {"gives": EMBEDS, "fits": "no", "config": Config, **more}
    return ModelSpec(name, f"a misfit of the kit's tests: {name}", f"misfit_models:{target}", **told)  # type: ignore[arg-type]


def _task(name: str, target: str, **more: object) -> TaskSpec:
    told = {
        "needs": Cap.EMBEDS_CELLS,
        "metrics": (MetricSpec("purity", "share of cells whose nearest cell has their type"),),
        "main_metric": "purity",
        "default_dataset": "simulated",
        "obs": ("cell_type",),
        "baselines": ("pca",),
        "floor": "shuffled",
        "ceiling": "truth",
        **more,
    }
    return TaskSpec(name, f"a misfit of the kit's tests: {name}", f"misfit_tasks:{target}", **told)  # type: ignore[arg-type]


@hookimpl
def bench_models() -> list[ModelSpec]:
    """Two good families, and every way to be wrong."""
    fitted = {"fits": "cells"}
    labelled = {"gives": LABELS, "fits": "labels"}
    return [
        _model("fine", "Fine"),
        _model("fine-fitted", "FineFitted", **fitted),
        _model("fine-transductive", "FineTransductive", fits="cells", inductive=False, per_cell=False),
        _model("fine-classifier", "FineClassifier", **labelled),
        _model("fine-both", "FineBoth", gives=EMBEDS | LABELS, fits="labels"),
        _model("fine-genes", "FineGenes", gives=frozenset({Cap.EMBEDS_GENES})),
        _model("cannot-be-made", "CannotBeMade", gives=frozenset({Cap.EMBEDS_GENES})),
        _model("fine-vocabulary", "FineVocabulary", vocabulary="misfit_models:vocabulary"),
        _model("fine-mouse", "FineMouse", species=frozenset({"mouse"}), gene_ids="ensembl"),
        _model("missing-method", "Fine", gives=EMBEDS | LABELS),
        _model("other-constructor", "OtherConstructor"),
        _model("contradiction", "Fine", inductive=False),
        _model("strange-role", "Fine", obs=("sample",)),
        _model("mutable-config", "Fine", config=Mutable),
        _model("helpless-config", "Fine", config=Helpless),
        _model("mistyped-config", "Fine", config=Mistyped),
        _model("unbounded", "Fine", config=Unbounded),
        _model("short", "Short"),
        _model("flat", "Flat"),
        _model("double", "Double"),
        _model("text", "Text"),
        _model("raises", "Raises"),
        _model("learns-untold", "FineFitted"),
        _model("gaps-for-genes", "GapsForGenes", **fitted),
        _model("second-minibatch", "SecondMinibatch"),
        _model("knows-barcodes", "KnowsBarcodes"),
        _model("remembers-barcodes", "RemembersBarcodes"),
        _model("strange-words", "StrangeWords", config=Words),
        _model("exits", "Exits"),
        _model("nan", "Nan"),
        _model("divides-by-zero", "DividesByZero"),
        _model("constant", "Constant"),
        _model("restless", "Restless"),
        _model("dropout", "Dropout"),
        _model("sorted-rows", "SortedRows"),
        _model("neighbourly", "Neighbourly", per_cell=False),
        _model("unstable-refit", "UnstableRefit", fits="cells", inductive=False, per_cell=False),
        _model("positional-genes", "PositionalGenes"),
        _model("centred", "Centred"),
        _model("batch-of-two", "BatchOfTwo"),
        _model("squeezed", "Squeezed"),
        _model("knows-only-fitted", "KnowsOnlyFitted", **fitted),
        _model("zeros-for-new", "ZerosForNew", **fitted),
        _model("unkind-to-new", "UnkindToNew", fits="cells", inductive=False, per_cell=False),
        _model("peeks", "Peeks"),
        _model("peeks-in-fit", "PeeksInFit", **fitted),
        _model("needs-labels", "NeedsLabels", **fitted),
        _model("peeks-when-asked", "PeeksWhenAsked", **labelled),
        _model("normalises-in-place", "NormalisesInPlace"),
        _model("adds-column", "AddsColumn", **fitted),
        _model("adds-uns", "AddsUns"),
        _model("prints", "Prints"),
        _model("unkind-to-genes", "UnkindToGenes", **fitted),
        _model("unkind-weights", "UnkindWeights", weights=WeightsSpec("a table")),
        _model("careless-weights", "Fine", weights=WeightsSpec("a table")),
        _model("kind-weights", "KindWeights", weights=WeightsSpec("a table")),
        _model("unnormalised", "Unnormalised", **labelled),
        _model("unseen-class", "UnseenClass", **labelled),
        _model("unnamed-rows", "UnnamedRows", **labelled),
        _model("swapped-names", "SwappedNames", **labelled),
        _model("crashes", "Crashes"),
        _model("lingers", "Lingers"),
        _model("hangs", "Hangs"),
    ]


@hookimpl
def bench_tasks() -> list[TaskSpec]:
    """Two good tasks, and every way to be wrong."""
    return [
        _task("fine-task", "Purity"),
        _task("fine-held-out", "HeldOut", holds_out=True),
        _task("fine-labels", "Naming", needs=Cap.PREDICTS_LABELS, holds_out=True, baselines=("logreg",)),
        _task("lonely-floor", "LonelyFloor", ceiling=""),
        _task("no-floor", "Purity", floor=""),
        _task("unknown-baseline", "Purity", baselines=("no-such-model",)),
        _task("strange-main-metric", "Purity", main_metric="beauty"),
        _task("helpless-options", "Purity", config=Helpless),
        _task("touchy-options", "Purity", config=Touchy),
        _task("unscored", "Unscored"),
        _task("learns-asked", "LearnsAsked", holds_out=True),
        _task("coded-truth", "CodedTruth"),
        _task("file-order", "FileOrder"),
        _task("renamed", "Renamed"),
        _task("touchy-score", "TouchyScore", config=Touched),
        _task("new-folds", "NewFolds"),
        _task("no-folds", "NoFolds"),
        _task("unseeded-split", "UnseededSplit"),
        _task("other-rows", "OtherRows"),
        _task("writes-on-source", "WritesOnSource"),
        _task("window-on-source", "WindowOnSource"),
        _task("overlap", "Overlap", holds_out=True),
        _task("generous", "Generous"),
        _task("generous-corners", "GenerousCorners"),
        _task("sorted-by-type", "SortedByType"),
        _task("shows-labels", "ShowsLabels"),
        _task("half-an-answer", "HalfAnAnswer"),
        _task("whispers", "Whispers"),
        _task("undeclared-metric", "UndeclaredMetric"),
        _task("out-of-bounds", "OutOfBounds"),
        _task("nan-score", "NanScore"),
        _task("other-version", "OtherVersion"),
        _task("forgets-metric", "ForgetsMetric"),
        _task("moody", "Moody"),
        _task("remembers", "Remembers"),
        _task("by-position", "ByPosition"),
        _task("upside-down", "UpsideDown"),
        _task("no-such-control", "Purity", floor="majority"),
    ]
