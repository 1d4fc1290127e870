"""The real commands in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from documents import ROOT
from warm_process import run_warm

BIN = Path(sys.executable).parent
TIMEOUT = 280
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
TINY = [
    "tasks.advection1d.trajectories=20",
    "tasks.advection1d.resolution=64",
    "tasks.advection1d.frames=6",
    "tasks.darcy2d.trajectories=20",
    "tasks.darcy2d.resolution=32",
    "model.width=16",
    "model.depth.2=1",
    "pipeline.operator.max_steps=2",
    "pipeline.operator.validate_every=2",
]
"""Overrides that make the two-task specs end in seconds."""
TINY_STAGES = [
    f"pipeline.{stage}.{option}=2"
    for stage in ("flow", "student", "prior")
    for option in ("max_steps", "validate_every", "batch_size")
]
TINY_MEMBERS = [
    f"pipeline.{step}.{option}"
    for step in ("test_flow", "test_student", "ttc", "observations", "ttc_prior")
    for option in ("members=2", "save_predictions=0")
]
"""The same for the stages after the operator, and for what scores them, without its pictures."""
TINY_OTHERS = {
    "pdebench_2task": [*TINY, *TINY_STAGES, *TINY_MEMBERS],
    "burgers1d": [
        "tasks.burgers1d.trajectories=20",
        "tasks.burgers1d.resolution=64",
        "tasks.burgers1d.frames=6",
        "model.width=16",
        "pipeline.operator.max_steps=2",
        "pipeline.operator.validate_every=2",
    ],
    "pdebench_advection": [
        "tasks.advection1d.trajectories=20",
        "tasks.advection1d.resolution=64",
        "tasks.advection1d.frames=14",
        "model.width=16",
        "pipeline.operator.budget=0.5",
    ],
    "pdebench_2task_full": [
        *(
            f"tasks.{task}.{change}"
            for task in ("advection1d", "advection_family")
            for change in ("trajectories=20", "resolution=64", "frames=14")
        ),
        "tasks.darcy2d.trajectories=20",
        "tasks.darcy2d.resolution=32",
        "model.width=16",
        *(f"pipeline.{stage}.budget=0.5" for stage in ("operator", "flow", "student", "prior")),
        *(f"pipeline.{stage}.batch_size=2" for stage in ("flow", "student", "prior")),
        *TINY_MEMBERS,
    ],
    "pdebench_2task_ddp": [
        *TINY[:6],
        "model.width=16",
        "model.depth=1",
        "model.heads=2",
        "model.modes=4",
        "pipeline.operator.max_steps=2",
        "pipeline.operator.validate_every=2",
        "pipeline.operator.compile=null",
        "pipeline.test.baselines=[persistence]",
        "pipeline.gate.criteria=[{against: persistence}]",
    ],
}
"""The same for the other shipped specs."""

FAMILIES = {
    "advection1d": {"trajectories": 20, "resolution": 32, "frames": 5},
    "compressible_flow1d": {"trajectories": 10, "resolution": 32, "frames": 3, "time_stride": 1},
    "compressible_flow2d": {"trajectories": 10, "resolution": 32, "frames": 4},
    "compressible_flow3d": {"trajectories": 10, "resolution": 16, "frames": 2},
    "darcy2d": {"trajectories": 20, "resolution": 32},
    "diffreact2d": {"trajectories": 10, "resolution": 32, "frames": 8},
    "diffusion_sorption1d": {"trajectories": 20, "resolution": 32, "frames": 5},
    "kuramoto_sivashinsky1d": {"trajectories": 20, "resolution": 32, "frames": 5},
    "reaction_diffusion1d": {"trajectories": 10, "resolution": 32, "frames": 5},
    "shallow_water2d": {"trajectories": 10, "resolution": 32, "frames": 5, "time_stride": 1},
    "vorticity2d": {"trajectories": 10, "resolution": 32, "frames": 9},
}
"""Specs of one problem each -> options of its task that make them end in seconds."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run: where it was started, its directory, and what the command printed."""

    folder: Path
    directory: Path
    output: str


def command(
    name: str, *arguments: str | Path, cwd: Path, code: int = 0, fresh: bool = False, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run an installed command; its exit code must be `code`.

    Args:
        fresh: start a new interpreter, for what depends on how Python starts; else a fork of a warm one.
    """
    line = [str(BIN / name), *map(str, arguments)]
    if fresh or name not in ("ups", "ups-run"):
        result = subprocess.run(
            line,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    else:
        result = run_warm(line, cwd, os.environ | env, TIMEOUT)
    assert result.returncode == code, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr, result.stderr
    return result


def overrides(values: list[str]) -> list[str]:
    """`--set` for every value."""
    return [word for value in values for word in ("--set", value)]
