"""A spec of the toy plugin for studies, and the command that searches it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ups_core.cli.main import main
from ups_core.sealed import read_sealed

SPEC = """\
version: 1
name: tiny
tasks:
  a: {kind: toy/line, cells: 64}
model: {kind: toy/net, width: 8}
trainer: {strategy: toy/one}
pipeline:
  - stage: toy/train
    id: operator
    epochs: 4
    optimizer: {kind: toy/sgd, lr: 1e-3}
  - evaluate: toy/score
    id: check
    split: val
  - evaluate: toy/score
    id: test
"""
LR = "pipeline.operator.optimizer.lr"
LOSS = "operator/val/loss"
"""What a study of the spec minimises."""


def tune(*arguments: str) -> int:
    """`ups tune` with these arguments on the spec in the working directory; returns the exit code."""
    return main(["tune", "tiny.yaml", *arguments])


def study() -> dict[str, Any]:
    """What the only study has on record."""
    (path,) = Path("runs").glob("tune-tiny-*/study.json")
    return read_sealed(path)
