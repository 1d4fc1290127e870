"""Launchers of other machines: a real Slurm of this machine alone, and a cloud that is a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import BIN, command
from fake_cloud import FakeCloud
from slurm_cluster import slurm_cluster
from small_runs import PARALLEL, Result, train, write_spec
from ups_train.memory import HOOK
from ups_train.options import SkyPilotConfig
from ups_train.slurm_task import TIME_IS_UP, requeue, torchrun_variables

STAGE = {"optimizer": {"kind": "adamw", "lr": 2e-3}}
ENDLESS = {"epochs": 100_000, "max_steps": 100_000}
SLURM = {"launcher": {"kind": "slurm", "minutes": 10}}
CLOUD: dict[str, Any] = {"kind": "skypilot", "infra": "vast", "max_hours": 1.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("launchers")


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


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCloud:
    cloud = FakeCloud(tmp_path / "cloud")
    for name, value in cloud.variables.items():
        monkeypatch.setenv(name, value)
    return cloud


def same_training(ours: Result, theirs: Result) -> None:
    assert [line["step"] for line in ours.metrics] == [line["step"] for line in theirs.metrics]
    for name in ("train/loss", "val/nrmse"):
        difference = (ours.curve(name) - theirs.curve(name)).abs() / theirs.curve(name)
        assert difference.max() < 1e-5, (name, difference)


def dry_run(folder: Path, name: str, devices: int, **changes: Any) -> str:
    path = write_spec(folder, name, devices, **changes)
    printed = command("ups-run", path, "--data-root", folder / "data", "--dry-run", "--json", cwd=folder)
    (step,) = json.loads(printed.stdout)
    return str(step["submits"])


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


def test_a_dry_run_says_what_would_be_submitted(folder: Path) -> None:
    assert dry_run(folder, "here", 1) == "in this process"
    assert "--nproc-per-node=2" in dry_run(folder, "two", 2, **PARALLEL)
    launcher = {
        "kind": "slurm", "partition": "gpu", "account": "me", "minutes": 90, "cpus_per_task": 4, "memory_gb": 64,
        "gpus_per_node": 2, "setup": ["module load cuda"], "parameters": {"qos": "high", "job-name": "mine"},
    }  # fmt: skip
    lines = dry_run(folder, "four", 4, launcher=launcher).splitlines()
    assert {
        "#SBATCH --job-name=mine", "#SBATCH --partition=gpu", "#SBATCH --account=me", "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=2", "#SBATCH --gpus-per-node=2", "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=64GB", "#SBATCH --time=90", "#SBATCH --qos=high", "#SBATCH --requeue", "module load cuda",
    } < set(lines)  # fmt: skip
    assert lines[-1].startswith("srun --kill-on-bad-exit=1 --cpus-per-task=4 python -m ups_core.worker /")
    assert not list(folder.glob("runs/four-*"))
    path = write_spec(folder, "four", 4, launcher=launcher)
    people = command("ups-run", path, "--data-root", folder / "data", "--dry-run", cwd=folder).stdout
    assert people.startswith("step operator (stage: operator), launcher slurm:\n  #SBATCH --")


def cloud_task(folder: Path, devices: int = 2, **options: Any) -> dict[str, Any]:
    task = yaml.safe_load(dry_run(folder, "cloud", devices, launcher=CLOUD | options))
    assert isinstance(task, dict)
    return task


def test_a_cloud_task_has_machine_files_packages_and_budget(folder: Path) -> None:
    task = cloud_task(
        folder, accelerators="RTX4090", use_spot=True, disk_gb=100, max_hours=3.0, max_cost_usd=2.0,
        usd_per_hour=1.25, resources={"image_id": "docker:image"}, setup=["echo first"],
    )  # fmt: skip
    assert task["resources"] == {
        "infra": "vast", "accelerators": "RTX4090:2", "use_spot": True, "disk_size": 100,
        "autostop": {"idle_minutes": 10, "down": True}, "image_id": "docker:image",
    }  # fmt: skip
    run_name = task["name"].removeprefix("ups-").removesuffix("-operator")
    assert f"~/ups/runs/{run_name}" in task["file_mounts"]
    data = [name for name in task["file_mounts"] if name.startswith("~/ups/data/generated/")]
    assert len(data) == 2
    setup = task["setup"].splitlines()
    assert "echo first" in setup
    for package in ("ups-core", "ups-data", "ups-models", "ups-eval", "ups-train"):
        assert package in setup[-1]
    assert "end=$(( $(cat started) + 5760 ))" in task["run"]  # 2 / 1.25 hours
    assert "timeout --signal=TERM" in task["run"]
    assert "--nproc-per-node=2" in task["run"]
    assert f"-m ups_core.worker runs/{run_name} operator --data-root data" in task["run"]


def test_a_cost_needs_a_price() -> None:
    with pytest.raises(ValueError, match="give both or neither"):
        SkyPilotConfig(max_hours=1.0, max_cost_usd=1.0)


def test_a_gpu_has_to_be_named(folder: Path) -> None:
    path = write_spec(folder, "unnamed", 1, trainer={"accelerator": "gpu"}, launcher=CLOUD)
    result = command("ups-run", path, "--data-root", folder / "data", "--dry-run", cwd=folder, code=1)
    assert "launcher.accelerators names none" in result.stderr


def test_a_cloud_step_is_run_fetched_and_its_machine_taken_down(folder: Path, cloud: FakeCloud) -> None:
    stage = STAGE | {"max_steps": 4}
    done = train(folder, "rented", 2, stage=stage, launcher=CLOUD)
    same_training(done, train(folder, "own", 2, stage=stage, **PARALLEL))
    name = f"ups-{done.directory.name}-operator"
    launch, fetch, down = cloud.calls()
    assert launch[:5] == ["sky", "launch", "--yes", "--cluster", name]
    assert fetch[0] == "rsync"
    assert fetch[-2] == f"{name}:ups/runs/{done.directory.name}/steps/.operator.partial/"
    assert down == ["sky", "down", "--yes", name]


def test_a_budget_stops_a_cloud_step_whose_checkpoint_comes_back(folder: Path, cloud: FakeCloud) -> None:
    path = write_spec(folder, "dear", 1, stage=STAGE | ENDLESS, launcher=CLOUD | {"max_hours": 20 / 3600})
    stopped = subprocess.run(
        [BIN / "ups-run", path, "--data-root", "data"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert stopped.returncode == 1
    # torchrun's own lines about the signal, with a traceback, stand before ours
    assert stopped.stderr.splitlines()[-1].startswith(
        "error: step 'operator' failed: stopped after 20 s, the whole budget; with a larger max_hours"
    )
    assert list(folder.glob("runs/dear-*/steps/.operator.partial/checkpoints/step-*.ckpt"))
    assert [call[1] for call in cloud.calls() if call[0] == "sky"] == ["launch", "down"]


@pytest.mark.parametrize(
    ("launcher", "message"),
    [
        ({"kind": "slurm"}, "the launcher 'slurm' needs submitit: pip install 'ups-train[slurm]'"),
        (CLOUD, "the launcher 'skypilot' needs the command sky on PATH"),
    ],
)
def test_what_is_missing_is_one_line(
    launcher: dict[str, Any], message: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "sitecustomize.py"  # a Python without submitit, a PATH without sky
    hidden.write_text("import sys\nsys.modules['submitit'] = None\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("PATH", str(tmp_path))
    failed = train(folder, f"missing-{launcher['kind']}", 2, code=1, stage=STAGE, launcher=launcher)
    said = failed.said
    assert f"error: step 'operator' failed: {message}" in said


@pytest.mark.slow
def test_skypilot_accepts_the_task(folder: Path) -> None:
    schemas = pytest.importorskip("sky.utils.schemas", reason="SkyPilot is not installed here")
    jsonschema = pytest.importorskip("jsonschema")
    task = cloud_task(folder, accelerators="H100", use_spot=True, disk_gb=100, resources={"cpus": "8+"})
    jsonschema.validate(task, schemas.get_task_schema())
    jsonschema.validate(task["resources"], schemas.get_resources_schema())
    assert sys.modules["sky"].Task.from_yaml_config(dict(task)).run == task["run"]
