"""What all launchers share: they say what they would start, and what they miss."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from commands import command
from small_runs import PARALLEL, STAGE, dry_run, train, write_spec


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


@pytest.mark.parametrize(
    ("launcher", "message"),
    [
        ({"kind": "slurm"}, "the launcher 'slurm' needs submitit: pip install 'ups-core[slurm]'"),
        ({"kind": "skypilot", "max_hours": 1.0}, "the launcher 'skypilot' needs the command sky on PATH"),
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
