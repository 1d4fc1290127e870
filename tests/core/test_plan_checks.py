"""Contradictions that only a plan shows: options against tasks, devices, strategies and launchers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ups_core import SpecError
from ups_core.plan import Plan

MakePlan = Callable[..., Plan]


def test_every_contradiction_is_reported_at_once_and_at_its_place(spec_file: Path, make: MakePlan) -> None:
    changes = (
        "model.width=50",
        "pipeline.train.span=9",
        "trainer.devices=2",
    )
    with pytest.raises(SpecError) as refused:
        make(*changes)
    lines = str(refused.value).splitlines()
    assert lines == [
        "--set model.width=50 model.width: width 50 exceeds the grid 8 of task 'a'",
        "--set pipeline.train.span=9 pipeline[0].span: 9 cells are more than the 8 of task 'a'",
        "--set trainer.devices=2 trainer.devices: the launcher 'local' supports 1 device, got 2; set launcher to torchrun",
    ]


DEMANDING = """\
from ups_core import LauncherConfig, StageConfig, StrategyConfig, hookimpl

class Several(StrategyConfig):
    min_devices = 2
    max_devices = 3

class Farm(LauncherConfig):
    min_devices = 4

class Picky(StageConfig):
    produces = ("simulator",)

    def check_trainer(self, trainer, launcher):
        return [("model", f"no {launcher.kind} for me"), ("trainer.precision", f"{trainer.precision} is odd")]

@hookimpl
def ups_register_strategies(register):
    register("demanding/several", "nowhere:x", config=Several, summary="")

@hookimpl
def ups_register_launchers(register):
    register("demanding/farm", "nowhere:x", config=Farm, summary="")

@hookimpl
def ups_register_stages(register):
    register("demanding/picky", "nowhere:x", config=Picky, summary="")
"""


@pytest.fixture
def demanding(install: Any, spec_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("demanding", DEMANDING)
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,demanding")


@pytest.mark.usefixtures("demanding")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ("trainer.strategy=demanding/several",),
            "the strategy 'demanding/several' needs at least 2 devices, got 1; set trainer.strategy to auto",
        ),
        (
            ("trainer.strategy=demanding/several", "trainer.devices=4", "launcher=toy/ranks"),
            "the strategy 'demanding/several' supports 3 devices, got 4; set trainer.strategy to auto",
        ),
        (
            ("launcher=demanding/farm",),
            "the launcher 'demanding/farm' needs at least 4 devices, got 1; set launcher to local",
        ),
    ],
)
def test_launchers_and_strategies_limit_the_devices(
    changes: tuple[str, ...], message: str, make: MakePlan
) -> None:
    with pytest.raises(SpecError) as refused:
        make(*changes)
    assert [issue.message for issue in refused.value.issues] == [message]
    assert [issue.path for issue in refused.value.issues] == ["trainer.devices"]


@pytest.mark.usefixtures("demanding")
def test_a_step_may_contradict_the_trainer_and_the_launcher(make: MakePlan) -> None:
    with pytest.raises(SpecError) as refused:
        make("pipeline.train={stage: demanding/picky, id: train}", "pipeline.score.baselines=[]")
    assert {(issue.path, issue.message) for issue in refused.value.issues} == {
        ("pipeline[0].model", "no local for me"),
        ("trainer.precision", "auto is odd"),
    }


def test_a_model_of_a_stage_is_checked_at_the_stage(make: MakePlan) -> None:
    with pytest.raises(SpecError, match=r"pipeline\[0\]\.model\.width: width 50 exceeds the grid 8"):
        make("pipeline.train.model={kind: toy/net, width: 50}")
