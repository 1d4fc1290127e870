"""Plugins that watch runs: what they see, in which order, and that they cannot stop anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ups_core.cli.run import main as ups_run

WATCHER = """\
import json
from pathlib import Path
from ups_core import hookimpl

def note(hook, **details):
    with Path("seen.jsonl").open("a") as file:
        print(json.dumps([hook, details]), file=file)

@hookimpl
def ups_run_started(run):
    note("run_started", status=run.status, name=run.name, directory=str(run.directory))

@hookimpl
def ups_step_started(step):
    note("step_started", id=step.id, status=step.status, exists=step.directory.is_dir())

@hookimpl
def ups_step_finished(run, step):
    note("step_finished", id=step.id, uses=step.uses, status=step.status, metrics=dict(step.metrics),
         files=sorted(path.name for path in step.directory.iterdir()), run=run.status)

@hookimpl
def ups_run_finished(run):
    note("run_finished", status=run.status, fingerprint=run.fingerprint)
"""
FAULTY = """\
from ups_core import hookimpl

@hookimpl
def ups_step_started(run, step):
    raise ValueError(f"no room for {step.id}")

@hookimpl
def ups_run_finished(run):
    raise RuntimeError("late")
"""

Seen = Callable[[], list[tuple[str, dict[str, Any]]]]


@pytest.fixture
def seen(spec_file: Path, install: Any, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What the watcher has seen so far."""
    install("watcher", WATCHER)
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,watcher")
    return lambda: [tuple(json.loads(line)) for line in Path("seen.jsonl").read_text().splitlines()]


def test_a_watcher_sees_a_run_from_beginning_to_end(spec_file: Path, seen: Seen) -> None:
    assert ups_run([str(spec_file)]) == 0
    hooks = [name for name, _ in seen()]
    assert hooks == ["run_started", *["step_started", "step_finished"] * 4, "run_finished"]
    (directory,) = Path("runs").iterdir()
    fingerprint = json.loads((directory / "run.json").read_text())["fingerprint"]
    assert seen()[0][1] == {"status": "running", "name": "toy", "directory": str(directory)}
    assert seen()[-1][1] == {"status": "completed", "fingerprint": fingerprint}


def test_a_watcher_sees_steps_where_they_are(spec_file: Path, seen: Seen) -> None:
    ups_run([str(spec_file)])
    assert seen()[1][1] == {"id": "train", "status": "running", "exists": True}
    assert seen()[2][1] == {
        "id": "train",
        "uses": "toy/train",
        "status": "completed",
        "metrics": {"train/val/loss": 0.5, "train/resumed": 0.0},
        "files": ["checkpoint.json", "model.json", "step.json"],
        "run": "running",
    }


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("bug", "failed", 1), ("interrupt", "interrupted", 130), ("stop", "interrupted", 143)],
)
def test_a_watcher_sees_how_a_step_ended(
    fault: str, status: str, code: int, spec_file: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_FAULT", fault)
    assert ups_run([str(spec_file)]) == code
    *_, (step_hook, step), (run_hook, run) = seen()
    assert (step_hook, step["id"], step["status"], step["metrics"]) == ("step_finished", "train", status, {})
    assert "step.json" in step["files"], "the partial directory"
    assert (run_hook, run["status"]) == ("run_finished", status)


def test_a_run_without_work_is_not_announced(spec_file: Path, seen: Seen) -> None:
    ups_run([str(spec_file)])
    before = seen()
    ups_run([str(spec_file)])
    ups_run([str(spec_file), "--plan"])
    assert seen() == before


def test_a_watcher_that_raises_is_reported_and_stops_nobody(
    spec_file: Path,
    install: Any,
    seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install("faulty", FAULTY)
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,watcher,faulty")
    assert ups_run([str(spec_file)]) == 0
    said = capsys.readouterr().err
    assert "plugin faulty: ValueError: no room for train\n" in said
    assert "plugin faulty: RuntimeError: late\n" in said
    assert len(seen()) == 10, "the other watcher saw everything"
