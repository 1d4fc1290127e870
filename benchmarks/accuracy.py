"""Accuracy of the latent operator and its peers for equal training time on one machine.

Every model trains on the same arrays for the same seconds of training steps, through `ups-run`, with the same
batches, symmetries, pushforward, moving average and number of learning rates tried. Learning rates are
chosen on the validation rollout of short runs; the test split is opened once for every final run. Runs are
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
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from accuracy_report import write_report
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ups_data.batch import FieldBatch
from ups_data.dataset import TaskData, prepare_task
from ups_eval.metrics import nrmse_per_frame
from ups_eval.rollout import reconstruction_error, score
from ups_models.bundle import load_bundle
from ups_models.config import MeanConfig, PersistenceConfig
from ups_models.simulator import LatentSimulator, Simulator
from ups_models.trivial import Mean, Persistence

HERE = Path(__file__).parent
TASKS: dict[str, dict[str, Any]] = {
    "advection1d": {"kind": "advection1d", "beta": [0.1, 0.4, 1.0]},
    "darcy2d": {"kind": "darcy2d"},
    "burgers1d": {"kind": "burgers1d", "nu": [0.01, 0.001]},
}
JOINT = "advection1d+darcy2d"
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
BATCH = 16
STAGE = {"batch_size": BATCH, "pushforward": 2, "validate_on": 16}
INFERENCE_REPEATS = 5


@dataclass(frozen=True)
class Contender:
    """A model with its optimizer; `model` may differ from task to task, "" being any other task.

    Attributes:
        losses: by task; the package's or paper's recommended one.
        schedule: learning-rate schedule.
        batch: windows a batch, where a recommendation differs from the others' 16.
    """

    model: dict[str, dict[str, Any]]
    optimizer: str
    losses: dict[str, str] = field(default_factory=lambda: {"": "nrmse"})
    schedule: str = "cosine"
    stage: dict[str, Any] = field(default_factory=dict)


UNET = {"": {"kind": "unet", "width": 32, "levels": 3}, "darcy2d": {"kind": "unet", "width": 16, "levels": 4}}
PDET = {"kind": "latent_operator", "width": 96, "depth": 4, "depth_2d": 4, "patch": 4}
"""The size that the earlier default had."""
SMALL = {
    "kind": "latent_operator", "width": 48, "middle_width": 32, "middle_blocks_2d": 1, "depth_2d": 1,
    "local_width": 16, "local_width_2d": 8,
}  # fmt: skip
"""For the comparison of inference times."""
CONTENDERS = {
    "latent_operator": Contender({"": {"kind": "latent_operator"}}, "muon_hybrid"),
    "latent_small": Contender({"": SMALL}, "muon_hybrid"),
    "unet_muon": Contender(UNET, "muon_hybrid"),
    "unet_adamw": Contender(UNET, "adamw"),
    "neuraloperator_fno": Contender(
        {"": {"kind": "neuraloperator/fno"}}, "adamw", {"": "nrmse", "darcy2d": "neuraloperator/h1"}
    ),
    "pdebench_fno": Contender(
        {"": {"kind": "fno", "width": 20, "modes": 12, "modes_2d": 12}}, "adamw", {"": "mse"}, "step",
        {"batch_size": 50},
    ),
    "pdet_stack": Contender({"": PDET | {"trunk": "pdet_stack"}}, "muon_hybrid"),
    "pdet_unet": Contender({"": PDET | {"trunk": "pdet_unet"}}, "muon_hybrid"),
    "latent_rollout": Contender(
        {"": {"kind": "latent_operator"}}, "muon_hybrid", stage={"latent_unroll": 2, "consistency": 0.1}
    ),
}  # fmt: skip
OURS = {"latent_operator", "latent_small", "latent_rollout", "pdet_stack", "pdet_unet"}


@dataclass(frozen=True)
class Job:
    """One training run."""

    task: str
    contender: str
    seed: int
    rate: float
    budget: float
    final: bool

    @property
    def path(self) -> Path:
        kind = f"seed{self.seed}" if self.final else f"sweep-{self.rate:g}"
        return Path(f"{self.budget:g}s") / self.task / self.contender / f"{kind}.json"

    def spec(self, threads: int) -> dict[str, Any]:
        """What `ups-run` gets."""
        contender = CONTENDERS[self.contender]

        def choice(options: dict[str, Any]) -> Any:
            return options.get(self.task, options[""])

        stage = {
            "stage": "operator", "budget": self.budget, **STAGE, **contender.stage,
            "optimizer": {"kind": contender.optimizer, "lr": self.rate},
            "scheduler": {"kind": contender.schedule}, "losses": [{"kind": choice(contender.losses)}],
        }  # fmt: skip
        return {
            "version": 1, "name": "accuracy", "seed": self.seed,
            "tasks": {name: TASKS[name] for name in self.task.split("+")},
            "sampling": {"temperature": 0.25},
            "model": choice(contender.model),
            "trainer": {"accelerator": "cpu", "threads": threads},
            "pipeline": [stage],
        }  # fmt: skip


def main() -> None:
    """Run what is missing, then write the report."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    finals = _final_jobs(args)
    sweeps = [job for final in finals if final.seed == 0 for job in _sweep_jobs(final, args)]
    todo = [job for job in (*sweeps, *finals) if not _done(job, args)]
    console = Console()
    if todo and not args.report_only:
        hours = sum(job.budget for job in todo) / 3600
        console.print(f"{len(todo)} runs, {hours:.1f} h of training steps; stop and go on at any time")
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("", total=len(todo))
            for job in todo:
                if _done(job, args):  # the sweep confirmed its learning rate
                    progress.advance(bar)
                    continue
                rate = job.rate if not job.final else _chosen_rate(job, args)
                job = Job(**{**job.__dict__, "rate": rate})
                progress.update(bar, description=f"{job.task} {job.contender} {job.path.stem}")
                found = run(job, args)
                text = f"{job.path}: validation {found['validation']:.5f}"
                console.print(text + (f", test {_mean(found)}" if job.final else ""), highlight=False)
                progress.advance(bar)
    if not args.report_only:
        for task in args.tasks:
            if task != JOINT:
                _trivial(task, args)
    write_report(args.results, args.budget, args.report, RATES, args.sweep_budget)


