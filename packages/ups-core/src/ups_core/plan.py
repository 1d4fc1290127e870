"""The plan: steps in order with inputs and fingerprints, and what is done, stale or to do.

Made from the spec and the heads of data files alone, so `ups-run --plan` answers in a moment and imports
no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ups_core.config import Component, Config, validate_options
from ups_core.errors import Issue, SpecError, UPSError
from ups_core.files import read_json
from ups_core.fingerprint import code_versions, digest
from ups_core.registry import Registry, registry_in_use
from ups_core.spec import PipelineSpec, StepSpec, TrainerSpec
from ups_core.step import DataPlan, ModelConfig, TaskProvider
from ups_core.yamlreader import Document, KeyPath

State = Literal["done", "kept", "stale", "interrupted", "to do"]
"""`kept`: done in an earlier run of another version of the spec, and still good."""


@dataclass(frozen=True)
class PlannedStep:
    """One step that is ready to run.

    Attributes:
        inputs: artifact kind -> id of the step that provides it.
        after: ids of all steps whose results this one depends on.
        baseline: true where the planner added the step to train a baseline.
        providers: distribution -> version of the code that computes the step.
    """

    spec: StepSpec
    inputs: Mapping[str, str]
    after: tuple[str, ...]
    baseline: bool
    providers: Mapping[str, str]
    fingerprint: str
    state: State

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def uses(self) -> str:
        """`stage: operator`, as in the spec."""
        return f"{self.spec.role}: {self.spec.entry.name}"


@dataclass(frozen=True)
class Earlier:
    """The run that a changed spec is compared with.

    Attributes:
        changes: what differs in the resolved specs, `key: old -> new`.
    """

    directory: Path
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A run that could start now."""

    spec: PipelineSpec
    document: Document
    directory: Path
    data_root: Path
    fingerprint: str
    tasks: Mapping[str, TaskProvider]
    data: Mapping[str, DataPlan]
    steps: tuple[PlannedStep, ...]
    earlier: Earlier | None = None

    @property
    def todo(self) -> tuple[PlannedStep, ...]:
        """Steps that have to be run."""
        return tuple(step for step in self.steps if step.state not in ("done", "kept"))

    def step(self, name: str) -> PlannedStep:
        """The step with this id. Raises :class:`UPSError` naming the ids there are."""
        for step in self.steps:
            if step.id == name:
                return step
        raise UPSError(f"there is no step '{name}'; steps: {', '.join(step.id for step in self.steps)}")

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.spec.name,
            "fingerprint": self.fingerprint,
            "directory": str(self.directory),
            "earlier": self.earlier
            and {"directory": str(self.earlier.directory), "changes": list(self.earlier.changes)},
            "data": {
                name: {
                    "fingerprint": data.fingerprint,
                    "source": data.source,
                    "files": [str(path) for path in data.files],
                    "missing": [str(path) for path in data.missing],
                    "note": data.note,
                }
                for name, data in self.data.items()
            },
            "steps": [
                {
                    "id": step.id,
                    "uses": step.uses,
                    "state": step.state,
                    "fingerprint": step.fingerprint,
                    "after": list(step.after),
                    "providers": dict(step.providers),
                }
                for step in self.steps
            ],
        }


def make_plan(
    spec: PipelineSpec,
    document: Document,
    *,
    runs_dir: Path,
    data_root: Path,
    fresh: bool = False,
    directory: Path | None = None,
    registry: Registry | None = None,
) -> Plan:
    """Plan a validated spec.

    Args:
        fresh: plan a new run directory beside the existing ones.
        directory: plan this run directory, whatever its name.

    Raises:
        SpecError: the spec contradicts the data or itself (modes against grid, a baseline nobody knows…).
    """
    registry = registry or registry_in_use()
    tasks = {name: component.create(name=name) for name, component in spec.tasks.items()}
    data, issues = _plan_data(tasks, data_root, document)
    pipeline = list(_with_baselines(spec, document, registry, issues))
    issues += _checks(spec, tasks, pipeline, document)
    if issues:
        raise SpecError(list(dict.fromkeys(issues)))
    fingerprint = digest(_with_effect(spec))
    directory = directory or run_directory(runs_dir, spec.name, fingerprint, fresh)
    steps: list[PlannedStep] = []
    for step, baseline, path in pipeline:
        planned = _plan_step(spec, step, baseline, steps, data, document, path, registry)
        steps.append(replace(planned, state=_state(directory, planned)))
    return Plan(spec, document, directory, data_root, fingerprint, tasks, data, tuple(steps))


