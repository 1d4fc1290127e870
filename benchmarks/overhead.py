"""What the machinery costs: the same training as a bare PyTorch loop and through `ups-run`.

Both train a latent operator on the same batches with the same loss, symmetries, optimizer, schedule, clipping
and moving average; that they did the same work is checked by the loss. They take turns of a few steps within
one process, so that what slows the machine down slows both: before each of its turns `ups-run`'s training
waits while the bare loop makes its steps. Everything that `ups-run` does between the first and the last timed
step is counted: loading, hooks, guards, averages, clocks. The first half of a round is not timed; it ends
with the only validation and checkpoint before the end, which the bare loop does not have.

    python benchmarks/overhead.py                     # Darcy flow, five rounds: about five minutes
    python benchmarks/overhead.py --task tiny         # a step of a few milliseconds: the difference itself
    python benchmarks/overhead.py --floor             # what Lightning's loop costs with nothing in it
    python benchmarks/overhead.py --guards            # what safety costs: checkpoints and guards

With `--guards` one training at the stage's default settings runs in this process, and every call of what
writes checkpoints, handles stop requests or looks for bad numbers is timed; their sum over the time of the
training's steps is the share that safety takes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import lightning.pytorch as pl
import torch
import yaml
from accuracy import HERE
from contenders import TASKS, shrink_tasks
from rich.progress import track

from ups_core import validate_options
from ups_core.cli.run import main as ups_run
from ups_core.spec import PipelineSpec
from ups_data import prepare_task
from ups_data.batches.loader import MultiTaskLoader
from ups_data.batches.sampler import MultiTaskBatchSampler
from ups_data.batches.seeds import derive_seed
from ups_train.engine import guards
from ups_train.engine.checkpointing import Checkpointing
from ups_train.engine.ema import MovingAverage, averaged_copy
from ups_train.engine.lightning_warnings import silence_lightning
from ups_train.engine.metrics_file import read_metrics
from ups_train.engine.module import TrainingModule
from ups_train.engine.objective import ObjectiveInputs
from ups_train.engine.progress import Progress
from ups_train.engine.step_report import ReportCollector
from ups_train.optimizers.groups import trainable
from ups_train.stages.operator import OperatorObjective
from ups_train.stages.operator_config import OperatorConfig

TINY = "tiny"
TINY_TASK = {"kind": "advection1d", "trajectories": 200, "resolution": 32, "frames": 11, "time_stride": 10}
TINY_MODEL = {
    "kind": "latent_operator",
    "width": 16,
    "middle_width": 12,
    "local_width": 8,
    "condition_width": 8,
}
"""A network of a hundred parameters whose step takes a few milliseconds."""
TURN = 5
"""Steps of one training before the other's turn."""


def main() -> None:
    """Measure in turn, print the ratio, keep the figures."""
    args = _arguments()
    if args.small:
        shrink_tasks()
    if args.floor:
        print(lightning_floor(args.steps))
        return
    options = {key: value for key, value in task_of(args).items() if key != "kind"}
    prepare_task(task_of(args)["kind"], options, args.data)
    if args.guards:
        print(cost_of_guards(args))
        return
    rounds = [
        in_turn(args) for _ in track(range(args.rounds), description=f"{args.task}, {args.steps} steps")
    ]
    output = args.output or HERE / "results" / f"overhead-{args.task}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    found = {"task": args.task, "threads": args.threads, "torch": torch.__version__, "rounds": rounds}
    output.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(summary(args.task, rounds))


