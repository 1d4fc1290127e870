"""Adds training stages to a pipeline for baselines that no stage trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ups_core.base_configs import ModelConfig
from ups_core.component import Component, validate_options
from ups_core.document import Document, KeyPath
from ups_core.errors import Issue
from ups_core.names import step_id
from ups_core.registry import Registry
from ups_core.spec import PipelineSpec, StepSpec
from ups_core.step_config import Requirement, StageConfig


@dataclass(frozen=True)
class PipelineStep:
    """One step of the expanded pipeline.

    Attributes:
        baseline: true where the step was added to train a baseline.
        path: the entry of the document that the step comes from.
        option: of an added step, the option in that entry that names the baseline.
    """

    spec: StepSpec
    baseline: bool
    path: KeyPath
    option: KeyPath = ()


def baseline_id(model: str) -> str:
    """The id of the step that trains a baseline: as of a step without an id."""
    return step_id(model)


def expand_pipeline(
    spec: PipelineSpec, document: Document, registry: Registry, issues: list[Issue]
) -> Iterator[PipelineStep]:
    """The pipeline with a training stage before each step that needs a model which no stage trains.

    The added stage repeats the newest earlier stage that makes the same kind of artifact, option by option,
    with the other model: a baseline gets the same data, epochs and optimizer. Stages that build on no other
    step are preferred.

    Args:
        issues: gets what is wrong with a baseline.
    """
    earlier: dict[str, StepSpec] = {}
    for index, step in enumerate(spec.pipeline):
        path: KeyPath = ("pipeline", index)
        for requirement in step.config.requirements():
            try:
                added = _stage_for(requirement, earlier, spec.model, registry)
            except _CannotTrain as problem:
                issues.append(document.issue((*path, *requirement.option), str(problem)))
                continue
            if added is not None:
                earlier[added.id] = added
                yield PipelineStep(added, True, path, requirement.option)
        if step.config.produces:
            earlier[step.id] = step
        yield PipelineStep(step, False, path)


class _CannotTrain(Exception):
    """Why no stage can be added for a baseline."""


def _stage_for(
    requirement: Requirement, earlier: dict[str, StepSpec], default: Component, registry: Registry
) -> StepSpec | None:
    """A copy of the newest fitting stage with the required model; None where none is needed."""
    name, model = requirement.model, requirement.component
    existing = earlier.get(baseline_id(name))
    if existing is not None:
        if model is not None and existing.config.trained_model(default) != model:
            raise _CannotTrain(
                f"step '{existing.id}' trains '{name}' with other options; write them there, or give that "
                "step another id"
            )
        return None
    entry = registry.get("models", name)
    config_class = entry.load_config()
    assert issubclass(config_class, ModelConfig)  # Entry.load_config has checked it
    if not config_class.trainable:
        return None
    stages = [
        (stage, stage.config)
        for stage in reversed(earlier.values())  # dictionaries keep insertion order: the newest first
        if isinstance(stage.config, StageConfig) and requirement.artifact in stage.config.produces
    ]
    if not stages:
        raise _CannotTrain(
            f"baseline '{name}' must be trained, but no earlier stage produces the artifact "
            f"'{requirement.artifact}'; add one before this step"
        )
    # A stage that builds on an earlier one, such as a correction of its model, cannot train a baseline alone.
    stage, config = next((pair for pair in stages if not pair[1].consumes), stages[0])
    model = model or Component(entry, validate_options(config_class, {}, registry))
    changes = {"id": baseline_id(name), "needs": [], **config.for_baseline(model)}
    return StepSpec("stage", stage.entry, config.model_copy(update=changes))
