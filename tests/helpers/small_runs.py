"""A spec of both kinds of task that trains in seconds on any number of devices, and what its runs leave."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file

from commands import command
from plugin_for_tests import BEFORE, OBJECTIVES, stage_options, with_plugin
from small_stage import MODEL

STEPS = 30
SPEC: dict[str, Any] = {
    "version": 1,
    "name": "parallel",
    "seed": 1,
    "sampling": {"temperature": 1.0},
    "tasks": {
        "advection1d": {
            "kind": "advection1d",
            "trajectories": 20,
            "resolution": 32,
            "frames": 4,
            "time_stride": 10,
        },
        "darcy2d": {"kind": "darcy2d", "trajectories": 26, "resolution": 16},
    },
    "model": MODEL,
    "trainer": {"accelerator": "cpu", "threads": 1},
    "pipeline": [
        {"stage": "operator", "max_steps": STEPS, "validate_every": 1, "pushforward": 1, "noise": 0.01}
    ],
}
"""The batches of both tasks end with an odd one: 16 * 3 = 48 windows and 21 samples in batches of 8."""
OPERATORS_OWN = ("pushforward", "noise")
"""Options that other objectives lack."""
PARALLEL = {"launcher": "torchrun"}
STAGE = {"optimizer": {"kind": "adamw", "lr": 2e-3}}
ENDLESS = {"epochs": 100_000, "max_steps": 100_000}


@dataclass
class Result:
    """What a finished run left."""

    directory: Path
    metrics: list[dict[str, float]]
    weights: dict[str, torch.Tensor]
    said: str = ""
    """Standard error."""

    @property
    def step(self) -> Path:
        """Of the training."""
        return self.directory / "steps" / "operator"

    def curve(self, name: str) -> torch.Tensor:
        return torch.tensor([line[name] for line in self.metrics], dtype=torch.float64)


def write_spec(folder: Path, name: str, devices: int, **changes: Any) -> Path:
    """A spec whose effective batch is 8 whatever the number of devices."""
    own = {**SPEC["pipeline"][0], "batch_size": 8 // devices}
    objective = changes.pop("objective", "operator")
    if objective != "operator":
        own = {name: value for name, value in own.items() if name not in OPERATORS_OWN}
        own |= {**stage_options(objective), "id": "operator"}
    before = [
        {
            **stage_options(name),
            "id": f"before_{name}",
            "max_steps": 8,
            "validate_every": 8,
            "optimizer": {"kind": "adamw", "lr": 0.03},  # far from the almost linear initial networks
            "batch_size": 8 // devices,
        }
        for name in BEFORE.get(objective, ())
    ]
    stage = {**own, **changes.pop("stage", {})}
    trainer = {**SPEC["trainer"], "devices": devices, **changes.pop("trainer", {})}
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    spec = {**SPEC, "name": name, "trainer": trainer, "pipeline": [*before, stage], **changes}
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def train(folder: Path, name: str, devices: int, code: int = 0, **changes: Any) -> Result:
    """Run a spec."""
    path = write_spec(folder, name, devices, **changes)
    result = command(
        "ups-run", path, "--data-root", folder / "data", cwd=folder, code=code, PYTHONPATH=with_plugin()
    )
    (directory,) = (folder / "runs").glob(f"{name}-*")
    if code:
        return Result(directory, [], {}, result.stderr)
    step = directory / "steps" / "operator"
    lines = [json.loads(line) for line in (step / "metrics.jsonl").read_text().splitlines()]
    return Result(directory, lines, load_file(step / "model" / "weights.safetensors"), result.stderr)


def same_training(ours: Result, theirs: Result) -> None:
    """Two runs have the same curves, up to rounding."""
    assert [line["step"] for line in ours.metrics] == [line["step"] for line in theirs.metrics]
    monitor = next(name for name in OBJECTIVES.values() if name in theirs.metrics[0])
    for name in ("train/loss", monitor):
        difference = (ours.curve(name) - theirs.curve(name)).abs() / theirs.curve(name)
        assert difference.max() < 1e-5, (name, difference)


def dry_run(folder: Path, name: str, devices: int, **changes: Any) -> str:
    """What a launcher says that it would start or submit."""
    path = write_spec(folder, name, devices, **changes)
    printed = command("ups-run", path, "--data-root", folder / "data", "--dry-run", "--json", cwd=folder)
    (step,) = json.loads(printed.stdout)
    return str(step["submits"])
