"""The spec of every problem with a generator, and that of uncertainty, run to a report at a tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import FAMILIES, SPECS, command, overrides
from ups_core.validate import load_spec

PATHS = {path.stem: path for path in SPECS}


QUICK = ("advection1d", "darcy2d", "diffusion_sorption1d", "shallow_water2d")
"""Of the default suite, in which every generator runs with a spec of its own (`test_every_task`)."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
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


def test_the_spec_of_uncertain_futures_has_every_stage(tmp_path: Path) -> None:
    changes = ["tasks.advection1d.beta=[0.1, 0.5]", "tasks.advection1d.trajectories=20"]
    changes += ["tasks.advection1d.resolution=32", "model.width=16"]
    for stage in ("operator", "ensemble", "flow", "student"):
        changes += [f"pipeline.{stage}.budget=null", f"pipeline.{stage}.max_steps=2"]
        changes += [f"pipeline.{stage}.validate_every=2", f"pipeline.{stage}.validation_trajectories=2"]
    changes += [f"pipeline.{step}.members=2" for step in ("of_ensemble", "of_flow", "of_student", "ttc")]
    # Untrained, an ensemble equals its operator: the gate may judge as it wants.
    command("ups-run", PATHS["uncertain"], *overrides(changes), cwd=tmp_path, code=3)
    (path,) = tmp_path.glob("runs/*/run.json")
    record = json.loads(path.read_text())
    assert record["data"]["advection1d"]["splits"]["test"] == 4
    for step, rows in {
        "of_operator": ("persistence",),
        "of_ensemble": ("without_sampling", "random_errors", "persistence"),
        "of_flow": ("without_sampling", "random_errors", "persistence"),
        "of_student": ("without_sampling", "random_errors", "persistence"),
        "ttc": ("no_choice", "random_choice", "mean_of_candidates", "oracle_choice"),
    }.items():
        for row in ("", *(f"{name}/" for name in rows)):
            assert 0 < record["metrics"][f"{step}/advection1d/{row}nrmse"] < 100
    assert (path.parent / "report" / "index.html").is_file()
