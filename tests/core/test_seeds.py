"""`ups-run --seeds`: ordinary runs, in turn or side by side, and what becomes of their exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ups_core.cli.run import main as ups_run

WATCHER = """
from pathlib import Path
from ups_core import hookimpl

@hookimpl
def ups_seeds_finished(seeds):
    seeds.directory.mkdir(parents=True, exist_ok=True)
    (seeds.directory / "seen.txt").write_text(" ".join(path.name for path in seeds.runs))
"""


def records() -> dict[int, dict[str, object]]:
    found = {}
    for path in Path("runs").glob("*/run.json"):
        seed = yaml.safe_load((path.parent / "spec.yaml").read_text())["seed"]
        found[seed] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_every_seed_is_an_ordinary_run(
    spec_file: Path, install: Callable[..., None], jobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("watcher", WATCHER)
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,watcher")
    assert ups_run([str(spec_file), "--seeds", "3", "--jobs", jobs]) == 0
    found = records()
    assert sorted(found) == [3, 4, 5], "from the spec's own seed on"
    assert {record["status"] for record in found.values()} == {"completed"}
    (seen,) = Path("runs").glob("toy-seeds-*/seen.txt")
    assert len(seen.read_text().split()) == 3
    logs = sorted(path.name for path in seen.parent.glob("*.log"))
    assert logs == ([] if jobs == "1" else ["seed-3.log", "seed-4.log", "seed-5.log"])
    before = {path: path.read_bytes() for path in Path("runs").glob("*/steps/*/step.json")}
    assert ups_run([str(spec_file), "--seeds", "3"]) == 0
    assert {path: path.read_bytes() for path in before} == before, "nothing is done twice"


def test_a_failed_run_is_said_and_the_others_run(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ups_run([str(spec_file), "--seeds", "2", "--set", "pipeline.train.fail=true"]) == 1
    err = capsys.readouterr().err
    assert "seed 3 ended with exit code 1" in err
    assert "seed 4 ended with exit code 1" in err


@pytest.mark.parametrize("option", ["--plan", "--dry-run", "--json"])
def test_options_of_one_run_are_refused(
    spec_file: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ups_run([str(spec_file), "--seeds", "2", option]) == 2
    assert f"--seeds and {option} exclude each other" in "".join(capsys.readouterr())


def test_a_mistake_in_the_spec_is_said_once(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ups_run([str(spec_file), "--seeds", "2", "--set", "model.widht=3"]) == 2
    assert capsys.readouterr().err.count("unknown key 'widht'") == 1


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_stop_request_reaches_the_runs(spec_file: Path, jobs: str) -> None:
    """They end, none is left behind, and the same command resumes them."""
    slow = ["--set", "pipeline.train.pause=0.2", "--set", "pipeline.train.epochs=100"]
    command = [
        sys.executable,
        "-m",
        "ups_core.cli.run",
        str(spec_file),
        "--seeds",
        "2",
        "--jobs",
        jobs,
        *slow,
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not any(Path("runs").glob("*/steps/.train.partial/step.json")):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    statuses = {json.loads(path.read_text())["status"] for path in Path("runs").glob("*/run.json")}
    assert "running" not in statuses, "every run has said how it ended"
