"""How fast data are generated, and how accurately: every generator on its official grid, with all cores.

Usage: python benchmarks/generate.py [TASK ...] [--repeats 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from statistics import median
from typing import Any

from gates_exact import GATES as EXACT
from gates_flow import GATES as FLOW
from gates_spectral import GATES as SPECTRAL

from ups_core.cpus import available_cores
from ups_data.sources.writing import load_generator
from ups_data.tasks.create import create_task
from ups_data.tasks.sourced import SourcedTask

SEED = 2022
GATES = {**EXACT, **SPECTRAL, **FLOW}


@dataclass(frozen=True)
class Case:
    """What is timed.

    Attributes:
        task: the registered task.
        count: trajectories of one repeat.
        what: the grid and the frames, for the table.
        options: of the task.
    """

    task: str
    count: int
    what: str
    options: Mapping[str, Any]


def official(resolution: int, frames: int) -> dict[str, Any]:
    """Options of a task on its official grid."""
    return {"resolution": resolution, "frames": frames, "time_stride": 1}


CASES = (
    Case("advection1d", 512, "1024 x 201 frames", official(1024, 201)),
    Case("burgers1d", 8, "1024 x 201 frames", official(1024, 201)),
    Case("reaction_diffusion1d", 64, "1024 x 101 frames", official(1024, 101)),
    Case("diffusion_sorption1d", 16, "1024 x 101 frames", official(1024, 101)),
    Case("kuramoto_sivashinsky1d", 64, "256 x 201 frames", official(256, 201)),
    Case("compressible_flow1d", 8, "1024 x 101 frames, eta 0.1", official(1024, 101)),
    Case("compressible_flow1d", 8, "1024 x 101 frames, eta 1e-8", {**official(1024, 101), "eta": [1e-8]}),
    Case("darcy2d", 32, "128²", {"resolution": 128}),
    Case("darcy_grf", 32, "128²", {"resolution": 128}),
    Case("diffusion_reaction2d", 16, "128² x 101 frames", official(128, 101)),
    Case("shallow_water2d", 8, "128² x 101 frames", official(128, 101)),
    Case("vorticity2d", 8, "64² x 51 frames, nu 1e-3", official(64, 51)),
    Case("compressible_flow2d", 2, "128² x 21 frames, M 0.1, eta 0.1", official(128, 21)),
    Case("compressible_flow2d", 2, "128² x 21 frames, M 1, eta 0.1", {**official(128, 21), "mach": [1.0]}),
    Case(
        "compressible_flow3d", 2, "64³ x 2 frames, turbulence", {"initial": "turbulence", **official(64, 2)}
    ),
)


@dataclass(frozen=True)
class Measured:
    """One line of the table.

    Attributes:
        task: the registered task.
        what: the grid and the frames.
        seconds: for one trajectory, the median of the repeats.
        fastest: the smallest of them.
        slowest: the greatest of them.
        gate: what the accuracy gate compares.
        error: what it finds.
        limit: what it allows.
    """

    task: str
    what: str
    seconds: float
    fastest: float
    slowest: float
    gate: str
    error: float
    limit: float


def measure(case: Case, repeats: int) -> Measured:
    """Time a generator in memory, and pass its gate."""
    task = create_task(case.task, dict(case.options))
    assert isinstance(task, SourcedTask)
    request = task.request
    assert request.generation is not None
    generate = load_generator(request.generation.function)
    parameters = request.files[0].parameters
    # Imports and tables.
    generate(replace(request.info, frames=min(2, request.info.frames)), parameters, SEED, 0, 1)
    times = []
    for repeat in range(repeats):
        begin = time.perf_counter()
        start, stop = case.count * repeat, case.count * (repeat + 1)
        for first in range(start, stop, request.generation.block):
            last = min(first + request.generation.block, stop)
            generate(request.info, parameters, SEED, first, last)
        times.append((time.perf_counter() - begin) / case.count)
    gate, error, limit = passed(case.task)
    return Measured(case.task, case.what, median(times), min(times), max(times), gate, error, limit)


@cache
def passed(task: str) -> tuple[str, float, float]:
    """What the accuracy gate of a task compares, the measured error, and its limit."""
    return GATES[task]()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="default: all")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    args = parser.parse_args()
    found = []
    if not args.json:
        print(f"seconds for one trajectory on {available_cores()} cores: median (range of {args.repeats})")
    for case in CASES:
        if args.tasks and case.task not in args.tasks:
            continue
        row = measure(case, args.repeats)
        found.append(row)
        if not args.json:
            verdict = "passed" if row.error <= row.limit else "FAILED"
            print(
                f"{row.task:24} {row.what:34} {row.seconds:8.4f} ({row.fastest:.4f} to {row.slowest:.4f})   "
                f"{row.gate}: {row.error:.1e}, limit {row.limit:.0e}, {verdict}",
                flush=True,
            )
    if args.json:
        print(
            json.dumps({"cores": available_cores(), "generators": [asdict(row) for row in found]}, indent=2)
        )
    if any(row.error > row.limit for row in found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
