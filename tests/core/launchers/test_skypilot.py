"""The launcher `skypilot`: the task that it writes, and a cloud that is a folder."""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import BIN, command
from documents import ROOT
from fake_cloud import FakeCloud
from small_runs import ENDLESS, PARALLEL, STAGE, dry_run, same_training, train, write_spec
from ups_core.launchers.config import SkyPilotConfig

SKYPILOT = "skypilot==0.14.1"
CLOUD: dict[str, Any] = {"kind": "skypilot", "infra": "vast", "max_hours": 1.0}


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCloud:
    cloud = FakeCloud(tmp_path / "cloud")
    for name, value in cloud.variables.items():
        monkeypatch.setenv(name, value)
    return cloud


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


@pytest.mark.slow
def test_skypilot_accepts_the_task(folder: Path, tmp_path: Path) -> None:
    """SkyPilot in an environment of its own: it has many dependencies, and none is ours."""
    task = cloud_task(folder, accelerators="H100", use_spot=True, disk_gb=100, resources={"cpus": "8+"})
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", SKYPILOT], check=True, timeout=1200)
    said = subprocess.run(
        [python, ROOT / "tests" / "helpers" / "accepts_task.py", "task.yaml"], cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert said.stdout == task["run"]
