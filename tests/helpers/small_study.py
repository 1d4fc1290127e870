"""A spec of seconds for studies, and the command that searches it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ups_core.cli.main import main

SPEC = """\
version: 1
name: tiny
tasks:
  advection1d: {kind: advection1d, trajectories: 20, resolution: 32, frames: 6, time_stride: 10}
model: {kind: unet, width: 8, levels: 2}
trainer: {accelerator: cpu, threads: 1}
pipeline:
  - stage: operator
    max_steps: 4
    validate_every: 2
    batch_size: 8
    clip: null
    optimizer: {kind: adamw, lr: 1e-3}
  - evaluate: rollout
    id: check
    split: val
    baselines: []
  - evaluate: rollout
    id: test
"""
LR = "pipeline.operator.optimizer.lr"


def tune(*arguments: str) -> int:
    """`ups tune` with these arguments on the spec in the working directory; returns the exit code."""
    return main(["tune", "tiny.yaml", *arguments])


def study() -> dict[str, Any]:
    """What the only study has on record."""
    (path,) = Path("runs").glob("tune-tiny-*/study.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content
