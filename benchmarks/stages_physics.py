"""Physics in training: every loss of physics on and off, for equal seconds.

An operator is trained on few trajectories, where knowledge of the equation could matter most, with the
relative L2 loss alone and with each loss of physics that its task has, added up or without conflict of
gradients. All are scored on rollouts of the test split.

    .venv/bin/python benchmarks/stages_physics.py
    .venv/bin/python benchmarks/stages_physics.py --task darcy_grf --seeds 1 --budget 20
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from stage_runs import Rows, prepare_data, rows_of, run_spec, steps_of, table

TASKS: dict[str, dict[str, Any]] = {
    "darcy_grf": {"resolution": 64},
    "advection1d": {"beta": [0.4], "resolution": 128, "frames": 41},
    "burgers1d": {"nu": [0.001], "resolution": 256, "frames": 41},
    "diffusion_sorption1d": {"resolution": 128},
}
TERMS: dict[str, list[dict[str, Any]]] = {
    "darcy_grf": [{"kind": "residual", "norm": "error"}, {"kind": "residual", "norm": "residual"}],
    "advection1d": [
        {"kind": "residual"},
        {"kind": "invariants"},
        {"kind": "bounds", "maximum_principle": True},
    ],
    "burgers1d": [{"kind": "invariants"}, {"kind": "bounds", "maximum_principle": True}],
    "diffusion_sorption1d": [{"kind": "bounds"}],
}
MODELS = {"burgers1d": "unet"}
"""Where the latent operator, which conserves exactly, would leave invariants nothing to do."""
SHOWN = ("nrmse", "residual", "mean_drift", "negative_share")


def variants(task: str, weights: list[float]) -> dict[str, dict[str, Any]]:
    """Name -> options of the stage: without physics, with every term, weight and way to combine, and with a
    residual in place of solutions."""
    found: dict[str, dict[str, Any]] = {"without": {}}
    for term in TERMS[task]:
        name = "_".join(str(value) for key, value in term.items() if key != "maximum_principle")
        for weight in weights:
            losses = ["relative_l2", term | {"weight": weight}]
            found[f"{name}_{weight:g}".replace(".", "_")] = {"losses": losses}
        free = {"losses": ["relative_l2", term], "gradients": "conflict_free"}
        found[f"{name}_conflict_free"] = free
        if term["kind"] == "residual":
            found[f"{name}_alone"] = {"losses": [term]}
    return found


def model_of(args: argparse.Namespace, task: str) -> str:
    """The model that is trained on a task."""
    chosen: str = args.model or MODELS.get(task, "latent_operator")
    return chosen


def spec(args: argparse.Namespace, task: str, seed: int) -> dict[str, Any]:
    """Train and score all variants."""
    pipeline: list[dict[str, Any]] = []
    for name, options in variants(task, args.weights).items():
        training = {"budget": args.budget, "batch_size": 8, "validation_trajectories": 16}
        optimizer = {"optimizer": {"kind": "muon_hybrid", "lr": 4e-3}}
        pipeline.append({"stage": "operator", "id": name, **training, **optimizer, **options})
        scored = {"evaluate": "rollout", "id": f"score_{name}", "needs": [name], "save_predictions": 0}
        pipeline.append({**scored, "baselines": ["mean" if task == "darcy_grf" else "persistence"]})
    train = args.samples / (args.samples + 116)
    split = {"train": train, "val": (1 - train) * 16 / 116}
    split["test"] = 1 - sum(split.values())
    options = {"kind": task, "trajectories": args.samples + 116, "split": split, **TASKS[task]}
    return {
        "version": 1,
        "name": f"{task}-{seed}",
        "seed": seed,
        "tasks": {task: options},
        "model": model_of(args, task),
        "trainer": {"accelerator": "cpu", "threads": 1},
        "pipeline": pipeline,
    }


def run(args: argparse.Namespace, task: str, seed: int) -> Rows:
    """The numbers of one run, all variants in one table."""
    folder = args.folder.resolve()
    directory = run_spec(spec(args, task, seed), folder, folder / "data")
    names = list(variants(task, args.weights))
    found = rows_of(directory, [f"score_{name}" for name in names], SHOWN)
    rows = {name: found[f"score_{name}: {task}"][model_of(args, task)] for name in names}
    for name in names:
        rows[name]["steps"] = steps_of(directory, name)
    return {task: rows}


def main() -> None:
    """Train every task with every seed, print a table per task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", nargs="+", choices=list(TASKS), default=list(TASKS), help="default: all")
    parser.add_argument("--model", help="default: latent_operator, on burgers1d unet")
    parser.add_argument("--budget", type=float, default=30.0, help="seconds of every training; default: 30")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument("--samples", type=int, default=64, help="trajectories for training; default: 64")
    parser.add_argument("--weights", type=float, nargs="+", default=[0.1, 1.0], help="default: 0.1 1")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, as many as cores; default: 2")
    parser.add_argument("--folder", type=Path, default=Path("runs/physics"), help="data and runs")
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/results/physics.json"), help="all scores"
    )
    args = parser.parse_args()
    for task in args.task:
        prepare_data(spec(args, task, 0), args.folder / "data")
    found: dict[str, list[Rows]] = {}
    with ThreadPoolExecutor(args.jobs) as pool:
        runs = {
            task: [pool.submit(run, args, task, seed) for seed in range(args.seeds)] for task in args.task
        }
        for task, futures in runs.items():
            found[task] = [future.result() for future in futures]
            print(f"\n{task}\n\n{table(found[task], task, (*SHOWN, 'steps', 'ms'))}", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
