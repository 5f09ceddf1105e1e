"""What the classification task says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.config import option
from bench.hookspecs import hookimpl
from bench.specs import BridgeSpec, Cap, MetricSpec, TaskSpec


@dataclass(frozen=True)
class ClassificationConfig:
    """Options of the classification task."""

    probe: Literal["logreg", "knn", "mlp"] = option("logreg", "classifier on top of a model that only embeds cells")
    shots: tuple[int, ...] = option((1, 5, 10, 50), "labelled cells per type in the few-shot curve", low=1)
    cell_folds: int = option(5, "folds of random cells, where there are no donors or batches to hold out", low=2)
    min_class_size: int = option(1, "leave types with fewer cells out of the exam", low=1)


def _probe(name: str, summary: str) -> BridgeSpec:
    return BridgeSpec(name, summary, needs=Cap.EMBEDS_CELLS, target=f"bench_classification.probes:{name}")


TASK = TaskSpec(
    name="classification",
    summary="Are the types of cells from a donor (or batch) the model was not trained on recognised?",
    target="bench_classification.task:Classification",
    needs=Cap.PREDICTS_LABELS,
    bridges=(
        _probe("logreg", "logistic regression on the standardised embedding, strength chosen on held-out groups"),
        _probe("knn", "vote of the 15 nearest training cells by cosine distance"),
        _probe("mlp", "one hidden layer on the standardised embedding, stopped early on held-out groups"),
    ),
    bridge_option="probe",
    obs=("cell_type",),
    holds_out=True,
    metrics=(
        MetricSpec("macro_f1", "mean F1 of the types present in the test truth; unseen types count 0"),
        MetricSpec("macro_f1_seen", "the same over types that were in training"),
        MetricSpec("weighted_f1", "F1 weighted by the number of test cells"),
        MetricSpec("accuracy", "share of cells whose type is right"),
        MetricSpec("balanced_accuracy", "mean recall of the types present in the test truth"),
        MetricSpec("log_loss", "mean -ln p(true type), in nats", higher_is_better=False, upper=None),
        MetricSpec("ece", "calibration error over 15 bins of confidence", higher_is_better=False),
    ),
    main_metric="macro_f1",
    baselines=("logreg", "pca"),
    default_dataset="pbmc68k",
    floor="majority",
    ceiling="truth",
    config=ClassificationConfig,
    version="1",
    reference="doi:10.1038/s41467-024-51059-5",
)


@hookimpl
def bench_tasks() -> list[TaskSpec]:
    """The classification task."""
    return [TASK]
