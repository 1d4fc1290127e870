"""The contract of a network: channels, plain conditioning, one module per task."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from toy_models import component, simulator
from toy_tasks import batch_of, evolution, statistics, steady
from ups_core.names import decoded
from ups_data.info import TaskInfo
from ups_models.network import (
    LatentNetwork,
    Network,
    NetworkInput,
    PerTaskNetwork,
    as_channels,
    condition_size,
    in_channels,
    lifted_channels,
    module_key,
    out_channels,
    per_task,
    placed_axes,
)
from ups_models.normaliser import TaskNormaliser
from ups_models.simulator import build_simulator


def input_of(task: TaskInfo) -> NetworkInput:
    return TaskNormaliser(task, statistics(task)).network_input(batch_of(task))


@pytest.mark.parametrize(
    ("task", "channels"),
    [
        (evolution(history=1), (2, 2, 2 + 2 + 1)),
        (evolution(history=3, parameters=0), (6, 2, 6 + 0 + 1)),
        (evolution(dim=3, history=2, parameters=3), (4, 2, 4 + 6 + 1)),
        (steady(parameters=2), (1, 1, 1 + 4 + 1 + 2 + 2)),
    ],
    ids=["1d", "no parameters", "3d", "steady"],
)
def test_channels_of_a_task(task: TaskInfo, channels: tuple[int, int, int]) -> None:
    assert (in_channels(task), out_channels(task), lifted_channels(task)) == channels
    x = input_of(task)
    assert x.fields.shape == (3, channels[0], *task.shape)
    assert as_channels(x).shape == (3, channels[2], *task.shape)


def test_plain_conditioning_lays_everything_side_by_side(task: TaskInfo) -> None:
    x = input_of(task)
    lifted = as_channels(x)
    fields, condition, places = lifted.split(
        [in_channels(task), condition_size(task), len(placed_axes(task))], dim=1
    )
    assert torch.equal(fields, x.fields)
    per_cell = condition.flatten(2)
    assert torch.equal(per_cell[..., 0], x.condition()), "the condition is the same in every cell"
    assert torch.equal(per_cell, per_cell[..., :1].expand_as(per_cell))
    assert places.shape[1] == (task.dim if task.kind == "steady" else 0), "a circle has no first cell"
    for axis in range(places.shape[1]):
        assert torch.equal(places[0, axis], x.coords[..., axis])


def test_names_with_dots_are_keys_too() -> None:
    first, second = evolution("flow.re100"), evolution("flow_re100")
    assert module_key("flow.re100") == "flow%2Ere100"
    modules = per_task({task.name: task for task in (first, second)}, lambda task: nn.Identity())
    assert len(modules) == 2
    sim = simulator("fno", first, second)
    assert sim.step(batch_of(first)).shape == (3, 2, 32)


@pytest.mark.parametrize(
    "name", ["keys", "items", "type", "forward", "train", "to", "parameters", "pop", "half"]
)
def test_names_of_attributes_are_keys_too(name: str) -> None:
    task = evolution(name)
    assert decoded(module_key(name).removesuffix("%")) == name
    for kind in ("fno", "unet", "latent_operator"):
        assert simulator(kind, task).step(batch_of(task)).shape == (3, 2, 32)


@given(st.sampled_from([*dir(nn.ModuleDict()), "a.b"]) | st.text(min_size=1), st.text(min_size=1))
def test_two_tasks_never_share_a_key(first: str, second: str) -> None:
    modules = nn.ModuleDict(
        {module_key(name): nn.Identity() for name in {first, second, f"{first}%", f"{first}_"}}
    )
    assert len(modules) == len({first, second, f"{first}%", f"{first}_"})


def test_each_task_has_a_network_of_its_own() -> None:
    built: list[str] = []

    class Constant(nn.Module):
        def __init__(self, value: float, channels: int) -> None:
            super().__init__()
            self.value, self.channels = value, channels

        def forward(self, x: Tensor) -> Tensor:
            return x[:, : self.channels] * 0 + self.value

    def build(task: TaskInfo) -> nn.Module:
        built.append(task.name)
        return Constant(float(len(built)), out_channels(task))

    one, two = evolution(), steady()
    network = PerTaskNetwork({"wave": one, "flow": two}, build)
    assert built == ["wave", "flow"]
    assert float(network(input_of(one)).mean()) == 1.0
    assert float(network(input_of(two)).mean()) == 2.0


@pytest.mark.parametrize(
    ("base", "missing"), [(Network, "forward"), (LatentNetwork, "advance"), (LatentNetwork, "encode")]
)
def test_the_bases_say_what_is_missing(base: type[Network], missing: str) -> None:
    with pytest.raises(TypeError, match=rf"abstract.*{missing}"):
        base()


def test_looking_at_training_pairs_is_optional() -> None:
    class Plain(Network):
        def forward(self, x: NetworkInput) -> Tensor:
            return x.fields

    x = input_of(evolution())
    before = x.fields.clone()
    Plain().initialise(x, x.fields)
    assert torch.equal(x.fields, before)


@pytest.mark.parametrize("kind", ["persistence", "mean"])
def test_baselines_predict_zero_in_the_type_and_shape_of_their_input(kind: str) -> None:
    task = evolution(dim=2)
    network = simulator(kind, task).network
    x = input_of(task)
    out = network(x)
    assert out.shape == (3, 2, 16, 16)
    assert out.dtype == x.fields.dtype
    assert not out.any()
    assert network(replace(x, fields=x.fields.double())).dtype == torch.float64
    assert not list(network.parameters())
    assert network.predicts_increment is (kind == "persistence")
    assert network.evolution_only is (kind == "persistence")


def test_the_mean_of_a_steady_task_is_a_field() -> None:
    task = steady(cells=4)
    field = torch.arange(16.0).reshape(1, 4, 4)
    known = replace(statistics(task), mean_field=tuple(field.flatten().tolist()))
    sim = build_simulator(component("mean"), {task.name: task}, {task.name: known})
    assert torch.allclose(sim.step(batch_of(task)), field.expand(3, 1, 4, 4), atol=1e-5)
    fine = replace(task, shape=(8, 8))
    found = sim.step(batch_of(fine))
    assert found.shape == (3, 1, 8, 8)
    assert torch.allclose(nn.functional.avg_pool2d(found, 2)[:, :, 1:3, 1:3], field[:, 1:3, 1:3], atol=1e-5)
    assert found.min() >= 0
    assert found.max() <= 15
