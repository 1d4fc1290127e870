"""Tiny files with the keys, the attributes and the quirks of the official ones, and what must be read from them.

Written from the description of the formats, on the grid of a task, with values that any solver would envy: smooth in
space and time, different in every trajectory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ups_data.info import TaskInfo
from ups_data.stores.base import Fields
from ups_data.tasks.sourced import SourcedTask

SPACE = ("x", "y", "z")


def smooth(info: TaskInfo, count: int, channels: int, frames: int, seed: int = 0) -> Any:
    """Fields `(n, T, C, *S)`, float32: moving waves around 2."""
    random = np.random.default_rng(seed)
    grid = np.meshgrid(*[np.linspace(0, 1, cells, endpoint=False) for cells in info.shape], indexing="ij")
    phase, speed = random.random((2, count, 1, channels, *[1] * info.dim))
    time = np.arange(frames).reshape(1, -1, 1, *[1] * info.dim) / max(1, frames)
    return (2 + np.sin(2 * np.pi * (sum(grid) - speed * time + phase))).astype("f4")


def write_official(task: SourcedTask, root: Path) -> list[Fields]:
    """Write all files of a task below `root`, and return what must be read from each."""
    request, info = task.request, task.info
    written = []
    for number, wanted in enumerate(request.files):
        path = root / wanted.folder / wanted.name
        path.parent.mkdir(parents=True, exist_ok=True)
        targets, given = len(info.target_channels), len(info.static_channels)
        # The same first frames in every file, as in a sweep over parameters; not where files are seeds.
        seed = 0 if request.paired else number
        frames = smooth(info, request.trajectories, targets, info.frames, seed)
        static = smooth(info, request.trajectories, given, 1, seed + 100)[:, 0]
        fields = Fields(frames, static)
        with h5py.File(path, "w") as file:
            WRITERS[request.layout.kind](file, info, fields, request.layout.config)
            for key, value in wanted.parameters.items():
                file.attrs[key] = value
        written.append(fields)
    return written


def coordinates(file: h5py.File, info: TaskInfo) -> None:
    """`x-coordinate`, … and `t-coordinate`, which is one longer than the time axis."""
    for axis, points in zip(SPACE, info.axes, strict=False):
        file[f"{axis}-coordinate"] = np.asarray(points, "f4")
    if info.kind == "evolution":
        file["t-coordinate"] = (info.dt * np.arange(info.frames + 1)).astype("f4")


def tensor(file: h5py.File, info: TaskInfo, fields: Fields, config: Any) -> None:
    """Advection, Burgers, Darcy, 1-D reaction-diffusion."""
    coordinates(file, info)
    file["tensor"] = fields.frames[:, :, 0]
    if config.coefficient:
        file[config.coefficient] = fields.static[:, 0]


def separate(file: h5py.File, info: TaskInfo, fields: Fields, config: Any) -> None:
    """Compressible flows."""
    coordinates(file, info)
    for channel, key in enumerate(config.fields):
        file[key] = fields.frames[:, :, channel]


def groups(file: h5py.File, info: TaskInfo, fields: Fields, config: Any) -> None:
    """Diffusion-reaction, diffusion-sorption, shallow water: any subset of the seeds, compressed by lzf."""
    for number, frames in enumerate(fields.frames):
        group = file.create_group(f"{3 * number + 7:04d}")
        space = range(info.dim + 1, 1, -1) if config.axes == "yx" else range(2, info.dim + 2)
        group.create_dataset("data", data=frames.transpose(0, *space, 1), compression="lzf")
        for axis, points in zip(SPACE, info.axes, strict=False):
            group[f"grid/{axis}"] = np.asarray(points, "f4")
        group["grid/t"] = (info.dt * np.arange(info.frames)).astype("f4")
        group.attrs["config"] = "sim: {seed: 7}\n"


def incompressible(file: h5py.File, info: TaskInfo, fields: Fields, config: Any) -> None:
    """Incompressible flow: one frame a chunk."""
    moved = np.moveaxis(fields.frames, 2, -1)
    for key, values in (("velocity", moved[..., :2]), ("particles", moved[..., 2:])):
        file.create_dataset(key, data=values, chunks=(1, 1, *values.shape[2:]), compression="lzf")
    file["force"] = np.moveaxis(fields.static, 1, -1)
    file["t"] = np.tile(info.dt * np.arange(info.frames), (len(moved), 1)).astype("f4")
    file.attrs["config"] = "NU: 0.01\n"
    file.attrs["latestIndex"] = info.frames


WRITERS = {
    "pdebench_tensor": tensor,
    "pdebench_fields": separate,
    "pdebench_groups": groups,
    "pdebench_ns": incompressible,
}
"""Layout -> what writes a file of it."""
