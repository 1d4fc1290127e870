"""A small UPS plugin without torch: one task, models, stages and evaluations for tests of the core.

Faults are chosen from outside, so that a test changes what happens without changing the spec: `TOY_FAULT` is
`WHAT`, or `WHAT:RANK:TICK` for one rank at one tick of the stage `toy/train`.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ups_core import (
    Component,
    Config,
    DataPlan,
    EvaluationConfig,
    LauncherConfig,
    ModelConfig,
    OptimizerConfig,
    Register,
    Registered,
    Requirement,
    RestartRequested,
    StageConfig,
    StepContext,
    StepResult,
    StrategyConfig,
    TaskConfig,
    UPSError,
    Verdict,
    default_component,
    hookimpl,
    interrupts,
)
from ups_core.console import Console
from ups_core.execution import execute
from ups_core.expand import baseline_id
from ups_core.files import write_json
from ups_core.fingerprint import digest
from ups_core.launchers.worker_attempts import Ended, run_attempts, worker_module
from ups_core.plan import Plan, PlannedStep
from ups_core.reading import read_json


class LineConfig(TaskConfig):
    cells: Annotated[int, Field(ge=1)] = 8
    """Grid points."""


@dataclass(frozen=True)
class LineInfo:
    cells: int


class ToyTask:
    def __init__(self, config: LineConfig, name: str) -> None:
        self.config, self.name = config, name

    def describe(self, data_root: Path) -> LineInfo:
        return LineInfo(self.config.cells)

    def plan_data(self, data_root: Path) -> DataPlan:
        if self.config.cells == 13:
            raise UPSError("13 cells bring bad luck; take 12")
        file = data_root / f"{self.name}.txt"
        missing = () if file.exists() else (file,)
        records = (data_root / f"{self.name}.sum",)
        return DataPlan(digest(self.config.cells), "generated", (file,), missing, records)

    def prepare_data(self, data_root: Path, console: object) -> Mapping[str, Any]:
        if os.environ.get("TOY_FAULT") == "data":
            raise UPSError("the disk is full; free some space")
        data_root.mkdir(parents=True, exist_ok=True)
        (data_root / f"{self.name}.txt").write_text("x" * self.config.cells)
        return {"fingerprint": digest(self.config.cells), "source": "generated", "splits": {"train": 1}}

    def open(self, data_root: Path) -> str:
        return (data_root / f"{self.name}.txt").read_text()


class NetConfig(ModelConfig):
    width: int = 4
    """Channels."""
    depth: int = 2
    """Layers."""

    def check(self, tasks: Mapping[str, LineInfo]) -> Sequence[tuple[str, str]]:
        return [
            ("width", f"width {self.width} exceeds the grid {line.cells} of task '{name}'")
            for name, line in tasks.items()
            if self.width > line.cells
        ]

    def advise(self, tasks: Mapping[str, LineInfo]) -> Sequence[str]:
        return [
            f"task '{name}': all {line.cells} cells"
            for name, line in tasks.items()
            if self.width == line.cells
        ]


class ConstantConfig(ModelConfig):
    trainable: ClassVar[bool] = False


class StepSizeConfig(OptimizerConfig):
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate."""


class ChainConfig(OptimizerConfig):
    """Optimizers one after the other."""

    links: list[Annotated[Component, Registered("optimizers")]]
    """The optimizers, in order."""


class OneDeviceConfig(StrategyConfig):
    pass


class SavingConfig(Config):
    """When training is saved."""

    keep: Annotated[int, Field(ge=1, le=9)] = 2
    """Checkpoints to keep."""
    every: Annotated[float, Field(gt=0.0, lt=1.0)] | None = 0.5
    """Share of the training between two."""


class TrainConfig(StageConfig):
    """Counts ticks and calls it training."""

    produces: ClassVar[tuple[str, ...]] = ("simulator",)

    @property
    def monitor(self) -> str:
        return "val/loss"

    former_keys: ClassVar[Mapping[str, str]] = {"rounds": "renamed to 'epochs' in 0.2"}

    epochs: Annotated[int, Field(ge=1)] = 1
    """Ticks."""
    span: int = 1
    """Cells that a tick needs."""
    pause: float = 0.0
    """Seconds between two ticks."""
    optimizer: Annotated[Component, Registered("optimizers")] = default_component("toy/sgd")
    """Its learning rate decides the loss."""
    saving: SavingConfig = SavingConfig()
    """When training is saved."""
    label: int = 0
    """A number that is only recorded."""
    fail: bool = False
    """Whether the loss explodes."""

    def check(self, tasks: Mapping[str, LineInfo], model: Component) -> Sequence[tuple[str, str]]:
        return [
            ("span", f"{self.span} cells are more than the {line.cells} of task '{name}'")
            for name, line in tasks.items()
            if self.span > line.cells
        ]


