"""How far a training is, with a clock that the test moves."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_train.engine import progress as progress_module
from ups_train.engine.progress import Progress

WARM_UP = Progress.WARM_UP


class Time:
    """Stands for the module `time`: seconds pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    moved = Time()
    monkeypatch.setattr(progress_module, "time", moved)
    return moved


def train(progress: Progress, time: Time, first: int, steps: int, seconds: float, pause: float = 0.0) -> None:
    """Training steps of so many seconds, with a pause after each."""
    for step in range(first, first + steps):
        progress.start(step)
        time.now += seconds
        progress.stop()
        time.now += pause


# By steps


@given(steps=st.integers(1, 10**6), step=st.integers(0, 2 * 10**6))
def test_progress_by_steps_is_their_share(steps: int, step: int) -> None:
    progress = Progress(steps)
    assert progress.at(step) == min(1.0, step / steps)
    assert progress.over(step) is (step >= steps)


@given(step=st.integers(0, 10**6))
def test_progress_never_falls(step: int) -> None:
    progress = Progress(1000, budget=100.0)
    progress.seconds = 30.0
    assert progress.at(step) <= progress.at(step + 1)
    before = progress.at(step)
    progress.seconds = 31.0
    assert progress.at(step) >= before


def test_the_clock_does_not_matter_without_a_budget(time: Time) -> None:
    progress = Progress(10)
    train(progress, time, WARM_UP, 5, seconds=1e6)
    assert progress.at(1) == 0.1
    assert not progress.over(9)


# By seconds


def test_the_first_steps_are_not_counted(time: Time) -> None:
    progress = Progress(math.inf, budget=10.0)
    train(progress, time, 0, WARM_UP, seconds=100.0)
    assert progress.seconds == 0.0
    train(progress, time, WARM_UP, 2, seconds=2.0)
    assert progress.seconds == 4.0
    assert progress.at(WARM_UP + 2) == 0.4


def test_a_resumed_training_counts_from_its_first_step(time: Time) -> None:
    """Steps are numbered on: only the first steps of a complete training are a warm-up."""
    progress = Progress(math.inf, budget=10.0)
    train(progress, time, 500, 1, seconds=2.0)
    assert progress.seconds == 2.0


def test_time_between_steps_is_not_counted(time: Time) -> None:
    progress = Progress(math.inf, budget=10.0)
    train(progress, time, WARM_UP, 3, seconds=1.0, pause=1000.0)
    assert progress.seconds == 3.0


def test_a_step_is_counted_when_it_ends_and_once(time: Time) -> None:
    progress = Progress(math.inf, budget=10.0)
    progress.start(WARM_UP)
    time.now += 5.0
    assert progress.seconds == 0.0
    progress.stop()
    time.now += 5.0
    progress.stop()
    assert progress.seconds == 5.0


def test_a_stop_without_a_start_counts_nothing(time: Time) -> None:
    progress = Progress(math.inf, budget=10.0)
    progress.stop()
    assert progress.seconds == 0.0


def test_what_is_fitted_before_training_is_counted(time: Time) -> None:
    progress = Progress(math.inf, budget=10.0)
    with progress.counted():
        time.now += 4.0
    time.now += 100.0
    with progress.counted():
        time.now += 2.0
    assert progress.seconds == 6.0
    assert progress.at(0) == pytest.approx(0.6)


def test_an_error_inside_is_passed_on(time: Time) -> None:
    progress = Progress(math.inf, budget=10.0)
    with pytest.raises(RuntimeError, match="inside"), progress.counted():
        raise RuntimeError("inside")


@pytest.mark.parametrize(
    ("seconds", "at", "over"),
    [(0.0, 0.0, False), (9.999, 0.9999, False), (10.0, 1.0, True), (99.0, 1.0, True)],
)
def test_a_budget_ends_the_training_when_it_is_used_up(seconds: float, at: float, over: bool) -> None:
    progress = Progress(math.inf, budget=10.0)
    progress.seconds = seconds
    assert progress.at(10**9) == pytest.approx(at)
    assert progress.over(10**9) is over


@given(steps=st.integers(1, 1000), step=st.integers(0, 1000), seconds=st.floats(0, 20))
def test_of_steps_and_budget_the_one_that_is_further_counts(steps: int, step: int, seconds: float) -> None:
    both = Progress(steps, budget=10.0)
    both.seconds = seconds
    alone = Progress(math.inf, budget=10.0)
    alone.seconds = seconds
    assert both.at(step) == max(Progress(steps).at(step), alone.at(step))
    assert both.over(step) is (Progress(steps).over(step) or alone.over(step))
    assert both.over(step) is (both.at(step) >= 1.0)


# Checkpoints


@given(seconds=st.floats(0, 1e9))
def test_a_resumed_clock_shows_the_same(seconds: float) -> None:
    progress = Progress(100, budget=50.0)
    progress.seconds = seconds
    again = Progress(100, budget=50.0)
    again.load_state_dict(json.loads(json.dumps(progress.state_dict())))
    assert again.seconds == seconds
    assert [again.at(step) for step in (0, 50, 200)] == [progress.at(step) for step in (0, 50, 200)]


def test_a_checkpoint_does_not_set_the_length(time: Time) -> None:
    """The spec does: a larger budget continues a training."""
    short = Progress(math.inf, budget=10.0)
    short.seconds = 10.0
    longer = Progress(math.inf, budget=40.0)
    longer.load_state_dict(short.state_dict())
    assert short.over(0)
    assert not longer.over(0)
    assert longer.at(0) == 0.25
    train(longer, time, WARM_UP, 1, seconds=30.0)
    assert longer.over(0)
