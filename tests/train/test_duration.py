"""How long a training is, by epochs, steps or seconds, and when it validates."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plugin_for_tests import registry_with_test_plugin
from ups_core import validate_options
from ups_train.engine.duration import DEFAULT_EPOCHS, training_duration
from ups_train.stages.operator_config import OperatorConfig


def config(**options: Any) -> OperatorConfig:
    return validate_options(OperatorConfig, options, registry_with_test_plugin())


def test_epochs_count_optimizer_steps() -> None:
    assert training_duration(config(epochs=3), batches=10).steps == 30
    assert training_duration(config(epochs=3, accumulate=4), batches=10).steps == 9  # 3 a epoch: 4 + 4 + 2


def test_without_a_length_there_is_a_default() -> None:
    assert training_duration(config(), batches=7).steps == 7 * DEFAULT_EPOCHS


@given(epochs=st.integers(1, 20), max_steps=st.integers(1, 300), batches=st.integers(1, 40))
def test_the_shorter_of_epochs_and_steps_counts(epochs: int, max_steps: int, batches: int) -> None:
    duration = training_duration(config(epochs=epochs, max_steps=max_steps), batches)
    limit = min(epochs * batches, max_steps)
    assert 0 < duration.steps <= limit
    # Steps that would follow the last validation are left out; there are fewer than validations.
    assert limit - duration.steps < max(1, round(limit / batches))


@given(
    max_steps=st.integers(1, 400),
    every=st.integers(1, 100),
    batches=st.integers(1, 60),
    parts=st.integers(1, 4),
)
def test_the_last_validation_is_at_the_end(max_steps: int, every: int, batches: int, parts: int) -> None:
    duration = training_duration(
        config(max_steps=max_steps, validate_every=every), batches, micro_batches=parts
    )
    assert isinstance(duration.validate_every, int)
    assert duration.validate_every % parts == 0
    assert duration.steps * parts % duration.validate_every == 0


@given(max_steps=st.integers(20, 400), every=st.integers(5, 20))
def test_validations_are_about_as_often_as_asked(max_steps: int, every: int) -> None:
    assume(max_steps >= 2 * every)
    duration = training_duration(config(max_steps=max_steps, validate_every=every), batches=10**6)
    assert isinstance(duration.validate_every, int)
    assert abs(duration.validate_every - every) <= math.ceil(every / 2)


def test_accumulation_keeps_every_step() -> None:
    options = config(max_steps=7, accumulate=3, validate_every=5)
    assert training_duration(options, batches=10).steps == 7


def test_a_budget_has_no_number_of_steps() -> None:
    duration = training_duration(config(budget=100.0), batches=10)
    assert duration.steps == -1
    assert duration.validate_every == timedelta(seconds=10)


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_validations_further_apart_than_the_training_happen_once(batches: int) -> None:
    duration = training_duration(config(max_steps=5, validate_every=1000), batches)
    assert (duration.steps, duration.validate_every) == (5, 5)
