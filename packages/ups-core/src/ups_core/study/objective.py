"""What a study minimises or maximises, and the part of the pipeline that its trials run.

Selecting by a test metric would make the test split part of training, so only metrics of the validation split
are accepted, and trials end where training ends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from ups_core.document import Document, KeyPath
from ups_core.errors import UsageError
from ups_core.spec import PipelineSpec, StepSpec
from ups_core.step_config import StageConfig
from ups_core.study.parameters import NO_STAGE

T = TypeVar("T")


def objective_key(spec: PipelineSpec, given: str | None) -> str:
    """The metric's key in `run.json`: the last training stage's validation rollout where none is given.

    Raises:
        UsageError: the spec trains nothing, has no such step, or the metric is not of the validation split.
    """
    stages = [(step.id, step.config) for step in spec.pipeline if isinstance(step.config, StageConfig)]
    if not stages:
        raise UsageError(NO_STAGE)
    last_id, last = stages[-1]
    usual = f"{last_id}/{last.monitor}"
    if given is None:
        return usual
    step_id, _, name = given.partition("/")
    steps = {step.id: step for step in spec.pipeline}
    if step_id not in steps or not name:
        raise UsageError(
            f"--metric {given}: write it as STEP/METRIC, e.g. {usual}; steps: {', '.join(steps)}"
        )
    if (split := _split(steps[step_id], name, spec.tasks)) != "val":
        raise UsageError(
            f"--metric {given} is measured on {split}; a study selects on the validation split only, "
            f"otherwise its result does not predict errors on new data; use {usual}"
        )
    return given


def higher_is_better(spec: PipelineSpec, metric: str) -> bool:
    """Whether a study maximises this metric: the step that measures it knows."""
    step_id, _, name = metric.partition("/")
    return next(step for step in spec.pipeline if step.id == step_id).config.higher_is_better(name)


def training_part(spec: PipelineSpec, document: Document, metric: str) -> tuple[PipelineSpec, Document]:
    """The spec and its document cut to the stages, the step that measures `metric`, and what they need."""
    wanted = {step.id for step in spec.pipeline if step.role == "stage"} | {metric.partition("/")[0]}
    for step in reversed(spec.pipeline):
        if step.id in wanted:
            wanted |= set(step.config.needs)
    kept = [index for index, step in enumerate(spec.pipeline) if step.id in wanted]
    part = spec.model_copy(update={"pipeline": [spec.pipeline[index] for index in kept]})
    return part, replace(
        document,
        data={**document.data, "pipeline": [document.data["pipeline"][index] for index in kept]},
        positions=_moved(document.positions, kept),
        interpolated=_moved(document.interpolated, kept),
    )


def _split(step: StepSpec, name: str, tasks: Collection[str]) -> str:
    """The split that a metric is measured on: `val`, or a phrase for the error message."""
    first, *others = name.split("/")
    # A training stage's metrics begin with their split, those of an evaluation with a task of any name.
    named = step.role == "evaluate" and first in tasks
    words = others if named else [first, *others]
    split = "test" if "test" in words else step.config.measures
    return "val" if split == "val" else f"the {split} split" if split else f"no split that '{step.id}' names"


def _moved(record: Mapping[KeyPath, T], kept: list[int]) -> dict[KeyPath, T]:
    """What is known about places in the document, with the pipeline's entries renumbered."""
    moved = {}
    for path, value in record.items():
        if len(path) > 1 and path[0] == "pipeline" and isinstance(path[1], int):
            if path[1] not in kept:
                continue
            path = (path[0], kept.index(path[1]), *path[2:])
        moved[path] = value
    return moved
