"""`metrics.jsonl`: what a line holds, what is printed, what a resumed training keeps."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from small_stage import context
from toy_models import component
from toy_tasks import batch_of, evolution, statistics, steady
from ups_core import validate_options
from ups_core.console import Console
from ups_data.prepare.opening import TaskData
from ups_train.engine.metrics_file import MetricsFile, read_metrics
from ups_train.engine.module import TrainingModule
from ups_train.engine.objective import ObjectiveInputs
from ups_train.engine.progress import Progress
from ups_train.engine.step_clock import StepClock
from ups_train.engine.step_report import Place
from ups_train.stages.operator import OperatorObjective
from ups_train.stages.operator_config import OperatorConfig

BATCHES = {"wave": batch_of(evolution()), "flow": batch_of(steady())}


class TwoRanks(SingleDeviceStrategy):
    """Stands for two ranks; every loss of the other one is larger by 2."""

    def reduce(self, tensor: Tensor, *given: Any, **named: Any) -> Tensor:
        return tensor + 1.0


def module() -> TrainingModule:
    tasks = evolution(), steady()
    data = {task.name: TaskData(task, None, statistics(task), None) for task in tasks}  # type: ignore[arg-type]
    config = validate_options(OperatorConfig, {"ema": None})
    return TrainingModule(
        OperatorObjective(config, ObjectiveInputs(component("fno"), data)), config, Progress(1), 0
    )


def trainer_of(rank: int = 0, strategy: Any = None, max_steps: int = 40) -> Any:
    """What the callback uses of a trainer."""
    return SimpleNamespace(
        lightning_module=module(),
        strategy=strategy or SingleDeviceStrategy(device=torch.device("cpu")),
        is_global_zero=rank == 0,
        global_step=0,
        current_epoch=0,
        max_steps=max_steps,
        callback_metrics={},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.125}])],
    )


class Log:
    """A metrics file with a trainer that stands still; `monitor` is the nRMSE of the operator."""

    def __init__(self, path: Path, trainer: Any = None, monitor: str = "val/nrmse") -> None:
        self.trainer = trainer or trainer_of()
        self.path = path
        self.clock = StepClock()
        self.progress = Progress(40)
        self.file = MetricsFile(path, monitor, Console(quiet=True), self.progress, self.clock)

    def start(self) -> None:
        self.file.on_train_start(self.trainer, self.trainer.lightning_module)

    def losses(self, **losses: list[float]) -> None:
        """Micro-batches of an optimizer step that has ended."""
        collector = self.trainer.lightning_module.collector
        for task, values in losses.items():
            for value in values:
                collector.add(Place(0, 0), BATCHES[task], torch.tensor(value))
        collector.fetch(torch.tensor(1.0), 0, SingleDeviceStrategy(), 1)

    def validate(self, step: int = 1, **scores: float) -> dict[str, Any]:
        """A validation with these scores (`__` stands for `/`); returns the last line of the file."""
        self.trainer.global_step = step
        self.file.console = Console()  # a console keeps the stderr that was there when it was made
        given = {name.replace("__", "/"): torch.tensor(value) for name, value in scores.items()}
        self.trainer.callback_metrics = given or {"val/nrmse": torch.tensor(0.5)}
        self.file.on_validation_end(self.trainer, self.trainer.lightning_module)
        return [{}, *read_metrics(self.path)][-1]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    log = Log(tmp_path / "metrics.jsonl")
    log.start()
    return log


# Reading

LINES = st.lists(
    st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.floats(allow_nan=False)), max_size=4
)


@given(lines=LINES, cut=st.integers(0, 10))
def test_every_complete_line_is_read_whatever_was_torn_off(
    lines: list[Any], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "torn.jsonl"
    text = "".join(json.dumps(line) + "\n" for line in lines)
    torn = json.dumps({"step": 12345678901, "val": 1.5})[: cut + 1]
    path.write_text(text + torn, encoding="utf-8")
    assert read_metrics(path) == lines


@pytest.mark.parametrize("content", ["", "\n", '{"step": 1', "\x00\x00"])
def test_a_file_without_a_complete_line_has_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    path.write_text(content)
    assert read_metrics(path) == []


# A line


def test_a_line_has_the_state_of_the_training(log: Log) -> None:
    log.progress.seconds = 2.34567
    log.trainer.current_epoch = 3
    line = log.validate(step=7, val__nrmse=0.5)
    assert (line["step"], line["epoch"], line["lr"]) == (7, 3, 0.125)
    assert line["val/nrmse"] == 0.5
    assert line["training_seconds"] == 2.346
    assert line["seconds"] >= 0
    assert "train/loss" not in line, "no step was made"


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_scores_that_are_not_finite_are_null(log: Log, value: float) -> None:
    line = log.validate(val__nrmse=value, val__wave__nrmse=0.25)
    assert line["val/nrmse"] is None
    assert line["val/wave/nrmse"] == 0.25
    assert "NaN" not in log.path.read_text()
    assert "Infinity" not in log.path.read_text()


def test_losses_are_means_since_the_line_before(log: Log) -> None:
    log.losses(wave=[1.0, 2.0], flow=[6.0])
    log.losses(wave=[3.0])
    line = log.validate(step=2)
    assert (line["train/wave/loss"], line["train/flow/loss"], line["train/loss"]) == (2.0, 6.0, 3.0)
    log.losses(flow=[5.0])
    line = log.validate(step=3)
    assert (line["train/flow/loss"], line["train/loss"]) == (5.0, 5.0)
    assert "train/wave/loss" not in line


def test_losses_are_means_over_ranks(tmp_path: Path) -> None:
    log = Log(tmp_path / "metrics.jsonl", trainer_of(strategy=TwoRanks(device=torch.device("cpu"))))
    log.start()
    log.losses(wave=[1.0, 3.0])
    line = log.validate()
    assert (line["train/wave/loss"], line["train/loss"]) == (3.0, 3.0)


def test_only_the_first_rank_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(tmp_path / "metrics.jsonl", trainer_of(rank=1))
    log.start()
    log.losses(wave=[1.0])
    log.validate()
    assert not log.path.exists()
    assert not "".join(capsys.readouterr())
    assert not log.file.losses, "but every rank starts again after a line"


def test_lines_are_appended_one_per_validation(log: Log) -> None:
    for step in (2, 4, 6):
        log.validate(step=step)
    assert log.path.read_text().count("\n") == 3
    assert [line["step"] for line in read_metrics(log.path)] == [2, 4, 6]


# The console


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"val__nrmse": 0.12345}, "step 7/40  val nrmse 0.1235  "),
        (
            {"val__wave__nrmse": 0.5, "val__flow__nrmse": 0.25, "val__nrmse": 0.375},
            "step 7/40  val nrmse 0.3750 (wave 0.5000, flow 0.2500)  ",
        ),
        (
            {"val__wave__nrmse": torch.inf, "val__nrmse": torch.inf},
            "step 7/40  val nrmse diverged (wave diverged)  ",
        ),
        ({"val__wave__other": 1.0, "val__nrmse": 0.5}, "step 7/40  val nrmse 0.5000  "),
        ({"other__wave__nrmse": 1.0, "val__nrmse": 0.5}, "step 7/40  val nrmse 0.5000  "),
    ],
)
def test_the_printed_line(
    log: Log, capsys: pytest.CaptureFixture[str], scores: dict[str, float], expected: str
) -> None:
    log.validate(step=7, **scores)
    printed = "".join(capsys.readouterr())
    assert re.fullmatch(rf"  {re.escape(expected)}\d+ s\n", printed)


def test_without_a_last_step_only_the_step_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(tmp_path / "metrics.jsonl", trainer_of(max_steps=-1))
    log.start()
    log.validate(step=7)
    assert "step 7  val nrmse" in "".join(capsys.readouterr())


def test_another_monitor_is_printed_under_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(tmp_path / "metrics.jsonl", monitor="val/energy")
    log.start()
    log.validate(step=7, val__energy=2.0)
    assert "val energy 2.0000" in "".join(capsys.readouterr())


# Resuming


def written(path: Path, *steps: int) -> None:
    path.write_text("".join(json.dumps({"step": step, "val/nrmse": None}) + "\n" for step in steps))


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_lines_after_the_checkpoint_are_dropped(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "metrics.jsonl"
    written(path, 2, 4, 6)
    log = Log(path)
    log.file.load_state_dict({"losses": {}, "lines": [{"step": step} for step in [2, 4, 6][:kept]]})
    log.start()
    assert [line["step"] for line in read_metrics(path)] == [2, 4, 6][:kept]
    log.validate(step=8)
    assert [line["step"] for line in read_metrics(path)] == [*[2, 4, 6][:kept], 8]
    assert len(log.file.state_dict()["lines"]) == kept + 1


def test_another_rank_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    written(path, 2, 4)
    Log(path, trainer_of(rank=1)).start()
    assert len(read_metrics(path)) == 2


@pytest.mark.parametrize("content", [None, b'{"step": 2}\n{"st', b'{"step": 3}\n', b"\xff\xfe", b"[]\n"])
def test_whatever_has_become_of_the_file_the_lines_are_in_the_checkpoint(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "metrics.jsonl"
    if content is not None:
        path.write_bytes(content)
    log = Log(path)
    log.file.load_state_dict({"losses": {}, "lines": [{"step": 2}]})
    log.start()
    assert path.read_text() == '{"step": 2}\n'


def test_losses_since_the_last_line_survive(tmp_path: Path, log: Log) -> None:
    log.losses(wave=[1.0], flow=[8.0])
    state = json.loads(json.dumps(log.file.state_dict()))
    assert state == {"losses": {"wave": [1.0], "flow": [8.0]}, "lines": []}
    again = Log(tmp_path / "resumed.jsonl")
    again.file.load_state_dict(state)
    again.start()
    again.losses(wave=[3.0])
    line = again.validate(step=2)
    assert (line["train/wave/loss"], line["train/flow/loss"], line["train/loss"]) == (2.0, 8.0, 4.0)


def test_a_loaded_state_is_not_shared(log: Log) -> None:
    state = {"losses": {"wave": [1.0]}, "lines": []}
    log.file.load_state_dict(state)
    log.losses(wave=[2.0])
    log.validate()
    assert state == {"losses": {"wave": [1.0]}, "lines": []}


def test_a_training_that_never_starts_again_still_has_its_lines(tmp_path: Path) -> None:
    """It was stopped between its last step and its end: Lightning then only ends the fit."""
    path = tmp_path / "metrics.jsonl"
    written(path, 2)
    log = Log(path)
    log.file.load_state_dict({"losses": {}, "lines": [{"step": 2}, {"step": 4}]})
    log.file.on_fit_end(log.trainer, log.trainer.lightning_module)
    assert [line["step"] for line in read_metrics(path)] == [2, 4]


# A training


def test_a_training_prints_what_it_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], objective: str
) -> None:
    step, given = context(tmp_path, tmp_path / "run", objective=objective, max_steps=4, validate_every=2)
    step.run(replace(given, console=Console()))
    printed = [line for line in "".join(capsys.readouterr()).splitlines() if line.startswith("  step ")]
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    monitor = step.config.monitor
    assert [line["step"] for line in lines] == [2, 4]
    for shown, line in zip(printed, lines, strict=True):
        start = f"  step {line['step']}/4  {monitor.replace('/', ' ')} {line[monitor]:.4f}"
        assert shown.startswith(start)
