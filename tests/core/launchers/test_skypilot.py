"""The launcher `skypilot`: the task that it writes, and a cloud that is a folder."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from collections.abc import Callable
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import pytest
import yaml

from documents import ROOT
from fake_cloud import FakeCloud
from ups_core.cli.run import main as ups_run
from ups_core.launchers.config import SkyPilotConfig
from ups_core.launchers.skypilot_task import cluster_name, remote_partial, task_yaml
from ups_core.plan import Plan

SKYPILOT = "skypilot==0.14.1"
CLOUD: dict[str, Any] = {"kind": "skypilot", "infra": "vast", "max_hours": 1.0}
EDITABLE = '"editable": true' in (distribution("ups-core").read_text("direct_url.json") or "")
"""How the core is installed here: as in a checkout, or from a wheel."""

MakePlan = Callable[..., Plan]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCloud:
    cloud = FakeCloud(tmp_path / "cloud")
    for name, value in cloud.variables.items():
        monkeypatch.setenv(name, value)
    return cloud


@pytest.fixture
def torchrun() -> None:
    """Workers are started by torchrun; the core is tested without torch, too."""
    pytest.importorskip("torch")


def rent(spec: Path, devices: int, *changes: str, **options: Any) -> int:
    """Run the training of a spec on rented machines; returns the exit code."""
    launcher = f"launcher={json.dumps(CLOUD | options)}"
    words = [
        word for change in (launcher, f"trainer.devices={devices}", *changes) for word in ("--set", change)
    ]
    return ups_run([str(spec), *words, "--only", "train"])


def record() -> dict[str, Any]:
    (path,) = Path("runs").glob("*/run.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


# The task


def task(plan: Plan, **options: Any) -> dict[str, Any]:
    config = SkyPilotConfig(**{"max_hours": 1.0} | options)
    content = yaml.safe_load(task_yaml(config, plan, plan.step("train")))
    assert isinstance(content, dict)
    return content


def test_resources_are_what_the_options_say(make: MakePlan) -> None:
    found = task(
        make("trainer.devices=2", "launcher=toy/ranks"),
        infra="vast",
        accelerators="RTX4090",
        use_spot=True,
        disk_gb=100,
        resources={"image_id": "docker:image", "disk_size": 200},
    )
    assert found["resources"] == {
        "infra": "vast",
        "accelerators": "RTX4090:2",
        "use_spot": True,
        "disk_size": 200,
        "autostop": {"idle_minutes": 10, "down": True},
        "image_id": "docker:image",
    }
    assert task(make())["resources"] == {"use_spot": False, "autostop": {"idle_minutes": 10, "down": True}}


def test_the_name_of_a_machine_is_one_that_clouds_accept(make: MakePlan) -> None:
    plan = make("name=My_Run.v2")
    name = cluster_name(plan, plan.step("toy-other"))
    assert name == f"ups-my-run-v2-{plan.fingerprint[:8]}-toy-other"
    assert remote_partial(plan, plan.step("train")) == f"ups/runs/{plan.directory.name}/steps/.train.partial"


def test_run_data_and_edited_packages_are_copied(make: MakePlan) -> None:
    plan = make()
    Path("data").mkdir()
    Path("data/a.sum").touch()
    mounts = task(plan)["file_mounts"]
    assert mounts[f"~/ups/runs/{plan.directory.name}"] == str(plan.directory.resolve())
    assert mounts["~/ups/data/a.txt"] == str(Path("data/a.txt").resolve())
    assert mounts["~/ups/data/a.sum"] == str(Path("data/a.sum").resolve())
    packages = [name for name in mounts if name.startswith("~/ups/packages/")]
    assert packages == (["~/ups/packages/ups-core"] if EDITABLE else [])
    assert all((Path(mounts[name]) / "pyproject.toml").is_file() for name in packages)


def test_packages_are_installed_in_the_versions_in_use(make: MakePlan) -> None:
    setup = task(make(), setup=["echo first"])["setup"].splitlines()
    assert setup[0] == "mkdir -p ~/ups"
    assert setup[2] == "echo first"
    core = "-e ~/ups/packages/ups-core" if EDITABLE else f"ups-core=={version('ups-core')}"
    assert setup[-1] == f"python3 -m pip install toy-plugin==0.1 {core}"


def test_data_outside_the_data_root_are_refused(make: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make()
    object.__setattr__(plan, "data_root", Path("elsewhere"))
    with pytest.raises(Exception, match=r"data/a\.txt is not below the data root .*elsewhere; copy it there"):
        task(plan)


def test_the_script_runs_the_workers_within_the_budget(make: MakePlan) -> None:
    plan = make("trainer.devices=2", "trainer.threads=3", "launcher=toy/ranks")
    run = task(plan, max_hours=3.0, max_cost_usd=2.0, usd_per_hour=1.25)["run"]
    assert "end=$(( $(cat started) + 5760 ))" in run  # 2 / 1.25 hours
    assert "OMP_NUM_THREADS=3 timeout --signal=TERM --kill-after=60 $left" in run
    assert "--standalone --nproc-per-node=2" in run
    assert f"-m ups_core.worker runs/{plan.directory.name} train --data-root data" in run
    assert subprocess.run(["bash", "-n"], input=run, text=True, check=False).returncode == 0


def test_a_script_is_readable_in_the_file(make: MakePlan) -> None:
    plan = make()
    text = task_yaml(SkyPilotConfig(max_hours=1.0), plan, plan.step("train"))
    assert "run: |-\n  cd ~/ups\n" in text


# The cloud


@pytest.mark.usefixtures("torchrun")
def test_a_rented_machine_trains_what_this_one_trains(spec_file: Path, cloud: FakeCloud) -> None:
    assert rent(spec_file, 1) == 0
    rented = record()
    assert rented["metrics"] == {"train/val/loss": 0.5, "train/resumed": 0.0}
    (directory,) = Path("runs").iterdir()
    assert json.loads((directory / "steps" / "train" / "model.json").read_text())["width"] == 5
    name = f"ups-{directory.name}-train"
    launch, fetch, down = cloud.calls()
    assert launch == ["sky", "launch", "--yes", "--cluster", name, str(directory / "skypilot" / "train.yaml")]
    assert fetch[0] == "rsync"
    assert fetch[-2] == f"{name}:ups/runs/{directory.name}/steps/.train.partial/"
    assert down == ["sky", "down", "--yes", name]
    assert ups_run([str(spec_file)]) == 0, "what follows runs here, in the same run"
    assert record()["metrics"]["score/a/width"] == 5.0


@pytest.mark.usefixtures("torchrun")
def test_a_failure_on_the_machine_comes_back(
    spec_file: Path, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOY_FAULT", "error:0:1")
    assert rent(spec_file, 1) == 1
    expected = "error: step 'train' failed: rank 0 of 1: rank 0 has lost its data; copy them again\n"
    assert capfd.readouterr().err.endswith(expected)
    assert list(Path("runs").glob("*/steps/.train.partial/checkpoint.json")), "with what was saved"
    assert [call[1] for call in cloud.calls() if call[0] == "sky"] == ["launch", "down"]


@pytest.mark.usefixtures("torchrun")
def test_a_budget_stops_a_step_whose_checkpoint_comes_back(
    spec_file: Path, cloud: FakeCloud, capfd: pytest.CaptureFixture[str]
) -> None:
    endless = "pipeline.train.epochs=100000", "pipeline.train.pause=0.05"
    assert rent(spec_file, 1, *endless, max_hours=12 / 3600) == 1
    assert capfd.readouterr().err.splitlines()[-1] == (
        "error: step 'train' failed: stopped after 12 s, the budget; raise max_hours or max_cost_usd and rerun the "
        "same command to resume from the last checkpoint"
    )
    (checkpoint,) = Path("runs").glob("*/steps/.train.partial/checkpoint.json")
    assert json.loads(checkpoint.read_text())["tick"] > 0
    assert [call[1] for call in cloud.calls() if call[0] == "sky"] == ["launch", "down"]


@pytest.mark.parametrize(
    ("program", "script", "expected"),
    [
        ("sky", '[ "$1" != launch ] || exit 7', "sky launch ended with code 7; its output is above"),
        ("rsync", "exit 11", "the results could not be fetched: rsync of ups-toy-"),
    ],
)
def test_what_the_programs_report(
    program: str,
    script: str,
    expected: str,
    spec_file: Path,
    cloud: FakeCloud,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, text in (("sky", "exit 0"), ("rsync", "exit 0"), (program, script)):
        (cloud.folder / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
    assert rent(spec_file, 1) == 1
    assert expected in capfd.readouterr().err


@pytest.mark.usefixtures("torchrun")
def test_a_machine_that_cannot_be_taken_down_is_reported(
    spec_file: Path, cloud: FakeCloud, capfd: pytest.CaptureFixture[str]
) -> None:
    sky = cloud.folder / "bin" / "sky"
    sky.write_text(sky.read_text().replace("sys.exit(0)\n", "sys.exit(5)\n", 1))
    assert rent(spec_file, 1) == 0, "the step is done all the same"
    said = capfd.readouterr().err
    assert "-train: could not be taken down; check sky status, then run: sky down ups-toy-" in said


@pytest.mark.slow
def test_skypilot_accepts_the_task(make: MakePlan, tmp_path: Path) -> None:
    """SkyPilot in an environment of its own: it has many dependencies, and none is ours."""
    content = task(make(), accelerators="H100", use_spot=True, disk_gb=100, resources={"cpus": "8+"})
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", SKYPILOT], check=True, timeout=1200)
    said = subprocess.run(
        [python, ROOT / "tests" / "helpers" / "accepts_task.py", "task.yaml"],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout == content["run"]
