"""A run that is stopped in the middle of training says so and continues to the same result."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import BIN, TINY, command, overrides
from documents import ROOT
from ups_core.run_status import run_statuses
from ups_core.training_progress import PROGRESS

ARGUMENTS = [
    str(ROOT / "specs" / "smoke.yaml"),
    *overrides(TINY),
    "--set",
    "pipeline.operator.max_steps=40",
    "--set",
    "pipeline.test.baselines=[persistence]",
    "--set",
    "trainer.threads=1",
]


def result(folder: Path) -> tuple[str, object]:
    (run,) = (folder / "runs").iterdir()
    weights = (run / "steps/operator/model/weights.safetensors").read_bytes()
    return hashlib.sha256(weights).hexdigest(), json.loads((run / "run.json").read_text())["metrics"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    command("ups-run", *ARGUMENTS, cwd=folder)
    return folder


@pytest.mark.parametrize(
    "stop", [signal.SIGTERM, signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_stopped_run_continues_to_the_same_result(stop: signal.Signals, whole: Path, tmp_path: Path) -> None:
    parts = tmp_path
    process = subprocess.Popen(
        [str(BIN / "ups-run"), *ARGUMENTS],
        cwd=parts,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        # Started from a background job, this process and its children ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not list(parts.glob("runs/*/steps/.operator.partial/checkpoints/step-*.ckpt")):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (before,) = run_statuses(parts / "runs")
    assert (before.state, before.step, before.training and before.training.steps) == (
        "running",
        "operator",
        12,
    )
    process.send_signal(stop)
    _, errors = process.communicate(timeout=120)
    (run,) = (parts / "runs").iterdir()
    assert not (run / "steps" / "operator").exists(), "stopped before the step was done"
    if stop is not signal.SIGKILL:
        assert process.returncode == {signal.SIGTERM: 143, signal.SIGINT: 130}[stop], errors
        assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
        assert "Traceback" not in errors
    (found,) = run_statuses(parts / "runs")
    assert found.state == ("killed" if stop is signal.SIGKILL else "interrupted")
    assert found.training is not None
    assert found.training.step <= 12
    assert found.seconds_left is None
    resumed = command("ups-run", *ARGUMENTS, cwd=parts)
    assert result(parts) == result(whole)
    (found,) = run_statuses(parts / "runs")
    assert (found.state, found.training, len(found.scores)) == ("completed", None, 2)
    assert not (run / "steps" / "operator" / PROGRESS).exists()
    path = run.relative_to(parts)
    following = f"next: ups eval show {path} · ups predict {path} · ups verify {path}"
    assert resumed.stderr.splitlines()[-1] == following
    for line in following.removeprefix("next: ").split(" · "):
        command(*shlex.split(line), cwd=parts)


def test_a_full_disk_ends_the_step_in_one_line_and_loses_nothing(whole: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: a checkpoint exceeds it, nothing else does."""
    words = shlex.join([str(BIN / "ups-run"), *ARGUMENTS, "--data-root", str(whole / "data")])
    limited = subprocess.run(
        ["bash", "-c", f"ulimit -f 64; exec {words}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert limited.returncode == 1
    assert "Traceback" not in limited.stderr
    error = limited.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"error: step 'operator' failed: cannot write \S+\.ckpt \(\d+ bytes\): File too large; earlier checkpoints "
        r"are intact; free some disk space and rerun the same command to resume",
        error,
    ), limited.stderr
    command("ups-run", *ARGUMENTS, "--data-root", whole / "data", cwd=tmp_path)
    assert result(tmp_path) == result(whole)


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "chaos.py"), "--kills", "4"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all as the uninterrupted one: sha256 " in done.stdout
