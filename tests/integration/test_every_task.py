"""Every task goes from its files to a report, with the default model, FNO and U-Net at a tiny size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from official_files import write_official
from ups_core.cli.run import main
from ups_core.plugin_loader import registry_in_use
from ups_data.tasks.create import create_task
from ups_data.tasks.sourced import SourcedTask
from well_files import small_well

PDEBENCH: dict[str, dict[str, Any]] = {
    "advection1d": {"beta": [0.1, 0.4]},
    "burgers1d": {},
    "reaction_diffusion1d": {"rho": [1.0, 10.0]},
    "diffusion_sorption1d": {},
    "compressible_flow1d": {"eta": [0.01, 0.1]},
    "darcy2d": {},
    "compressible_flow2d": {},
    "diffusion_reaction2d": {},
    "shallow_water2d": {},
    "incompressible_flow2d": {"seeds": [0, 1, 2]},
    "compressible_flow3d": {},
}
"""Task -> options."""

MODEL = {
    "kind": "latent_operator",
    "width": 16,
    "middle_width": 8,
    "local_width": 8,
    "condition_width": 8,
    "patch": 2,
    "kernel": 3,
    "depth": 1,
}


def official(kind: str, root: Path) -> dict[str, Any]:
    """Options of a task of PDEBench whose official files are written to `root`."""
    few = {} if kind == "incompressible_flow2d" else {"trajectories": 10}
    grid = {"resolution": 8 if kind.endswith("3d") else 16}
    options = {"source": "official", **grid, **few, **PDEBENCH[kind]}
    task = create_task(kind, options if kind == "darcy2d" else options | {"frames": 5})
    assert isinstance(task, SourcedTask)
    write_official(task, root)
    return {"kind": kind, **options} if kind == "darcy2d" else {"kind": kind, **options, "frames": 5}


def arrays(kind: str, root: Path) -> dict[str, Any]:
    """Options of an evolution of two channels with a forcing on a rectangle, parameters in the files' names."""
    root.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(3):
        np.savez(root / f"run{number}_nu0.{number + 1}.npz", data=random.normal(size=(4, 5, 16, 8, 3)))
    return {
        "kind": "arrays",
        "files": "run*.npz",
        "axes": "ntxyc",
        "channels": {"a": "data", "force": "data", "b": "data"},
        "forcing": ["force"],
        "dt": 0.1,
        "domain": {"x": [0, 2], "y": [0, 1]},
        "boundary": {"x": "periodic", "y": ["wall", "open"]},
        "file_pattern": "nu{nu}",
    }


def files(kind: str, root: Path) -> dict[str, Any]:
    """Options of official files that a user names, in a registered layout."""
    official("compressible_flow1d", root)
    return {
        "kind": "files",
        "layout": {"kind": "pdebench_fields"},
        "files": "1D/CFD/Train/*.hdf5",
        "boundary": "periodic",
        "parameters": {"eta": "eta"},
        "same_starts": True,
        "vectors": {"V": ["Vx"]},
    }


def generated(kind: str, root: Path) -> dict[str, Any]:
    """Options of a task without official files."""
    return {"kind": kind, "source": "generate", "trajectories": 10, "resolution": 16, "frames": 5}


def steady(kind: str, root: Path) -> dict[str, Any]:
    """Options of a steady task without official files."""
    return {"kind": kind, "source": "generate", "trajectories": 10, "resolution": 16}


def well(kind: str, root: Path) -> dict[str, Any]:
    """Options of a folder of The Well."""
    for split, count in (("train", 4), ("valid", 1), ("test", 1)):
        folder = root / "well" / split
        folder.mkdir(parents=True)
        small_well(len(split), count, points=(16, 8)).write(folder / "data.hdf5")
    return {"kind": kind, "path": "well"}


MAKERS = dict.fromkeys(PDEBENCH, official) | {
    "darcy_grf": steady,
    "vorticity2d": generated,
    "kuramoto_sivashinsky1d": generated,
    "arrays": arrays,
    "files": files,
    "the_well": well,
}


def test_every_registered_task_is_here() -> None:
    registered = {entry.name for entry in registry_in_use().entries("tasks") if "/" not in entry.name}
    assert set(MAKERS) == registered


@pytest.mark.parametrize("kind", MAKERS)
def test_every_task_ends_in_a_report(kind: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    task = MAKERS[kind](kind, root)
    untrained = "mean" if kind in ("darcy2d", "darcy_grf") else "persistence"
    baselines = [
        untrained,
        {"kind": "fno", "width": 4, "modes": 2},
        {"kind": "unet", "width": 4, "levels": 2},
    ]
    spec = {
        "version": 1,
        "name": "tiny",
        "tasks": {"problem": task},
        "model": MODEL,
        "pipeline": [
            {"stage": "operator", "max_steps": 2, "validate_every": 2, "batch_size": 2},
            {"evaluate": "rollout", "id": "test", "baselines": baselines},
            {"evaluate": "report"},
        ],
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(spec))
    assert main([str(path), "--data-root", str(root), "--runs-dir", str(tmp_path / "runs")]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "report" / "index.html").is_file()
    metrics = json.loads((run / "run.json").read_text())["metrics"]
    for model in ("", f"{untrained}/", "fno/", "unet/"):
        assert 0 < metrics[f"test/problem/{model}nrmse"] < 10
