"""The latent operator: codec, conditions, trunks, and what is shared between tasks and dimensions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from toy_models import SMALL, component, perturbed, simulator
from toy_tasks import batch_of, evolution, statistics, steady
from ups_data.info import Sides, TaskInfo, everywhere
from ups_models.config import LatentOperatorConfig
from ups_models.latent.codec import Codec
from ups_models.latent.conditioning import Conditioner
from ups_models.latent.multiscale import MultiscaleTrunk
from ups_models.latent.operator import LatentOperator
from ups_models.latent.trunk import PdetStack, PdetUNet, build_trunk
from ups_models.network import NetworkInput
from ups_models.normaliser import TaskNormaliser

TRUNKS = {"multiscale": MultiscaleTrunk, "pdet_stack": PdetStack, "pdet_unet": PdetUNet}


def config(**options: Any) -> LatentOperatorConfig:
    found = component("latent_operator", **options).config
    assert isinstance(found, LatentOperatorConfig)
    return found


def input_of(task: TaskInfo) -> NetworkInput:
    return TaskNormaliser(task, statistics(task)).network_input(batch_of(task))


def named(*tasks: TaskInfo) -> dict[str, TaskInfo]:
    return {task.name: task for task in tasks}


@pytest.mark.parametrize("name", TRUNKS)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_trunk_keeps_the_shape_of_any_grid(name: str, dim: int) -> None:
    trunk = build_trunk(config(trunk=name), [1, 2, 3])
    assert type(trunk) is TRUNKS[name]
    shape = [9, 7, 5][:dim]
    features = torch.randn(2, *shape, 8 if dim == 1 else 4)
    condition = torch.randn(2, 8)
    mixed: tuple[Sides, ...] = (*everywhere("periodic", dim - 1), ("neumann", "open"))
    for sides in (
        everywhere("periodic", features.dim() - 2),
        everywhere("dirichlet", features.dim() - 2),
        mixed,
    ):
        assert trunk(features, condition, sides).shape == features.shape


@pytest.mark.parametrize("name", TRUNKS)
def test_dimensions_share_most_weights_of_a_trunk(name: str) -> None:
    def count(*dims: int) -> int:
        return sum(weight.numel() for weight in build_trunk(config(trunk=name, width=64), dims).parameters())

    assert count(1, 2) < 0.75 * (count(1) + count(2))


def test_deeper_dimensions_get_blocks_that_others_skip() -> None:
    trunk = MultiscaleTrunk(config(depth={"1": 1, "2": 3}), [1, 2])
    served = [sorted(block.spatial.kernels) for block in trunk.coarse]
    assert served == [[1, 2], [2], [2]]
    line = trunk(torch.randn(2, 8, 8), torch.randn(2, 8), everywhere("periodic", 1))
    line.sum().backward()
    grads = [block.expand.weight.grad is not None for block in trunk.coarse]
    assert grads == [True, False, False]


def test_the_token_trunk_runs_every_block_for_every_task() -> None:
    trunk = PdetStack(config(trunk="pdet_stack", depth={"1": 1, "2": 3}), [1, 2])
    assert len(trunk.blocks) == 3
    unet = PdetUNet(config(trunk="pdet_unet", depth=8), [1])
    assert [len(part) for part in (unet.down_blocks, unet.inner_blocks, unet.up_blocks)] == [2, 4, 2]
    small = PdetUNet(config(trunk="pdet_unet", depth=1), [1])
    assert [len(part) for part in (small.down_blocks, small.inner_blocks, small.up_blocks)] == [1, 1, 1]


def test_encoding_is_local_and_respects_the_boundary() -> None:
    for boundary in ("periodic", "dirichlet"):
        task = evolution(boundary=boundary, cells=16)
        codec = Codec(named(task), {1: 4})
        x = input_of(task)
        changed = x.fields.clone()
        changed[..., 0] += 1
        with torch.no_grad():
            before = codec.encode(task.name, x.fields, x.coords)
            after = codec.encode(task.name, changed, x.coords)
        assert before.shape == (3, 16, 4)
        moved = ((after - before).abs().amax((0, 2)) > 0).nonzero().flatten().tolist()
        assert moved == ([0, 1, 15] if boundary == "periodic" else [0, 1])


def test_only_tasks_with_walls_see_coordinates() -> None:
    periodic, walls = evolution("p"), evolution("w", boundary="dirichlet")
    codec = Codec(named(periodic, walls), {1: 4})
    with torch.no_grad():
        for task, sees in ((periodic, False), (walls, True)):
            x = input_of(task)
            before = codec.encode(task.name, x.fields, x.coords)
            after = codec.encode(task.name, x.fields, x.coords + 0.5)
            assert torch.allclose(before, after) is not sees


def test_decoding_starts_at_zero_and_carrying_changes_nothing() -> None:
    task = evolution()
    codec = Codec(named(task), {1: 4})
    features, hidden = torch.randn(2, 3, 32, 4)
    assert not codec.decode(task.name, features).any()
    assert torch.equal(codec.carry(task.name, features, hidden), features)
    assert "flow" not in Codec(named(steady()), {1: 4, 2: 4}).onward, "a steady task has no next frame"


@pytest.mark.parametrize(
    ("task", "conserves"),
    [
        (evolution(invariants=("mean",)), True),
        (evolution(dim=2, invariants=("mean", "l2")), True),
        (evolution(invariants=("l2",)), False),
        (evolution(boundary="dirichlet", invariants=("mean",)), False),
    ],
    ids=["periodic", "plane", "another invariant", "walls"],
)
def test_what_is_decoded_sums_to_zero_only_where_the_mean_is_conserved(
    task: TaskInfo, conserves: bool
) -> None:
    codec = Codec(named(task), {1: 4})
    torch.manual_seed(0)
    with torch.no_grad():
        for head in codec.head.values():
            head.weight.normal_()  # type: ignore[union-attr]
        out = codec.decode(task.name, torch.randn(3, *task.shape, 4))
    assert out.shape == (3, 2, *task.shape)
    total = out.flatten(2).sum(-1).abs().max() / out.abs().max()
    assert bool(total < 1e-4) is conserves


def test_the_condition_tells_tasks_apart() -> None:
    one, two = evolution("one"), evolution("two")
    conditioner = Conditioner(named(one, two), 6)
    x = input_of(one)
    with torch.no_grad():
        first, second = conditioner(x), conditioner(replace(x, task="two"))
    assert first.shape == (3, 6)
    assert not torch.allclose(first, second), "equal numbers, other tasks"


def test_a_latent_carries_the_state_exactly() -> None:
    task = evolution(history=3)
    operator = LatentOperator(config(), named(task))
    x = input_of(task)
    latent = operator.encode(x)
    assert latent.state is not None
    assert torch.equal(latent.state, x.fields[:, -2:]), "the newest of three frames"
    assert torch.equal(operator.decode(latent, x), x.fields[:, -2:])
    assert latent.features.shape == (3, 32, 8)
    assert LatentOperator(config(), named(steady())).encode(input_of(steady())).state is None


@pytest.mark.parametrize("task", [evolution(), steady()], ids=["evolution", "steady"])
def test_forward_is_encode_advance_decode(task: TaskInfo) -> None:
    sim = perturbed(simulator("latent_operator", task))
    operator, x = sim.network, input_of(task)
    assert isinstance(operator, LatentOperator)
    with torch.no_grad():
        before = operator.encode(x)
        after = operator.decode(operator.advance(before, x), x)
        expected = after if before.state is None else (after - before.state) / x.increment
        assert torch.equal(operator(x), expected)


def test_only_periodic_evolutions_have_a_propagator() -> None:
    tasks = named(evolution("p"), evolution("w", boundary="dirichlet"), steady(), evolution("a.b"))
    operator = LatentOperator(config(), tasks)
    assert sorted(operator.propagators) == ["a%2Eb", "p"]
    x = input_of(steady())
    operator.initialise(x, torch.zeros(3, 1, 16, 16))  # has nothing to fit
    assert not any(propagator.active for propagator in operator.propagators.values())


@pytest.mark.parametrize("history", [1, 2])
def test_a_latent_rollout_carries_features_on(history: int) -> None:
    """Its first frame is that of a rollout, its later ones are not encoded again."""
    task = evolution(history=history)
    sim = perturbed(simulator("latent_operator", task))
    batch, calls = batch_of(task), []
    operator = sim.network
    assert isinstance(operator, LatentOperator)
    encode = operator.encode
    operator.encode = lambda x: calls.append(1) or encode(x)  # type: ignore[method-assign, func-returns-value]
    with torch.no_grad():
        latent, plain = sim.latent_rollout(batch, 4), sim.rollout(batch, 4)
    assert len(calls) == 1 + 4
    assert torch.allclose(latent[:, 0], plain[:, 0], atol=1e-5)


def test_small_options_are_small() -> None:
    for kind in SMALL:
        assert simulator(kind, evolution()).parameter_count() < 50_000
