"""Accuracy gates of the exact generators: advection, Burgers and both kinds of Darcy flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ups_data.generators import advection, burgers, darcy, darcy_grf
from ups_data.tasks.create import create_task

SEED = 2022
Gate = Callable[[], tuple[str, float, float]]


def advection_gate() -> tuple[str, float, float]:
    """Frames whose shift is a number of cells, against rolls of the first frame."""
    info = create_task("advection1d", {"resolution": 1024, "frames": 3}).describe(Path())
    # At speed 2.5 a frame 0.05 later is 128 cells further.
    frames = advection.generate(info, {"beta": 2.5}, SEED, 0, 32).frames[:, :, 0]
    rolled = np.stack([np.roll(frames[:, 0], 128 * frame, axis=-1) for frame in range(3)], axis=1)
    return "rolls of the first frame, max error", float(np.abs(frames - rolled).max()), 1e-5


def burgers_gate() -> tuple[str, float, float]:
    """One step of 0.05 against five of 0.01, and every eighth native point."""
    coarse = create_task("burgers1d", {"resolution": 128, "frames": 5, "time_stride": 5})
    fine = create_task("burgers1d", {"resolution": 1024, "frames": 21, "time_stride": 1})
    one, five = (
        burgers.generate(task.describe(Path()), {"Nu": 0.01}, SEED, 0, 8).frames for task in (coarse, fine)
    )
    return "five times smaller steps, max error", float(np.abs(one - five[:, ::5, :, ::8]).max()), 1e-5


def darcy_gate() -> tuple[str, float, float]:
    """Residual of the discrete equation -div(a grad u) = 1."""
    medium = darcy.media(SEED, 0, 1)[0]
    spacing = (1 / darcy.POINTS, 1 / darcy.POINTS)
    solution = darcy.solve_darcy(medium, 1.0, spacing)
    residual = darcy.darcy_matrix(medium, spacing) @ solution.ravel() - 1
    return "residual of the discrete equation", float(np.abs(residual).max()), 1e-9


def darcy_grf_gate() -> tuple[str, float, float]:
    """64 x 64 cells against means of 128 x 128, in the same media."""
    coarse, fine = (
        darcy_grf.generate(create_task("darcy_grf", {"resolution": points}).describe(Path()), {}, SEED, 0, 8)
        for points in (64, 128)
    )
    means = fine.frames.reshape(8, 64, 2, 64, 2).mean(axis=(2, 4))
    error = np.linalg.norm(coarse.frames[:, 0, 0] - means) / np.linalg.norm(means)
    return "64² against means of 128², relative", float(error), 0.02


GATES: dict[str, Gate] = {
    "advection1d": advection_gate,
    "burgers1d": burgers_gate,
    "darcy2d": darcy_gate,
    "darcy_grf": darcy_grf_gate,
}
"""Task -> what is compared, the measured error, and its limit."""
