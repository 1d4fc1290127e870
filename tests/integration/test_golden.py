"""Twenty steps of every shipped spec give the losses that they gave before.

The bits depend on torch and on the processor's instructions, so losses are equal on a machine like the one
that wrote the file, and within rounding elsewhere. After a change that is meant to change them:

    UPS_WRITE_GOLDEN=1 python -m pytest tests/integration/test_golden.py
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import pytest
import torch

from commands import SPECS, TINY, TINY_OTHERS, command, overrides

FILE = Path(__file__).parent / "golden.json"
STEPS = 20
WRITE = "UPS_WRITE_GOLDEN"
ROUNDING = 2e-2
"""Largest relative difference of a loss on another kind of machine: rounding grows over the steps."""


def machine() -> str:
    """What the bits depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return (
        f"torch {torch.__version__}, {model or platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    )


def losses(spec: Path, folder: Path) -> list[float]:
    """The training loss of every step."""
    changes = TINY_OTHERS.get(spec.stem, TINY)
    changes = [change for change in changes if not change.startswith("pipeline.operator")]
    changes += [
        f"pipeline.operator.max_steps={STEPS}",
        "pipeline.operator.epochs=99",
        "pipeline.operator.validate_every=1",
        "pipeline.operator.budget=null",
        "pipeline.operator.validation_trajectories=1",
        "pipeline.operator.compile=null",
        "trainer.threads=1",
        "trainer.devices=1",
        "trainer.strategy=auto",
        "trainer.accelerator=cpu",
        "launcher=local",
        "trainer.precision=32",
    ]
    command("ups-run", spec, *overrides(changes), "--only", "operator", cwd=folder)
    (file,) = folder.glob("runs/*/steps/operator/metrics.jsonl")
    return [json.loads(line)["train/loss"] for line in file.read_text().splitlines()]


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_losses_are_those_of_before(spec: Path, tmp_path: Path) -> None:
    known: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    found = losses(spec, tmp_path)
    assert len(found) == STEPS
    if os.environ.get(WRITE):
        known[spec.stem] = {"machine": machine(), "losses": found}
        FILE.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
        return
    golden = known[spec.stem]
    if golden["machine"] == machine():
        assert found == golden["losses"]
    assert found == pytest.approx(golden["losses"], rel=ROUNDING)
