"""What the machinery costs: the same training as a bare PyTorch loop and through `ups-run`.

Both train the default latent operator on the same batches with the same loss, symmetries, optimizer,
schedule, clipping and moving average, in turn, each in a process of its own; that they did the same work is
checked by the loss. A round's ratio is the bare loop's time of a step over ours: 1 is no overhead. Ours is
wall time between two validations, so it holds logging, progress, checkpoints and a validation of one
trajectory.

    python benchmarks/overhead.py                     # Darcy flow, five rounds: about five minutes
    python benchmarks/overhead.py --task advection1d --rounds 3
    python benchmarks/overhead.py --guards            # what safety costs: checkpoints and guards

With `--guards` one training at the stage's default settings runs in this process, and every call of what
writes checkpoints, asks for the end or looks for bad numbers is timed; their sum over the time of the
training's steps is the share that safety takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from accuracy import HERE, task_data
from contenders import TASKS, shrink_tasks
from rich.progress import track

from ups_core.cli.run import main as ups_run
from ups_core.spec import PipelineSpec
from ups_data.loader import MultiTaskLoader
from ups_data.randomness import derive_seed
from ups_data.sampler import MultiTaskBatchSampler
from ups_train.average import averaged_copy, update_average
from ups_train.config import OperatorConfig
from ups_train.guards import FiniteGuard
from ups_train.module import SimulatorModule, create_losses
from ups_train.progress import Progress
from ups_train.saving import Saving
from ups_train.start import initialise, new_simulator


def main() -> None:
    """Measure in turn, print the ratio, keep the figures."""
    args = _arguments()
    if args.small:
        shrink_tasks()
    task_data(args.task, args)
    if args.guards:
        print(cost_of_guards(args))
        return
    if args.bare:
        print(json.dumps(bare_loop(args)))
        return
    rounds = []
    for _ in track(range(args.rounds), description=f"{args.task}, {args.steps} steps"):
        ours = through_ups_run(args)
        options = [f"--{name}={value}" for name, value in vars(args).items() if name in PASSED]
        done = subprocess.run(
            [sys.executable, __file__, "--bare", *options, *(["--small"] if args.small else [])],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        bare = json.loads(done.stdout)
        if abs(ours["loss"] - bare["loss"]) > 1e-3 * bare["loss"]:
            raise SystemExit(f"the two trained something else: loss {ours['loss']} and {bare['loss']}")
        rounds.append({"ours": ours["seconds"], "bare": bare["seconds"]})
    ratios = sorted(pair["bare"] / pair["ours"] for pair in rounds)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    found = {"task": args.task, "threads": args.threads, "torch": torch.__version__, "rounds": rounds}
    args.output.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(
        f"{args.task}: a step takes {1000 * statistics.median(pair['bare'] for pair in rounds):.1f} ms bare, "
        f"{1000 * statistics.median(pair['ours'] for pair in rounds):.1f} ms through ups-run; ratio "
        f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}), of the fastest rounds "
        f"{min(pair['bare'] for pair in rounds) / min(pair['ours'] for pair in rounds):.3f}"
    )


PASSED = ("task", "steps", "threads", "data")


def spec_of(args: argparse.Namespace) -> dict[str, Any]:
    """What both train: the second half of the steps is timed."""
    return {
        "version": 1, "name": "overhead", "tasks": {args.task: TASKS[args.task]},
        "model": {"kind": "latent_operator"}, "trainer": {"accelerator": "cpu", "threads": args.threads},
        "pipeline": [{
            "stage": "operator", "max_steps": args.steps, "validate_every": args.steps // 2, "validate_on": 1,
            "batch_size": 16,
        }],
    }  # fmt: skip


def through_ups_run(args: argparse.Namespace) -> dict[str, float]:
    """Seconds of a step between the two validations, and the mean loss there."""
    with tempfile.TemporaryDirectory() as scratch:
        spec = Path(scratch) / "spec.yaml"
        spec.write_text(yaml.safe_dump(spec_of(args)), encoding="utf-8")
        program = Path(sys.executable).with_name("ups-run")
        command = [program, spec, "--runs-dir", scratch, "--data-root", args.data]
        subprocess.run(command, capture_output=True, check=True)
        file = next(Path(scratch).glob("overhead-*/steps/operator/metrics.jsonl"))
        middle, end = map(json.loads, file.read_text().splitlines())
    seconds = (end["seconds"] - middle["seconds"]) / (end["step"] - middle["step"])
    return {"seconds": seconds, "loss": end["train/loss"]}


GUARDS: dict[str, list[tuple[type, str]]] = {
    "checkpoints": [(Saving, "_save")],
    "requests to stop": [(Saving, "_agree")],
    "finite losses and gradients": [(FiniteGuard, "loss"), (FiniteGuard, "gradient")],
}


def cost_of_guards(args: argparse.Namespace) -> str:
    """A line for every guard: its calls and its share of the training's time."""
    seconds, calls = dict.fromkeys(GUARDS, 0.0), dict.fromkeys(GUARDS, 0)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                seconds[name] += time.perf_counter() - begin
                calls[name] += 1

        return call

    for name, functions in GUARDS.items():
        for owner, method in functions:
            setattr(owner, method, timed(name, getattr(owner, method)))
    content = spec_of(args)
    for option in ("validate_every", "validate_on"):
        del content["pipeline"][0][option]
    with tempfile.TemporaryDirectory() as scratch:
        spec = Path(scratch) / "spec.yaml"
        spec.write_text(yaml.safe_dump(content), encoding="utf-8")
        if ups_run([str(spec), "--runs-dir", scratch, "--data-root", str(args.data)]):
            raise SystemExit("the training failed")
        file = next(Path(scratch).glob("overhead-*/steps/operator/metrics.jsonl"))
        last = json.loads(file.read_text().splitlines()[-1])
    training = last["training_seconds"]
    lines = [f"{args.task}: {last['step']} steps in {training:.1f} s"]
    for name, spent in seconds.items():
        lines.append(f"{name}: {calls[name]} calls, {spent:.3f} s, {spent / training:.2%}")
    return "\n".join([*lines, f"in all {sum(seconds.values()) / training:.2%}"])


