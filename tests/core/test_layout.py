"""Where things are in a run directory, and which steps a command selects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_core import UPSError
from ups_core.layout import partial_directory, run_directory, step_directory
from ups_core.plan import Plan
from ups_core.selection import Selection

RUNS = Path("runs")
PRINT = "0123456789abcdef"


def test_a_partial_directory_is_hidden_and_beside_the_final_one() -> None:
    final, partial = step_directory(RUNS, "train"), partial_directory(RUNS, "train")
    assert final == RUNS / "steps" / "train"
    assert partial == RUNS / "steps" / ".train.partial"


@given(st.sets(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True), min_size=2))
def test_no_two_steps_share_a_directory(names: set[str]) -> None:
    places = [where(RUNS, name) for name in names for where in (step_directory, partial_directory)]
    assert len(set(places)) == len(places)


def test_a_run_lives_in_the_newest_directory_of_its_fingerprint() -> None:
    first = RUNS / "toy-01234567"
    assert run_directory(RUNS, "toy", PRINT, fresh=False) == first
    assert run_directory(RUNS, "toy", PRINT, fresh=True) == first, "there is none yet"
    first.mkdir(parents=True)
    second = RUNS / "toy-01234567-2"
    assert run_directory(RUNS, "toy", PRINT, fresh=False) == first
    assert run_directory(RUNS, "toy", PRINT, fresh=True) == second
    second.mkdir()
    assert run_directory(RUNS, "toy", PRINT, fresh=False) == second
    assert run_directory(RUNS, "toy", PRINT, fresh=True) == RUNS / "toy-01234567-3"
    assert run_directory(RUNS, "toy", "f" * 16, fresh=True) == RUNS / "toy-ffffffff"


# Which steps run

STATES = {"train": "done", "toy-other": "done", "score": "to do", "page": "stale"}


@pytest.fixture
def plan(make: Callable[..., Plan]) -> Plan:
    plan = make()
    return replace(plan, steps=tuple(replace(step, state=STATES[step.id]) for step in plan.steps))


def chosen(plan: Plan, **selection: str) -> list[str]:
    return [step.id for step in Selection(**selection).apply(plan)]


def test_without_a_selection_what_is_not_done_runs(plan: Plan) -> None:
    assert chosen(plan) == ["score", "page"]


def test_one_step_or_all_from_one_run_whatever_their_state(plan: Plan) -> None:
    assert chosen(plan, only="train") == ["train"]
    assert chosen(plan, only="score") == ["score"]
    assert chosen(plan, start="toy-other") == ["toy-other", "score", "page"]
    assert chosen(plan, start="train") == ["train", "toy-other", "score", "page"]


def test_a_step_whose_inputs_are_missing_cannot_run_alone(plan: Plan) -> None:
    with pytest.raises(UPSError) as refused:
        chosen(plan, only="page")
    assert str(refused.value) == "step 'page' needs 'score', which is to do; run it first (--from score)"


def test_a_kept_step_counts_as_done(plan: Plan) -> None:
    steps = tuple(replace(step, state="kept") if step.id == "train" else step for step in plan.steps)
    assert chosen(replace(plan, steps=steps), only="score") == ["score"]


def test_an_unknown_step_is_refused_with_the_names_there_are(plan: Plan) -> None:
    for selection in ({"only": "scroe"}, {"start": "scroe"}):
        with pytest.raises(UPSError, match="unknown step 'scroe'; steps: train, toy-other, score, page"):
            chosen(plan, **selection)