def run_directory(runs_dir: Path, name: str, fingerprint: str, fresh: bool) -> Path:
    """Where the run lives: the newest directory of this fingerprint, or with `fresh` a new one beside it."""
    first = runs_dir / f"{name}-{fingerprint[:8]}"
    newest, number = first, 1
    while (later := Path(f"{first}-{number + 1}")).exists():
        newest, number = later, number + 1
    return Path(f"{first}-{number + 1}") if fresh and first.exists() else newest


def _plan_data(
    tasks: Mapping[str, TaskProvider], data_root: Path, document: Document
) -> tuple[dict[str, DataPlan], list[Issue]]:
    data: dict[str, DataPlan] = {}
    issues = []
    for name, task in tasks.items():
        try:
            data[name] = task.plan_data(data_root)
        except UPSError as error:
            issues.append(document.issue(("tasks", name, "source"), str(error)))
    return data, issues


_Pipeline = list[tuple[StepSpec, bool, KeyPath]]


def _with_baselines(
    spec: PipelineSpec, document: Document, registry: Registry, issues: list[Issue]
) -> Iterator[tuple[StepSpec, bool, KeyPath]]:
    """The pipeline with a training stage before each step that compares with a model nobody trains.

    The added stage repeats the newest earlier training stage, option by option, with the other model: a
    baseline gets the same data, epochs and optimizer.
    """
    trained: dict[str, StepSpec] = {}
    for index, step in enumerate(spec.pipeline):
        path: KeyPath = ("pipeline", index)
        for requirement in step.config.requirements():
            name, step_id = requirement.model, baseline_id(requirement.model)
            if step_id in trained:
                continue
            entry = registry.find("models", name)
            if entry is None:
                message = registry.explain_missing("models", name)
                issues.append(document.issue((*path, "baselines"), f"{message}; steps: {', '.join(trained)}"))
                continue
            config_class = entry.load_config()
            if not getattr(config_class, "trainable", True):
                continue
            stage = next(
                (s for s in reversed(trained.values()) if "model" in type(s.config).model_fields), None
            )
            if stage is None:
                message = f"baseline '{name}' has to be trained, and no earlier stage trains a model"
                issues.append(document.issue((*path, "baselines"), message))
                continue
            component = Component(entry, validate_options(config_class, {}, registry))
            changes = {"id": step_id, "needs": [], **stage.config.for_baseline(component)}
            config = stage.config.model_copy(update=changes)
            trained[step_id] = StepSpec("stage", stage.entry, config)
            yield trained[step_id], True, path
        if "simulator" in step.config.produces:
            trained[step.id] = step
        yield step, False, path


def baseline_id(model: str) -> str:
    """The id of the step that trains a baseline: the model's name as one path component."""
    return model.replace("/", "-")


def _checks(
    spec: PipelineSpec, tasks: Mapping[str, TaskProvider], pipeline: _Pipeline, document: Document
) -> list[Issue]:
    """Ask every component whether it can work on this data."""
    described = {name: task.describe() for name, task in tasks.items()}
    issues = []

    def ask(component: Component, path: KeyPath) -> None:
        if isinstance(component.config, ModelConfig):
            for option, message in component.config.check(described):
                issues.append(document.issue((*path, option), message))

    for what, component in (("launcher", spec.launcher), ("strategy", spec.trainer.strategy)):
        for message in _device_problems(what, component, spec.trainer.devices):
            issues.append(document.issue(("trainer", "devices"), message))
    ask(spec.model, ("model",))
    trained = spec.model
    for step, baseline, path in pipeline:
        own = getattr(step.config, "model", None)
        if own is not None:
            ask(own, (*path, "model"))
        model = own or (trained if step.role == "evaluate" else spec.model)
        if "simulator" in step.config.produces and not baseline:
            trained = model
        for option, message in step.config.check(described, model):
            issues.append(document.issue((*path, *option.split(".")), message))
        for option, message in step.config.check_trainer(spec):
            place = () if option.startswith("trainer") else path
            issues.append(document.issue((*place, *option.split(".")), message))
    return issues


