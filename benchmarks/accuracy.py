"""Accuracy of the latent operator and its peers for equal training time on one machine.

Every model trains on the same arrays for the same seconds of training steps, through `ups-run`, with the same
batches, symmetries, pushforward, moving average and number of learning rates tried. Learning rates are
chosen on the validation rollout of short runs (where steps are slow, the best two again on that of full
runs); the test split is opened once for every final run. Runs are
interleaved: all models of a task and seed before the next seed, in rotating order. One JSON file a run is
kept below `benchmarks/results/accuracy`, and what is there is not run again: an interrupted benchmark goes
on.

    python benchmarks/accuracy.py                          # everything: hours
    python benchmarks/accuracy.py --tasks darcy2d --models latent_operator unet_muon --seeds 1 --budget 60
    python benchmarks/accuracy.py --report-only            # tables and figure from what is there
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from accuracy_report import write_report
from contenders import CONFIRMED, JOINT, OURS, RATES, SINGLE, TASKS, Job, shrink_tasks
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ups_data import TaskData, prepare_task
from ups_data.batches.batch import FieldBatch
from ups_eval.metrics import nrmse_per_frame
from ups_eval.probes import measure, reconstruction
from ups_eval.scoring import score
from ups_models.baselines import Mean, Persistence
from ups_models.bundle import load_bundle
from ups_models.config import MeanConfig, PersistenceConfig
from ups_models.simulator import LatentSimulator, Simulator

HERE = Path(__file__).parent


def main() -> None:
    """Run what is missing, then write the report."""
    args = arguments(__doc__ or "")
    torch.set_num_threads(args.threads)
    if not args.report_only:
        complete(_final_jobs(args), args)
        for task in args.tasks:
            if task != JOINT:
                _trivial(task, args)
    write_report(args.results, args.budget, args.report, RATES, args.sweep_budget)


def complete(finals: Sequence[Job], args: argparse.Namespace) -> None:
    """Do final runs that are missing, and before each what chooses its learning rate."""
    todo = [job for job in finals if not _done(job, args)]
    if not todo:
        return
    console = Console()
    console.print(f"{len(todo)} final runs and what chooses their rates; stop and go on at any time")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(todo))
        for final in sorted(todo, key=lambda job: job.seed):
            for job in _runs(final, args):
                progress.update(bar, description=f"{job.task} {job.contender} {job.path.stem}")
                found = run(job, args)
                text = f"{job.path}: validation {found['validation']:.5f}"
                console.print(text + (f", test {_mean(found)}" if job.final else ""), highlight=False)
            progress.advance(bar)


def run(job: Job, args: argparse.Namespace) -> dict[str, Any]:
    """Train, score if it is a final run, keep the result."""
    with tempfile.TemporaryDirectory() as scratch:
        same = args.results / replace(job, final=False).path  # a run that chose the learning rate
        if job.final and job.seed == 0 and _model(same).exists():
            found: dict[str, Any] = json.loads(same.read_text())
            model = _model(same)
        else:
            found, model = _train(job, args, Path(scratch))
        if job.final:
            found |= _test(job, load_bundle(model), args)
        elif job.task in CONFIRMED and job.budget == args.budget:
            shutil.copytree(model, _model(same), dirs_exist_ok=True)
    _keep(found, args.results / job.path)
    return found


def _train(job: Job, args: argparse.Namespace, scratch: Path) -> tuple[dict[str, Any], Path]:
    """Train in a process of its own; returns what is to be kept, and where the model is."""
    spec = scratch / "spec.yaml"
    spec.write_text(yaml.safe_dump(job.spec(args.threads), sort_keys=False), encoding="utf-8")
    command = [
        str(Path(sys.executable).with_name("ups-run")),
        str(spec),
        "--runs-dir",
        str(scratch),
        "--data-root",
        str(args.data),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{job.path}: ups-run ended with {done.returncode}:\n{done.stderr[-2000:]}")
    step = next(scratch.glob("accuracy-*")) / "steps" / "operator"
    lines = [json.loads(line) for line in (step / "metrics.jsonl").read_text().splitlines()]
    best = min(lines, key=lambda line: _finite(line["val/nrmse"]))
    return {
        "task": job.task,
        "contender": job.contender,
        "seed": job.seed,
        "rate": job.rate,
        "budget": job.budget,
        "threads": args.threads,
        "spec": job.spec(args.threads),
        "validation": _finite(best["val/nrmse"]),
        "steps": lines[-1]["step"],
        "best_step": best["step"],
        "curve": [[line["training_seconds"], _finite(line["val/nrmse"])] for line in lines],
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }, step / "model"


def _model(result: Path) -> Path:
    """Where the model of a run is that may become a final one; it stays on this machine."""
    return result.with_suffix(".model")


def _trivial(task: str, args: argparse.Namespace) -> None:
    """The row of what needs no training: persistence, or the mean of a steady task."""
    data = task_data(task, args)
    tasks = {task: data.info}
    steady = data.info.kind == "steady"
    network = Mean(MeanConfig(), tasks) if steady else Persistence(PersistenceConfig(), tasks)
    job = Job(task, "mean" if steady else "persistence", 0, 0.0, args.budget, True)
    if (args.results / job.path).exists():
        return
    found = {
        "task": task,
        "contender": job.contender,
        "seed": 0,
        "rate": None,
        "budget": args.budget,
        "threads": args.threads,
        "steps": 0,
        "curve": [],
        "torch": torch.__version__,
    }
    found |= _test(job, Simulator(network, tasks, {task: data.statistics}), args)
    _keep(found, args.results / job.path)


def _keep(found: dict[str, Any], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps(found) + "\n", encoding="utf-8")
    temporary.replace(target)


def task_data(task: str, args: argparse.Namespace) -> TaskData:
    """The arrays of a task, generated where they are missing."""
    options = {key: value for key, value in TASKS[task].items() if key != "kind"}
    data: TaskData = prepare_task(task, options, args.data)
    return data


def _test(job: Job, simulator: Simulator, args: argparse.Namespace) -> dict[str, Any]:
    """Open the test split."""
    tests = {}
    for name in job.task.split("+"):
        data = task_data(name, args)
        scored = score(simulator, data, "test")
        windows = data.trajectories("test")
        tests[name] = {
            "nrmse": scored.nrmse,
            "per_sample": scored.per_sample,
            "per_step": scored.per_step,
            "values": windows.batch(range(len(windows))).params[:, 0].tolist(),
        }
        if job.contender in OURS and data.info.kind == "evolution":
            tests[name] |= _inner(simulator, data)
    return {"parameters": simulator.parameter_count(), "test": tests}


def _inner(simulator: Simulator, data: TaskData) -> dict[str, Any]:
    """What only a latent operator has: codec, latent rollout, and whether it uses the parameters."""
    shuffled: list[float] = []
    windows = data.trajectories("test")
    with torch.inference_mode():
        for start in range(0, len(windows), 32):
            part = windows.batch(range(start, min(start + 32, len(windows))))
            prediction = simulator.rollout(_other_parameters(part, data), part.target.shape[1])
            shuffled += nrmse_per_frame(prediction, part.target).mean(dim=1).tolist()
    return {
        "shuffled": statistics.fmean(shuffled),
        "latent": score(LatentSimulator(simulator), data, "test").nrmse,
        "reconstruction": float(measure(reconstruction, simulator, data.trajectories("test")).mean()),
    }


def _other_parameters(batch: FieldBatch, data: TaskData) -> FieldBatch:
    """The batch with every trajectory's parameter replaced by another value of the task."""
    values = torch.from_numpy(np.unique(data.stores.train.parameters[:, 0]))
    index = (batch.params[:, 0, None] - values).abs().argmin(dim=1)
    return replace(batch, params=values[(index + 1) % len(values), None].to(batch.params))


