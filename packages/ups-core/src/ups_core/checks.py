"""Asks every component of a spec whether it can work with this data and these devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ups_core.base_configs import DeviceLimits, ModelConfig
from ups_core.component import Component
from ups_core.document import Document
from ups_core.errors import Issue
from ups_core.expand import PipelineStep
from ups_core.inputs import baseline_ids, choose_input
from ups_core.plugin_calls import plugin_call
from ups_core.spec import PipelineSpec
from ups_core.step_config import StageConfig, StepConfig


def check_plan(
    spec: PipelineSpec, infos: Mapping[str, Any], pipeline: list[PipelineStep], document: Document
) -> list[Issue]:
    """Ask every component whether it can work on this data and these devices.

    Args:
        infos: task name -> the problem.
    """
    issues: list[Issue] = []

    for what, component in (("launcher", spec.launcher), ("strategy", spec.trainer.strategy)):
        for message in _device_problems(what, component, spec.trainer.devices):
            issues.append(document.issue(("trainer", "devices"), message))
    for option, message in _model_problems(spec.model, infos):
        issues.append(document.issue(("model", *option.split(".")), message))
    baselines = baseline_ids(pipeline)
    for index, step in enumerate(pipeline):
        config = step.spec.config
        trained = config.trained_model(spec.model)
        if step.baseline and trained is not None:
            issues += _baseline_problems(step, trained, infos, document, issues)
            continue
        if trained is not None and isinstance(config, StageConfig) and config.model is not None:
            for option, message in _model_problems(trained, infos):
                issues.append(document.issue((*step.path, "model", *option.split(".")), message))
        tested = trained or _tested_model(spec, step, pipeline[:index], baselines)
        for option, message in _step_problems(step, infos, tested):
            issues.append(document.issue((*step.path, *option.split(".")), message))
        inputs = {
            artifact: _with_model(chosen.spec.config, spec.model)
            for artifact in config.consumes
            if (chosen := choose_input(artifact, step, pipeline[:index], baselines)) is not None
        }
        with plugin_call(f"the check of {step.spec.entry}", bugs=True):
            for option, message in _with_model(config, spec.model).check_inputs(inputs):
                issues.append(document.issue((*step.path, *option.split(".")), message))
        for option, message in config.check_trainer(spec.trainer, spec.launcher):
            place = () if option.startswith("trainer") else step.path
            issues.append(document.issue((*place, *option.split(".")), message))
    return issues


def _model_problems(model: Component, infos: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    assert isinstance(model.config, ModelConfig)
    with plugin_call(f"the check of {model.entry}", bugs=True):
        return list(model.config.check(infos))


def _step_problems(
    step: PipelineStep, infos: Mapping[str, Any], model: Component
) -> Sequence[tuple[str, str]]:
    with plugin_call(f"the check of {step.spec.entry}", bugs=True):
        return list(step.spec.config.check(infos, model))


def _with_model(config: StepConfig, default: Component) -> StepConfig:
    """The options with the spec's model where a stage names none of its own."""
    if not isinstance(config, StageConfig) or config.model is not None:
        return config
    return config.model_copy(update={"model": default})


def _baseline_problems(
    step: PipelineStep, model: Component, infos: Mapping[str, Any], document: Document, known: Sequence[Issue]
) -> Iterator[Issue]:
    """Problems of a step that was added, at the place where the spec names its baseline.

    Args:
        known: problems of the steps before; the stage that the step repeats has most of them, too.
    """
    place = (*step.path, *step.option)
    for option, message in _model_problems(model, infos):
        keys = option.split(".")
        if document.has((*place, keys[0])):
            yield document.issue((*place, *keys), message)
        else:
            yield document.issue(place, f"baseline '{model.kind}': {option}: {message}")
    seen = {issue.message for issue in known}
    for option, message in _step_problems(step, infos, model):
        if message not in seen:
            yield document.issue(place, f"baseline '{model.kind}': {option}: {message}")


def _tested_model(
    spec: PipelineSpec, step: PipelineStep, earlier: Sequence[PipelineStep], baselines: frozenset[str]
) -> Component:
    """The model of the step that this one takes its simulator from; the spec's where there is none."""
    for artifact in step.spec.config.consumes:
        chosen = choose_input(artifact, step, earlier, baselines)
        model = chosen and chosen.spec.config.trained_model(spec.model)
        if model:
            return model
    return spec.model


def _device_problems(what: str, component: Component, devices: int) -> Iterator[str]:
    """What a launcher or a strategy cannot do with this number of devices."""
    config = component.config
    assert isinstance(config, DeviceLimits)
    if config.max_devices is not None and devices > config.max_devices:
        limit = f"{config.max_devices} device{'s' if config.max_devices > 1 else ''}"
        way = "set launcher to torchrun" if what == "launcher" else "set trainer.strategy to auto"
        yield f"the {what} '{component.kind}' supports {limit}, got {devices}; {way}"
    if devices < config.min_devices:
        way = "set launcher to local" if what == "launcher" else "set trainer.strategy to auto"
        limit = f"at least {config.min_devices} devices"
        yield f"the {what} '{component.kind}' needs {limit}, got {devices}; {way}"