def run(job: Job, args: argparse.Namespace) -> dict[str, Any]:
    """Train in a process of its own, score, keep the result."""
    with tempfile.TemporaryDirectory() as scratch:
        spec = Path(scratch) / "spec.yaml"
        spec.write_text(yaml.safe_dump(job.spec(args.threads), sort_keys=False), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("ups-run")), str(spec), "--runs-dir", scratch,
                   "--data-root", str(args.data)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{job.path}: ups-run ended with {done.returncode}:\n{done.stderr[-2000:]}")
        step = next(Path(scratch).glob("accuracy-*")) / "steps" / "operator"
        lines = [json.loads(line) for line in (step / "metrics.jsonl").read_text().splitlines()]
        best = min(lines, key=lambda line: _finite(line["val/nrmse"]))
        found = {
            "task": job.task, "contender": job.contender, "seed": job.seed, "rate": job.rate,
            "budget": job.budget, "threads": args.threads, "spec": job.spec(args.threads),
            "validation": _finite(best["val/nrmse"]), "steps": lines[-1]["step"], "best_step": best["step"],
            "curve": [[line["training_seconds"], _finite(line["val/nrmse"])] for line in lines],
            "machine": platform.processor() or platform.machine(), "torch": torch.__version__,
        }  # fmt: skip
        if job.final:
            found |= _test(job, load_bundle(step / "model"), args)
    _keep(found, args.results / job.path)
    return found


def _trivial(task: str, args: argparse.Namespace) -> None:
    """The row of what needs no training: persistence, or the mean of a steady task."""
    data = _data(task, args)
    tasks = {task: data.info}
    steady = data.info.kind == "steady"
    network = Mean(MeanConfig(), tasks) if steady else Persistence(PersistenceConfig(), tasks)
    job = Job(task, "mean" if steady else "persistence", 0, 0.0, args.budget, True)
    if (args.results / job.path).exists():
        return
    found = {
        "task": task, "contender": job.contender, "seed": 0, "rate": None, "budget": args.budget,
        "threads": args.threads, "steps": 0, "curve": [], "torch": torch.__version__,
    }  # fmt: skip
    found |= _test(job, Simulator(network, tasks, {task: data.statistics}), args)
    _keep(found, args.results / job.path)


def _keep(found: dict[str, Any], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps(found) + "\n", encoding="utf-8")
    temporary.replace(target)


def _data(task: str, args: argparse.Namespace) -> TaskData:
    return prepare_task(task, {key: value for key, value in TASKS[task].items() if key != "kind"}, args.data)