def _final_jobs(args: argparse.Namespace) -> list[Job]:
    jobs = []
    for seed in range(args.seeds):
        for task in args.tasks:
            names = ["latent_operator"] if task == JOINT else list(args.models)
            budget = args.budget * len(task.split("+"))
            turn = seed % len(names)
            jobs += [Job(task, name, seed, 0.0, budget, True) for name in names[turn:] + names[:turn]]
    return jobs


def _runs(final: Job, args: argparse.Namespace) -> Iterator[Job]:
    """What is missing for a final run, and the run itself."""
    for choice in (_sweep, _confirmation):
        yield from (job for job in choice(final, args) if not (args.results / job.path).exists())
    if not _done(final, args):
        yield replace(final, rate=_chosen_rate(final, args))


def _sweep(final: Job, args: argparse.Namespace) -> list[Job]:
    """A short run for every learning rate."""
    budget = args.sweep_budget * len(final.task.split("+"))
    return [replace(final, seed=0, rate=rate, budget=budget, final=False) for rate in RATES]


def _confirmation(final: Job, args: argparse.Namespace) -> list[Job]:
    """A full run for the best two rates of a finished sweep, where the task needs that."""
    if final.task not in CONFIRMED:
        return []
    best = sorted(_sweep(final, args), key=lambda job: _validation(job, args))[:2]
    return [replace(job, budget=final.budget) for job in best]


def _chosen_rate(final: Job, args: argparse.Namespace) -> float:
    """The learning rate with the best validation rollout, of the longest runs that there are."""
    tried = _confirmation(final, args) or _sweep(final, args)
    return min(tried, key=lambda job: _validation(job, args)).rate


def _validation(job: Job, args: argparse.Namespace) -> float:
    return float(json.loads((args.results / job.path).read_text())["validation"])


def _done(final: Job, args: argparse.Namespace) -> bool:
    """Whether its result is there, with the learning rate that would be chosen now."""
    path = args.results / final.path
    choices = (_sweep, _confirmation)
    if not path.exists() or not all(
        (args.results / job.path).exists() for choice in choices for job in choice(final, args)
    ):
        return False
    return bool(json.loads(path.read_text())["rate"] == _chosen_rate(final, args))


def _finite(value: float | None) -> float:
    return float("inf") if value is None else value


def _mean(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {test['nrmse']:.5f}" for name, test in found["test"].items())


def arguments(description: str) -> argparse.Namespace:
    """Options of this and of `optimizers.py`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--budget", type=float, default=300.0, metavar="SECONDS", help="training time a task; 300"
    )
    parser.add_argument(
        "--sweep-budget", type=float, default=60.0, metavar="SECONDS", help="of every learning rate; 60"
    )
    parser.add_argument(
        "--tasks", nargs="+", default=[*TASKS, JOINT], choices=[*TASKS, JOINT], metavar="TASK"
    )
    parser.add_argument("--models", nargs="+", default=SINGLE, choices=SINGLE, metavar="MODEL")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="3")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads; 2")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="data root; data")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "accuracy", metavar="DIR")
    parser.add_argument(
        "--report",
        type=Path,
        default=HERE / "results" / "accuracy",
        metavar="DIR",
        help="where accuracy.md, accuracy.json and accuracy.png go",
    )
    parser.add_argument("--small", action="store_true", help="little data, to see that it runs")
    parser.add_argument("--report-only", action="store_true", help="train nothing")
    args = parser.parse_args()
    if args.small:
        shrink_tasks()
    if shutil.which(str(Path(sys.executable).with_name("ups-run"))) is None:
        parser.error("ups-run is not beside this Python; run it with .venv-peers/bin/python (make peers)")
    return args


if __name__ == "__main__":
    main()
