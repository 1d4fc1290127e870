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
    """

    spec: StepSpec
    baseline: bool
    path: KeyPath


def baseline_id(model: str) -> str:
    """The id of the step that trains a baseline: as of a step without an id."""
    return step_id(model)


def expand_pipeline(
    spec: PipelineSpec, document: Document, registry: Registry, issues: list[Issue]
) -> Iterator[PipelineStep]:
    """The pipeline with a training stage before each step that needs a model which no stage trains.

    The added stage repeats the newest earlier stage that makes the same kind of artifact, option by option,
    with the other model: a baseline gets the same data, epochs and optimizer.

    Args:
        issues: gets what is wrong with a baseline.
    """
    earlier: dict[str, StepSpec] = {}
    for index, step in enumerate(spec.pipeline):
        path: KeyPath = ("pipeline", index)
        for requirement in step.config.requirements():
            if baseline_id(requirement.model) in earlier:
                continue
            try:
                added = _stage_for(requirement, earlier, registry)
            except _CannotTrain as problem:
                issues.append(document.issue((*path, "baselines"), str(problem)))
                continue
            if added is not None:
                earlier[added.id] = added
                yield PipelineStep(added, True, path)
        if step.config.produces:
            earlier[step.id] = step
        yield PipelineStep(step, False, path)


class _CannotTrain(Exception):
    """Why no stage can be added for a baseline."""


def _stage_for(requirement: Requirement, earlier: dict[str, StepSpec], registry: Registry) -> StepSpec | None:
    """A copy of the newest fitting stage with the required model; None for a model without parameters."""
    name = requirement.model
    entry = registry.find("models", name)
    if entry is None:
        ids = [step.id for step in earlier.values() if requirement.artifact in step.config.produces]
        steps = f" (or name a step: {', '.join(ids)})" if ids else ""
        raise _CannotTrain(f"{registry.explain_missing('models', name)}{steps}")
    config_class = entry.load_config()
    assert issubclass(config_class, ModelConfig)  # Entry.load_config has checked it
    if not config_class.trainable:
        return None
    for stage in reversed(earlier.values()):  # dictionaries keep insertion order: the newest first
        config = stage.config
        if isinstance(config, StageConfig) and requirement.artifact in config.produces:
            model = Component(entry, validate_options(config_class, {}, registry))
            changes = {"id": baseline_id(name), "needs": [], **config.for_baseline(model)}
            return StepSpec("stage", stage.entry, config.model_copy(update=changes))
    raise _CannotTrain(
        f"baseline '{name}' must be trained, but no earlier stage produces a {requirement.artifact}; "
        "add one before this step"
    )
