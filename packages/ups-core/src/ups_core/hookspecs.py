"""The hooks that a plugin may implement; pluggy namespace and entry-point group `ups`.

Every registration hook receives `register(name, factory, *, config, summary)`: `factory` is a callable or
a lazy `"module:attribute"` called as `factory(config, **dependencies)`, `config` a
:class:`ups_core.Config` subclass (or lazy), `summary` one line. Registering must not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ups_core.config import Config
    from ups_core.step import RunInfo, StepInfo

hookspec = pluggy.HookspecMarker("ups")
hookimpl = pluggy.HookimplMarker("ups")


class Register(Protocol):
    """What a registration hook is given."""

    def __call__(
        self, name: str, factory: Callable[..., Any] | str, *, config: type[Config] | str, summary: str
    ) -> None: ...


@hookspec
def ups_register_tasks(register: Register) -> None:
    """PDE problems: `factory(config, name=...)` returns a :class:`ups_core.step.TaskProvider`."""


@hookspec
def ups_register_sources(register: Register) -> None:
    """Where a task's data come from: `factory(config)`."""


@hookspec
def ups_register_models(register: Register) -> None:
    """Networks: `factory(config, tasks=...)` returns a `torch.nn.Module` (see `ups_models.network`)."""


@hookspec
def ups_register_losses(register: Register) -> None:
    """Training losses: `factory(config)` returns a callable on predictions and targets."""


@hookspec
def ups_register_optimizers(register: Register) -> None:
    """Optimizers: `factory(config, module=...)` returns a `torch.optim.Optimizer`."""


@hookspec
def ups_register_schedulers(register: Register) -> None:
    """Learning-rate schedules: `factory(config, optimizer=..., progress=...)`."""


@hookspec
def ups_register_strategies(register: Register) -> None:
    """Parallel strategies: `factory(config, devices=..., parameters=...)` returns what Lightning's Trainer
    takes; `parameters` counts the model's trainable scalars. The options class may have `min_devices` and
    `max_devices`."""


@hookspec
def ups_register_stages(register: Register) -> None:
    """Training stages: `factory(config)` returns a :class:`ups_core.step.Step`."""


@hookspec
def ups_register_metrics(register: Register) -> None:
    """Metrics: `factory(config)` returns a `torchmetrics.Metric`."""


@hookspec
def ups_register_evaluations(register: Register) -> None:
    """Evaluation steps: `factory(config)` returns a :class:`ups_core.step.Step`."""


@hookspec
def ups_register_launchers(register: Register) -> None:
    """How a step is started: `factory(config)` returns a :class:`ups_core.worker.Launcher`: `run(plan, step,
    console)` executes a step, `describe(plan, step)` says what it would start or submit, for
    `ups-run --dry-run`. The options class may have `min_devices`, `max_devices`, and `remote`: true where
    steps run on another machine, whose devices are not looked for here."""


@hookspec
def ups_register_trackers(register: Register) -> None:
    """Experiment trackers: `factory(config, directory=..., name=...)` returns a Lightning logger."""


@hookspec
def ups_register_callbacks(register: Register) -> None:
    """Lightning callbacks: `factory(config)`."""


@hookspec
def ups_register_commands(register: Register) -> None:
    """Sub-commands of `ups`: `factory(config)` returns a :class:`ups_core.cli.command.Command`."""


@hookspec
def ups_run_started(run: RunInfo) -> None:
    """A run begins."""


@hookspec
def ups_step_started(run: RunInfo, step: StepInfo) -> None:
    """A step begins."""


@hookspec
def ups_step_finished(run: RunInfo, step: StepInfo) -> None:
    """A step has ended; `step.status` says how."""


@hookspec
def ups_run_finished(run: RunInfo) -> None:
    """A run has ended; `run.status` says how."""
