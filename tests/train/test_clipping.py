"""Clipping by the norm of the complete gradient."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ups_train.engine.clipping import clip_gradients

SHAPES = [(3,), (2, 4), (), (1, 2, 3)]


def weights(scale: float, seed: int = 0, *, without: int | None = None) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    found = [nn.Parameter(torch.zeros(shape)) for shape in SHAPES]
    for number, weight in enumerate(found):
        if number != without:
            weight.grad = scale * torch.randn(weight.shape, generator=generator)
    return found


def norm_by_hand(given: list[nn.Parameter]) -> float:
    values = [weight.grad.flatten().double() for weight in given if weight.grad is not None]
    return float(torch.cat(values).square().sum().sqrt())


@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 100), limit=st.floats(1e-2, 1e2))
def test_the_norm_afterwards_is_at_most_the_limit(scale: float, seed: int, limit: float) -> None:
    given_weights = weights(scale, seed)
    before = norm_by_hand(given_weights)
    returned = clip_gradients(given_weights, limit)
    assert float(returned) == pytest.approx(before, rel=1e-5)
    after = norm_by_hand(given_weights)
    assert after == pytest.approx(min(before, limit), rel=1e-4)


def test_the_direction_is_kept() -> None:
    clipped, reference = weights(10.0), weights(10.0)
    clip_gradients(clipped, 1.0)
    factor = 1.0 / norm_by_hand(reference)
    for ours, theirs in zip(clipped, reference, strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.allclose(ours.grad, theirs.grad * factor, rtol=1e-4)


def test_without_a_limit_only_the_norm_is_computed() -> None:
    kept, reference = weights(100.0), weights(100.0)
    norm = clip_gradients(kept, None)
    assert float(norm) == pytest.approx(norm_by_hand(reference), rel=1e-6)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(kept, reference, strict=True))  # type: ignore[arg-type]


def test_a_small_gradient_is_not_scaled_up() -> None:
    kept, reference = weights(1e-3), weights(1e-3)
    clip_gradients(kept, 1.0)
    for ours, theirs in zip(kept, reference, strict=True):
        assert torch.allclose(ours.grad, theirs.grad)  # type: ignore[arg-type]


def test_parameters_without_a_gradient_stay_without() -> None:
    given_weights = weights(5.0, without=1)
    clip_gradients(given_weights, 1.0)
    assert given_weights[1].grad is None
    assert norm_by_hand(given_weights) == pytest.approx(1.0, rel=1e-4)


def test_no_gradient_at_all_has_norm_zero() -> None:
    norm = clip_gradients([nn.Parameter(torch.ones(2))], 1.0)
    assert norm.shape == ()
    assert float(norm) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_number_shows_in_the_norm(bad: float) -> None:
    given_weights = weights(1.0)
    grad = given_weights[1].grad
    assert grad is not None
    grad[0, 0] = bad
    assert not math.isfinite(float(clip_gradients(given_weights, 1.0)))