def bare_loop(args: argparse.Namespace) -> dict[str, float]:
    """The same steps without Lightning, callbacks, checkpoints and records."""
    torch.set_num_threads(args.threads)
    spec = PipelineSpec.model_validate(spec_of(args))
    config = spec.pipeline[0].config
    assert isinstance(config, OperatorConfig)
    data = {name: component.create(name=name).open(args.data) for name, component in spec.tasks.items()}
    torch.manual_seed(derive_seed(spec.seed, "weights", spec.model.kind))
    simulator = new_simulator(spec.model, data)
    initialise(simulator, data)
    progress = Progress(args.steps)
    module = SimulatorModule(simulator, config, create_losses(config.losses), progress, spec.seed)
    average = averaged_copy(simulator)
    optimizer = config.optimizer.create(module=simulator.network)
    schedule = config.scheduler.create(optimizer=optimizer, progress=progress)
    windows = {name: opened.windows("train", horizon=config.horizon) for name, opened in data.items()}
    sampler = MultiTaskBatchSampler({name: len(part) for name, part in windows.items()}, config.batch_size)
    loader = MultiTaskLoader(windows, sampler)
    losses: list[float] = []
    begin, epoch = 0.0, 0
    while len(losses) < args.steps:
        loader.set_epoch(epoch)
        for index, batch in enumerate(loader):
            if len(losses) == args.steps // 2:
                begin = time.perf_counter()
            torch.manual_seed(derive_seed(spec.seed, "step", 0, epoch, index))
            loss = module.loss(batch, derive_seed(spec.seed, "batch", epoch, index)) * batch.share
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(simulator.parameters(), config.clip or float("inf"))
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            assert config.ema is not None
            update_average(average, simulator, config.ema, len(losses))
            if len(losses) == args.steps:
                break
        epoch += 1
    half = args.steps // 2
    return {"seconds": (time.perf_counter() - begin) / half, "loss": statistics.fmean(losses[half:])}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="darcy2d", choices=TASKS, metavar="TASK", help="darcy2d")
    parser.add_argument("--steps", type=int, default=200, metavar="N", help="200, of which half are timed")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="5")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads; 2")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="data root; data")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "overhead.json", metavar="FILE")
    parser.add_argument("--small", action="store_true", help="little data, to see that it runs")
    parser.add_argument("--guards", action="store_true", help="time checkpoints and guards alone")
    parser.add_argument("--bare", action="store_true", help="only the bare loop, result as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
