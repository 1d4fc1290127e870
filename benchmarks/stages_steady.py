"""Steady problems: what a prior infers from a few points, and what test-time compute gains.

A prior of Darcy flow is trained for equal seconds with every seed and scored on the test split, beside
classical methods that know the law from the same training samples, and as a source of candidates beside
iterations of the discrete equation. The exact posterior of the solution given points of the coefficient is a
row too: no method can be expected to have a smaller error.

    .venv/bin/python benchmarks/stages_steady.py                # three seeds
    .venv/bin/python benchmarks/stages_steady.py --case five_bumps --seeds 1 --budget 60

Cases: `random_field`, media of `darcy_grf` and 3 % of the points; `five_bumps`, those of PDEBench, which 15
numbers describe, and 50 and 164 points of 64 x 64.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from exact_media import exact_scores
from stage_runs import Rows, prepare_data, rows_of, run_spec, table

from ups_data import prepare_task
from ups_eval.solver_cost import solver_runs

CASES = {"random_field": "darcy_grf", "five_bumps": "darcy2d"}
POINTS: dict[str, list[dict[str, Any]]] = {
    "random_field": [{"share": 0.03}],
    "five_bumps": [{"points": 50}, {"points": 164}],
}
METHODS = ["mean", "nearest", "rbf", "kriging", "kriging_solve", "map"]
SHOWN = ("rel_l2", "error_rate", "nrmse", "energy_score", "spread_skill", "coverage_90")
COLUMNS = (*SHOWN, "evaluations", "ms")


def spec(args: argparse.Namespace, case: str, seed: int) -> dict[str, Any]:
    """Train a prior, infer from points, choose among candidates."""
    samples = args.samples + 2 * args.limit
    share = args.limit / samples
    task = {
        "kind": CASES[case],
        "trajectories": samples,
        "resolution": args.resolution,
        "split": {"train": 1 - 2 * share, "val": share, "test": share},
    }
    pipeline: list[dict[str, Any]] = [
        {
            "stage": "steady_prior",
            "budget": args.budget,
            "batch_size": args.batch,
            "validation_trajectories": 32,
            "optimizer": {"kind": "muon_hybrid", "lr": args.lr},
            "scheduler": {"kind": "cosine", "warmup": 0.03},
        }
    ]
    for options in POINTS[case]:
        step = {"evaluate": "observations", "id": step_of(options), **options}
        baselines = METHODS if seed == 0 else []  # their answers do not depend on the seed
        pipeline.append({**step, "members": args.members, "baselines": baselines, "save_predictions": 0})
    pipeline.append(
        {"evaluate": "ttc", "members": args.members, "refine": [1, 2, 3, 4, 6], "save_predictions": 0}
    )
    return {
        "version": 1,
        "name": f"{case}-{seed}",
        "seed": seed,
        "tasks": {CASES[case]: task},
        "model": yaml.safe_load(args.model),
        "trainer": {"accelerator": "cpu", "threads": args.threads},
        "pipeline": pipeline,
    }


def step_of(points: dict[str, Any]) -> str:
    """The id of the step with so many points."""
    (number,) = points.values()
    return f"observed_{number}".replace(".", "_")


def run(args: argparse.Namespace, case: str, seed: int) -> Rows:
    """The numbers of one run."""
    content, folder = spec(args, case, seed), args.folder.resolve()
    data = folder / "data"
    directory = run_spec(content, folder, data)
    steps = [step.get("id", step["evaluate"]) for step in content["pipeline"] if "evaluate" in step]
    found = rows_of(directory, steps, SHOWN)
    (task,) = content["tasks"].values()
    if seed == 0:
        found[f"ttc: {CASES[case]}"]["direct_solver"] = direct_solver(task, data)
    for points in POINTS[case] if seed == 0 else ():
        scores = exact_scores(task, data, points)
        row = {name: scores[name] for name in SHOWN if name in scores}
        found[f"{step_of(points)}: {CASES[case]}.forward"]["exact_posterior"] = row
    return found


def direct_solver(task: dict[str, Any], data: Path) -> dict[str, float]:
    """Error and time of the sparse direct solver on the task's grid."""
    options = {key: value for key, value in task.items() if key != "kind"}
    opened = prepare_task(task["kind"], options, data)
    assert opened.solver is not None
    run, *_ = solver_runs(opened.solver, opened.trajectories("test"))
    return {"rel_l2": run.error, "nrmse": run.error, "evaluations": 0.0, "ms": 1000 * run.seconds}


def main() -> None:
    """Train every case with every seed, print a table per problem."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES), help="default: all")
    parser.add_argument("--budget", type=float, default=600.0, help="seconds of every training; default: 600")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument("--samples", type=int, default=10_000, help="for training; default: 10000")
    parser.add_argument("--limit", type=int, default=100, help="test samples; default: 100")
    parser.add_argument("--resolution", type=int, default=64, help="default: 64")
    parser.add_argument("--members", type=int, default=8, help="posterior samples; default: 8")
    parser.add_argument("--batch", type=int, default=16, help="default: 16")
    parser.add_argument("--lr", type=float, default=6e-3, help="default: 6e-3")
    parser.add_argument("--model", default="latent_operator", help="default: latent_operator")
    parser.add_argument("--threads", type=int, default=1, help="of every run; default: 1")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time; default: 2")
    parser.add_argument("--folder", type=Path, default=Path("runs/steady"), help="data and runs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/steady.json"), help="all scores")
    args = parser.parse_args()
    for case in args.case:
        prepare_data(spec(args, case, 0), args.folder / "data")
    found: dict[str, list[Rows]] = {}
    with ThreadPoolExecutor(args.jobs) as pool:
        # The first seed of every case first: it has the classical methods, which take longest.
        runs = {
            (case, seed): pool.submit(run, args, case, seed)
            for seed in range(args.seeds)
            for case in args.case
        }
        for case in args.case:
            found[case] = [runs[case, seed].result() for seed in range(args.seeds)]
            for problem in found[case][0]:
                print(f"\n{case}, {problem}\n\n{table(found[case], problem, COLUMNS)}", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