class Train:
    """Leaves a checkpoint after every tick; counts its own executions in a file outside the run directory.

    The loss is the smallest at a learning rate of 0.01 and falls with the number of ticks.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.rank = int(os.environ.get("RANK", 0))

    def run(self, context: StepContext) -> StepResult:
        config = self.config
        assert isinstance(config.optimizer.config, StepSizeConfig)
        if self.rank == 0:
            count(context, context.step_id)
        lr = config.optimizer.config.lr
        if config.fail or lr > 1.0:
            raise UPSError("the loss is nan at epoch 3; lower the learning rate")
        file = context.directory / "checkpoint.json"
        stored = read_json(file)
        begin = stored["tick"] if stored and self.rank == 0 else 0
        arrived = context.directory / f"arrived-{self.rank}"
        arrived.unlink(missing_ok=True)
        with interrupts.patience():
            for tick in range(begin, config.epochs):
                self._fault(context, tick)
                time.sleep(config.pause)
                if self.rank == 0:
                    write_json(file, {"tick": tick + 1})
                if code := interrupts.requested():
                    raise interrupts.Interrupted(code)
        arrived.touch()
        self._meet(context.directory)
        model = config.model or context.spec.model
        if self.rank == 0:
            (context.directory / "model.json").write_text(json.dumps(model.to_dict()))
        loss = 1.0 / config.epochs + abs(math.log10(lr) + 2.0)
        return StepResult({"val/loss": loss, "resumed": float(stored is not None)})

    def _meet(self, directory: Path) -> None:
        """Rank 0 waits for all others as in a collective, which no signal but SIGKILL ends."""
        if self.rank == 0:
            others = [directory / f"arrived-{rank}" for rank in range(int(os.environ.get("WORLD_SIZE", 1)))]
            with interrupts.patience():
                while not all(other.exists() for other in others):
                    time.sleep(0.005)
            for other in others:
                other.unlink()

    def _fault(self, context: StepContext, tick: int) -> None:
        directory = context.directory
        what, _, place = os.environ.get("TOY_FAULT", "").partition(":")
        if not what or (place and place != f"{self.rank}:{tick}"):
            return
        if what == "bug":
            raise ZeroDivisionError("one over nothing")
        if what == "interrupt":
            write_json(directory / "checkpoint.json", {"tick": tick})
            raise KeyboardInterrupt
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "stop":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        if what == "restart" and not (directory / "restarted").exists():
            (directory / "restarted").touch()
            while not executions(context).exists():
                time.sleep(0.005)  # rank 0 has begun, too: a launcher ends the other ranks after a failure
            raise RestartRequested("out of memory: batches are now split into 2 micro-batches")
        if what == "error":
            raise UPSError(f"rank {self.rank} has lost its data; copy them again")


class ScoreConfig(EvaluationConfig):
    """Reports the width of the simulator."""

    consumes: ClassVar[tuple[str, ...]] = ("simulator",)
    produces: ClassVar[tuple[str, ...]] = ("metrics",)

    split: Literal["val", "test"] = "test"
    """Trajectories to score."""
    baselines: list[str] = []
    """Models to compare with."""

    @property
    def measures(self) -> str:
        return self.split

    def requirements(self) -> Sequence[Requirement]:
        return [Requirement(name, "simulator") for name in self.baselines]


class Score:
    def __init__(self, config: ScoreConfig) -> None:
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        count(context, context.step_id)
        model = json.loads((context.inputs["simulator"] / "model.json").read_text())
        trained = context.artifacts["simulator"]
        known = {f"a/{name}/known": float(baseline_id(name) in trained) for name in self.config.baselines}
        return StepResult({"a/width": model["width"], **known})


class GateConfig(EvaluationConfig):
    """Judges the width of the simulator."""

    consumes: ClassVar[tuple[str, ...]] = ("simulator",)
    produces: ClassVar[tuple[str, ...]] = ("judgement",)

    limit: float = 1.0
    """Largest width that passes."""
    stops: bool = False
    """Whether the run ends where it does not."""


class Gate:
    def __init__(self, config: GateConfig) -> None:
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        count(context, context.step_id)
        width = json.loads((context.inputs["simulator"] / "model.json").read_text())["width"]
        passed = width <= self.config.limit
        reason = f"width {width}, limit {self.config.limit:g}"
        return StepResult({"width": width}, Verdict(passed, reason, stops=self.config.stops))


class SummaryConfig(EvaluationConfig):
    """Repeats what a gate has judged."""

    consumes: ClassVar[tuple[str, ...]] = ("judgement",)

    @property
    def measures(self) -> str:
        return "val"


class Summary:
    def __init__(self, config: SummaryConfig) -> None:
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        count(context, context.step_id)
        return StepResult({"a/gates": float(len(context.inputs))})


class PageConfig(EvaluationConfig):
    always: ClassVar[bool] = True


class Page:
    def __init__(self, config: PageConfig) -> None:
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        count(context, context.step_id)
        return StepResult()


class RanksConfig(LauncherConfig):
    """A process for every device of the trainer."""


class RanksLauncher:
    """Starts the step worker once per device, as torchrun would, but without torch."""

    def __init__(self, config: RanksConfig) -> None:
        self.config = config

    def describe(self, plan: Plan, step: PlannedStep) -> str:
        return f"{plan.spec.trainer.devices} ranks"

    def run(self, plan: Plan, step: PlannedStep, console: Console) -> StepResult:
        if not step.spec.config.distributed:
            return execute(plan, step, console)
        command = [sys.executable, *worker_module(plan.directory, step.id, plan.data_root)]
        return run_attempts(plan, step, console, lambda: self._attempt(command, plan.spec.trainer.devices))

    def _attempt(self, command: list[str], devices: int) -> Ended | None:
        """All ranks at once; when one fails, or this process is asked to stop, the others are stopped."""
        ranks = [
            subprocess.Popen(command, env=os.environ | {"RANK": str(rank), "WORLD_SIZE": str(devices)})
            for rank in range(devices)
        ]
        failed = None
        try:
            while failed is None and any(rank.poll() is None for rank in ranks):
                failed = next((number for number, rank in enumerate(ranks) if rank.poll()), None)
                time.sleep(0.005)
        finally:
            for rank in ranks:
                rank.kill() if failed is not None else rank.terminate()
            for rank in ranks:
                rank.wait()
        return None if failed is None else Ended(f"ended with code {ranks[failed].returncode}", failed)


def executions(context: StepContext) -> Path:
    return context.data_root / "executions.txt"


def count(context: StepContext, name: str) -> None:
    with executions(context).open("a") as file:
        file.write(f"{name}\n")


@hookimpl
def ups_register_tasks(register: Register) -> None:
    register("toy/line", ToyTask, config=LineConfig, summary="a line of cells")


@hookimpl
def ups_register_models(register: Register) -> None:
    net = "toy_plugin:none"
    register("toy/net", net, config=NetConfig, summary="a net", former_names={"toy/dense": "0.2"})
    register("toy/other", net, config=NetConfig, summary="another net")
    register("toy/constant", net, config=ConstantConfig, summary="no weights")


@hookimpl
def ups_register_optimizers(register: Register) -> None:
    register("toy/sgd", "toy_plugin:none", config=StepSizeConfig, summary="steps")
    register("toy/adam", "toy_plugin:none", config=StepSizeConfig, summary="other steps")
    register("toy/chain", "toy_plugin:none", config=ChainConfig, summary="steps of several")


@hookimpl
def ups_register_strategies(register: Register) -> None:
    register("toy/one", "toy_plugin:none", config=OneDeviceConfig, summary="one device")


@hookimpl
def ups_register_launchers(register: Register) -> None:
    register("toy/ranks", RanksLauncher, config=RanksConfig, summary="a process per device")


@hookimpl
def ups_register_stages(register: Register) -> None:
    register("toy/train", Train, config=TrainConfig, summary="trains")


@hookimpl
def ups_register_evaluations(register: Register) -> None:
    register("toy/score", "toy_plugin:Score", config="toy_plugin:ScoreConfig", summary="scores")
    register("toy/gate", Gate, config=GateConfig, summary="judges")
    register("toy/summary", Summary, config=SummaryConfig, summary="repeats")
    register("toy/page", Page, config=PageConfig, summary="a page of everything")
