"""The launcher `slurm` on a real Slurm of this machine alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import BIN
from slurm_cluster import slurm_cluster
from small_runs import ENDLESS, PARALLEL, STAGE, Result, same_training, train, write_spec
from ups_core.launchers.slurm_task import TIME_IS_UP, requeue, torchrun_variables

SLURM = {"launcher": {"kind": "slurm", "minutes": 10}}


@pytest.fixture(scope="module")
def torchrun(folder: Path) -> Result:
    return train(folder, "torchrun", 2, stage=STAGE, **PARALLEL)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with (
        slurm_cluster(tmp_path_factory.mktemp("slurm")) as variables,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def slurm_job(folder: Path, name: str, reached: str) -> str:
    """The number of the run's job, once the step has left `reached`."""
    while not list(folder.glob(f"runs/{name}-*/steps/.operator.partial/{reached}")):
        time.sleep(0.05)
    (noted,) = folder.glob(f"runs/{name}-*/slurm/operator/job.json")
    return str(json.loads(noted.read_text())["job"])


@pytest.mark.slow
def test_slurm_trains_what_torchrun_trains(cluster: None, torchrun: Result, folder: Path) -> None:
    slurm = train(folder, "slurm", 2, stage=STAGE, **SLURM)
    same_training(slurm, torchrun)
    assert sorted(path.name for path in (slurm.directory / "steps" / "operator").iterdir()) == sorted(
        path.name for path in (torchrun.directory / "steps" / "operator").iterdir()
    )


@pytest.mark.slow
def test_a_job_that_is_put_back_in_the_queue_goes_on(cluster: None, torchrun: Result, folder: Path) -> None:
    put_back: list[str] = []

    def requeue() -> None:
        put_back.append(slurm_job(folder, "requeued", "checkpoints/step-*.ckpt"))
        subprocess.run(["scontrol", "requeue", put_back[0]], check=True)

    threading.Thread(target=requeue, daemon=True).start()
    requeued = train(folder, "requeued", 2, stage=STAGE, **SLURM)
    same_training(requeued, torchrun)
    log = requeued.directory / "slurm" / "operator" / f"{put_back[0]}_0_log.out"
    assert log.read_text().count("Starting with JobEnvironment") == 2


@pytest.mark.slow
def test_a_job_whose_time_is_up_saves_and_goes_on(cluster: None, torchrun: Result, folder: Path) -> None:
    told: list[str] = []

    def tell() -> None:
        told.append(slurm_job(folder, "late", "checkpoints/step-*.ckpt"))
        subprocess.run(["scancel", "--signal=USR2", told[0]], check=True)

    threading.Thread(target=tell, daemon=True).start()
    late = train(folder, "late", 2, stage=STAGE, **SLURM)
    same_training(late, torchrun)
    log = (late.directory / "slurm" / "operator" / f"{told[0]}_0_log.out").read_text()
    assert log.count("Starting with JobEnvironment") == 2
    assert "SIGUSR2: stopping with a checkpoint" in log


@pytest.mark.slow
def test_a_job_out_of_memory_is_followed_by_one_with_smaller_batches(
    cluster: None, torchrun: Result, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOOK, "operator:1:12:1")
    tight = train(folder, "tight", 2, stage=STAGE, **SLURM)
    same_training(tight, torchrun)
    details = json.loads((tight.directory / "steps" / "operator" / "details.json").read_text())
    assert details["parts"]["failures"] == [{"rank": 1, "parts": 1}]


@pytest.mark.slow
def test_what_a_rank_of_a_job_says_is_the_error(
    cluster: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOOK, "operator:0:3:99")
    failed = train(folder, "failed", 1, code=1, stage=STAGE | {"batch_size": 1}, **SLURM)
    assert "rank 0 of 1: out of memory with a single sample" in failed.said
    refused = train(
        folder, "refused", 2, code=1, stage=STAGE, launcher={"kind": "slurm", "partition": "nowhere"}
    )
    assert "sbatch refused the job" in refused.said
    assert "nowhere" in refused.said or "partition" in refused.said


@pytest.mark.slow
def test_a_stopped_run_cancels_its_job(cluster: None, folder: Path) -> None:
    path = write_spec(folder, "stopped", 2, stage=STAGE | ENDLESS, **SLURM)
    run = subprocess.Popen(
        [BIN / "ups-run", path, "--data-root", "data"], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    job = slurm_job(folder, "stopped", "checkpoints/step-*.ckpt")
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 143
    assert f"job {job}: cancelled" in said
    for _ in range(100):
        state = subprocess.run(
            ["squeue", "-h", "-o", "%T", "-t", "all", "-j", job], capture_output=True, text=True, check=False
        ).stdout.strip()
        if state == "CANCELLED":
            break
        time.sleep(0.2)
    assert state == "CANCELLED"


@pytest.mark.slow
def test_a_job_left_behind_is_waited_for(cluster: None, torchrun: Result, folder: Path) -> None:
    path = write_spec(folder, "left", 2, stage=STAGE, **SLURM)
    run = subprocess.Popen([BIN / "ups-run", path, "--data-root", "data"], cwd=folder)
    job = slurm_job(folder, "left", "checkpoints/step-*.ckpt")
    run.kill()
    run.wait()
    left = train(folder, "left", 2, stage=STAGE, **SLURM)
    same_training(left, torchrun)
    assert "submitted" not in left.said
    assert f"job {job}: " in left.said


def test_tasks_of_slurm_get_what_torchrun_sets() -> None:
    slurm = {
        "SLURM_JOB_ID": "61234", "SLURM_NTASKS": "8", "SLURM_JOB_NUM_NODES": "2", "SLURM_PROCID": "5",
        "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_RESTART_COUNT": "3",
    }  # fmt: skip
    assert torchrun_variables(slurm, "node1") == {
        "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "GROUP_RANK": "1",
        "MASTER_ADDR": "node1", "MASTER_PORT": "16234", "TORCHELASTIC_RUN_ID": "61234",
        "TORCHELASTIC_RESTART_COUNT": "3",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rank", "code", "restarts", "state", "waits", "called"),
    [
        (0, TIME_IS_UP, 0, "RUNNING", True, True),
        (1, TIME_IS_UP, 0, "RUNNING", True, False),
        (0, TIME_IS_UP, 3, "RUNNING", False, False),  # often enough
        (0, 143, 0, "RUNNING", True, True),  # preempted
        (0, 143, 0, "COMPLETING", False, False),  # cancelled
    ],
)
def test_the_first_task_puts_its_job_back_in_the_queue(
    rank: int, code: int, restarts: int, state: str, waits: bool, called: bool,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, text in (("scontrol", f'echo "$@" >> {tmp_path}/calls'), ("squeue", f"echo {state}")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
    assert requeue(code, most=3) == waits
    calls = tmp_path / "calls"
    assert (calls.read_text() if calls.exists() else "") == ("requeue 17\n" if called else "")
