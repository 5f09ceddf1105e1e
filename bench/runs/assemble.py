"""Records from endings: who ran what on which cells, and what came of it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any, cast

from bench import environment
from bench.catalogue import catalogue
from bench.runs import origin, record
from bench.runs.job import PROTOCOL, digest
from bench.runs.plan import DataFacts, Refusal
from bench.runs.record import (
    ContaminationPart,
    CostPart,
    DatasetPart,
    ErrorPart,
    MetricPart,
    ModelPart,
    Record,
    TaskPart,
)
from bench.runs.stored import model_spec
from bench.runs.supervise import Ending
from bench.specs import DatasetSpec, ModelSpec, TaskSpec

UNKNOWN_ORIGIN = {
    "kind": "unverified",
    "reason": "a stored embedding: how it was made, and whether held-out cells or labels were used, is not known",
}


def job_record(ending: Ending, facts: DataFacts, output: str) -> Record:
    """The record of a job that was started."""
    job, result = ending.job, ending.result or {}
    model, task = model_spec(job), catalogue().task(job.task)
    cost = CostPart(
        phases=result.get("phases", {}),
        wall_s=ending.wall_s,
        cells_per_s=result.get("cells_per_s"),
        peak_rss_bytes=ending.peak_rss_bytes,
        peak_vram_bytes=result.get("peak_vram_bytes"),
    )
    return Record(
        schema=record.SCHEMA,
        run_id=job.run_id,
        attempt=0,
        status=ending.status,
        created=_now(),
        protocol=PROTOCOL,
        model=_model_part(model, dict(job.model_config), job.weights, job.weights_sha256, result.get("contamination")),
        task=_task_part(task, dict(job.task_config), job.bridge),
        dataset=_dataset_part(job.dataset, job.dataset_identity, facts),
        fold=job.fold,
        folds=list(job.folds),
        split_seed=job.split_seed,
        seed=job.seed,
        track=track(model),
        split=result.get("split"),
        scores=result.get("scores", []),
        controls=result.get("controls", {}),
        flags=result.get("flags", []) + ([UNKNOWN_ORIGIN] if job.embedding else []),
        contamination=result.get("contamination"),
        cost=cost,
        environment=result.get("environment") or environment.describe(job.device),
        error=ending.error,
        embedding=job.embedding,
        output=output,
    )


def refusal_record(refusal: Refusal, device: str) -> Record:
    """The record of a triple that does not fit together: not applicable, which is not a failure."""
    message = "; ".join(map(str, refusal.reasons))
    key = [refusal.model.name, refusal.config, refusal.task.name, refusal.task.version, refusal.dataset.name, message]
    return Record(
        schema=record.SCHEMA,
        run_id=digest(key),
        attempt=0,
        status="incompatible",
        created=_now(),
        protocol=PROTOCOL,
        model=_model_part(refusal.model, dict(refusal.config), "", ""),
        task=_task_part(refusal.task, {}, ""),
        dataset=_dataset_part(refusal.dataset, "", DataFacts()),
        fold="",
        folds=[],
        split_seed=0,
        seed=0,
        track=track(refusal.model),
        split=None,
        scores=[],
        controls={},
        flags=[],
        contamination=None,
        cost=CostPart(phases={}, wall_s=0.0, cells_per_s=None, peak_rss_bytes=None, peak_vram_bytes=None),
        environment=environment.describe(device),
        error=ErrorPart(kind="Incompatible", message=message, bad_input=True, log_tail=[]),
        embedding="",
        output="",
    )


def track(model: ModelSpec) -> str:
    """The ranking a model belongs to; tracks are never mixed."""
    if model.fits == "labels":
        return "fine-tuned" if model.weights else "label-aware"
    return "fitted" if model.fits == "cells" else "zero-shot"


def _model_part(
    spec: ModelSpec, config: dict[str, Any], weights: str, sha256: str, found: ContaminationPart | None = None
) -> ModelPart:
    return ModelPart(
        name=spec.name,
        version=spec.version,
        summary=spec.summary,
        config=config,
        fits=spec.fits,
        weights=origin.status(spec, weights, sha256, found),
        weights_sha256=sha256,
        trained_on=origin.trained_on(weights),
        distribution=catalogue().models.origins.get(spec.name, ""),
        reference=spec.reference,
    )


def _task_part(spec: TaskSpec, config: dict[str, Any], bridge: str) -> TaskPart:
    return TaskPart(
        name=spec.name,
        version=spec.version,
        config=config,
        bridge=bridge,
        metrics=[cast(MetricPart, dataclasses.asdict(m)) for m in spec.metrics],
        main_metric=spec.main_metric,
        aggregate=dict(spec.aggregate),
        floor=spec.floor,
        ceiling=spec.ceiling,
        baselines=list(spec.baselines),
    )


def _dataset_part(spec: DatasetSpec, identity: str, facts: DataFacts) -> DatasetPart:
    return DatasetPart(
        name=spec.name,
        version=spec.version,
        identity=identity,
        study=spec.study,
        roles=dict(spec.roles),
        layer=spec.layer,
        options=dict(spec.options),
        semi_simulated=spec.semi_simulated,
        simulated=spec.simulated,
        n_obs=facts.n_obs,
        n_vars=facts.n_vars,
        notices=list(facts.notices),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
