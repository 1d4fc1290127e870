"""Small data sets in the official layout, and tasks that read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ups_core.console import Console
from ups_data.tasks.base import Task
from ups_data.tasks.create import create_task


@pytest.fixture
def console() -> Console:
    return Console(quiet=True)


@pytest.fixture
def task() -> Callable[..., Task]:
    """`task("advection1d", beta=[0.4])`, small by default."""

    def create(kind: str, **options: Any) -> Task:
        return create_task(kind, {"trajectories": 12} | options)

    return create


def field(trajectory: Any, time: Any, x: Any) -> Any:
    """Values that identify their place."""
    return trajectory + time * 10 + x / 10


@pytest.fixture
def official(tmp_path: Path) -> Callable[..., Path]:
    """Writes a native 201 x 1024 advection or Burgers file, or a native Darcy file, as PDEBench does."""

    def write(beta: float = 0.4, *, kind: str = "advection1d", trajectories: int = 12) -> Path:
        n = np.arange(trajectories)
        if kind == "advection1d":
            path = tmp_path / "1D/Advection/Train" / f"1D_Advection_Sols_beta{beta}.hdf5"
        elif kind == "burgers1d":
            path = tmp_path / "1D/Burgers/Train" / f"1D_Burgers_Sols_Nu{beta}.hdf5"
        else:
            path = tmp_path / "2D/DarcyFlow" / f"2D_DarcyFlow_beta{beta}_Train.hdf5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file.attrs["Nu" if kind == "burgers1d" else "beta"] = beta
            if kind != "darcy2d":
                x, t = (np.arange(1024) + 0.5) / 1024, np.arange(202) / 100
                file["x-coordinate"], file["t-coordinate"] = x.astype("f4"), t.astype("f4")
                file["tensor"] = field(n[:, None, None], t[:201, None], x).astype("f4")
            else:
                x = (np.arange(128) + 0.5) / 128
                file["x-coordinate"] = file["y-coordinate"] = x.astype("f4")
                file["nu"] = field(n[:, None, None], x[:, None], x).astype("f4")
                file["tensor"] = -field(n[:, None, None, None], x[:, None], x).astype("f4")
        return path

    return write
