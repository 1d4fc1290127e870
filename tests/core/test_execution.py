"""One step in this process: what it may use, and what it must return."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ups_core import StepContext, StepResult, UPSError, Verdict
from ups_core.console import Console
from ups_core.entry import Entry
from ups_core.execution import execute, load_factory, step_context
from ups_core.launcher import IN_PROCESS
from ups_core.launchers.local import LocalLauncher, LocalLauncherConfig
from ups_core.layout import partial_directory, step_directory
from ups_core.plan import Plan

MakePlan = Callable[..., Plan]
QUIET = Console(quiet=True)


def given(plan: Plan, name: str) -> StepContext:
    return step_context(plan, plan.step(name), QUIET)


def test_a_step_gets_the_places_and_the_spec(make: MakePlan) -> None:
    plan = make()
    context = given(plan, "train")
    assert context.step_id == "train"
    assert context.spec is plan.spec
    assert context.directory == partial_directory(plan.directory, "train")
    assert context.run_directory == plan.directory
    assert context.data_root == Path("data")
    assert context.fingerprint == plan.step("train").fingerprint
    assert dict(context.tasks) == dict(plan.tasks)
    assert context.inputs == {}
    assert context.artifacts == {}


def test_inputs_are_the_directories_of_the_steps_that_provide_them(make: MakePlan) -> None:
    plan = make()
    assert given(plan, "score").inputs == {"simulator": step_directory(plan.directory, "train")}


def test_artifacts_are_those_of_all_earlier_steps_by_kind(make: MakePlan) -> None:
    plan = make()
    assert given(plan, "toy-other").artifacts == {
        "simulator": {"train": step_directory(plan.directory, "train")}
    }
    assert given(plan, "score").artifacts == {
        "simulator": {name: step_directory(plan.directory, name) for name in ("train", "toy-other")}
    }
    artifacts = given(plan, "page").artifacts
    assert {kind: list(steps) for kind, steps in artifacts.items()} == {
        "simulator": ["train", "toy-other"],
        "metrics": ["score"],
    }


def replaced(plan: Plan, factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `factory` make the step `train`."""
    monkeypatch.setattr(Entry, "create", lambda self, config, **dependencies: factory(config))


class Returns:
    def __init__(self, result: Any) -> None:
        self.result = result

    def run(self, context: StepContext) -> Any:
        return self.result


def run(plan: Plan, result: Any, monkeypatch: pytest.MonkeyPatch) -> StepResult:
    replaced(plan, lambda config: Returns(result), monkeypatch)
    return execute(plan, plan.step("train"), QUIET)


def test_metrics_become_floats(make: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a step computes with: tensors and numpy scalars have `__float__`."""

    class Scalar:
        def __float__(self) -> float:
            return 0.25

    result = run(make(), StepResult({"a": 1, "b": Scalar(), "c": True}, Verdict(True, "fine")), monkeypatch)
    assert result == StepResult({"a": 1.0, "b": 0.25, "c": 1.0}, Verdict(True, "fine"))
    assert {type(value) for value in result.metrics.values()} == {float}


@pytest.mark.parametrize("result", [None, {}, {"a": 1.0}, ({}, None)])
def test_anything_but_a_step_result_is_refused(
    result: object, make: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = rf"Returns\.run returned a {type(result).__name__}, not a ups_core\.StepResult"
    with pytest.raises(UPSError, match=expected):
        run(make(), result, monkeypatch)


@pytest.mark.parametrize("error", [UPSError("lower the rate"), ZeroDivisionError("bug"), KeyboardInterrupt()])
def test_errors_pass_through(error: BaseException, make: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    class Raises:
        def run(self, context: StepContext) -> StepResult:
            raise error

    plan = make()
    replaced(plan, lambda config: Raises(), monkeypatch)
    with pytest.raises(type(error)) as raised:
        execute(plan, plan.step("train"), QUIET)
    assert raised.value is error


def test_a_factory_that_cannot_be_loaded_names_the_step(
    make: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make()
    load_factory(plan.step("train"))

    def fail(self: Entry) -> None:
        raise UPSError("cannot load it")

    monkeypatch.setattr(Entry, "load", fail)
    with pytest.raises(UPSError, match=r"^step 'train': cannot load it$"):
        load_factory(plan.step("train"))


def test_the_local_launcher_runs_a_step_here(make: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make()
    launcher = LocalLauncher(LocalLauncherConfig())
    assert launcher.describe(plan, plan.step("train")) == IN_PROCESS
    replaced(plan, lambda config: Returns(StepResult({"a": 1.0})), monkeypatch)
    assert launcher.run(plan, plan.step("train"), QUIET) == StepResult({"a": 1.0})
