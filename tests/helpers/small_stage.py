"""A tiny operator stage on two tasks, run without the runner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ups_core import StepContext
from ups_core.component import validate_options
from ups_core.console import Console
from ups_core.plugin_loader import registry_in_use
from ups_core.spec import PipelineSpec
from ups_train.engine.config import OperatorConfig
from ups_train.engine.stage import OperatorStage

MODEL = {
    "kind": "latent_operator", "width": 16, "depth": {"2": 1}, "middle_width": 12, "middle_blocks": {"2": 1},
    "local_width": {"1": 8, "2": 4}, "kernel": {"1": 5, "2": 3}, "condition_width": 8,
}  # fmt: skip


def context(
    data_root: Path,
    directory: Path,
    trainer: Mapping[str, Any] | None = None,
    launcher: str = "local",
    **stage: Any,
) -> tuple[OperatorStage, StepContext]:
    spec = {
        "version": 1, "name": "t", "seed": 1, "model": MODEL, "sampling": {"temperature": 0.0},
        "tasks": {
            "advection1d": {"kind": "advection1d", "trajectories": 20, "resolution": 32, "frames": 6, "time_stride": 10},
            "darcy2d": {"kind": "darcy2d", "trajectories": 20, "resolution": 16},
        },
        "trainer": {"accelerator": "cpu", "threads": 1, **(trainer or {})},
        "launcher": launcher, "trackers": [{"kind": "csv"}],
        "pipeline": [{"stage": "operator", "epochs": 2, "batch_size": 8, **stage}],
    }  # fmt: skip
    loaded = validate_options(PipelineSpec, spec, registry_in_use())
    assert isinstance(loaded, PipelineSpec)
    tasks = {name: component.create(name=name) for name, component in loaded.tasks.items()}
    for task in tasks.values():
        task.prepare_data(data_root, Console(quiet=True))
    directory.mkdir(parents=True, exist_ok=True)
    config = loaded.pipeline[0].config
    assert isinstance(config, OperatorConfig)
    return OperatorStage(config), StepContext(
        spec=loaded, step_id="operator", directory=directory, inputs={}, models={}, run_directory=directory,
        data_root=data_root, tasks=tasks, console=Console(quiet=True), fingerprint="f",
    )  # fmt: skip


def run(data_root: Path, directory: Path, **stage: Any) -> Mapping[str, float]:
    step, given = context(data_root, directory, **stage)
    return step.run(given)
