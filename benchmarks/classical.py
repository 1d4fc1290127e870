"""The strong classical opponents: what a solver that knows the equation needs for the same answers.

    python benchmarks/classical.py [--trajectories 32] [--threads 2] [--json FILE]

Every solver gets what a model gets, the first frame or the coefficient on the task's own grid, and is scored
with the same metric on the same test trajectories; seconds are wall time for one trajectory.

- advection1d: exact shift of the given frame in Fourier space.
- darcy2d: sparse direct solve on the task's 64 x 64 points; they are every second cell centre of a 128 x 128
  grid, so the coarse problem also misplaces the boundary by half a cell.
- burgers1d: the Cole-Hopf semigroup on the task's 256 points.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ups_data import prepare_task
from ups_data.batches.batch import FieldBatch
from ups_data.generators.burgers import State, evolve
from ups_data.generators.darcy import solve_darcy
from ups_eval.metrics import nrmse_per_frame

Array = NDArray[np.float64]
Solver = Callable[[FieldBatch], Array]
TASKS = {
    "advection1d": {"beta": [0.1, 0.4, 1.0]},
    "darcy2d": {},
    "burgers1d": {"nu": [0.01, 0.001]},
}


def shift(batch: FieldBatch) -> Array:
    """Advection: u0(x - βt), each Fourier mode turned by its phase."""
    start, beta = batch.state[0, -1, 0].double().numpy(), float(batch.params[0, 0])
    times = float(batch.dt[0]) * np.arange(1, batch.target.shape[1] + 1)
    wave = 2 * np.pi * np.fft.rfftfreq(len(start), 1 / len(start))
    spectrum = np.fft.rfft(start) * np.exp(-1j * wave * (beta * times)[:, None])
    return np.fft.irfft(spectrum, n=len(start))[:, None]


def direct(batch: FieldBatch) -> Array:
    """Darcy: finite volumes on the points that are given, their distance as spacing."""
    coefficient = batch.static[0, 0].double().numpy()
    spacing = 1 / len(coefficient)
    return solve_darcy(coefficient, float(batch.params[0, 0]), (spacing, spacing))[None, None]


def cole_hopf(batch: FieldBatch) -> Array:
    """Burgers: the exact semigroup, from trapezoid integrals of the given frame."""
    start, nu = batch.state[0, -1, 0].double().numpy(), float(batch.params[0, 0])
    integrals = 0.5 * (start + np.roll(start, -1)) / len(start)
    potential = np.concatenate([[0.0], np.cumsum(integrals[:-1])])
    state = State(start, potential, float(integrals.sum()))
    frames = evolve(state, nu / math.pi, float(batch.dt[0]), 1 + batch.target.shape[1])
    return frames[1:, None]


SOLVERS: dict[str, tuple[str, Solver]] = {
    "advection1d": ("spectral shift", shift),
    "darcy2d": ("sparse direct solve", direct),
    "burgers1d": ("Cole-Hopf at 256 points", cole_hopf),
}


def measure(task: str, options: dict[str, object], count: int, data_root: Path) -> list[dict[str, object]]:
    """Error and seconds by parameter value."""
    windows = prepare_task(task, options, data_root).trajectories("test", limit=count)
    name, solver = SOLVERS[task]
    found: dict[float, list[tuple[float, float]]] = {}
    for index in track(range(len(windows)), description=task, transient=True):
        batch = windows.batch([index])
        begin = time.perf_counter()
        solution = solver(batch)
        seconds = time.perf_counter() - begin
        error = float(nrmse_per_frame(torch.from_numpy(solution)[None], batch.target).mean())
        found.setdefault(float(batch.params[0, 0]), []).append((error, seconds))
    return [
        {
            "task": task,
            "solver": name,
            "value": value,
            "nrmse": float(np.mean([error for error, _ in pairs])),
            "seconds": float(np.median([seconds for _, seconds in pairs])),
            "trajectories": len(pairs),
        }
        for value, pairs in found.items()
    ]


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trajectories", type=int, default=32, metavar="N", help="a parameter value; 32")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="2")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS), metavar="TASK")
    parser.add_argument("--small", action="store_true", help="little data, to see that it runs")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="data root; data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows: list[dict[str, object]] = []
    for task in args.tasks:
        options: dict[str, object] = dict(TASKS[task])
        if args.small:
            options |= {"trajectories": 10, "resolution": 64}
            options |= {} if task == "darcy2d" else {"frames": 3}
        rows += measure(task, options, args.trajectories, args.data)
    table = Table("task", "solver", "parameter", "nRMSE", "seconds", "trajectories")
    for row in rows:
        table.add_row(
            str(row["task"]),
            str(row["solver"]),
            f"{row['value']:g}",
            f"{row['nrmse']:.2e}",
            f"{row['seconds']:.1e}",
            str(row["trajectories"]),
        )
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
