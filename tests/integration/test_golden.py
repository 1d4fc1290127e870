"""Shipped specs run at a tiny size, and their first twenty losses are those of before.

The bits depend on torch and on the processor's instructions, so losses are equal on a machine of the kind that wrote
the file, and within rounding elsewhere. After a change that is meant to change them:

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


GATED = ("pdebench_2task", "pdebench_2task_ddp")
"""Specs with a gate."""


OWN = [
    pytest.param(path, marks=pytest.mark.slow) if path.stem == "pdebench_2task_full" else path
    for path in SPECS
    if path.stem.startswith(("pdebench_", "burgers1d", "smoke"))
]
"""Specs of one problem each are in `test_family_specs.py`."""


@pytest.fixture(scope="module", params=OWN, ids=lambda path: path.stem)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A shipped spec and the directory of its complete run at a tiny size: training, baselines, scores, report."""
    spec: Path = request.param
    folder = tmp_path_factory.mktemp(spec.stem)
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
    # Two test trajectories are too few for the intervals of a gate.
    command(
        "ups-run",
        spec,
        *overrides(changes),
        cwd=folder,
        code=3 if spec.stem in GATED else 0,
    )
    (record,) = folder.glob("runs/*/run.json")
    return spec.stem, record.parent


def test_losses_are_those_of_before(finished: tuple[str, Path]) -> None:
    name, directory = finished
    lines = (directory / "steps" / "operator" / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line)["train/loss"] for line in lines]
    assert len(found) == STEPS
    known: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    if os.environ.get(WRITE):
        known[name] = {"machine": machine(), "losses": found}
        FILE.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
        return
    golden = known[name]
    if golden["machine"] == machine():
        assert found == golden["losses"]
    assert found == pytest.approx(golden["losses"], rel=ROUNDING)


def test_the_complete_run_ends_in_a_report(finished: tuple[str, Path]) -> None:
    _, directory = finished
    record = json.loads((directory / "run.json").read_text())
    assert record["status"] == "completed"
    assert all(step["status"] == "completed" for step in record["steps"])
    assert any(key.startswith("test/") and key.endswith("/nrmse") for key in record["metrics"])
    assert (directory / "report" / "index.html").exists()
