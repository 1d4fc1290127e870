"""The launcher `slurm`: its decisions, and the toy plugin's stages on a real Slurm of this machine alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slurm_cluster import slurm_cluster
from ups_core.cli.run import main as ups_run
from ups_core.console import Console
from ups_core.files import write_json
from ups_core.interrupts import Interrupted
from ups_core.launchers import slurm, slurm_queue
from ups_core.launchers.slurm_task import TIME_IS_UP, SlurmTask, requeue, torchrun_variables
from ups_core.sealed import write_sealed

SLURM = "--set", "launcher={kind: slurm, minutes: 10}", "--set", "trainer.devices=2", "--only", "train"
SLOW = "--set", "pipeline.train.epochs=60", "--set", "pipeline.train.pause=0.1"


# On a real cluster


@pytest.fixture(scope="module")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as variables:
        yield variables


@pytest.fixture
def cluster(_cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of Slurm's commands."""
    for name, value in _cluster.items():
        monkeypatch.setenv(name, value)


def record() -> dict[str, Any]:
    (path,) = Path("runs").glob("*/run.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def job() -> str:
    """The number of the run's job, once its training has left a checkpoint."""
    while not list(Path("runs").glob("*/steps/.train.partial/checkpoint.json")):
        time.sleep(0.05)
    (noted,) = Path("runs").glob("*/slurm/train/job.json")
    return str(json.loads(noted.read_text())["job"])


def meanwhile(*command: str) -> list[str]:
    """Run a command on the job in the background; returns the list that gets its number."""
    numbers: list[str] = []

    def act() -> None:
        numbers.append(job())
        subprocess.run([*command, numbers[0]], check=True)

    threading.Thread(target=act, daemon=True).start()
    return numbers


def output(number: str) -> str:
    (log,) = Path("runs").glob(f"*/slurm/train/{number}_0_log.out")
    return log.read_text()


@pytest.mark.slow
def test_a_job_trains_what_this_process_trains(cluster: None, spec_file: Path) -> None:
    assert ups_run([str(spec_file), *SLURM]) == 0
    assert record()["metrics"] == {"train/val/loss": 0.5, "train/resumed": 0.0}
    (directory,) = Path("runs").iterdir()
    assert sorted(path.name for path in (directory / "steps" / "train").iterdir()) == [
        "checkpoint.json",
        "model.json",
        "step.json",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "signal_name"),
    [(("scontrol", "requeue"), "SIGTERM"), (("scancel", "--signal=USR2"), "SIGUSR2")],
)
def test_a_job_that_goes_back_to_the_queue_resumes(
    command: tuple[str, ...], signal_name: str, cluster: None, spec_file: Path
) -> None:
    """After a requeue by the cluster, and when its time is up and it puts itself back."""
    numbers = meanwhile(*command)
    assert ups_run([str(spec_file), *SLURM, *SLOW]) == 0
    assert record()["metrics"]["train/resumed"] == 1.0
    log = output(numbers[0])
    assert log.count("Starting with JobEnvironment") == 2
    assert f"{signal_name}: stopping with a checkpoint" in log or signal_name == "SIGTERM"