def summary(task: str, rounds: list[dict[str, list[float]]]) -> str:
    """The ratio over everything, and how it scatters over rounds and turns."""
    of_rounds = sorted(sum(times["bare"]) / sum(times["ours"]) for times in rounds)
    of_turns = [
        bare / ours for times in rounds for bare, ours in zip(times["bare"], times["ours"], strict=True)
    ]
    low, middle, high = statistics.quantiles(of_turns, n=4)
    more = [
        1000 * (ours - bare) / TURN
        for times in rounds
        for bare, ours in zip(times["bare"], times["ours"], strict=True)
    ]
    error = statistics.stdev(more) / len(more) ** 0.5
    bare, ours = (sum(sum(times[name]) for times in rounds) for name in ("bare", "ours"))
    steps = TURN * len(of_turns)
    return (
        f"{task}: a step takes {1000 * bare / steps:.1f} ms bare, {1000 * ours / steps:.1f} ms through "
        f"ups-run, {statistics.fmean(more):.1f} +- {error:.1f} ms more (mean and standard error of turns); "
        f"ratio {bare / ours:.3f}, of rounds {of_rounds[0]:.3f} to {of_rounds[-1]:.3f}; "
        f"of {len(of_turns)} turns {middle:.3f} (median), half of them {low:.3f} to {high:.3f}"
    )


def task_of(args: argparse.Namespace) -> dict[str, Any]:
    """The task's section of the spec."""
    return TINY_TASK if args.task == TINY else TASKS[args.task]


def spec_of(args: argparse.Namespace) -> dict[str, Any]:
    """What both train."""
    return {
        "version": 1,
        "name": "overhead",
        "tasks": {args.task: task_of(args)},
        "model": TINY_MODEL if args.task == TINY else {"kind": "latent_operator"},
        "trainer": {"accelerator": "cpu", "threads": args.threads},
        "pipeline": [{"stage": "operator", "max_steps": args.steps, "batch_size": 16}],
    }


