"""`ups status`: the states of runs, what is damaged, and what a terminal shows."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ups_core.cli.main import main as ups
from ups_core.cli.run import main as ups_run
from ups_core.cli.status import duration
from ups_core.lock import in_use, locked
from ups_core.run_status import RunStatus, run_statuses
from ups_core.sealed import read_sealed, write_sealed
from ups_core.training_progress import PROGRESS, TrainingProgress, read_progress


def only_run() -> Path:
    (run,) = (path for path in Path("runs").iterdir() if path.is_dir())
    return run


def status() -> RunStatus:
    (found,) = run_statuses(Path("runs"))
    return found


def training(**changes: Any) -> TrainingProgress:
    content = {
        "step": 40,
        "steps": 100,
        "epoch": 3,
        "done": 0.4,
        "seconds_left": 90.0,
        "monitor": "val/loss",
        "best": 0.125,
        "time": time.time(),
    }
    return TrainingProgress.model_validate(content | changes)


@pytest.fixture
def partial(spec_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a training that failed half-way."""
    monkeypatch.setenv("TOY_FAULT", "bug")
    ups_run([str(spec_file)])
    return only_run() / "steps" / ".train.partial"


def rewrite(run: Path, **changes: Any) -> None:
    """Change the record of a run as another process would have left it."""
    write_sealed(run / "run.json", read_sealed(run / "run.json") | changes)


def test_a_completed_run(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ups_run([str(spec_file)])
    found = status()
    assert (found.state, found.done, found.steps, found.step) == ("completed", 4, 4, "")
    assert found.best == {"toy-other/val/loss": 0.5}, "of the training that finished last"
    assert found.scores == {"score/a/width": 5.0}, "not those of baselines"
    assert found.seconds_left is None
    capsys.readouterr()
    assert ups(["status"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["run", "state", "step"]
    assert row.startswith(f"{only_run().name}  completed  - (4 of 4 done)")
    assert "score/a/width 5" in row


@pytest.mark.parametrize(
    ("fault", "state"), [("bug", "failed"), ("interrupt", "interrupted"), ("stop", "interrupted")]
)
def test_a_run_that_ended_early(
    fault: str, state: str, spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_FAULT", fault)
    ups_run([str(spec_file)])
    found = status()
    assert (found.state, found.step, found.done) == (state, "train", 0)


def test_a_killed_run_is_known_and_a_living_one_runs(spec_file: Path) -> None:
    command = [sys.executable, "-m", "ups_core.cli.run", str(spec_file), "--set", "pipeline.train.epochs=999"]
    options = ["--set", "pipeline.train.pause=0.05"]
    process = subprocess.Popen([*command, *options], env=os.environ, stderr=subprocess.DEVNULL)
    try:
        while not list(Path("runs").glob("*/steps/.train.partial/checkpoint.json")):
            assert process.poll() is None
            time.sleep(0.02)
        assert (status().state, status().step) == ("running", "train")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (status().state, status().step) == ("killed", "train")


def test_a_process_of_another_machine_cannot_be_seen_and_counts_as_running(partial: Path) -> None:
    run = only_run()
    rewrite(run, status="running")
    assert status().state == "killed"
    (run / ".lock").write_text("process 1 on some-other-machine")
    assert status().state == "running"


def test_who_uses_a_directory(tmp_path: Path) -> None:
    assert not in_use(tmp_path)
    with locked(tmp_path):
        assert in_use(tmp_path)
    assert not in_use(tmp_path)
    for text in ("", "process x on y", "process 99999999999999999999 on here"):
        (tmp_path / ".lock").write_text(text.replace("here", os.uname().nodename))
        assert not in_use(tmp_path)


def test_progress_of_the_step_that_runs(partial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(only_run(), status="running")
    training().write(partial)
    with locked(only_run()):
        found = status()
        assert found.seconds_left == pytest.approx(90, abs=30)
        assert found.best == {"train/val/loss": 0.125}
        assert found.training is not None
        ups(["status"])
    row = capsys.readouterr().out.splitlines()[-1]
    assert "running  train (0 of 4 done)  40%, step 40/100, epoch 3" in row
    assert "train/val/loss 0.125" in row
    assert status().seconds_left is None, "nothing runs any more"


def test_a_budget_has_no_number_of_steps(partial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training(steps=None, best=None).write(partial)
    ups(["status"])
    assert "40%, step 40, epoch 3" in capsys.readouterr().out
    assert status().best == {}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"step": -1}', '{"step": "x"}', "\x00"])
def test_a_damaged_progress_is_unknown(content: str, partial: Path) -> None:
    (partial / PROGRESS).write_text(content)
    assert read_progress(partial) is None
    assert status().training is None


DAMAGES = {
    "missing": "is not a run directory (run.json missing)",
    "torn": "is not readable JSON",
    "changed": "does not match its checksum",
    "form": "is not the record of a run ('steps')",
    "folder": "is not a regular file",
    "link": "is a link, which is not followed",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_directory_is_listed_with_its_problem(
    damage: str, spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ups_run([str(spec_file)])
    run = only_run()
    shutil.copytree(run, "runs/sound")
    record = run / "run.json"
    if damage == "torn":
        record.write_text(record.read_text()[:100])
    elif damage == "changed":
        record.write_text(record.read_text().replace("completed", "completes"))
    elif damage == "form":
        rewrite(run, steps=3)
    else:
        record.unlink()
        if damage == "folder":
            record.mkdir()
        if damage == "link":
            record.symlink_to("/dev/zero")
    capsys.readouterr()
    assert ups(["status"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert sorted(row.split()[1] for row in rows) == ["completed", "damaged"]
    assert DAMAGES[damage] in next(row for row in rows if "damaged" in row)
    assert ups(["status", "--json"]) == 0
    found = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert DAMAGES[damage] in found[run.name]["problem"]
    assert found["sound"]["problem"] is None


def test_other_things_in_the_directory_are_not_runs(
    spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ups_run([str(spec_file)])
    for name in ("mlflow", "tune-toy-1"):
        (Path("runs") / name).mkdir()
    (Path("runs") / "notes.txt").touch()
    assert len(run_statuses(Path("runs"))) == 1
    assert [run.directory for run in run_statuses(only_run_named("toy"))] == [only_run_named("toy")]
    capsys.readouterr()
    assert ups(["status", "runs/mlflow"]) == 0
    assert capsys.readouterr().out == "no runs in runs/mlflow\n"


def only_run_named(name: str) -> Path:
    (run,) = Path("runs").glob(f"{name}-*")
    return run


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert ups(["status", "nowhere"]) == 1
    expected = "error: nowhere is not a directory; name the directory of the runs (default: runs)\n"
    assert capsys.readouterr().err == expected


def test_watching_needs_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert ups(["status", "--watch"]) == 2
    assert "--watch needs a terminal" in capsys.readouterr().err


def test_watching_refreshes_until_ctrl_c(spec_file: Path) -> None:
    ups_run([str(spec_file)])
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ups_core.cli.main", "status", "--watch", "0.1"]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"COLUMNS": "200"}
    )
    os.close(theirs)
    shown = b""
    try:
        while shown.count(b"completed") < 3:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_no_torch_is_imported(spec_file: Path) -> None:
    ups_run([str(spec_file)])
    script = (
        "import sys; from ups_core.cli.main import main; code = main(['status']); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", script], env=os.environ, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (61, "1 min 01 s"),
        (3599, "59 min 59 s"),
        (3660, "1 h 01 min"),
        (90000, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
