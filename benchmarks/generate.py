"""How fast data are made: advection and Darcy generators in memory, HDF5 writing apart.

Usage: python benchmarks/generate.py [--repeats 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np

from ups_core.cpus import available_cores
from ups_data.generators import advection, darcy
from ups_data.sources.writing import BLOCK
from ups_data.tasks.create import create_task

SEED = 2022


def rate(work: Callable[[int], Any], count: float, repeats: int) -> float:
    """Median of count per second; the first call warms up and does not count."""
    work(0)
    seconds = []
    for repeat in range(repeats):
        begin = time.perf_counter()
        work(repeat + 1)
        seconds.append(time.perf_counter() - begin)
    return count / median(seconds)


def advection_rate(points: int, frames: int, stride: int, repeats: int) -> float:
    """Trajectories per second."""
    info = create_task(
        "advection1d", {"resolution": points, "frames": frames, "time_stride": stride}
    ).describe(Path())

    def work(block: int) -> Any:
        return advection.generate(info, {"beta": 0.4}, SEED, block * BLOCK, (block + 1) * BLOCK)

    return rate(work, BLOCK, repeats)


def darcy_rate(repeats: int, count: int = 32) -> float:
    """Samples per second on all cores, solved and kept on 128 x 128 points."""
    info = create_task("darcy2d", {"resolution": 128}).describe(Path())

    def work(block: int) -> Any:
        return darcy.generate(info, {"beta": 1.0}, SEED, block * count, (block + 1) * count)

    return rate(work, count, repeats)


def writing_rate(repeats: int) -> float:
    """Megabytes per second into a contiguous HDF5 dataset, in blocks as the generators write."""
    block = np.ones((BLOCK, 201, 1024), dtype=np.float32)
    with tempfile.TemporaryDirectory() as directory:

        def work(repeat: int) -> None:
            with h5py.File(Path(directory) / "file.hdf5", "w") as file:
                dataset = file.create_dataset("tensor", (4 * BLOCK, 201, 1024), np.float32)
                for start in range(0, 4 * BLOCK, BLOCK):
                    dataset[start : start + BLOCK] = block

        return rate(work, 4 * block.nbytes / 1e6, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast data are made.")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    args = parser.parse_args()
    cores = available_cores()
    rows = [
        ("advection 201 x 1024, in memory", advection_rate(1024, 201, 1, args.repeats), "trajectories/s"),
        ("advection 41 x 256, in memory", advection_rate(256, 41, 5, args.repeats), "trajectories/s"),
        (f"Darcy 128 x 128, {cores} threads", darcy_rate(args.repeats), "samples/s"),
        ("HDF5 writing", writing_rate(args.repeats), "MB/s"),
    ]
    if args.json:
        print(json.dumps({"cores": cores, "rates": {what: round(value, 1) for what, value, _ in rows}}))
    else:
        for what, value, unit in rows:
            print(f"{what:36} {value:9.0f} {unit}")


if __name__ == "__main__":
    main()
