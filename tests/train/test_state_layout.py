"""States of optimizers by parameter name: any order and cut of groups, completion, errors."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from ups_core import UPSError
from ups_train.optimizers.combined import CombinedOptimizer
from ups_train.optimizers.groups import trainable
from ups_train.optimizers.state_layout import accept_names, by_name

NAMES = ("0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5), nn.Linear(5, 2))


def set_gradients(module: nn.Module, without: Sequence[str] = (), seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, weight in module.named_parameters():
        gradient = torch.randn(weight.shape, generator=generator)
        weight.grad = None if name in without else gradient


def optimizer_of(module: nn.Module, *groups: Sequence[str], **options: Any) -> Optimizer:
    """AdamW whose groups have the parameters with these names; all in one by default."""
    weights = trainable(module)
    cut = groups or (tuple(weights),)
    parts = [{"params": [weights[name] for name in group]} for group in cut]
    optimizer = AdamW(parts, **{"lr": 0.01, **options})
    accept_names(optimizer, {weight: name for name, weight in weights.items()})
    return optimizer


def combined(module: nn.Module, *, swapped: bool = False) -> CombinedOptimizer:
    """AdamW for matrices, SGD with momentum for biases."""
    weights = trainable(module)
    matrices = AdamW([weight for name, weight in weights.items() if "weight" in name], lr=0.01)
    biases = SGD([weight for name, weight in weights.items() if "bias" in name], lr=0.1, momentum=0.9)
    optimizer = CombinedOptimizer([biases, matrices] if swapped else [matrices, biases])
    accept_names(optimizer, {weight: name for name, weight in weights.items()})
    return optimizer


def stepped(module: nn.Module, optimizer: Optimizer, steps: int = 2, start: int = 0) -> Optimizer:
    for step in range(start, start + steps):
        set_gradients(module, seed=step)
        optimizer.step()
    return optimizer


def resume(again: Optimizer, optimizer: Optimizer, module: nn.Module) -> None:
    """Load a copy of another optimizer's state, as from a file: torch would share the tensors."""
    again.load_state_dict(copy.deepcopy(by_name(optimizer.state_dict(), optimizer, module)))


def assert_equal_weights(one: nn.Module, two: nn.Module) -> None:
    for (name, ours), theirs in zip(one.named_parameters(), two.parameters(), strict=True):
        assert torch.equal(ours, theirs), name


# Saving


def test_names_are_those_of_the_module() -> None:
    module = network()
    optimizer = stepped(module, optimizer_of(module, NAMES[3:], NAMES[:3]))
    saved = by_name(optimizer.state_dict(), optimizer, module)
    assert set(saved["state"]) == set(NAMES)
    assert [group["params"] for group in saved["param_groups"]] == [list(NAMES[3:]), list(NAMES[:3])]
    for name, weight in module.named_parameters():
        assert saved["state"][name]["exp_avg"] is optimizer.state[weight]["exp_avg"]


def test_options_of_groups_are_kept() -> None:
    module = network()
    optimizer = optimizer_of(module, NAMES[:2], NAMES[2:], weight_decay=0.3)
    optimizer.param_groups[1]["lr"] = 0.5
    groups = by_name(optimizer.state_dict(), optimizer, module)["param_groups"]
    assert [group["lr"] for group in groups] == [0.01, 0.5]
    assert all(group["weight_decay"] == 0.3 for group in groups)


def test_the_given_state_is_not_changed() -> None:
    module = network()
    optimizer = stepped(module, optimizer_of(module))
    state = optimizer.state_dict()
    before = copy.deepcopy(state)
    by_name(state, optimizer, module)
    assert state["param_groups"] == before["param_groups"]
    assert state["state"].keys() == before["state"].keys()


@pytest.mark.parametrize("without", [["0.weight"], ["2.bias", "1.weight"], list(NAMES[1:])])
def test_parameters_without_a_gradient_so_far_get_zeros(without: list[str]) -> None:
    module = network()
    optimizer = optimizer_of(module)
    set_gradients(module, without)
    optimizer.step()
    saved = by_name(optimizer.state_dict(), optimizer, module)["state"]
    assert set(saved) == set(NAMES)
    for name, weight in module.named_parameters():
        moments = saved[name]["exp_avg"], saved[name]["exp_avg_sq"]
        assert all(moment.shape == weight.shape for moment in moments)
        assert all(bool(moment.any()) is (name not in without) for moment in moments)
        assert saved[name]["step"].shape == ()
        assert float(saved[name]["step"]) == float(name not in without)


def test_zeros_have_the_form_of_the_parameters_own_group() -> None:
    """The states of AdamW and SGD differ; neither is a pattern for the other."""
    module = network()
    optimizer = combined(module)
    set_gradients(module, ["1.weight", "1.bias"])
    optimizer.step()
    saved = by_name(optimizer.state_dict(), optimizer, module)["state"]
    assert set(saved["1.weight"]) == {"step", "exp_avg", "exp_avg_sq"}
    assert set(saved["1.bias"]) == {"momentum_buffer"}
    assert not saved["1.bias"]["momentum_buffer"].any()


