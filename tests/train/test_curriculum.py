"""Progress by steps and by the clock, and the depth of unrolling that follows it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ups_core.component import validate_options
from ups_core.plugin_loader import registry_in_use
from ups_train.engine.progress import Progress
from ups_train.stages.curriculum import draw_depth
from ups_train.stages.operator_config import OperatorConfig


def config(**options: object) -> OperatorConfig:
    return validate_options(OperatorConfig, options, registry_in_use())


@given(
    unroll=st.integers(1, 5),
    pushforward=st.integers(0, 5),
    share=st.floats(0, 1),
    progress=st.floats(0, 1),
    seed=st.integers(0, 2**63),
)
def test_depth_stays_within_the_window(
    unroll: int, pushforward: int, share: float, progress: float, seed: int
) -> None:
    options = config(unroll=unroll, pushforward=pushforward, curriculum=share)
    depth = draw_depth(options, progress, seed)
    assert 0 <= depth.warmup_steps <= pushforward
    assert 1 <= depth.graded_steps <= unroll
    assert depth.warmup_steps + depth.graded_steps <= options.horizon


def test_depth_grows_and_reaches_both_ends() -> None:
    options = config(unroll=3, pushforward=2, curriculum=0.5)
    assert {draw_depth(options, 0.0, seed).warmup_steps for seed in range(50)} == {0}
    assert draw_depth(options, 0.0, 0).graded_steps == 1
    assert {draw_depth(options, 0.6, seed).warmup_steps for seed in range(50)} == {0, 1, 2}
    assert draw_depth(options, 0.6, 0).graded_steps == 3
    graded = [draw_depth(options, number / 20, 0).graded_steps for number in range(21)]
    assert graded == sorted(graded)


def test_progress_by_steps_and_by_seconds() -> None:
    assert [Progress(4).at(step) for step in (0, 1, 4, 9)] == [0.0, 0.25, 1.0, 1.0]
    clock = Progress(float("inf"), budget=0.05)
    for step in range(Progress.WARM_UP):
        clock.start(step)
        time.sleep(0.02)
        clock.stop()
    assert clock.seconds == 0.0, "the first steps are not counted"
    time.sleep(0.02)
    assert clock.at(100) == 0.0, "nor is time between steps"
    clock.start(Progress.WARM_UP)
    time.sleep(0.03)
    clock.stop()
    assert 0.5 < clock.at(100) <= 1.0
    other = Progress(float("inf"), budget=0.05)
    other.load_state_dict(clock.state_dict())
    assert other.seconds == clock.seconds
    other.start(50)
    time.sleep(0.06)
    other.stop()
    assert other.over(0)
    assert other.at(0) == 1.0


@pytest.mark.parametrize("other", [{"epochs": 3}, {"max_steps": 3}, {"validate_every": 3}])
def test_a_training_has_one_length(other: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=f"budget and {next(iter(other))} exclude each other"):
        config(budget=1.0, **other)


def test_conflict_needs_single_batches() -> None:
    with pytest.raises(ValidationError, match="set accumulate to 1"):
        config(measure_conflict=True, accumulate=2)