def train(content: dict[str, Any], data: Path) -> list[dict[str, Any]]:
    """Run a spec in this process; the lines of its `metrics.jsonl`."""
    with tempfile.TemporaryDirectory() as scratch:
        spec = Path(scratch) / "spec.yaml"
        spec.write_text(yaml.safe_dump(content), encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = ups_run([str(spec), "--runs-dir", scratch, "--data-root", str(data)])
        if code:
            raise SystemExit(f"the training failed:\n{said.getvalue()}")
        return read_metrics(next(Path(scratch).glob("overhead-*/steps/operator/metrics.jsonl")))


def in_turn(args: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of every counted turn of both trainings."""
    content = spec_of(args)
    content["pipeline"][0] |= {"validate_every": args.steps // 2, "validation_trajectories": 1}
    bare_losses = bare_loop(validate_options(PipelineSpec, content), args)
    losses: list[float] = []
    turns: dict[str, list[float]] = {"ours": [], "bare": []}
    since = 0.0
    begin_step = TrainingModule.on_train_batch_start

    def take_turns(module: TrainingModule, batch: Any, batch_idx: int) -> None:
        nonlocal since
        step = module.global_step
        if step % TURN == 0:
            paused = time.perf_counter()
            losses.extend(next(bare_losses) for _ in range(TURN))
            resumed = time.perf_counter()
            if step > args.steps // 2:
                turns["ours"].append(paused - since)
                turns["bare"].append(resumed - paused)
            since = resumed
        begin_step(module, batch, batch_idx)

    with mock.patch.object(TrainingModule, "on_train_batch_start", take_turns):
        lines = train(content, args.data)
    ours, bare = lines[-1]["train/loss"], statistics.fmean(losses[lines[-2]["step"] :])
    if abs(ours - bare) > 1e-3 * bare:
        raise SystemExit(f"the two trained something else: loss {ours} and {bare}")
    return turns


GUARDS: dict[str, list[tuple[Any, str]]] = {
    "checkpoints": [(Checkpointing, "_save")],
    "requests to stop": [(Checkpointing, "_requested")],
    "finite losses and gradients": [
        (ReportCollector, "add"),
        (ReportCollector, "fetch"),
        (guards, "check_losses"),
        (guards, "check_norm"),
    ],
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
    last = train(spec_of(args), args.data)[-1]
    training = last["training_seconds"]
    lines = [f"{args.task}: {last['step']} steps in {training:.1f} s"]
    for name, spent in seconds.items():
        lines.append(f"{name}: {calls[name]} calls, {spent:.3f} s, {spent / training:.2%}")
    return "\n".join([*lines, f"in all {sum(seconds.values()) / training:.2%}"])


def bare_loop(spec: PipelineSpec, args: argparse.Namespace) -> Iterator[float]:
    """The same steps without Lightning, callbacks, checkpoints and records; yields every step's loss."""
    torch.set_num_threads(args.threads)
    config = spec.pipeline[0].config
    assert isinstance(config, OperatorConfig)
    data = {name: component.create(name=name).open(args.data) for name, component in spec.tasks.items()}
    torch.manual_seed(derive_seed(spec.seed, "weights", spec.model.kind))
    objective = OperatorObjective(config, ObjectiveInputs(spec.model, data))
    objective.initialise()
    network, progress = objective.network, Progress(args.steps)
    assert config.ema is not None
    average = MovingAverage(averaged_copy(network), network, config.ema)
    optimizer = config.optimizer.create(parameters=trainable(network))
    schedule = config.scheduler.create(optimizer=optimizer, progress=progress)
    windows = {name: opened.windows("train", horizon=config.horizon) for name, opened in data.items()}
    sampler = MultiTaskBatchSampler({name: len(part) for name, part in windows.items()}, config.batch_size)
    loader = MultiTaskLoader(windows, sampler)
    step = 0
    for epoch in range(args.steps):
        loader.set_epoch(epoch)
        for index, batch in enumerate(loader):
            seed = derive_seed(spec.seed, "batch", epoch, index)
            loss = objective.loss(batch, seed, progress.at(step)) * batch.loss_weight
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip or float("inf"))
            optimizer.step()
            schedule.step()
            value = loss.item()
            step += 1
            average.update(step)
            yield value


def lightning_floor(steps: int) -> str:
    """What Lightning's loop costs per step around a module of one parameter, without any callback."""

    class Nothing(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(()))

        def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
            return (self.weight * batch).sum()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=1e-9)

    class Batches:
        """Not a list, which Lightning would take for a list of loaders."""

        def __len__(self) -> int:
            return 20 * steps

        def __iter__(self) -> Iterator[torch.Tensor]:
            return iter([torch.ones(1)] * len(self))

    silence_lightning()
    batches = Batches()
    times: dict[str, float] = {}
    for name in ("bare", "lightning", "bare", "lightning"):  # the first of each warms up
        module = Nothing()
        if name == "lightning":
            trainer = pl.Trainer(
                max_epochs=1,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            begin = time.perf_counter()
            trainer.fit(module, batches)
        else:
            optimizer = module.configure_optimizers()
            begin = time.perf_counter()
            for batch in batches:
                loss = module.training_step(batch, 0)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        times[name] = 1000 * (time.perf_counter() - begin) / len(batches)
    return (
        f"a step of one parameter takes {times['bare']:.3f} ms bare, {times['lightning']:.3f} ms in "
        f"Lightning's loop: {times['lightning'] - times['bare']:.3f} ms more"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="darcy2d", choices=[*TASKS, TINY], metavar="TASK", help="darcy2d")
    parser.add_argument("--steps", type=int, default=200, metavar="N", help="200, of which half are timed")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="5")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads; 2")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="data root; data")
    parser.add_argument("--output", type=Path, metavar="FILE", help="results/overhead-TASK.json")
    parser.add_argument("--small", action="store_true", help="little data, to see that it runs")
    parser.add_argument("--floor", action="store_true", help="time Lightning's loop with nothing in it")
    parser.add_argument("--guards", action="store_true", help="time checkpoints and guards alone")
    args = parser.parse_args()
    if args.steps % (2 * TURN):
        parser.error(f"--steps {args.steps} is not a multiple of {2 * TURN}")
    return args


if __name__ == "__main__":
    main()
