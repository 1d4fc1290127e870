"""A small UPS plugin without torch: one task, models, a stage and evaluations for tests of the core."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ups_core import (
    Component,
    DataPlan,
    EvaluationConfig,
    ModelConfig,
    OptimizerConfig,
    Register,
    Registered,
    Requirement,
    StageConfig,
    StepContext,
    StepResult,
    StrategyConfig,
    TaskConfig,
    UPSError,
    Verdict,
    default_component,
    hookimpl,
)
from ups_core.expand import baseline_id
from ups_core.fingerprint import digest


class LineConfig(TaskConfig):
    cells: Annotated[int, Field(ge=1)] = 8


@dataclass(frozen=True)
class LineInfo:
    cells: int


class ToyTask:
    def __init__(self, config: LineConfig, name: str) -> None:
        self.config, self.name = config, name

    @property
    def info(self) -> LineInfo:
        return LineInfo(self.config.cells)

    def plan_data(self, data_root: Path) -> DataPlan:
        if self.config.cells == 13:
            raise UPSError("13 cells bring bad luck; take 12")
        file = data_root / f"{self.name}.txt"
        return DataPlan(digest(self.config.cells), "generated", (file,), () if file.exists() else (file,))

    def prepare_data(self, data_root: Path, console: object) -> Mapping[str, Any]:
        data_root.mkdir(parents=True, exist_ok=True)
        (data_root / f"{self.name}.txt").write_text("x" * self.config.cells)
        return {"fingerprint": digest(self.config.cells), "source": "generated", "splits": {"train": 1}}

    def open(self, data_root: Path) -> str:
        return (data_root / f"{self.name}.txt").read_text()


class NetConfig(ModelConfig):
    width: int = 4
    depth: int = 2

    def check(self, tasks: Mapping[str, LineInfo]) -> Sequence[tuple[str, str]]:
        return [
            ("width", f"width {self.width} exceeds the grid {line.cells} of task '{name}'")
            for name, line in tasks.items()
            if self.width > line.cells
        ]


class ConstantConfig(ModelConfig):
    trainable: ClassVar[bool] = False


class StepSizeConfig(OptimizerConfig):
    lr: Annotated[float, Field(gt=0)] = 1e-3


class OneDeviceConfig(StrategyConfig):
    pass


class TrainConfig(StageConfig):
    produces: ClassVar[tuple[str, ...]] = ("simulator",)
    former_keys: ClassVar[Mapping[str, str]] = {"rounds": "renamed to 'epochs' in 0.2"}

    epochs: int = 1
    optimizer: Annotated[Component, Registered("optimizers")] = default_component("toy/sgd")
    fail: bool = False


class Train:
    """Counts its own executions in a file outside the run directory."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        count(context, context.step_id)
        marker = os.environ.get("TOY_CRASH")
        if marker == "bug":
            raise ZeroDivisionError("one over nothing")
        if marker == "interrupt":
            (context.directory / "kept.txt").write_text("half done")
            raise KeyboardInterrupt
        if self.config.fail:
            raise UPSError("the loss is nan at epoch 3; lower the learning rate")
        model = self.config.model or context.spec.model
        (context.directory / "model.json").write_text(json.dumps(model.to_dict()))
        resumed = (context.directory / "kept.txt").exists()
        return StepResult({"loss": 1.0 / self.config.epochs, "resumed": float(resumed)})


class ScoreConfig(EvaluationConfig):
    consumes: ClassVar[tuple[str, ...]] = ("simulator",)
    produces: ClassVar[tuple[str, ...]] = ("metrics",)

    baselines: list[str] = []

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
    consumes: ClassVar[tuple[str, ...]] = ("simulator",)

    limit: float = 1.0


class Gate:
    """Judges the width of the model that was trained."""

    def __init__(self, config: GateConfig) -> None:
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        count(context, context.step_id)
        width = json.loads((context.inputs["simulator"] / "model.json").read_text())["width"]
        passed = width <= self.config.limit
        return StepResult({"width": width}, Verdict(passed, f"width {width}, limit {self.config.limit:g}"))


class PageConfig(EvaluationConfig):
    always: ClassVar[bool] = True


class Page:
    def __init__(self, config: PageConfig) -> None:
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        count(context, context.step_id)
        return StepResult()


def count(context: StepContext, name: str) -> None:
    with (context.data_root / "executions.txt").open("a") as file:
        file.write(f"{name}\n")


@hookimpl
def ups_register_tasks(register: Register) -> None:
    register("toy/line", ToyTask, config=LineConfig, summary="a line of cells")


@hookimpl
def ups_register_models(register: Register) -> None:
    register("toy/net", "toy_plugin:none", config=NetConfig, summary="a net")
    register("toy/other", "toy_plugin:none", config=NetConfig, summary="another net")
    register("toy/constant", "toy_plugin:none", config=ConstantConfig, summary="no weights")


@hookimpl
def ups_register_optimizers(register: Register) -> None:
    register("toy/sgd", "toy_plugin:none", config=StepSizeConfig, summary="steps")


@hookimpl
def ups_register_strategies(register: Register) -> None:
    register("toy/one", "toy_plugin:none", config=OneDeviceConfig, summary="one device")


@hookimpl
def ups_register_stages(register: Register) -> None:
    register("toy/train", Train, config=TrainConfig, summary="trains")


@hookimpl
def ups_register_evaluations(register: Register) -> None:
    register("toy/score", "toy_plugin:Score", config="toy_plugin:ScoreConfig", summary="scores")
    register("toy/gate", Gate, config=GateConfig, summary="judges")
    register("toy/page", Page, config=PageConfig, summary="a page of everything")
