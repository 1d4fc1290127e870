"""Advice: what a model says about its tasks is printed before a run, with the step that trains it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ups_core import Component
from ups_core.advice import advice_on
from ups_core.cli.run import main
from ups_core.plan import Plan
from ups_core.step_config import StepConfig

LINE = "train: model 'toy/net': task 'a': all 8 cells"
WIDE = ["--set", "model.width=8"]


def test_every_training_step_is_advised(make: Callable[..., Plan]) -> None:
    plan = make("model.width=8")
    assert advice_on(plan, plan.steps) == [LINE]
    evaluations = [step for step in plan.steps if step.spec.role == "evaluate"]
    assert advice_on(plan, evaluations) == [], "they train nothing"
    narrow = make()
    assert advice_on(narrow, narrow.steps) == []


def test_options_of_a_training_give_advice_too(
    make: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    def advise(self: StepConfig, tasks: Mapping[str, Any], model: Component) -> list[str]:
        return [f"{model.kind} on {', '.join(tasks)}"]

    monkeypatch.setattr(StepConfig, "advise", advise)
    plan = make()
    assert advice_on(plan, plan.steps)[0] == "train: toy/net on a"
    assert advice_on(plan, [step for step in plan.steps if step.spec.role == "evaluate"]) == []


def test_a_plan_and_a_run_print_it(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(spec_file), *WIDE, "--plan"]) == 0
    assert LINE in capsys.readouterr().out
    assert main([str(spec_file), *WIDE, "--plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["advice"] == [LINE]
    assert main([str(spec_file), *WIDE]) == 0
    assert LINE in " ".join("".join(capsys.readouterr()).split())
    assert main([str(spec_file), *WIDE]) == 0
    assert "all 8 cells" not in "".join(capsys.readouterr()), "nothing is left to train"
