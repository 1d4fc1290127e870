"""The hooks that a plugin may implement; pluggy namespace and entry-point group `ups`.

Every registration hook receives `register(name, factory, *, config, summary)`: `factory` is a callable or a
lazy `"module:attribute"` called as `factory(config, **dependencies)`, `config` a subclass of the kind's base
(:mod:`ups_core.base_configs`, :mod:`ups_core.step_config`) or lazy, `summary` one line. Registering must not
import torch. `docs/plugins.md` has a runnable example for every hook; :mod:`ups_core.factories` has the
factories' types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pluggy

from ups_core.config import Config
from ups_core.events import RunInfo, SeedsInfo, StepInfo, StudyInfo

hookspec = pluggy.HookspecMarker("ups")
hookimpl = pluggy.HookimplMarker("ups")


class Register(Protocol):
    """What a registration hook is given.

    Args:
        name: what specs call the component; third parties: `yourname/something`.
        factory: callable, or lazy `"module:attribute"`.
        config: options class, or lazy `"module:attribute"`.
        summary: one line for `ups list`.
        former_names: name in earlier versions -> the version that renamed it; using one is an error.
        cite: what `ups cite` prints where the component is used: lazy `"module:attribute"` of a
            :class:`ups_core.Citation`, or of a function of the options that returns several.
    """

    def __call__(
        self,
        name: str,
        factory: Callable[..., Any] | str,
        *,
        config: type[Config] | str,
        summary: str,
        former_names: Mapping[str, str] | None = None,
        cite: tuple[str, ...] = (),
    ) -> None: ...


@hookspec
def ups_register_tasks(register: Register) -> None:
    """PDE problems with their data: `factory(config, name)` returns a :class:`ups_core.TaskProvider`."""


@hookspec
def ups_register_sources(register: Register) -> None:
    """Where a task's data files come from: `factory(config)` returns an object with `plan` and `provide`
    (`ups_data.sources.base.Source`)."""


@hookspec
def ups_register_layouts(register: Register) -> None:
    """How files of one kind map to trajectories: `factory(config)` returns an object with `recognises` and
    `open` (`ups_data.stores.layout.Layout`)."""


@hookspec
def ups_register_models(register: Register) -> None:
    """Networks: `factory(config, tasks)` returns an `ups_models.network.Network`."""


@hookspec
def ups_register_losses(register: Register) -> None:
    """Training losses: `factory(config)` returns a callable of prediction and target, both normalised
    `(B, T, C, *S)`, that returns a scalar tensor."""


@hookspec
def ups_register_optimizers(register: Register) -> None:
    """Optimizers: `factory(config, parameters)` returns a `torch.optim.Optimizer`; `parameters` maps full
    names to parameters."""


@hookspec
def ups_register_schedulers(register: Register) -> None:
    """Learning-rate schedules: `factory(config, optimizer, progress)` returns a scheduler of torch."""


@hookspec
def ups_register_strategies(register: Register) -> None:
    """Parallel strategies: `factory(config, devices, parameters)` returns what Lightning's Trainer accepts as
    `strategy`; `parameters` counts the model's trainable scalars."""


@hookspec
def ups_register_stages(register: Register) -> None:
    """Training stages: `factory(config)` returns a :class:`ups_core.Step`; with
    `ups_train.engine.stage.training_stage` only an objective must be written."""


@hookspec
def ups_register_metrics(register: Register) -> None:
    """Metrics: `factory(config)` returns a `torchmetrics.Metric` of predictions and targets, both
    `(B, T, C, *S)`; its `higher_is_better` decides which value is the best."""


@hookspec
def ups_register_evaluations(register: Register) -> None:
    """Evaluation steps: `factory(config)` returns a :class:`ups_core.Step`."""


@hookspec
def ups_register_launchers(register: Register) -> None:
    """How a step is started: `factory(config)` returns a :class:`ups_core.launcher.Launcher`."""


@hookspec
def ups_register_trackers(register: Register) -> None:
    """Experiment trackers: `factory(config)` returns a :class:`ups_core.Tracker`, which gets all training
    lines and the results of all steps of a run; a Lightning logger can be wrapped
    (`ups_train.trackers.lightning_logger`). It raises UPSError where its package is not installed."""


@hookspec
def ups_register_callbacks(register: Register) -> None:
    """Lightning callbacks of training stages: `factory(config)`."""


@hookspec
def ups_register_commands(register: Register) -> None:
    """Sub-commands of `ups`: `factory(config)` returns a :class:`ups_core.command.Command`."""


@hookspec
def ups_run_started(run: RunInfo) -> None:
    """A run has started."""


@hookspec
def ups_step_started(run: RunInfo, step: StepInfo) -> None:
    """A step has started."""


@hookspec
def ups_step_finished(run: RunInfo, step: StepInfo) -> None:
    """A step has ended; `step.status` says how."""


@hookspec
def ups_run_finished(run: RunInfo) -> None:
    """A run has ended; `run.status` says how."""


@hookspec
def ups_study_finished(study: StudyInfo) -> None:
    """All trials of a study of `ups tune` have ended."""


@hookspec
def ups_seeds_finished(seeds: SeedsInfo) -> None:
    """All runs of `ups-run --seeds` have ended; at least two have all their steps."""
