"""Plan and runner on a toy pipeline: what is done is not done again, what failed loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ups_core.cli.run import main as ups_run
from ups_core.finished_step import FinishedStep
from ups_core.lock import locked
from ups_core.planner import make_plan
from ups_core.validate import load_spec


def run(spec: Path, *options: str) -> int:
    return ups_run([str(spec), *options])


def record() -> dict[str, Any]:
    (path,) = Path("runs").glob("*/run.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def executed() -> list[str]:
    path = Path("data/executions.txt")
    lines = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def states(spec: Path) -> dict[str, str]:
    loaded, document = load_spec(spec)
    plan = make_plan(loaded, document, runs_dir=Path("runs"), data_root=Path("data"))
    return {step.id: step.state for step in plan.steps}


def test_a_run_and_its_record(spec_file: Path) -> None:
    assert run(spec_file) == 0
    assert executed() == ["train", "toy-other", "score", "page"], "a baseline that needs training is trained"
    content = record()
    assert list(content) == [
        "schema",
        "name",
        "fingerprint",
        "spec",
        "status",
        "started",
        "finished",
        "seconds",
        "command",
        "environment",
        "data",
        "steps",
        "metrics",
        "sha256",
    ]
    assert content["status"] == "completed"
    assert content["metrics"] == {
        "train/val/loss": 0.5,
        "train/resumed": 0.0,
        "toy-other/val/loss": 0.5,
        "toy-other/resumed": 0.0,
        "score/a/width": 5.0,
        "score/a/toy/constant/known": 0.0,
        "score/a/toy/other/known": 1.0,
    }
    assert content["data"]["a"]["source"] == "generated"
    assert content["command"] == ["ups-run", str(spec_file)]
    directory = next(Path("runs").glob("toy-*"))
    events = [json.loads(line)["event"] for line in (directory / "events.jsonl").read_text().splitlines()]
    assert events == ["run_started", "data_ready", *["step_running", "step_completed"] * 4, "run_completed"]


def test_again_does_nothing_and_rewrites_nothing(spec_file: Path) -> None:
    run(spec_file)
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")}
    executed()
    assert run(spec_file) == 0
    assert executed() == []
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")} == before


def test_only_from_and_fresh(spec_file: Path) -> None:
    assert run(spec_file, "--only", "score") == 1
    run(spec_file)
    executed()
    assert run(spec_file, "--only", "score") == 0
    assert executed() == ["score"]
    assert run(spec_file, "--from", "score") == 0
    assert executed() == ["score", "page"]
    assert run(spec_file, "--fresh") == 0
    assert len(list(Path("runs").glob("toy-*"))) == 2
    assert run(spec_file, "--only", "scroe") == 1
    assert run(spec_file, "--only", "a", "--from", "b") == 2


def test_a_changed_spec_keeps_what_it_does_not_touch(
    spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(spec_file)
    (before,) = Path("runs").glob("toy-*")
    old = {path: path.read_bytes() for path in before.rglob("*") if path.is_file()}
    executed()
    change = "--set", "pipeline.score.baselines=[toy/constant]"
    capsys.readouterr()
    assert run(spec_file, *change, "--plan") == 0
    plan = capsys.readouterr().out
    assert f"compared with {before}:" in plan
    assert "  pipeline.score.baselines[1]: 'toy/other' -> (absent)" in plan
    assert "  kept: train" in plan
    assert "  to be done: score, page" in plan
    assert executed() == []
    assert run(spec_file, *change) == 0
    assert executed() == ["score", "page"]
    said = capsys.readouterr().err
    assert "pipeline.score.baselines[1]: 'toy/other' -> (absent)" in said
    assert "kept: train" in said
    after = next(path for path in Path("runs").glob("toy-*") if path != before)
    assert json.loads((after / "run.json").read_text())["status"] == "completed"
    kept, there = (FinishedStep.read(run, "train").record for run in (after, before))
    assert kept == there.model_copy(update={"kept_from": str(before)})
    assert {path: path.read_bytes() for path in old} == old, "the run before the change is as it was"
    assert run(spec_file, *change) == 0
    assert run(spec_file) == 0
    assert executed() == [], "both are done"


def test_a_change_that_touches_all_keeps_nothing(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(spec_file)
    executed()
    assert run(spec_file, "--set", "seed=4", "--set", "model.width=6") == 0
    assert executed() == ["train", "toy-other", "score", "page"]
    said = capsys.readouterr().err
    assert "  model.width: 5 -> 6\n  seed: 3 -> 4\n  to be done: train, toy-other, score, page" in said
    assert run(spec_file, "--set", "seed=5", "--fresh") == 0
    assert "seed: 4 -> 5" not in capsys.readouterr().err, "nothing is compared or kept"


def test_values_of_the_environment_stay_out_of_records(
    spec_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABEL", "271828")
    monkeypatch.setenv("API_KEY", "hunter2-hunter2")
    spec_file.write_text(spec_file.read_text().replace("epochs: 2", "label: ${env:LABEL}"))
    assert run(spec_file) == 0
    monkeypatch.setenv("LABEL", "314159")
    assert run(spec_file) == 0
    said = capsys.readouterr()
    texts = [path.read_text() for path in Path("runs").rglob("*") if path.is_file()]
    for value in ("271828", "314159", "hunter2"):
        assert not any(value in text for text in [*texts, said.out, said.err]), value
    assert sum("${env:LABEL}" in text for text in texts) >= 6, "of both runs: spec, stage, baseline"


def test_options_without_effect_resume_the_same_run(spec_file: Path) -> None:
    run(spec_file)
    executed()
    assert run(spec_file, "--set", "trainer.max_time=100", "--set", "trainer.workers=2") == 0
    assert executed() == []


def test_a_time_limit_ends_the_run_between_steps(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(spec_file, "--set", "trainer.max_time=1e-9") == 75
    assert "interrupted (out of time); rerun the same command to resume" in capsys.readouterr().err
    assert record()["status"] == "interrupted"
    assert executed() == ["train"], "a limit shorter than the start-up must not stop it before any work"
    assert run(spec_file) == 0
    assert record()["status"] == "completed"


def test_changed_data_makes_steps_stale(spec_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(spec_file)
    assert set(states(spec_file).values()) == {"done"}
    import toy_plugin

    monkeypatch.setattr(toy_plugin, "digest", lambda value: "other data")
    assert set(states(spec_file).values()) == {"stale"}
    executed()
    assert run(spec_file) == 0
    assert len(executed()) == 4


def test_failed_step_keeps_what_was_done(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = spec_file.read_text()
    spec_file.write_text(
        text.replace("pipeline:\n", "pipeline:\n  - {stage: toy/train, id: first}\n").replace(
            "    epochs: 2\n", "    epochs: 2\n    fail: true\n"
        )
    )
    assert run(spec_file) == 1
    error = capsys.readouterr().err
    assert "error: step 'train' failed: the loss is nan at epoch 3; lower the learning rate\n" in error
    assert "Traceback" not in error
    content = record()
    assert content["status"] == "failed"
    assert [step["status"] for step in content["steps"]] == [
        "completed",
        "failed",
        "pending",
        "pending",
        "pending",
    ]
    assert content["metrics"]["first/val/loss"] == 2.0
    executed()
    assert run(spec_file) == 1
    assert executed() == ["train"], "the finished step is not repeated"


def test_a_bug_leaves_its_traceback_in_a_file(
    spec_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOY_FAULT", "bug")
    assert run(spec_file) == 1
    error = capsys.readouterr().err
    assert "step 'train' failed: ZeroDivisionError: one over nothing (traceback: " in error
    log = next(Path("runs").glob("*/steps/.train.partial/error.log")).read_text()
    assert "Traceback" in log


def test_interrupted_step_is_resumed(spec_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_FAULT", "interrupt")
    assert run(spec_file) == 130
    assert record()["status"] == "interrupted"
    assert states(spec_file)["train"] == "interrupted"
    monkeypatch.delenv("TOY_FAULT")
    assert run(spec_file) == 0
    assert record()["metrics"]["train/resumed"] == 1.0


def test_the_plan_is_wrong_before_anything_runs(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec_file.write_text(spec_file.read_text().replace("width: 5", "width: 50"))
    assert run(spec_file) == 2
    assert f"{spec_file}:6:24 model.width: width 50 exceeds the grid 8 of task 'a'" in capsys.readouterr().err
    spec_file.write_text(spec_file.read_text().replace("cells: 8", "cells: 13"))
    assert run(spec_file) == 2
    assert f"{spec_file}:5:3 tasks.a.source: 13 cells bring bad luck; take 12" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("toy/other]", "nobody]", "pipeline[1].baselines: unknown model 'nobody'"),
        (
            "  - stage: toy/train\n    id: train\n    epochs: 2\n    optimizer: {kind: toy/sgd, lr: 1e-2}\n",
            "",
            "baseline 'toy/other' must be trained, but no earlier stage produces the artifact 'simulator'",
        ),
        ("trainer: {", "trainer: {devices: 2, ", "trainer.devices: the launcher 'local' supports 1 device"),
    ],
)
def test_impossible_plans(
    spec_file: Path, old: str, new: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec_file.write_text(spec_file.read_text().replace(old, new))
    assert run(spec_file) == 2
    assert expected in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert run(spec_file, "--runs-dir", "file") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: file/toy-")
    assert error.endswith(": Not a directory\n")


def test_two_runs_in_one_directory(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded, document = load_spec(spec_file)
    directory = make_plan(loaded, document, runs_dir=Path("runs"), data_root=Path("data")).directory
    with locked(directory):
        assert run(spec_file) == 1
    assert f"is in use by process {os.getpid()} on" in capsys.readouterr().err
    assert run(spec_file) == 0


def test_resolved_spec_plans_the_same_run(spec_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIDTH", "6")
    spec_file.write_text(spec_file.read_text().replace("width: 5", "width: '${env:WIDTH}'"))
    assert run(spec_file) == 0
    directory = next(Path("runs").glob("toy-*"))
    resolved = (directory / "spec.yaml").read_text()
    assert "width: ${env:WIDTH}" in resolved
    assert "depth: 2" in resolved
    executed()
    assert run(directory / "spec.yaml") == 0
    assert executed() == []


def test_every_scalar_of_a_spec_changes_some_step(spec_file: Path) -> None:
    def fingerprints(*overrides: str) -> set[str]:
        spec, document = load_spec(spec_file, overrides)
        plan = make_plan(spec, document, runs_dir=Path("runs"), data_root=Path("data"))
        return {step.fingerprint for step in plan.steps}

    before = fingerprints()
    for override in (
        "seed=4",
        "tasks.a.cells=9",
        "model.width=6",
        "sampling.temperature=0.5",
        "trainer.precision=bf16-mixed",
        "pipeline.train.epochs=3",
        "pipeline.train.optimizer.lr=0.1",
        "pipeline.score.baselines=[]",
        "pipeline.page.id=sheet",
    ):
        assert fingerprints(override) != before, override
    assert fingerprints("name=other") == before, "a name is no result"


def test_worker_runs_one_step_in_its_own_process(spec_file: Path) -> None:
    run(spec_file)
    directory = next(Path("runs").glob("toy-*"))
    command = [sys.executable, "-m", "ups_core.worker", str(directory), "score", "--data-root", "data"]
    subprocess.run(command, check=True, timeout=60)
    result = json.loads((directory / "steps" / ".score.partial" / "result.json").read_text())
    assert result["metrics"]["a/width"] == 5.0
    failed = subprocess.run(
        [*command[:4], "nobody", *command[5:]], capture_output=True, text=True, check=False, timeout=60
    )
    assert failed.returncode != 0
    assert failed.stderr.startswith("error: ")
    assert not (directory / "steps" / ".nobody.partial").exists()


def test_plan_in_json_and_words(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(spec_file, "--plan", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert [step["id"] for step in plan["steps"]] == ["train", "toy-other", "score", "page"]
    assert plan["steps"][2]["after"] == ["train", "toy-other"]
    assert run(spec_file, "--plan") == 0
    assert "to do" in capsys.readouterr().out
    assert not Path("runs").exists()


def test_watching_plugins_see_steps_and_cannot_stop_the_run(
    spec_file: Path, install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        "watcher",
        """
