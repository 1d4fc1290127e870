"""An optimizer in host memory makes the steps of one beside the weights; here both are on the CPU."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import StepLR

from ups_core import Component, validate_options
from ups_core.plugin_loader import registry_in_use
from ups_train.optimizers.create import create_optimizer
from ups_train.optimizers.offload import OffloadedOptimizer

KINDS = ("adam", "adamw", "sgd", "muon_hybrid")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 5))


def component(kind: str, **options: Any) -> Component:
    entry = registry_in_use().get("optimizers", kind)
    return Component(entry, validate_options(entry.load_config(), options))


def offloaded(module: nn.Module, kind: str = "adamw", **options: Any) -> OffloadedOptimizer:
    optimizer = create_optimizer(component(kind, **options), module, offload=True)
    assert isinstance(optimizer, OffloadedOptimizer)
    return optimizer


def set_gradients(module: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in module.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)


def steps(module: nn.Module, optimizer: torch.optim.Optimizer, *seeds: int) -> None:
    for seed in seeds:
        set_gradients(module, seed)
        optimizer.step()


def assert_equal_weights(one: nn.Module, two: nn.Module) -> None:
    for (name, ours), theirs in zip(one.named_parameters(), two.parameters(), strict=True):
        assert torch.equal(ours, theirs), name


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_the_optimizer_without(kind: str) -> None:
    module, twin = network(), network()
    steps(module, offloaded(module, kind), 1, 2, 3)
    steps(twin, create_optimizer(component(kind), twin), 1, 2, 3)
    assert_equal_weights(module, twin)


def test_groups_have_the_weights_of_the_device_and_the_options_of_the_host() -> None:
    module = network()
    optimizer = offloaded(module, weight_decay=0.25)
    ours = [weight for group in optimizer.param_groups for weight in group["params"]]
    assert {id(weight) for weight in ours} == {id(weight) for weight in module.parameters()}
    hosts = [weight for group in optimizer.inner.param_groups for weight in group["params"]]
    assert not {id(weight) for weight in hosts} & {id(weight) for weight in ours}
    assert sorted(group["weight_decay"] for group in optimizer.param_groups) == [0.0, 0.25]


def test_the_state_is_kept_for_the_weights_of_the_host_only() -> None:
    module = network()
    optimizer = offloaded(module)
    steps(module, optimizer, 1)
    assert not optimizer.state
    assert set(optimizer.inner.state) == set(optimizer.device_of)


def test_frozen_weights_are_left_alone() -> None:
    module = network()
    module[0].weight.requires_grad_(False)
    before = module[0].weight.detach().clone()
    optimizer = offloaded(module)
    grouped = [weight for group in optimizer.param_groups for weight in group["params"]]
    assert len(grouped) == len(list(module.parameters())) - 1
    for weight in module.parameters():
        weight.grad = torch.ones_like(weight) if weight.requires_grad else None
    optimizer.step()
    assert torch.equal(module[0].weight, before)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_without_a_gradient_are_left_alone(kind: str) -> None:
    module = network()
    optimizer = offloaded(module, kind)
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    set_gradients(module, 1)
    module[0].bias.grad = module[2].weight.grad = None
    optimizer.step()
    unchanged = {name for name, weight in module.named_parameters() if torch.equal(weight, before[name])}
    assert unchanged == {"0.bias", "2.weight"}


def test_gradients_of_an_earlier_step_are_not_used_again() -> None:
    module = network()
    optimizer = offloaded(module, "sgd", momentum=0.0, nesterov=False)
    steps(module, optimizer, 1)
    before = copy.deepcopy(module)
    optimizer.zero_grad()
    optimizer.step()
    assert_equal_weights(module, before)
    assert all(host.grad is None for host in optimizer.device_of)


def test_weights_that_others_changed_are_not_overwritten_without_a_gradient() -> None:
    """The host's copy of a frozen weight is as old as the optimizer."""
    module = network()
    optimizer = offloaded(module)
    with torch.no_grad():
        module[2].bias.fill_(3.0)
    set_gradients(module, 1)
    module[2].bias.grad = None
    optimizer.step()
    assert torch.equal(module[2].bias, torch.full((5,), 3.0))


def test_gradients_of_the_device_are_left_to_the_caller() -> None:
    module = network()
    optimizer = offloaded(module)
    set_gradients(module, 1)
    given = [weight.grad.clone() for weight in module.parameters() if weight.grad is not None]
    optimizer.step()
    for weight, gradient in zip(module.parameters(), given, strict=True):
        assert weight.grad is not None
        assert torch.equal(weight.grad, gradient)


