"""A tiny training stage on two tasks, run without the runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plugin_for_tests import BEFORE, registry_with_test_plugin, stage_options
from ups_core import StageConfig, StepContext, validate_options
from ups_core.console import Console
from ups_core.spec import PipelineSpec
from ups_train.engine.stage import TrainingStage

MODEL = {
    "kind": "latent_operator",
    "width": 16,
    "depth": {"2": 1},
    "middle_width": 12,
    "middle_blocks": {"2": 1},
    "local_width": {"1": 8, "2": 4},
    "kernel": {"1": 5, "2": 3},
    "condition_width": 8,
}


def context(
    data_root: Path,
    directory: Path,
    trainer: Mapping[str, Any] | None = None,
    launcher: str = "local",
    objective: str = "operator",
    **stage: Any,
) -> tuple[TrainingStage, StepContext]:
    """A stage and what it may use; `stage` holds options that differ from two epochs in batches of 8."""
    before = BEFORE.get(objective, ())
    inputs = trained_before(data_root, before)
    spec = {
        "version": 1,
        "name": "t",
        "seed": 1,
        "model": MODEL,
        "sampling": {"temperature": 0.0},
        "tasks": {
            "advection1d": {
                "kind": "advection1d",
                "trajectories": 20,
                "resolution": 32,
                "frames": 6,
                "time_stride": 10,
            },
            # A prior trains on this task alone, and shall have as many batches.
            "darcy2d": {
                "kind": "darcy2d",
                "trajectories": 80 if objective == "steady_prior" else 20,
                "resolution": 16,
            },
        },
        "trainer": {"accelerator": "cpu", "threads": 1, **(trainer or {})},
        "launcher": launcher,
        "pipeline": [
            *({**stage_options(name), "id": name.replace("operator", "first")} for name in before),
            {**stage_options(objective), "id": "operator", "epochs": 2, "batch_size": 8, **stage},
        ],
    }
    loaded = validate_options(PipelineSpec, spec, registry_with_test_plugin())
    tasks = {name: component.create(name=name) for name, component in loaded.tasks.items()}
    for task in tasks.values():
        task.prepare_data(data_root, Console(quiet=True))
    directory.mkdir(parents=True, exist_ok=True)
    step = loaded.pipeline[-1]
    made = step.entry.create(step.config)
    assert isinstance(made, TrainingStage)
    return made, StepContext(
        spec=loaded,
        step_id="operator",
        directory=directory,
        run_directory=directory,
        data_root=data_root,
        tasks=tasks,
        console=Console(quiet=True),
        inputs=inputs,
        fingerprint="f",
    )


def trained_before(data_root: Path, objectives: Sequence[str]) -> dict[str, Path]:
    """Artifact kind -> directory, of the stages that come before; each is trained once per data root."""
    inputs: dict[str, Path] = {}
    for name in objectives:
        directory = data_root / "before" / name
        if not (directory / "model").exists():
            run(data_root, directory, objective=name, epochs=None, max_steps=4, validate_every=4)
        stage = registry_with_test_plugin().get("stages", name).load_config()
        assert issubclass(stage, StageConfig)
        inputs |= dict.fromkeys(stage.produces, directory)
    return inputs


def run(data_root: Path, directory: Path, **stage: Any) -> Mapping[str, float]:
    """Train; returns the metrics."""
    made, given = context(data_root, directory, **stage)
    return made.run(given).metrics