def _test(job: Job, simulator: Simulator, args: argparse.Namespace) -> dict[str, Any]:
    """Open the test split: errors, and seconds of a 40-step rollout of 16 trajectories."""
    tests = {}
    for name in job.task.split("+"):
        data = _data(name, args)
        scored = score(simulator, data, "test")
        windows = data.trajectories("test")
        batch = windows.batch(range(min(BATCH, len(windows))))
        frames = batch.target.shape[1]
        tests[name] = {
            "nrmse": scored.nrmse, "per_sample": scored.per_sample, "per_step": scored.per_step,
            "values": windows.batch(range(len(windows))).params[:, 0].tolist(),
            "inference": _seconds(partial(simulator.rollout, batch, frames)),
        }  # fmt: skip
        if job.contender in OURS and data.info.kind == "evolution":
            tests[name] |= _inner(simulator, data, batch, frames)
    return {"parameters": simulator.parameter_count(), "test": tests}


def _inner(simulator: Simulator, data: TaskData, batch: FieldBatch, frames: int) -> dict[str, Any]:
    """What only a latent operator has: codec, latent rollout, and whether it uses the parameters."""
    shuffled: list[float] = []
    windows = data.trajectories("test")
    with torch.inference_mode():
        for start in range(0, len(windows), 32):
            part = windows.batch(range(start, min(start + 32, len(windows))))
            prediction = simulator.rollout(_other_parameters(part, data), frames)
            shuffled += nrmse_per_frame(prediction, part.target).mean(dim=1).tolist()
    return {
        "shuffled": statistics.fmean(shuffled),
        "latent": score(LatentSimulator(simulator), data, "test").nrmse,
        "reconstruction": reconstruction_error(simulator, data, "test"),
        "latent_inference": _seconds(partial(simulator.latent_rollout, batch, frames)),
    }


def _other_parameters(batch: FieldBatch, data: TaskData) -> FieldBatch:
    """The batch with every trajectory's parameter replaced by another value of the task."""
    values = torch.tensor(data.fields.request.values)
    index = (batch.params[:, 0, None] - values).abs().argmin(dim=1)
    return replace(batch, params=values[(index + 1) % len(values), None].to(batch.params))


def _seconds(call: Any) -> float:
    """Median wall time after a warm-up."""
    with torch.inference_mode():
        call()
        times = []
        for _ in range(INFERENCE_REPEATS):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def _final_jobs(args: argparse.Namespace) -> list[Job]:
    jobs = []
    for seed in range(args.seeds):
        for task in args.tasks:
            names = ["latent_operator"] if task == JOINT else list(args.models)
            budget = args.budget * len(task.split("+"))
            turn = seed % len(names)
            jobs += [Job(task, name, seed, 0.0, budget, True) for name in names[turn:] + names[:turn]]
    return jobs


def _sweep_jobs(final: Job, args: argparse.Namespace) -> list[Job]:
    budget = args.sweep_budget * len(final.task.split("+"))
    return [Job(final.task, final.contender, 0, rate, budget, False) for rate in RATES]


def _chosen_rate(job: Job, args: argparse.Namespace) -> float:
    """The learning rate with the best validation rollout."""
    scores = {
        sweep.rate: json.loads((args.results / sweep.path).read_text())["validation"]
        for sweep in _sweep_jobs(job, args)
    }
    return min(scores, key=lambda rate: scores[rate])


def _done(job: Job, args: argparse.Namespace) -> bool:
    """Whether its result is there; that of a final run with the learning rate that the sweep prefers now."""
    path = args.results / job.path
    if not job.final or not path.exists():
        return path.exists()
    if not all((args.results / sweep.path).exists() for sweep in _sweep_jobs(job, args)):
        return False
    return bool(json.loads(path.read_text())["rate"] == _chosen_rate(job, args))


def _finite(value: float | None) -> float:
    return float("inf") if value is None else value


def _mean(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {test['nrmse']:.5f}" for name, test in found["test"].items())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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
    parser.add_argument(
        "--models", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS), metavar="MODEL"
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="3")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads; 2")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="data root; data")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "accuracy", metavar="DIR")
    parser.add_argument("--report", type=Path, default=HERE / "results" / "accuracy", metavar="DIR",
                        help="where accuracy.md, accuracy.json and accuracy.png go")  # fmt: skip
    parser.add_argument("--small", action="store_true", help="little data, to see that it runs")
    parser.add_argument("--report-only", action="store_true", help="train nothing")
    args = parser.parse_args()
    if args.small:
        TASKS.update(
            {
                name: task
                | {"trajectories": 40, "resolution": 32}
                | ({} if name == "darcy2d" else {"frames": 6})
                for name, task in TASKS.items()
            }
        )
    if shutil.which(str(Path(sys.executable).with_name("ups-run"))) is None:
        parser.error("ups-run is not beside this Python; run it with .venv-peers/bin/python (make peers)")
    return args


if __name__ == "__main__":
    main()
