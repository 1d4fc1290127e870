"""A small UPS plugin without torch: one task, models, a stage and evaluations for tests of the core."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ups_core import (
    Component,
    Config,
    DataPlan,
    ModelConfig,
    Register,
    Registered,
    Requirement,
    StepConfig,
    StepContext,
    UPSError,
    default_component,
    hookimpl,
)
from ups_core.fingerprint import digest
from ups_core.expand import baseline_id


class TaskConfig(Config):
    cells: Annotated[int, Field(ge=1)] = 8


class ToyTask:
    def __init__(self, config: TaskConfig, name: str):
        self.config, self.name = config, name

    def describe(self) -> dict[str, Any]:
        return {"shape": (self.config.cells,), "kind": "evolution"}

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

    def check(self, tasks: Mapping[str, Mapping[str, Any]]) -> Sequence[tuple[str, str]]:
        return [
            ("width", f"width {self.width} exceeds the grid {task['shape'][0]} of task '{name}'")
            for name, task in tasks.items() if self.width > task["shape"][0]
        ]  # fmt: skip


class ConstantConfig(ModelConfig):
    trainable: ClassVar[bool] = False


class StepSizeConfig(Config):
    lr: Annotated[float, Field(gt=0)] = 1e-3


class TrainConfig(StepConfig):
    produces: ClassVar[tuple[str, ...]] = ("simulator",)

    model: Annotated[Component, Registered("models")] | None = None
    epochs: int = 1
    optimizer: Annotated[Component, Registered("optimizers")] = default_component("toy/sgd")
    fail: bool = False


class Train:
    """Counts its own executions in a file outside the run directory."""

    def __init__(self, config: TrainConfig):
        self.config = config

    def run(self, context: StepContext) -> Mapping[str, float]:
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
        return {"loss": 1.0 / self.config.epochs, "resumed": (context.directory / "kept.txt").exists()}


class ScoreConfig(StepConfig):
    consumes: ClassVar[tuple[str, ...]] = ("simulator",)
    produces: ClassVar[tuple[str, ...]] = ("metrics",)

    baselines: list[str] = []

    def requirements(self) -> Sequence[Requirement]:
        return [Requirement(name) for name in self.baselines]


class Score:
    def __init__(self, config: ScoreConfig):
        self.config = config

    def run(self, context: StepContext) -> Mapping[str, float]:
        count(context, context.step_id)
        model = json.loads((context.inputs["simulator"] / "model.json").read_text())
        known = {f"a/{name}/known": baseline_id(name) in context.models for name in self.config.baselines}
        return {"a/width": model["width"], **known}


class PageConfig(StepConfig):
    always: ClassVar[bool] = True


class Page:
    def __init__(self, config: PageConfig):
        self.config = config

    def run(self, context: StepContext) -> Mapping[str, float]:
        count(context, context.step_id)
        return {}


def count(context: StepContext, name: str) -> None:
    with (context.data_root / "executions.txt").open("a") as file:
        file.write(f"{name}\n")


@hookimpl
def ups_register_tasks(register: Register) -> None:
    register("toy/line", ToyTask, config=TaskConfig, summary="a line of cells")


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
    register("toy/one", "toy_plugin:none", config=PageConfig, summary="one device")


@hookimpl
def ups_register_stages(register: Register) -> None:
    register("toy/train", Train, config=TrainConfig, summary="trains")


@hookimpl
def ups_register_evaluations(register: Register) -> None:
    register("toy/score", "toy_plugin:Score", config="toy_plugin:ScoreConfig", summary="scores")
    register("toy/page", Page, config=PageConfig, summary="a page of everything")
