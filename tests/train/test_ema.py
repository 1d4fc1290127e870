"""The moving average of the weights: its values in closed form, what it leaves alone."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ups_train.engine.ema import MovingAverage, averaged_copy


def network(value: float = 0.0) -> nn.Module:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    with torch.no_grad():
        for weight in net.parameters():
            weight.fill_(value)
    return net


def test_the_average_is_not_trained_and_shares_nothing() -> None:
    net = network(1.0)
    average = averaged_copy(net)
    assert not any(weight.requires_grad for weight in average.parameters())
    assert all(weight.requires_grad for weight in net.parameters())
    with torch.no_grad():
        net[0].weight.fill_(5.0)  # type: ignore[union-attr,operator]
    assert float(average[0].weight.max()) == 1.0  # type: ignore[index]


@given(decay=st.floats(0.0, 0.9999), updates=st.integers(1, 40))
def test_a_constant_network_is_its_own_average(decay: float, updates: int) -> None:
    net = network(2.0)
    mean = MovingAverage(average := averaged_copy(net), net, decay)
    for update in range(1, updates + 1):
        mean.update(update)
    assert all(torch.equal(a, b) for a, b in zip(average.parameters(), net.parameters(), strict=True))


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_values_are_those_of_the_recursion(decay: float) -> None:
    net = network(0.0)
    average = averaged_copy(net)
    mean = MovingAverage(average, net, decay)
    expected = 0.0
    for update in range(1, 30):
        value = math.sin(update)
        with torch.no_grad():
            for weight in net.parameters():
                weight.fill_(value)
        mean.update(update)
        kept = min(decay, update / (9 + update))
        expected = kept * expected + (1 - kept) * value
        assert float(average[0].weight[0, 0]) == pytest.approx(expected, abs=1e-6)  # type: ignore[index]


def test_a_short_training_is_not_averaged_with_its_random_start() -> None:
    net = network(0.0)
    average = averaged_copy(net)
    mean = MovingAverage(average, net, 0.9999)
    with torch.no_grad():
        for weight in net.parameters():
            weight.fill_(1.0)
    for update in range(1, 51):
        mean.update(update)
    # With the full decay from the first step on, 1 - 0.9999^50 = 0.005 of the trained weights would be in it.
    assert float(average[0].weight[0, 0]) > 0.99  # type: ignore[index]


def test_buffers_are_copied_not_averaged() -> None:
    net = network(1.0)
    average = averaged_copy(net)
    net(torch.randn(8, 2))  # changes the running statistics and the integer count
    MovingAverage(average, net, 0.999).update(1)
    for ours, theirs in zip(average.buffers(), net.buffers(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.dtype == theirs.dtype


def test_networks_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        MovingAverage(nn.BatchNorm1d(3), nn.Linear(2, 3), 0.9)


def test_it_is_the_average_of_the_network_that_it_was_given() -> None:
    net = network(1.0)
    other = copy.deepcopy(net)
    average = averaged_copy(net)
    with torch.no_grad():
        other[0].weight.fill_(100.0)  # type: ignore[index,operator]
    MovingAverage(average, net, 0.5).update(1)
    assert float(average[0].weight.max()) == 1.0  # type: ignore[index]