def _device_problems(what: str, component: Component, devices: int) -> Iterator[str]:
    """What a launcher or a strategy says about the number of devices."""
    most = getattr(component.config, "max_devices", devices)
    least = getattr(component.config, "min_devices", devices)
    if devices > most:
        way = "; set launcher to torchrun" if what == "launcher" else "; leave it at auto"
        yield f"the {what} '{component.kind}' runs on {most} device, got {devices}{way}"
    if devices < least:
        yield f"the {what} '{component.kind}' needs {least} devices or more, got {devices}; leave it at auto"


def _plan_step(
    spec: PipelineSpec,
    step: StepSpec,
    baseline: bool,
    earlier: list[PlannedStep],
    data: Mapping[str, DataPlan],
    document: Document,
    path: KeyPath,
    registry: Registry,
) -> PlannedStep:
    config = step.config
    compared = {baseline_id(requirement.model) for requirement in config.requirements()}
    inputs: dict[str, str] = {}
    for artifact in config.consumes:
        candidates = [other for other in earlier if artifact in other.spec.config.produces]
        named = [other for other in candidates if other.id in config.needs]
        own = [other for other in candidates if not other.baseline and other.id not in compared]
        if not (named or own):
            wanted = f"step '{step.id}' needs a {artifact}, and no earlier step produces one"
            raise SpecError([document.issue(path, wanted)])
        inputs[artifact] = (named or own)[-1].id
    wanted_ids = {*inputs.values(), *config.needs, *compared}
    after = tuple(other.id for other in earlier if config.always or other.id in wanted_ids)
    resolved = _with_effect(spec)
    sections = [name for name in config.reads if not (name == "model" and getattr(config, "model", None))]
    read: list[Any] = [getattr(spec, name) for name in sections]
    entries = [step.entry, *(component.entry for component in components([config, *read]))]
    models = (registry.find("models", requirement.model) for requirement in config.requirements())
    entries += [entry for entry in models if entry is not None]
    providers = code_versions({entry.provider.distribution for entry in entries})
    fingerprint = digest(
        {
            "uses": [step.role, step.entry.name],
            "options": config.model_dump(mode="json") | {"id": step.id},
            "spec": {name: resolved[name] for name in sections},
            "data": {name: plan.fingerprint for name, plan in data.items()} if "tasks" in sections else {},
            "after": [other.fingerprint for other in earlier if other.id in after],
            "providers": providers,
        }
    )
    return PlannedStep(step, inputs, after, baseline, providers, fingerprint, "to do")


def _with_effect(spec: PipelineSpec) -> dict[str, Any]:
    """What results depend on: not where steps run, nor for how long at a time."""
    content = spec.model_dump(mode="json", exclude={"launcher"})
    for option in TrainerSpec.without_effect:
        del content["trainer"][option]
    return content


def components(values: Any) -> Iterator[Component]:
    """Every component inside options, at any depth."""
    if isinstance(values, Component):
        yield values
        yield from components(values.config)
    elif isinstance(values, Config):
        for name in type(values).model_fields:
            yield from components(getattr(values, name))
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from components(value)
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from components(value)


def step_directory(run: Path, step_id: str) -> Path:
    """Where a finished step's files are."""
    return run / "steps" / step_id


def partial_directory(run: Path, step_id: str) -> Path:
    """Where a step writes until it is complete."""
    return run / "steps" / f".{step_id}.partial"


def is_done(run: Path, step: PlannedStep) -> bool:
    """Whether the run directory holds this step's result, made with the same fingerprint."""
    record = read_json(step_directory(run, step.id) / "step.json") or {}
    return record.get("status") == "completed" and record.get("fingerprint") == step.fingerprint


def _state(run: Path, step: PlannedStep) -> State:
    if is_done(run, step):
        return "done"
    if step_directory(run, step.id).exists():
        return "stale"
    partial = read_json(partial_directory(run, step.id) / "step.json") or {}
    return "interrupted" if partial.get("fingerprint") == step.fingerprint else "to do"