@pytest.mark.parametrize("rate", [0.5, 0.0])
def test_a_changed_learning_rate_reaches_the_inner_optimizer(rate: float) -> None:
    module = network()
    optimizer = offloaded(module, "sgd", momentum=0.0, nesterov=False, weight_decay=0.0)
    before = [weight.detach().clone() for weight in module.parameters()]
    for group in optimizer.param_groups:
        group["lr"] = rate
    steps(module, optimizer, 1)
    assert {group["lr"] for group in optimizer.inner.param_groups} == {rate}
    for weight, old in zip(module.parameters(), before, strict=True):
        assert weight.grad is not None
        assert torch.equal(weight, old - rate * weight.grad)


def test_other_options_of_single_groups_reach_it_too() -> None:
    module = network()
    optimizer = offloaded(module)
    optimizer.param_groups[0] |= {"weight_decay": 0.5, "betas": (0.1, 0.2)}
    steps(module, optimizer, 1)
    first, second = optimizer.inner.param_groups
    assert (first["weight_decay"], first["betas"]) == (0.5, (0.1, 0.2))
    assert (second["weight_decay"], second["betas"]) == (0.0, (0.9, 0.99))


def test_a_schedule_of_torch_works_with_it() -> None:
    module, twin = network(), network()
    optimizer, plain = offloaded(module), create_optimizer(component("adamw"), twin)
    schedules = StepLR(optimizer, 1, gamma=0.5), StepLR(plain, 1, gamma=0.5)
    for seed in range(4):
        steps(module, optimizer, seed)
        steps(twin, plain, seed)
        for schedule in schedules:
            schedule.step()
    assert_equal_weights(module, twin)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 / 16)


# The closure


def test_the_closure_is_evaluated_once_with_gradients_before_the_update() -> None:
    module = network()
    optimizer = offloaded(module, "sgd", momentum=0.0, nesterov=False, weight_decay=0.0)
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    seen: list[Tensor] = []

    def closure() -> Tensor:
        assert torch.is_grad_enabled()
        seen.append(module[2].bias.detach().clone())
        optimizer.zero_grad()
        loss = module[2].bias.square().sum() / 2
        loss.backward()
        return loss

    with torch.no_grad():
        loss = optimizer.step(closure)
    (before,) = seen
    assert loss.item() == pytest.approx(float(before.square().sum() / 2))
    assert torch.allclose(module[2].bias, 0.9 * before)


def test_without_a_closure_there_is_no_loss() -> None:
    module = network()
    optimizer = offloaded(module)
    set_gradients(module, 1)
    assert optimizer.step() is None


# Saving and loading


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_training_makes_the_same_steps(kind: str) -> None:
    module = network()
    optimizer = offloaded(module, kind)
    steps(module, optimizer, 1, 2)
    twin = copy.deepcopy(module)
    again = offloaded(twin, kind)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(module, optimizer, 3, 4)
    steps(twin, again, 3, 4)
    assert_equal_weights(module, twin)


@pytest.mark.parametrize("offload", [True, False])
def test_a_checkpoint_with_offloading_resumes_without_and_the_other_way_round(offload: bool) -> None:
    module = network()
    optimizer = create_optimizer(component("adamw"), module, offload=offload)
    steps(module, optimizer, 1, 2)
    twin = copy.deepcopy(module)
    again = create_optimizer(component("adamw"), twin, offload=not offload)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(module, optimizer, 3)
    steps(twin, again, 3)
    assert_equal_weights(module, twin)


def test_weights_loaded_after_the_optimizer_was_made_reach_the_host() -> None:
    """Lightning loads the network's weights first, then the optimizer's state."""
    module = network()
    optimizer = offloaded(module)
    state = copy.deepcopy(optimizer.state_dict())
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(3.0)
    optimizer.load_state_dict(state)
    assert all(torch.equal(host, torch.full_like(host, 3.0)) for host in optimizer.device_of)


def test_a_loaded_learning_rate_is_seen_by_schedules() -> None:
    module = network()
    optimizer = offloaded(module)
    state = copy.deepcopy(optimizer.state_dict())
    for group in state["param_groups"]:
        group["lr"] = 0.125
    optimizer.load_state_dict(state)
    assert {group["lr"] for group in optimizer.param_groups} == {0.125}
    ours = [weight for group in optimizer.param_groups for weight in group["params"]]
    assert {id(weight) for weight in ours} == {id(weight) for weight in module.parameters()}


@pytest.mark.parametrize("inner", [SGD, Adam])
def test_any_optimizer_of_torch_can_be_the_inner_one(inner: Any) -> None:
    module, twin = network(), network()
    host = copy.deepcopy(module)
    device_of = dict(zip(host.parameters(), module.parameters(), strict=True))
    steps(module, OffloadedOptimizer(inner(host.parameters(), lr=0.1), device_of), 1, 2)
    steps(twin, inner(twin.parameters(), lr=0.1), 1, 2)
    assert_equal_weights(module, twin)
