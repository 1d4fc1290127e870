"""What launchers say that they would start, and what they miss."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ups_core.cli.run import main as ups_run
from ups_core.launchers.config import SkyPilotConfig

Dry = Callable[..., dict[str, str]]
SLURM = {
    "kind": "slurm",
    "partition": "gpu",
    "account": "me",
    "minutes": 90,
    "cpus_per_task": 4,
    "memory_gb": 64,
    "gpus_per_node": 2,
    "setup": ["module load cuda"],
    "parameters": {"qos": "high", "job-name": "mine"},
}


@pytest.fixture
def dry(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> Dry:
    """`dry(launcher, devices)` is what would be submitted for every step."""

    def dry(launcher: object, devices: int = 1, *more: str, code: int = 0) -> Any:
        changes = f"launcher={json.dumps(launcher)}", f"trainer.devices={devices}", *more
        arguments = [word for change in changes for word in ("--set", change)]
        assert ups_run([str(spec_file), *arguments, "--dry-run", "--json"]) == code
        printed = json.loads(capsys.readouterr().out)
        return {step["step"]: step["submits"] for step in printed} if code == 0 else printed["error"]

    return dry


def test_the_local_launcher_submits_nothing(dry: Dry) -> None:
    names = "train", "toy-other", "score", "page"
    assert dry("local") == dict.fromkeys(names, "in this process")
    assert not Path("runs").exists()


def test_only_steps_that_use_all_devices_are_submitted(dry: Dry) -> None:
    submitted = dry(SLURM, 2)
    assert submitted["score"] == submitted["page"] == "in this process"
    assert submitted["train"].startswith("#SBATCH --job-name=mine\n")
    assert dry("toy/ranks", 2)["train"] == "2 ranks"


def test_options_of_a_job_become_options_of_sbatch(dry: Dry) -> None:
    lines = dry(SLURM, 4)["train"].splitlines()
    assert lines[:-2] == [
        "#SBATCH --job-name=mine",
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=2",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --time=90",
        "#SBATCH --partition=gpu",
        "#SBATCH --account=me",
        "#SBATCH --mem=64GB",
        "#SBATCH --gpus-per-node=2",
        "#SBATCH --requeue",
        "#SBATCH --qos=high",
    ]
    assert lines[-2] == "module load cuda"
    assert lines[-1].startswith("srun --kill-on-bad-exit=1 --cpus-per-task=4 python -m ups_core.worker /")
    (run,) = [word for word in lines[-1].split() if "/runs/" in word]
    assert lines[-1].endswith(f"{run} train --data-root {Path('data').resolve()}")


@pytest.mark.parametrize(
    ("accelerator", "options", "expected"),
    [
        ("cpu", {}, None),
        ("gpu", {}, "#SBATCH --gpus-per-node=4"),
        ("cpu", {"gpus_per_node": 2}, "#SBATCH --gpus-per-node=2"),
        ("gpu", {"gpus_per_node": 4}, "#SBATCH --gpus-per-node=4"),
    ],
)
def test_gpus_are_asked_for_where_the_trainer_wants_them(
    accelerator: str, options: dict[str, int], expected: str | None, dry: Dry
) -> None:
    lines = dry({"kind": "slurm"} | options, 4, f"trainer.accelerator={accelerator}")["train"].splitlines()
    assert [line for line in lines if "--gpus" in line] == ([expected] if expected else [])


def test_devices_must_fill_the_nodes(dry: Dry) -> None:
    error = dry({"kind": "slurm", "gpus_per_node": 4}, 6, code=1)
    assert error == "6 devices do not fill nodes of 4; set launcher.gpus_per_node to a divisor"


def test_users_get_the_script_indented_under_the_step(
    spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = "--set", "launcher=slurm", "--only", "train"
    assert ups_run([str(spec_file), *changes, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("step train (stage: toy/train), launcher slurm:\n  #SBATCH --job-name=toy-train\n")
    assert ups_run([str(spec_file)]) == 0
    capsys.readouterr()
    assert ups_run([str(spec_file), "--dry-run"]) == 0
    assert capsys.readouterr().out == "nothing to do: all steps are done\n"


@pytest.mark.parametrize(
    ("launcher", "hidden", "message"),
    [
        ({"kind": "slurm"}, "submitit", "the launcher 'slurm' needs submitit: pip install 'ups-core[slurm]'"),
        ({"kind": "slurm"}, "", "the launcher 'slurm' needs the command sbatch on PATH; run on a login node"),
        (
            {"kind": "skypilot", "max_hours": 1.0},
            "",
            "the launcher 'skypilot' needs the command sky on PATH: pip install skypilot, then run: sky check",
        ),
    ],
)
def test_what_is_missing_is_one_line(
    launcher: dict[str, Any],
    hidden: str,
    message: str,
    spec_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if hidden:
        monkeypatch.setitem(sys.modules, hidden, None)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert ups_run([str(spec_file), "--set", f"launcher={json.dumps(launcher)}"]) == 1
    assert capsys.readouterr().err.endswith(f"error: step 'train' failed: {message}\n")


# Options of `skypilot`


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({"max_hours": 3.0}, 10_800),
        ({"max_hours": 3.0, "max_cost_usd": 2.0, "usd_per_hour": 1.25}, 5_760),
        ({"max_hours": 1.0, "max_cost_usd": 2.0, "usd_per_hour": 1.25}, 3_600),
        ({"max_hours": 1e-9}, 1),
    ],
)
def test_the_tighter_budget_counts(options: dict[str, float], seconds: int) -> None:
    assert SkyPilotConfig(**options).budget_seconds == seconds  # type: ignore[arg-type]


@pytest.mark.parametrize("half", [{"max_cost_usd": 2.0}, {"usd_per_hour": 2.0}])
def test_a_cost_needs_a_price(
    half: dict[str, float], spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = json.dumps({"kind": "skypilot", "max_hours": 1.0} | half)
    assert ups_run([str(spec_file), "--set", f"launcher={options}", "--dry-run"]) == 2
    assert "max_cost_usd and usd_per_hour belong together; set both or neither" in capsys.readouterr().err


def test_a_rented_gpu_needs_a_name(dry: Dry) -> None:
    error = dry({"kind": "skypilot", "max_hours": 1.0}, 1, "trainer.accelerator=gpu", code=1)
    assert (
        error
        == "trainer.accelerator is gpu but launcher.accelerators is not set; set it, e.g. to RTX4090 or H100"
    )


def test_a_dry_run_of_skypilot_is_its_task_file(dry: Dry) -> None:
    task = yaml.safe_load(dry({"kind": "skypilot", "max_hours": 1.0}, 2)["train"])
    assert {"name", "resources", "file_mounts", "setup", "run"} == set(task)