@pytest.mark.slow
def test_a_rank_of_a_job_may_ask_for_another_attempt(
    cluster: None, spec_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOY_FAULT", "restart:1:1")
    assert ups_run([str(spec_file), *SLURM]) == 0
    said = capfd.readouterr().err
    assert "  out of memory: batches are now split into 2 micro-batches\n" in said, said
    assert said.count(": submitted; its output goes to ") == 2


@pytest.mark.slow
def test_what_a_rank_of_a_job_says_is_the_error(
    cluster: None, spec_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOY_FAULT", "error:1:1")
    assert ups_run([str(spec_file), *SLURM]) == 1
    assert "rank 1 of 2: rank 1 has lost its data; copy them again" in capfd.readouterr().err
    nowhere = "--set", "launcher={kind: slurm, partition: nowhere}", "--only", "train"
    assert ups_run([str(spec_file), *nowhere]) == 1
    refused = capfd.readouterr().err
    assert "sbatch refused the job" in refused
    assert "nowhere" in refused or "partition" in refused


def run_in_background(spec: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ups_core.cli.run", str(spec), *SLURM, *SLOW]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_stopped_run_cancels_its_job(cluster: None, spec_file: Path) -> None:
    run = run_in_background(spec_file)
    number = job()
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=90)
    assert run.returncode == 143
    assert f"job {number}: cancelled" in said
    state = ""
    for _ in range(100):
        command = ["squeue", "-h", "-o", "%T", "-t", "all", "-j", number]
        state = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if state == "CANCELLED":
            break
        time.sleep(0.2)
    assert state == "CANCELLED"


@pytest.mark.slow
def test_a_job_left_behind_is_waited_for(
    cluster: None, spec_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_in_background(spec_file)
    number = job()
    run.kill()
    run.communicate()
    capfd.readouterr()
    assert ups_run([str(spec_file), *SLURM, *SLOW]) == 0
    said = capfd.readouterr().err
    assert "submitted" not in said
    assert f"job {number}: " in said
    assert record()["metrics"]["train/resumed"] == 0.0, "it was never interrupted"


# What a task of a job does


def test_tasks_of_slurm_get_what_torchrun_sets() -> None:
    environment = {
        "SLURM_JOB_ID": "61234",
        "SLURM_NTASKS": "8",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_PROCID": "5",
        "SLURM_LOCALID": "1",
        "SLURM_NODEID": "1",
        "SLURM_RESTART_COUNT": "3",
    }
    assert torchrun_variables(environment, "node1") == {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "GROUP_RANK": "1",
        "MASTER_ADDR": "node1",
        "MASTER_PORT": "16234",
        "TORCHELASTIC_RUN_ID": "61234",
        "TORCHELASTIC_RESTART_COUNT": "3",
    }
    alone = environment | {"SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1"}
    del alone["SLURM_RESTART_COUNT"]
    assert torchrun_variables(alone, "node1")["MASTER_ADDR"] == "127.0.0.1"
    assert torchrun_variables(alone, "node1")["TORCHELASTIC_RESTART_COUNT"] == "0"


Programs = Callable[..., Path]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """`programs(name="script")` puts shell scripts on PATH; they may append to the file that it returns."""

    def make(**scripts: str) -> Path:
        folder = tmp_path / "programs"
        folder.mkdir(exist_ok=True)
        for name, text in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        return tmp_path / "calls"

    return make


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
    rank: int,
    code: int,
    restarts: int,
    state: str,
    waits: bool,
    called: bool,
    programs: Programs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = programs(scontrol=f'echo "$@" >> {tmp_path}/calls', squeue=f"echo {state}")
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
    assert requeue(code, max_requeues=3) == waits
    assert (calls.read_text() if calls.exists() else "") == ("requeue 17\n" if called else "")


@pytest.mark.parametrize(
    ("reported", "failed"),
    [
        (None, False),
        ({"rank": 1, "attempt": 0, "message": "interrupted", "stopped": 143}, False),
        ({"rank": 1, "attempt": 0, "message": "out of memory"}, True),
        ({"rank": 1, "attempt": 0, "message": "smaller batches", "again": True}, True),
    ],
)
def test_a_task_that_srun_ends_because_another_failed_is_not_preempted(
    reported: dict[str, Any] | None, failed: bool, tmp_path: Path
) -> None:
    if reported is not None:
        write_json(tmp_path / "steps" / ".train.partial" / "failure.json", reported)
    assert SlurmTask([str(tmp_path), "train", "--data-root", "data"], 1, 3).another_failed() == failed


def test_a_requeue_that_fails_is_not_waited_for(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(scontrol="exit 1")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert not requeue(TIME_IS_UP, max_requeues=3)


# What the launcher sees of a job


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POLL", "ENDING", "SETTLE"):
        monkeypatch.setattr(slurm, name, 0.05)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo RUNNING", "RUNNING"),
        ("echo PENDING; exit 0", "PENDING"),
        ("exit 0", ""),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", ""),
        ("echo 'Unable to contact slurm controller' >&2; exit 1", "UNKNOWN"),
    ],
)
def test_a_state_is_final_only_if_the_cluster_says_so(script: str, expected: str, programs: Programs) -> None:
    programs(squeue=script)
    assert slurm_queue.state("17") == expected
    assert (expected in slurm_queue.OVER) == (expected == "")


@pytest.mark.usefixtures("quick")
def test_a_job_is_watched_until_it_is_over(
    programs: Programs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second line of the states of a job, once each, and no cancelling."""
    states = tmp_path / "states"
    states.write_text("PENDING\nPENDING\nRUNNING\nRUNNING\nCOMPLETED\n")
    programs(squeue=f"head -n 1 {states}; sed -i 1d {states}", scancel=f"echo scancel >> {tmp_path}/calls")
    write_json(tmp_path / "result.json", {})
    assert slurm._wait("17", tmp_path, tmp_path, Console()) is None
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["  job 17: pending", "  job 17: running", "  job 17: completed"]
    assert not (tmp_path / "calls").exists()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("reported", [True, False])
def test_a_job_without_a_result_has_failed(reported: bool, programs: Programs, tmp_path: Path) -> None:
    programs(squeue="echo FAILED")
    if reported:
        write_json(tmp_path / "failure.json", {})
    ended = slurm._wait("17", tmp_path, tmp_path / "slurm", Console(quiet=True))
    assert ended is not None
    assert ended.message == f"job 17 ended without a result; its output is in {tmp_path}/slurm/17_0_log.out"


@pytest.mark.usefixtures("quick")
def test_a_wait_that_is_interrupted_cancels_the_job(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = programs(squeue="echo RUNNING", scancel=f'echo "$@" >> {tmp_path}/calls')

    def stop(job: str) -> str:
        monkeypatch.setattr(slurm_queue, "state", lambda job: "CANCELLED")
        raise Interrupted(143)

    monkeypatch.setattr(slurm_queue, "state", stop)
    with pytest.raises(Interrupted):
        slurm._wait("17", tmp_path, tmp_path, Console())
    assert calls.read_text() == "17\n"
    assert "  job 17: cancelled; waiting for its last checkpoint\n" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("left_behind", [True, False])
def test_a_step_waits_for_the_job_that_is_there_or_submits_one(
    left_behind: bool,
    programs: Programs,
    tmp_path: Path,
    make: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a cluster: `squeue` knows the job twice, and the result is there when it is over."""
    plan = make("launcher=slurm")
    step = plan.step("train")
    folder = (plan.directory / "slurm" / "train").resolve()
    directory = plan.directory / "steps" / ".train.partial"
    write_sealed(directory / "result.json.later", {"metrics": {"val/loss": 0.5}, "verdict": None})
    states = tmp_path / "states"
    states.write_text("RUNNING\nRUNNING\n")
    calls = programs(
        squeue=f"head -n 1 {states}; sed -i 1d {states}; [ -s {states} ] || mv {directory}/result.json.later"
        f" {directory}/result.json 2>/dev/null; exit 0",
        sbatch=f"echo sbatch >> {tmp_path}/calls",
    )
    if left_behind:
        write_json(folder / "job.json", {"job": "17", "fingerprint": step.fingerprint})
    submitted: list[Path] = []

    def submit(self: slurm.Slurm, plan: Any, step: Any, folder: Path, console: Console) -> str:
        submitted.append(folder)
        return "18"

    monkeypatch.setattr(slurm.Slurm, "_submit", submit)
    launcher = plan.spec.launcher.create()
    assert launcher.run(plan, step, Console(quiet=True)).metrics == {"val/loss": 0.5}
    assert submitted == ([] if left_behind else [folder])
    assert not calls.exists()


@pytest.mark.parametrize(
    ("noted", "state", "expected", "cancelled"),
    [
        (None, "RUNNING", None, False),
        ({"job": "17", "fingerprint": "same"}, "RUNNING", "17", False),
        ({"job": "17", "fingerprint": "same"}, "PENDING", "17", False),
        ({"job": "17", "fingerprint": "same"}, "COMPLETED", None, False),
        ({"job": "17", "fingerprint": "other"}, "RUNNING", None, True),
        ({"job": "17", "fingerprint": "other"}, "FAILED", None, False),
    ],
)
def test_a_job_left_behind_is_taken_over_or_cancelled(
    noted: dict[str, str] | None,
    state: str,
    expected: str | None,
    cancelled: bool,
    programs: Programs,
    tmp_path: Path,
    make: Callable[..., Any],
) -> None:
    calls = programs(squeue=f"echo {state}", scancel=f'echo "$@" >> {tmp_path}/calls')
    step = make().step("train")
    if noted is not None:
        fingerprint = step.fingerprint if noted["fingerprint"] == "same" else "other"
        write_json(tmp_path / "job.json", noted | {"fingerprint": fingerprint})
    assert slurm_queue.left_behind(tmp_path, step) == expected
    assert calls.exists() == cancelled
