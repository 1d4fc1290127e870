"""Makes the plan of a validated spec: checks it against the data, fingerprints steps, finds what is done.

Needs only the spec and the headers of data files, so `ups-run --plan` answers in a moment without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ups_core.checks import check_plan
from ups_core.component import Component, components
from ups_core.document import Document
from ups_core.errors import Issue, SpecError, UPSError
from ups_core.expand import PipelineStep, baseline_id, expand_pipeline
from ups_core.fingerprint import code_versions, digest
from ups_core.inputs import baseline_ids, choose_input
from ups_core.layout import run_directory
from ups_core.plan import Plan, PlannedStep
from ups_core.plugin_calls import plugin_call
from ups_core.plugin_loader import registry_in_use
from ups_core.registry import Registry
from ups_core.spec import PipelineSpec
from ups_core.step_config import StageConfig
from ups_core.step_state import state_of
from ups_core.task import DataPlan, TaskProvider


def make_plan(
    spec: PipelineSpec,
    document: Document,
    *,
    runs_dir: Path,
    data_root: Path,
    fresh: bool = False,
    accept_others: bool = False,
    directory: Path | None = None,
    registry: Registry | None = None,
) -> Plan:
    """Plan a validated spec.

    Args:
        fresh: plan a new run directory beside the existing ones.
        accept_others: count steps whose files belong to other users as done.
        directory: plan this run directory, even if its name does not match.

    Raises:
        SpecError: the spec contradicts the data or itself (modes against grid, an unknown baseline…).
    """
    registry = registry or registry_in_use()
    tasks = {name: _task(component, name) for name, component in spec.tasks.items()}
    data, infos, issues = _plan_data(tasks, data_root, document)
    pipeline = list(expand_pipeline(spec, document, registry, issues))
    if len(infos) == len(tasks):  # a model cannot be checked on problems that nobody knows
        issues += check_plan(spec, infos, pipeline, document)
    if issues:
        raise SpecError(list(dict.fromkeys(issues)))
    fingerprint = digest(spec.effect())
    directory = directory or run_directory(runs_dir, spec.name, fingerprint, fresh)
    planner = _Planner(spec, data, document, registry, baseline_ids(pipeline))
    for step in pipeline:
        planned = planner.add(step)
        state, problem = state_of(directory, planned.id, planned.fingerprint, accept_others)
        planner.steps[-1] = replace(planned, state=state, problem=problem)
    return Plan(spec, document, directory, data_root, fingerprint, tasks, data, tuple(planner.steps))


def _task(component: Component, name: str) -> TaskProvider:
    with plugin_call(f"task '{name}' ({component.entry})", bugs=True):
        task: TaskProvider = component.create(name=name)
        return task


def _plan_data(
    tasks: Mapping[str, TaskProvider], data_root: Path, document: Document
) -> tuple[dict[str, DataPlan], dict[str, Any], list[Issue]]:
    """The data and the problem of every task that has them, and what is wrong with the others."""
    data: dict[str, DataPlan] = {}
    infos: dict[str, Any] = {}
    issues = []
    for name, task in tasks.items():
        try:
            with plugin_call(f"task '{name}'", bugs=True):
                infos[name] = task.describe(data_root)
                data[name] = task.plan_data(data_root)
        except UPSError as error:
            issues.append(document.issue(("tasks", name, "source"), str(error)))
    return data, infos, issues


class _Planner:
    """Plans one step after the other; a step's inputs are among the steps before it."""

    def __init__(
        self,
        spec: PipelineSpec,
        data: Mapping[str, DataPlan],
        document: Document,
        registry: Registry,
        baselines: frozenset[str],
    ) -> None:
        self.spec = spec
        self.data = data
        self.document = document
        self.registry = registry
        self.baselines = baselines
        self.effect = spec.effect()
        self.earlier: list[PipelineStep] = []
        self.steps: list[PlannedStep] = []
        self.places: dict[str, int] = {}

    def add(self, step: PipelineStep) -> PlannedStep:
        """Find the step's inputs and fingerprint it."""
        config = step.spec.config
        compared = {baseline_id(requirement.model) for requirement in config.requirements()}
        origin = config.origin()
        inputs = self._inputs(step)
        wanted = {*inputs.values(), *config.needs, *compared, *([origin[1]] if origin else [])}
        places = (
            range(len(self.steps))
            if config.always
            else sorted(self.places[name] for name in wanted if name in self.places)
        )
        before = [self.steps[place] for place in places]
        own_model = isinstance(config, StageConfig) and config.model is not None
        # Changing the spec's model must not repeat a step that has a model of its own.
        sections = [name for name in config.reads if not (name == "model" and own_model)]
        providers = self._providers(step, sections)
        fingerprint = digest(
            {
                "uses": [step.spec.role, step.spec.entry.name],
                # The id is part of metric keys, so a step with another id is another step.
                "options": config.model_dump(mode="json") | {"id": step.spec.id},
                "spec": {name: self.effect[name] for name in sections},
                "data": {name: plan.fingerprint for name, plan in self.data.items()}
                if "tasks" in sections
                else {},
                "after": [other.fingerprint for other in before],
                "providers": providers,
                **({"content": content} if (content := config.content()) else {}),
            }
        )
        planned = PlannedStep(
            step.spec,
            inputs,
            tuple(other.id for other in before),
            step.baseline or step.spec.id in self.baselines,
            step.baseline,
            providers,
            fingerprint,
            "to do",
        )
        self.places[planned.id] = len(self.steps)
        self.steps.append(planned)
        self.earlier.append(step)
        return planned

    def _inputs(self, step: PipelineStep) -> dict[str, str]:
        """Artifact kind -> id of the step that provides it."""
        inputs: dict[str, str] = {}
        for artifact in step.spec.config.consumes:
            chosen = choose_input(artifact, step, self.earlier, self.baselines)
            if chosen is None:
                problem = (
                    f"step '{step.spec.id}' needs the artifact '{artifact}', but no earlier step produces "
                    "it; add one that does"
                )
                raise SpecError([self.document.issue(step.path, problem)])
            inputs[artifact] = chosen.spec.id
        return inputs

    def _providers(self, step: PipelineStep, sections: list[str]) -> dict[str, str]:
        """Distribution -> version of all code that computes the step."""
        config = step.spec.config
        read: list[Any] = [getattr(self.spec, name) for name in sections]
        entries = [step.spec.entry, *(component.entry for component in components([config, *read]))]
        models = (self.registry.find("models", requirement.model) for requirement in config.requirements())
        entries += [entry for entry in models if entry is not None]
        return code_versions({entry.provider.distribution for entry in entries})
