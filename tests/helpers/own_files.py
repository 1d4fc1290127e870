"""Own files of every format, and tasks `arrays` in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from scipy.io import savemat

from ups_data.stores.array_options import SPACE
from ups_data.stores.base import TrajectoryStore
from ups_data.tasks.create import create_task
from ups_data.tasks.files import FilesTask

CANONICAL = ("trajectory", "time", "channel", *SPACE)
LETTERS = {"trajectory": "n", "time": "t", "channel": "c", "x": "x", "y": "y", "z": "z"}
SIZES = {"trajectory": 10, "time": 6, "channel": 2, "x": 8, "y": 5, "z": 3}


def npy(path: Path, arrays: Mapping[str, Any]) -> None:
    np.save(path, arrays["data"])


def npz(path: Path, arrays: Mapping[str, Any]) -> None:
    np.savez(path, **arrays)


def mat(path: Path, arrays: Mapping[str, Any]) -> None:
    savemat(path, dict(arrays))


def mat73(path: Path, arrays: Mapping[str, Any]) -> None:
    """As MATLAB writes version 7.3: HDF5 with reversed axes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            file[name] = np.asarray(values).T


def pt(path: Path, arrays: Mapping[str, Any]) -> None:
    torch.save({name: torch.as_tensor(np.ascontiguousarray(values)) for name, values in arrays.items()}, path)


def hdf5(path: Path, arrays: Mapping[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


def netcdf(path: Path, arrays: Mapping[str, Any]) -> None:
    import xarray

    variables = {
        name: ([f"{name}{axis}" for axis in range(np.ndim(values))], values)
        for name, values in arrays.items()
    }
    dataset = xarray.Dataset(variables)
    if path.suffix == ".zarr":
        dataset.to_zarr(path, consolidated=False)
    else:
        dataset.to_netcdf(path, engine="h5netcdf")


FORMATS: dict[str, tuple[str, Callable[[Path, Mapping[str, Any]], None]]] = {
    "npy": (".npy", npy),
    "npz": (".npz", npz),
    "mat": (".mat", mat),
    "mat73": (".mat", mat73),
    "pt": (".pt", pt),
    "h5": (".h5", hdf5),
    "hdf5": (".hdf5", hdf5),
    "nc": (".nc", netcdf),
    "zarr": (".zarr", netcdf),
}


def own(root: Path, **options: Any) -> FilesTask:
    """A task `arrays` in the files of a folder."""
    dim = sum(axis in str(options["axes"]) for axis in SPACE)
    plain: dict[str, Any] = {"boundary": "open", "domain": {axis: [0, 1] for axis in SPACE[:dim]}}
    if "t" in options["axes"] and "time" not in options.get("coordinates", {}):
        plain["dt"] = 0.1
    task = create_task(
        "arrays", {name: value for name, value in (plain | options).items() if value is not None}
    )
    assert isinstance(task, FilesTask)
    return task


def store_of(task: FilesTask, root: Path) -> TrajectoryStore:
    return task.stores(task.plan_data(root), root).train


def everything(store: TrajectoryStore) -> Any:
    return np.concatenate([chunk.frames for chunk in store.chunks()])


def uneven(size: int) -> Any:
    return np.linspace(0, 1, size) ** 2


FIELD = np.random.default_rng(0).normal(size=(10, 6, 8))