def test_a_group_that_never_stepped_stays_without_state() -> None:
    module = network()
    optimizer = optimizer_of(module, NAMES[:2], NAMES[2:])
    set_gradients(module, NAMES[2:])
    optimizer.step()
    assert set(by_name(optimizer.state_dict(), optimizer, module)["state"]) == set(NAMES[:2])
    fresh = optimizer_of(module)
    assert by_name(fresh.state_dict(), fresh, module)["state"] == {}


def test_completed_zeros_do_not_move_weights_differently() -> None:
    """A parameter that gets its first gradient after a resume is updated as if nothing had been saved."""
    module = network()
    optimizer = SGD(module.parameters(), lr=0.1, momentum=0.9)
    accept_names(optimizer, {weight: name for name, weight in module.named_parameters()})
    set_gradients(module, ["0.bias"])
    optimizer.step()
    twin = copy.deepcopy(module)
    again = SGD(twin.parameters(), lr=0.1, momentum=0.9)
    accept_names(again, {weight: name for name, weight in twin.named_parameters()})
    resume(again, optimizer, module)
    stepped(module, optimizer, start=5)
    stepped(twin, again, start=5)
    assert_equal_weights(module, twin)


# Loading


@pytest.mark.parametrize("make", [optimizer_of, combined])
def test_a_resumed_optimizer_makes_the_same_steps(make: Any) -> None:
    module = network()
    optimizer = stepped(module, make(module), 3)
    twin = copy.deepcopy(module)
    again = make(twin)
    resume(again, optimizer, module)
    stepped(module, optimizer, start=3)
    stepped(twin, again, start=3)
    assert_equal_weights(module, twin)


@given(order=st.permutations(NAMES), cut=st.integers(1, len(NAMES) - 1))
def test_any_order_and_cut_of_groups_finds_its_states(order: list[str], cut: int) -> None:
    module = network()
    optimizer = stepped(module, optimizer_of(module))
    twin = copy.deepcopy(module)
    again = optimizer_of(twin, order[:cut], order[cut:])
    resume(again, optimizer, module)
    stepped(module, optimizer, start=2)
    stepped(twin, again, start=2)
    assert_equal_weights(module, twin)


def test_parts_in_another_order_find_their_groups() -> None:
    module = network()
    optimizer = stepped(module, combined(module))
    twin = copy.deepcopy(module)
    again = combined(twin, swapped=True)
    resume(again, optimizer, module)
    assert [group["lr"] for group in again.param_groups] == [0.1, 0.01]
    stepped(module, optimizer, start=2)
    stepped(twin, again, start=2)
    assert_equal_weights(module, twin)


def test_options_come_from_the_group_of_the_first_parameter() -> None:
    module = network()
    optimizer = optimizer_of(module, NAMES[:2], NAMES[2:])
    optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = 0.25, 0.75
    again = optimizer_of(module, NAMES[4:], NAMES[:2], NAMES[2:4])
    resume(again, optimizer, module)
    assert [group["lr"] for group in again.param_groups] == [0.75, 0.25, 0.75]


@pytest.mark.parametrize("path", ["objective.network", "objective.simulator.network", "a"])
def test_checkpoints_may_have_the_path_of_the_network_before_names(path: str) -> None:
    """The Lightning module names parameters of its network; the optimizer knows the network alone."""
    module = network()
    outer: nn.Module = module
    for part in reversed(path.split(".")):
        outer = nn.ModuleDict({part: outer})
    optimizer = stepped(module, optimizer_of(module))
    saved = by_name(optimizer.state_dict(), optimizer, outer)
    assert set(saved["state"]) == {f"{path}.{name}" for name in NAMES}
    again = optimizer_of(module)
    again.load_state_dict(saved)
    for weight in module.parameters():
        assert torch.equal(again.state[weight]["exp_avg"], optimizer.state[weight]["exp_avg"])


def test_the_end_of_another_name_is_not_a_path() -> None:
    """`10.weight` ends with `0.weight`, yet belongs to another layer."""
    module = nn.ModuleDict({"10": nn.Linear(2, 2, bias=False), "0": nn.Linear(2, 2, bias=False)})
    set_gradients(module)
    optimizer = optimizer_of(module)
    optimizer.step()
    again = optimizer_of(module, ["0.weight"], ["10.weight"])
    resume(again, optimizer, module)
    for weight in module.parameters():
        assert torch.equal(again.state[weight]["exp_avg"], optimizer.state[weight]["exp_avg"])


def test_a_missing_parameter_is_named() -> None:
    module = network()
    optimizer = stepped(module, optimizer_of(module))
    saved = by_name(optimizer.state_dict(), optimizer, module)
    larger = nn.Sequential(*network(), nn.Linear(2, 1))
    again = optimizer_of(larger, ["3.weight"], NAMES)
    with pytest.raises(UPSError, match=r"the checkpoint's optimizer has no parameter '3\.weight'"):
        again.load_state_dict(saved)


def test_numbered_states_are_left_to_torch() -> None:
    module = network()
    optimizer = stepped(module, optimizer_of(module))
    twin = copy.deepcopy(module)
    again = optimizer_of(twin)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    stepped(module, optimizer, start=2)
    stepped(twin, again, start=2)
    assert_equal_weights(module, twin)
