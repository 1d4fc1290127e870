"""Gates and the leaderboard in real runs: the first champion, noise, the stop, and what the page says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ups_core.cli.main import main as ups
from ups_core.cli.run import main as ups_run
from ups_eval.leaderboard.store import Leaderboard

SPEC: dict[str, Any] = {
    "version": 1,
    "name": "gated",
    "tasks": {
        "advection1d": {
            "kind": "advection1d", "beta": [0.4], "trajectories": 80, "resolution": 32, "frames": 5, "time_stride": 10,
        },
    },
    "model": {"kind": "unet", "width": 8, "levels": 1},
    "trainer": {"accelerator": "cpu", "threads": 1},
    "pipeline": [
        {"stage": "operator", "max_steps": 40, "batch_size": 16, "augment": False},
        {"evaluate": "rollout", "id": "test", "baselines": ["persistence"], "save_predictions": 2},
        {"evaluate": "gate", "criteria": [{"against": "persistence", "max": 1.5}, {"against": "champion"}]},
        {"evaluate": "leaderboard"},
        {"evaluate": "report", "animate": False},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("gated")
    (place / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    return place


def run(folder: Path, *overrides: str) -> tuple[int, dict[str, Any], Path]:
    """Exit code, record and directory of a run."""
    before = set((folder / "runs").glob("*/run.json"))
    words = [word for override in overrides for word in ("--set", override)]
    code = ups_run(
        [
            str(folder / "spec.yaml"),
            "--runs-dir",
            str(folder / "runs"),
            "--data-root",
            str(folder / "data"),
            *words,
        ]
    )
    (path,) = set((folder / "runs").glob("*/run.json")) - before
    return code, json.loads(path.read_text()), path.parent


def test_champions_noise_and_a_stop(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, record, directory = run(folder)
    out = capsys.readouterr().err
    assert code == 0, out
    assert "the first champion of its board" in out
    board = Leaderboard(folder / "runs/leaderboard.sqlite")
    (first, baseline) = board.entries()
    assert (first.champion, first.gates, baseline.baseline) == (True, True, True)
    gates = json.loads((directory / "steps/gate/gates.json").read_text())
    assert [item["reason"] for item in gates["criteria"]] == ["", "no champion yet"]
    page = (directory / "report/index.html").read_text()
    assert "gate passed" in page

    code, record, directory = run(folder, "seed=1")
    out = capsys.readouterr().err
    assert code == 3, "another seed is not better by more than the noise"
    assert record["status"] == "completed", "only the leaderboard and the report come after the gate"
    assert "not promoted: a gate did not pass" in out
    assert out.splitlines()[-1].startswith("step 'gate' did not pass: nrmse of advection1d / champion is")
    assert "gate failed" in (directory / "report/index.html").read_text()
    assert [entry.champion for entry in board.entries() if not entry.baseline] == [True, False]

    assert ups(["verify", str(directory)]) == 0
    assert "criteria judged again, 1 against the champion" in capsys.readouterr().out
    assert ups(["verify", str(folder / "runs/leaderboard.sqlite")]) == 0


def test_a_better_model_becomes_the_champion(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not (folder / "runs").exists():
        run(folder)
    code, _, _ = run(folder, "pipeline.operator.max_steps=400")
    out = capsys.readouterr().err
    assert code == 0, out
    assert "promoted: nRMSE ×" in out
    entries = [
        entry for entry in Leaderboard(folder / "runs/leaderboard.sqlite").entries() if not entry.baseline
    ]
    assert [entry.champion for entry in entries][-1]


def test_a_gate_that_stops_leaves_later_steps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = SPEC | {"name": "stopped"}
    late = {"evaluate": "rollout", "id": "late", "baselines": ["persistence"], "split": "val"}
    spec["pipeline"] = [
        *SPEC["pipeline"][:2],
        {"evaluate": "gate", "criteria": [{"max": 1e-9}]},
        late,
        SPEC["pipeline"][-1],
    ]
    (folder / "stopped.yaml").write_text(yaml.safe_dump(spec))
    words = ["--runs-dir", str(folder / "other"), "--data-root", str(folder / "data")]
    assert ups_run([str(folder / "stopped.yaml"), *words]) == 3
    (path,) = (folder / "other").glob("*/run.json")
    record = json.loads(path.read_text())
    assert record["status"] == "stopped"
    assert {step["id"]: step["status"] for step in record["steps"]} == {
        "operator": "completed", "test": "completed", "gate": "completed", "late": "pending", "report": "completed",
    }  # fmt: skip
    assert "out of bounds" in (path.parent / "report/index.html").read_text()


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        ("{metric: nrms, max: 1.0}", "unknown metric 'nrms'; did you mean 'nrmse'?"),
        ("{against: persistance}", "unknown model 'persistance'; did you mean 'persistence'?"),
        ("{task: advection, max: 1.0}", "unknown task 'advection'; did you mean 'advection1d'?"),
    ],
)
def test_unknown_names_are_refused_before_anything_runs(
    folder: Path, criterion: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--runs-dir", str(folder / "none"), "--data-root", str(folder / "data")]
    code = ups_run(
        [str(folder / "spec.yaml"), "--set", f"pipeline.gate.criteria=[{criterion}]", "--plan", *words]
    )
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (folder / "none").exists()