from pathlib import Path
from ups_core import hookimpl

@hookimpl
def ups_step_finished(run, step):
    with Path("seen.txt").open("a") as file:
        file.write(f"{step.id} {step.status}\\n")
    raise RuntimeError("watchers may break")
""",
    )
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,watcher")
    assert run(spec_file) == 0
    assert Path("seen.txt").read_text().splitlines()[0] == "train completed"


@pytest.mark.parametrize("number", range(1, 8))
def test_a_signal_after_any_write_of_the_record_leaves_nothing_running(
    number: int, spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal may come with the first record, before any step, or between two."""
    from ups_core.interrupts import Interrupted
    from ups_core.record import RunRecord

    save, saves = RunRecord.save, 0

    def interrupted(self: RunRecord, status: str) -> None:
        nonlocal saves
        save(self, status)  # type: ignore[arg-type]
        saves += 1
        if saves == number and status == "running":
            raise Interrupted(143)

    monkeypatch.setattr(RunRecord, "save", interrupted)
    try:
        code = run(spec_file)
    except Interrupted as stop:
        code = stop.code
    content = record()
    if code == 0:
        assert saves <= number
        return
    assert code == 143
    assert content["status"] == "interrupted"
    assert "running" not in {step["status"] for step in content["steps"]}
    monkeypatch.setattr(RunRecord, "save", save)
    assert run(spec_file) == 0
    assert record()["status"] == "completed"
