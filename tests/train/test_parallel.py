"""Several processes over gloo, started as users start them, train what one process trains."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from commands import command

STEPS = 30
SPEC: dict[str, Any] = {
    "version": 1, "name": "parallel", "seed": 1, "sampling": {"temperature": 1.0},
    "tasks": {
        "advection1d": {"kind": "advection1d", "trajectories": 20, "resolution": 32, "frames": 4, "time_stride": 10},
        "darcy2d": {"kind": "darcy2d", "trajectories": 26, "resolution": 16},
    },
    "model": {
        "kind": "latent_operator", "width": 16, "depth_2d": 1, "middle_width": 12, "middle_blocks_2d": 1,
        "local_width": 8, "local_width_2d": 4, "kernel": 5, "kernel_2d": 3, "condition_width": 8,
    },
    "trainer": {"accelerator": "cpu", "threads": 1},
    "pipeline": [{"stage": "operator", "max_steps": STEPS, "validate_every": 1, "pushforward": 1, "noise": 0.01}],
}  # fmt: skip
"""The batches of both tasks end with an odd one: 16 * 3 = 48 windows and 21 samples in batches of 8."""
PARALLEL = {"launcher": "torchrun"}


@dataclass
class Result:
    """What a finished run left."""

    directory: Path
    metrics: list[dict[str, float]]
    weights: dict[str, torch.Tensor]

    def curve(self, name: str) -> torch.Tensor:
        return torch.tensor([line[name] for line in self.metrics], dtype=torch.float64)


def train(folder: Path, name: str, devices: int, code: int = 0, **changes: Any) -> Result:
    """Run a spec whose effective batch is 8 whatever the number of devices."""
    stage = {**SPEC["pipeline"][0], "batch_size": 8 // devices, **changes.pop("stage", {})}
    trainer = {**SPEC["trainer"], "devices": devices, **changes.pop("trainer", {})}
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    spec = {**SPEC, "name": name, "trainer": trainer, "pipeline": [stage], **changes}
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    result = command("ups-run", path, "--data-root", folder / "data", cwd=folder, code=code)
    (directory,) = (folder / "runs").glob(f"{name}-*")
    if code:
        return Result(directory, [], {"stderr": result.stderr})  # type: ignore[dict-item]
    step = directory / "steps" / "operator"
    lines = [json.loads(line) for line in (step / "metrics.jsonl").read_text().splitlines()]
    return Result(directory, lines, load_file(step / "model" / "weights.safetensors"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parallel")


@pytest.mark.parametrize(("optimizer", "tolerance"), [("adamw", 1e-5), ("muon_hybrid", 1e-3)])
def test_two_processes_train_what_one_trains(optimizer: str, tolerance: float, folder: Path) -> None:
    stage = {"optimizer": {"kind": optimizer, "lr": 2e-3}, "accumulate": 2 if optimizer == "adamw" else 1}
    one = train(folder, f"one-{optimizer}", 1, stage=stage)
    assert len(one.metrics) >= STEPS
    for strategy in ("ddp", "fsdp2"):
        two = train(
            folder, f"{strategy}-{optimizer}", 2, stage=stage, trainer={"strategy": strategy}, **PARALLEL
        )
        for name in ("train/loss", "val/nrmse", "val/advection1d/nrmse", "val/darcy2d/nrmse"):
            difference = (two.curve(name) - one.curve(name)).abs() / one.curve(name)
            assert difference.max() < tolerance, (strategy, name, difference)
        assert set(two.weights) == set(one.weights)
        for name, weight in one.weights.items():
            if name == "codec.head.advection1d.bias":
                continue  # of a flux: without effect on anything, so it moves by rounding errors alone
            assert torch.allclose(two.weights[name], weight, rtol=0, atol=50 * tolerance), (strategy, name)
