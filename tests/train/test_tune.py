"""`ups tune` of any objective: it minimises what the stage monitors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import command
from plugin_for_tests import OBJECTIVES, with_plugin
from small_runs import write_spec

QUICK = ("steady_prior",)
"""Of the default suite, which tunes operators elsewhere: every trial starts an interpreter."""


@pytest.mark.parametrize(
    "objective",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in OBJECTIVES],
)
def test_a_study_minimises_what_the_stage_monitors(objective: str, folder: Path) -> None:
    name = f"tuned-{objective.rpartition('/')[2]}"
    path = write_spec(folder, name, 1, objective=objective, stage={"max_steps": 2, "validate_every": 2})
    result = command(
        "ups",
        "tune",
        path,
        "--param",
        "optimizer.lr=1e-4,1e-3",
        "--data-root",
        folder / "data",
        "--json",
        cwd=folder,
        PYTHONPATH=with_plugin(),
    )
    study = json.loads(result.stdout)
    assert study["metric"] == f"operator/{OBJECTIVES[objective]}"
    assert len(study["trials"]) == 2
    values = [trial["value"] for trial in study["trials"]]
    assert study["best"]["value"] == min(values)
    assert list((folder / "runs").glob(f"tune-{name}-*/study.png"))
