"""Several processes of which one is killed, is out of memory or meets a bad batch, or which are all stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from commands import BIN
from plugin_for_tests import with_plugin
from small_runs import PARALLEL, Result, same_training, train, write_spec
from ups_core.sealed import read_sealed


def workers_of(run: str) -> list[int]:
    """Process numbers of a run's ranks."""
    lines = {path.parent.name: _command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")}
    return [int(number) for number, line in lines.items() if f"ups_core.worker\0runs/{run}" in line]


def _command_line(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""


STAGE = {"optimizer": {"kind": "adamw", "lr": 2e-3}, "validate_every": 5}


@pytest.fixture(scope="module")
def whole(folder: Path) -> Result:
    """What one process trains that nothing happens to."""
    return train(folder, "whole", 1, stage=STAGE)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_a_killed_rank_is_started_again_from_the_last_checkpoint(whole: Result, folder: Path) -> None:
    killed: list[int] = []

    def kill_a_rank() -> None:
        while not list((folder / "runs").glob("killed-*/steps/.operator.partial/checkpoints/step-*.ckpt")):
            time.sleep(0.05)
        killed.append(workers_of("killed-")[-1])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_a_rank, daemon=True)
    killer.start()
    again = train(folder, "killed", 2, stage=STAGE, launcher={"kind": "torchrun", "restarts": 1})
    assert killed
    same_training(again, whole)


@pytest.mark.parametrize(
    ("stop", "objective"),
    [
        (signal.SIGTERM, "operator"),
        pytest.param(signal.SIGKILL, "test/energy", marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, "operator", marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, "operator", marks=pytest.mark.slow),
    ],
)
def test_two_processes_that_were_stopped_resume_to_the_same_bits(
    stop: signal.Signals, objective: str, folder: Path
) -> None:
    stage = {"validate_every": 7, "ema": 0.9, "checkpoints": {"asynchronous": True}}
    short = objective.rpartition("/")[2]
    options = {"stage": stage, "objective": objective, **PARALLEL}
    if not list(folder.glob(f"runs/undisturbed-{short}-*")):
        train(folder, f"undisturbed-{short}", 2, **options)
    name = f"stopped-{stop}-{short}"
    path = write_spec(folder, name, 2, **options)
    run = subprocess.Popen(
        [BIN / "ups-run", path, "--data-root", "data"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": with_plugin()},
    )
    while not list(folder.glob(f"runs/{name}-*/steps/.operator.partial/checkpoints/step-*.ckpt")):
        time.sleep(0.05)
    run.send_signal(stop)
    _, said = run.communicate(timeout=100)
    assert run.returncode == (-stop if stop == signal.SIGKILL else 128 + stop), said
    if stop != signal.SIGKILL:
        assert f"interrupted ({stop.name}); rerun the same command to resume" in said
        record = json.loads(next(folder.glob(f"runs/{name}-*/run.json")).read_text())
        assert record["status"] == "interrupted"
    for _ in range(200):
        if not workers_of(name):
            break
        time.sleep(0.05)
    assert not workers_of(name), "workers end with the one who started them"
    (directory,) = folder.glob(f"runs/{name}-*")
    assert not (directory / "steps" / "operator").exists()
    again = train(folder, name, 2, **options)
    (whole,) = folder.glob(f"runs/undisturbed-{short}-*")
    weights = [run / "steps/operator/model/weights.safetensors" for run in (again.directory, whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    metrics = [json.loads((run / "run.json").read_text())["metrics"] for run in (again.directory, whole)]
    assert metrics[0] == metrics[1]


@pytest.mark.slow
def test_processes_agree_on_spikes_and_go_back_together(folder: Path) -> None:
    stage = {**STAGE, "spikes": {"policy": "rollback", "factor": 2.0, "window": 5}}
    one = train(folder, "spiky-1", 1, stage=stage)
    two = train(folder, "spiky-2", 2, stage=stage, **PARALLEL)
    spikes = [read_sealed(run.step / "spikes.json")["spikes"] for run in (one, two)]
    places = [[(spike["epoch"], spike["batch"]) for spike in found] for found in spikes]
    assert places == [[(2, 0)]] * 2
    same_training(two, one)


def test_a_rank_out_of_memory_makes_all_ranks_halve_their_batches(whole: Result, folder: Path) -> None:
    hungry = {"kind": "test/out_of_memory", "rank": 1, "step": 12}
    tight = train(folder, "tight", 2, stage=STAGE | {"callbacks": [hungry]}, **PARALLEL)
    same_training(tight, whole)
    details = json.loads((tight.directory / "run.json").read_text())["steps"][0]["details"]
    assert details["micro_batches"]["failures"] == [{"rank": 1, "micro_batches": 1}]
    assert details["strategy"]["kind"] == "ddp"
    assert not list(tight.step.glob("error-*"))
