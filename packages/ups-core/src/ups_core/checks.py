"""Asks every component of a spec whether it can work with this data and these devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ups_core.base_configs import DeviceLimits, ModelConfig
from ups_core.component import Component
from ups_core.document import Document, KeyPath
from ups_core.errors import Issue
from ups_core.expand import PipelineStep
from ups_core.spec import PipelineSpec
from ups_core.task import TaskProvider


def check_plan(
    spec: PipelineSpec, tasks: Mapping[str, TaskProvider], pipeline: list[PipelineStep], document: Document
) -> list[Issue]:
    """Ask every component whether it can work on this data and these devices."""
    infos = {name: task.info for name, task in tasks.items()}
    issues: list[Issue] = []

    def check_model(model: Component, path: KeyPath) -> None:
        assert isinstance(model.config, ModelConfig)
        for option, message in model.config.check(infos):
            issues.append(document.issue((*path, option), message))

    for what, component in (("launcher", spec.launcher), ("strategy", spec.trainer.strategy)):
        for message in _device_problems(what, component, spec.trainer.devices):
            issues.append(document.issue(("trainer", "devices"), message))
    check_model(spec.model, ("model",))
    newest = spec.model
    for step in pipeline:
        config = step.spec.config
        trained = config.trained_model(spec.model)
        if trained is not None and trained is not spec.model:
            check_model(trained, (*step.path, "model"))
        for option, message in config.check(infos, trained or newest):
            issues.append(document.issue((*step.path, *option.split(".")), message))
        for option, message in config.check_trainer(spec.trainer, spec.launcher):
            place = () if option.startswith("trainer") else step.path
            issues.append(document.issue((*place, *option.split(".")), message))
        # An evaluation without an input that is named is checked against the newest trained model.
        if trained is not None and not step.baseline:
            newest = trained
    return issues


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
