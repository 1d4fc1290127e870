"""Executes one step of a plan in this process."""

from __future__ import annotations

from pathlib import Path

from ups_core.console import Console
from ups_core.context import StepContext
from ups_core.errors import UPSError
from ups_core.layout import partial_directory, step_directory
from ups_core.plan import Plan, PlannedStep
from ups_core.plugin_calls import plugin_call
from ups_core.step import Step, StepResult


def load_factory(step: PlannedStep) -> None:
    """Import the factory of a step.

    Raises:
        UPSError: it cannot be imported, or the checks that it makes of itself fail; the message names the
            step, the component and its plugin.
    """
    try:
        step.spec.entry.load()
    except UPSError as error:
        raise UPSError(f"step '{step.id}': {error}") from error


def execute(plan: Plan, step: PlannedStep, console: Console) -> StepResult:
    """Create the step's component and run it in the step's partial directory.

    Raises:
        UPSError: what the step raises for users; other exceptions pass through.
    """
    component: Step = step.spec.entry.create(step.spec.config)
    with plugin_call(str(step.spec.entry), keyboard=False):
        result = component.run(step_context(plan, step, console))
    if not isinstance(result, StepResult):
        name, returned = type(component).__name__, type(result).__name__
        raise UPSError(f"{name}.run returned a {returned}, not a ups_core.StepResult")
    # Steps compute with tensors and numpy scalars; records hold plain numbers.
    metrics = {key: float(value) for key, value in result.metrics.items()}
    return StepResult(metrics, result.verdict)


def step_context(plan: Plan, step: PlannedStep, console: Console) -> StepContext:
    """What the step may use."""
    artifacts: dict[str, dict[str, Path]] = {}
    earlier = plan.steps[: plan.steps.index(step)]
    for other in earlier:
        for artifact in other.spec.config.produces:
            artifacts.setdefault(artifact, {})[other.id] = step_directory(plan.directory, other.id)
    return StepContext(
        spec=plan.spec,
        step_id=step.id,
        directory=partial_directory(plan.directory, step.id),
        run_directory=plan.directory,
        data_root=plan.data_root,
        tasks=plan.tasks,
        console=console,
        inputs={artifact: step_directory(plan.directory, name) for artifact, name in step.inputs.items()},
        artifacts=artifacts,
        fingerprint=step.fingerprint,
        redact=plan.document.redacted,
        baselines=frozenset(other.id for other in earlier if other.baseline),
    )
