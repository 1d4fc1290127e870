"""The strong classical opponents: what a solver that knows the equation needs for the same answers.

    python benchmarks/classical.py [--trajectories 32] [--threads 2] [--json FILE]

Every solver gets what a model gets, the first frame or the coefficient on the task's own grid, and is scored
with the same metric on the same test trajectories; seconds are wall time for one trajectory.

- advection1d: exact shift of the given frame in Fourier space.
- darcy2d: sparse direct solve on the task's 64 x 64 points; they are every second cell centre of a 128 x 128
  grid.
- burgers1d: the Cole-Hopf semigroup on the task's 256 points.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ups_data import prepare_task
from ups_data.solvers.base import Given
from ups_eval.metrics import nrmse_per_frame

TASKS = {
    "advection1d": {"beta": [0.1, 0.4, 1.0]},
    "darcy2d": {},
    "burgers1d": {"nu": [0.01, 0.001]},
}


def measure(task: str, options: dict[str, object], count: int, data_root: Path) -> list[dict[str, object]]:
    """Error and seconds by parameter value."""
    data = prepare_task(task, options, data_root)
    windows, solver = data.trajectories("test", limit=count), data.solver
    assert solver is not None
    found: dict[float, list[tuple[float, float]]] = {}
    for index in track(range(len(windows)), description=task, transient=True):
        batch = windows.batch([index])
        given = Given.of(batch)
        begin = time.perf_counter()
        solution = solver.solve(given, windows.info, batch.target.shape[1])
        seconds = time.perf_counter() - begin
        error = float(nrmse_per_frame(solution, batch.target).mean())
        found.setdefault(float(batch.params[0, 0]), []).append((error, seconds))
    return [
        {
            "task": task,
            "solver": solver.name,
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
