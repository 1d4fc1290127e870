"""Calls the life-cycle hooks of plugins: for trackers and other plugins that watch runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ups_core.console import Console
from ups_core.events import RunInfo, StepInfo
from ups_core.layout import partial_directory, step_directory
from ups_core.plan import Plan, PlannedStep
from ups_core.plugin_calls import PluginExit, described, plugin_call
from ups_core.plugin_loader import plugins_in_use


class Watchers:
    """The plugins that watch one run. One that raises is reported and stops nothing."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self.plan = plan
        self.console = console
        self.hooks = plugins_in_use().manager.hook

    def run(self, status: str) -> None:
        """The run has begun (`running`) or ended with this status."""
        hook = self.hooks.ups_run_started if status == "running" else self.hooks.ups_run_finished
        call_watchers(self.console, hook, run=self._run_info(status))

    def step(self, step: PlannedStep, status: str, metrics: Mapping[str, float] | None = None) -> None:
        """A step has begun (`running`) or ended with this status."""
        hook = self.hooks.ups_step_started if status == "running" else self.hooks.ups_step_finished
        where = step_directory if status == "completed" else partial_directory
        folder = where(self.plan.directory, step.id)
        info = StepInfo(step.id, step.spec.entry.name, status, folder, metrics or {})
        call_watchers(self.console, hook, run=self._run_info("running"), step=info)

    def _run_info(self, status: str) -> RunInfo:
        return RunInfo(self.plan.spec.name, self.plan.fingerprint, status, self.plan.directory)


def call_watchers(console: Console, hook: Any, **details: Any) -> None:
    """Call every implementation of a life-cycle hook.

    pluggy's own call would stop at the first one that raises; a faulty watcher must not end a run.

    Raises:
        PluginExit: one tried to end the process, for instance with `sys.exit`; the others have been called.
    """
    exits = []
    for implementation in reversed(hook.get_hookimpls()):  # the order of pluggy: last registered first
        name = implementation.plugin_name
        try:
            with plugin_call(f"plugin {name}: {hook.name}"):
                implementation.function(**{name: details[name] for name in implementation.argnames})
        except PluginExit as error:
            exits.append(error)
        except Exception as error:
            console.say(f"plugin {name}: {described(error)}", style="yellow")
    if exits:
        raise exits[0]
