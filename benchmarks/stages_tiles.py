"""Training on tiles of a grid: memory, time and accuracy beside training on complete grids.

A U-Net learns one step of Allen and Cahn's equation, u_t = 2 Δu + u - u³ in units of cells, on 256² and 64³
cells. Every variant trains for the same seconds; what a step needs is measured by `ups size`.

    .venv/bin/python benchmarks/stages_tiles.py
    .venv/bin/python benchmarks/stages_tiles.py --dim 3 --seeds 1 --budget 60
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftn, ifftn
from stage_runs import Rows, rows_of, run_spec, steps_of, table

CELLS = {2: 256, 3: 64}
BUDGET = {2: 60.0, 3: 240.0}
"""Seconds of every training."""
FRAMES = 4
STEP = 2.0
"""Time from one frame to the next."""
SUBSTEPS = 8
LENGTH = 6.0
"""Correlation length of the first frame in cells."""
VARIANTS: dict[int, dict[str, dict[str, Any]]] = {
    2: {
        "complete": {"batch_size": 2},
        "tiles_64": {"batch_size": 2, "tiles": {"cells": 64, "halo": 16}},
        "tiles_64_batch_8": {"batch_size": 8, "tiles": {"cells": 64, "halo": 16}},
        "tiles_64_halo_4": {"batch_size": 8, "tiles": {"cells": 64, "halo": 4}},
        "tiles_16_to_64": {"batch_size": 8, "tiles": {"cells": 64, "halo": 16, "first": 16}},
    },
    3: {
        "complete": {"batch_size": 1},
        "tiles_16": {"batch_size": 1, "tiles": {"cells": 16, "halo": 16}},
        "tiles_16_halo_4": {"batch_size": 4, "tiles": {"cells": 16, "halo": 4}},
        "tiles_32_halo_4": {"batch_size": 2, "tiles": {"cells": 32, "halo": 4}},
        "tiles_8_to_32": {"batch_size": 2, "tiles": {"cells": 32, "halo": 4, "first": 8}},
    },
}
"""The network sees 14 cells around a cell: a halo of 16 leaves the gradient unbiased, one of 4 does not."""


def trajectories(dim: int, cells: int, count: int) -> NDArray[np.float32]:
    """Trajectories `(count, FRAMES, *S)`: exact reaction and exact diffusion in turn (Strang)."""
    axes, random = tuple(range(1, dim + 1)), np.random.default_rng(dim)
    wave = sum(np.meshgrid(*dim * [(2 * np.pi * np.fft.fftfreq(cells)) ** 2], indexing="ij"))

    def smoothed(field: NDArray[np.float64], by: float) -> NDArray[np.float64]:
        found: NDArray[np.float64] = ifftn(np.exp(-by * wave) * fftn(field, axes=axes), axes=axes).real
        return found

    def reacted(field: NDArray[np.float64], time: float) -> NDArray[np.float64]:
        found: NDArray[np.float64] = field / np.sqrt(field**2 + (1 - field**2) * np.exp(-2 * time))
        return found

    field = smoothed(random.standard_normal((count, *dim * [cells])), LENGTH**2 / 2)
    field /= field.std()
    frames, step = [field], STEP / SUBSTEPS
    for _ in range(FRAMES - 1):
        for _ in range(SUBSTEPS):
            field = reacted(smoothed(reacted(field, step / 2), 2 * step), step / 2)
        frames.append(field)
    return np.stack(frames, axis=1).astype(np.float32)


def spec(args: argparse.Namespace, dim: int, seed: int) -> dict[str, Any]:
    """Train and score all variants."""
    pipeline: list[dict[str, Any]] = []
    for name, options in VARIANTS[dim].items():
        training = {"budget": args.budget or BUDGET[dim], "validation_trajectories": 2, "losses": ["mse"]}
        optimizer = {"optimizer": {"kind": "muon_hybrid", "lr": 4e-3}}
        pipeline.append({"stage": "operator", "id": name, **training, **optimizer, **options})
        scored = {"evaluate": "rollout", "id": f"score_{name}", "needs": [name], "save_predictions": 0}
        pipeline.append({**scored, "baselines": ["persistence"]})
    task = {
        "kind": "arrays",
        "files": f"allen_cahn_{dim}d.npz",
        "axes": "nt" + "xyz"[:dim],
        "channels": "u",
        "dt": STEP,
        "domain": {axis: [0, args.cells or CELLS[dim]] for axis in "xyz"[:dim]},
        "boundary": "periodic",
        "split": {"train": 0.6, "val": 0.2, "test": 0.2},
    }
    return {
        "version": 1,
        "name": f"tiles_{dim}d-{seed}",
        "seed": seed,
        "tasks": {"allen_cahn": task},
        "model": {"kind": "unet", "levels": 2},
        "trainer": {"accelerator": "cpu", "threads": 1},
        "pipeline": pipeline,
    }


def sizes(path: Path, data: Path) -> dict[str, dict[str, float]]:
    """Megabytes of the activations of one sample and seconds of a step of every variant."""
    command = [Path(sys.executable).with_name("ups"), "size", path, "--data-root", data, "--json"]
    done = subprocess.run(
        list(map(str, command)), text=True, capture_output=True, check=True, cwd=path.parent
    )
    found = json.loads(done.stdout)
    stages = found["stages"].items()
    return {name: {"MB": part["activations"] / 1e6, "s/step": part["step"]} for name, part in stages}


def run(args: argparse.Namespace, dim: int, seed: int) -> Rows:
    """The numbers of one run, all variants in one table."""
    content, folder = spec(args, dim, seed), args.folder.resolve()
    directory = run_spec(content, folder, folder / "data")
    names = list(VARIANTS[dim])
    found = rows_of(directory, [f"score_{name}" for name in names], ("nrmse",))
    rows = {name: found[f"score_{name}: allen_cahn"]["unet"] for name in names}
    rows["persistence"] = found[f"score_{names[0]}: allen_cahn"]["persistence"]
    for name in names:
        rows[name]["steps"] = steps_of(directory, name)
    return {f"{dim}d": rows}


def main() -> None:
    """Train every variant with every seed, print a table per dimension."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dim", type=int, nargs="+", choices=[2, 3], default=[2, 3], help="default: 2 3")
    parser.add_argument(
        "--budget", type=float, help="seconds of every training; default: 60 in 2-D, 240 in 3-D"
    )
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument("--trajectories", type=int, default=40, help="default: 40")
    parser.add_argument("--cells", type=int, help="along every axis; default: 256 in 2-D, 64 in 3-D")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, as many as cores; default: 2")
    parser.add_argument("--folder", type=Path, default=Path("runs/tiles"), help="data and runs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tiles.json"), help="all scores")
    args = parser.parse_args()
    found: dict[str, list[Rows]] = {}
    for dim in args.dim:
        path = args.folder / "data" / f"allen_cahn_{dim}d.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, u=trajectories(dim, args.cells or CELLS[dim], args.trajectories))
        with ThreadPoolExecutor(args.jobs) as pool:
            runs = list(pool.map(lambda seed, dim=dim: run(args, dim, seed), range(args.seeds)))
        folder = args.folder.resolve()
        needs = sizes(folder / f"tiles_{dim}d-0.yaml", folder / "data")
        for name, numbers in needs.items():
            runs[0][f"{dim}d"][name] |= numbers
        found[f"{dim}d"] = runs
        print(f"\n{dim}-D\n\n{table(runs, f'{dim}d', ('MB', 's/step', 'steps', 'nrmse'))}", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
