"""The spec of every problem with a generator runs from its data to a report, at a tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import FAMILIES, SPECS, command, overrides
from ups_core.validate import load_spec

PATHS = {path.stem: path for path in SPECS}


SLOW = ("compressible_flow2d", "compressible_flow3d")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in FAMILIES]
)
def test_a_spec_of_one_problem_ends_in_a_report(name: str, tmp_path: Path) -> None:
    spec, _ = load_spec(PATHS[name])
    (task,) = spec.tasks
    changes = [f"tasks.{task}.{option}={value}" for option, value in FAMILIES[name].items()]
    changes += [
        "model.width=16",
        "pipeline.operator.budget=null",
        "pipeline.operator.max_steps=2",
        "pipeline.operator.validate_every=2",
        "pipeline.operator.batch_size=4",
        "pipeline.operator.validation_trajectories=2",
    ]
    command("ups-run", PATHS[name], *overrides(changes), cwd=tmp_path)
    (path,) = tmp_path.glob("runs/*/run.json")
    record = json.loads(path.read_text())
    assert record["status"] == "completed"
    baseline = "mean" if name == "darcy2d" else "persistence"
    for model in ("", f"{baseline}/", "fno/"):
        assert 0 < record["metrics"][f"test/{task}/{model}nrmse"] < 100
    assert (path.parent / "report" / "index.html").is_file()
