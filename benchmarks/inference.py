"""Seconds of a rollout: the models of the accuracy benchmark, interleaved.

A time depends on the shape of a model and on its fit before training, not on what the weights have learned,
so nothing is trained here. In every round each model takes its turn, in rotating order: what slows the
machine for a while slows all of them. A time is the median over rounds, with its quartiles.

    python benchmarks/inference.py                              # 40 steps of 16 trajectories, 1-D tasks
    python benchmarks/inference.py --tasks darcy2d --rounds 50
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from accuracy import HERE, task_data
from accuracy_report import NAMES
from contenders import BATCH, OURS, SINGLE, TASKS, Job, shrink_tasks
from rich.progress import track

from ups_core.spec import PipelineSpec
from ups_models.simulator import build_simulator

Times = dict[str, list[float]]


def main() -> None:
    """Measure, print, keep."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    if args.small:
        shrink_tasks()
    found = {task: measure(task, args) for task in args.tasks}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    content = {"threads": args.threads, "batch": BATCH, "torch": torch.__version__, "seconds": found}
    args.output.write_text(json.dumps(content) + "\n", encoding="utf-8")
    for task, times in found.items():
        print(_table(task, times))


def measure(task: str, args: argparse.Namespace) -> Times:
    """Seconds of every round, by model; ` (latent)` marks a rollout inside the latent space."""
    data = task_data(task, args)
    windows = data.trajectories("test")
    batch = windows.batch(range(min(BATCH, len(windows))))
    frames = batch.target.shape[1]
    calls = {}
    for name in args.models:
        spec = PipelineSpec.model_validate(Job(task, name, 0, 1e-3, 1.0, False).spec(args.threads))
        simulator = build_simulator(spec.model, {task: data.info}, {task: data.statistics}).eval()
        simulator.initialise(data.windows("train", horizon=1).batch(range(BATCH)))
        calls[name] = simulator.rollout
        if name in OURS and data.info.kind == "evolution":
            calls[f"{name} (latent)"] = simulator.latent_rollout
    times: Times = {name: [] for name in calls}
    with torch.inference_mode():
        for call in calls.values():
            call(batch, frames)
        for number in track(range(args.rounds), description=f"{task}, {frames} steps"):
            turn = number % len(calls)
            for name in [*calls][turn:] + [*calls][:turn]:
                begin = time.perf_counter()
                calls[name](batch, frames)
                times[name].append(time.perf_counter() - begin)
    return times


def _table(task: str, times: Times) -> str:
    lines = [f"### {task}\n", "| model | ms | quartiles |", "| --- | --- | --- |"]
    for name, seconds in sorted(times.items(), key=lambda item: statistics.median(item[1])):
        low, middle, high = (1000 * value for value in statistics.quantiles(seconds, n=4))
        kind, _, latent = name.partition(" ")
        label = f"{NAMES[kind]} {latent}".strip()
        lines.append(f"| {label} | {middle:.0f} | {low:.0f} – {high:.0f} |")
    return "\n".join(lines) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tasks", nargs="+", default=["advection1d", "burgers1d"], choices=TASKS, metavar="TASK"
    )
    parser.add_argument("--models", nargs="+", default=SINGLE, choices=SINGLE, metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="20")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads; 2")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="data root; data")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "inference.json", metavar="FILE")
    parser.add_argument("--small", action="store_true", help="little data, to see that it runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
