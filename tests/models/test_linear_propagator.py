"""The fitted linear propagator: exact on linear problems of any dimension, out of the way elsewhere."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from toy_models import simulator
from toy_tasks import batch_of, evolution
from ups_data.info import TaskInfo
from ups_models.latent.conservation import divergence
from ups_models.latent.linear_propagator import LinearPropagator, propagate


def waves(task: TaskInfo, count: int, modes: int = 5) -> Tensor:
    """Random smooth periodic fields `(B, C, *S)`."""
    generator = torch.Generator().manual_seed(0)
    axes = [torch.arange(cells) / cells for cells in task.shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    total = torch.zeros(count, len(task.state_channels), *task.shape)
    for _ in range(4):
        shape = (*total.shape[:2], *([1] * task.dim))
        k = torch.randint(-modes, modes + 1, (*total.shape[:2], task.dim), generator=generator).float()
        angle = 2 * math.pi * torch.einsum("bcd,d...->bc...", k, grid)
        amplitude = torch.rand(shape, generator=generator)
        total += amplitude * torch.cos(angle + 6.3 * torch.rand(shape, generator=generator))
    return total


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_finds_transport_and_diffusion_that_depend_on_a_parameter(dim: int) -> None:
    task = evolution(dim=dim, cells=16)
    before = waves(task, 64)
    params = torch.linspace(-1, 1, 64)[:, None]
    dt = torch.full((64,), 0.1)
    truth = torch.zeros(2, 2 * dim + 2, 2)
    truth[:, 0] = torch.tensor([0.7, 0.3])  # velocity along the first axis: 0.7 + 0.3 p
    truth[:, dim - 1, 0] += 0.2
    truth[:, 2 * dim, 0] = 2.0
    after = propagate(before, truth, params, dt, task_lengths(task))
    propagator = LinearPropagator(task)
    propagator.fit(before, after, params, dt)
    assert propagator.active
    assert propagator.explained > 1 - 1e-6
    unseen = torch.full((64, 1), 0.33)
    expected = propagate(before, truth, unseen, 3 * dt, task_lengths(task))
    found = propagator(before, unseen, 3 * dt)
    assert (found - expected).norm() < 1e-3 * (expected - before).norm(), (
        "other parameters, three times the step"
    )


def task_lengths(task: TaskInfo) -> list[float]:
    return [high - low for low, high in task.domain]


def test_stays_away_from_what_is_not_linear_and_translation_invariant() -> None:
    task = evolution(cells=32)
    before = waves(task, 64)
    propagator = LinearPropagator(task)
    propagator.fit(
        before, before + before.square() - before.roll(5, 0), torch.zeros(64, 1), torch.full((64,), 0.1)
    )
    assert not propagator.active
    assert propagator.explained < 0.9
    assert torch.equal(propagator(before, torch.zeros(64, 1), torch.full((64,), 0.1)), before)


def test_propagator_is_a_semigroup_and_keeps_the_mean() -> None:
    task = evolution(cells=32)
    x = waves(task, 3)
    coefficients = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(1))
    params, dt = torch.rand(3, 1), torch.full((3,), 0.1)
    twice = propagate(propagate(x, coefficients, params, dt, [1.0]), coefficients, params, dt, [1.0])
    assert torch.allclose(twice, propagate(x, coefficients, params, 2 * dt, [1.0]), atol=1e-5)
    assert torch.allclose(twice.mean(-1), x.mean(-1), atol=1e-6)


def test_a_simulator_is_fitted_saved_and_restored() -> None:
    task = evolution(history=1)
    batch = batch_of(task)
    field = 2 * waves(task, 64)
    batch = replace(
        batch, state=field[:, None], target=field.roll(3, -1)[:, None], params=torch.ones(64, 1),
        params_mask=torch.ones(64, 1, dtype=torch.bool), dt=torch.full((64,), task.dt),
        static=torch.zeros(64, 0, *task.shape), index=torch.arange(64),
    )  # fmt: skip
    fitted = simulator("latent_operator", task)
    fitted.initialise(batch)
    assert torch.allclose(fitted.step(batch), batch.target[:, 0], atol=1e-3)
    other = simulator("latent_operator", task)
    other.network.load_state_dict(fitted.network.state_dict())
    assert torch.equal(other.step(batch), fitted.step(batch))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_divergence_conserves_and_differentiates(dim: int) -> None:
    flux = torch.randn(2, dim * 3, *([8] * dim), dtype=torch.float64)
    change = divergence(flux, dim)
    assert change.shape == (2, 3, *([8] * dim))
    assert change.flatten(2).sum(-1).abs().max() < 1e-12
    cells = 256
    x = torch.arange(cells, dtype=torch.float64) / cells
    smooth = torch.sin(2 * math.pi * (x + 0.5 / cells)).expand(1, 1, -1)
    expected = -2 * math.pi * torch.cos(2 * math.pi * x) / 64
    assert torch.allclose(divergence(smooth, 1)[0, 0], expected, atol=1e-4)


@pytest.mark.parametrize("trunk", ["multiscale", "pdet_stack", "pdet_unet"])
@pytest.mark.parametrize("size", [30, 33])
def test_any_resolution_works(trunk: str, size: int) -> None:
    for dim in (1, 2):
        task = evolution(dim=dim, cells=size if dim == 1 else size - 17)
        batch = batch_of(task)
        assert simulator("latent_operator", task, trunk=trunk).step(batch).shape == batch.target[:, 0].shape


def test_conserving_task_keeps_its_mean_whatever_the_weights() -> None:
    task = replace(evolution(), invariants=("mean",))
    batch = batch_of(task)
    sim = simulator("latent_operator", task)
    with torch.no_grad():
        for weight in sim.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        rollout = sim.rollout(batch, 4)
    drift = (rollout.mean(-1) - batch.state[:, -1:].mean(-1)).abs().max()
    assert drift < 1e-5 * rollout.abs().max()
    assert (rollout[:, -1] - batch.state[:, -1]).abs().max() > 0.01


def test_latent_rollout_begins_as_the_ordinary_one_and_reconstruction_is_exact() -> None:
    task = evolution()
    batch = batch_of(task)
    sim = simulator("latent_operator", task)
    with torch.no_grad():
        for weight in sim.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        assert torch.allclose(sim.latent_rollout(batch, 2)[:, 0], sim.step(batch), atol=1e-5)
        assert not torch.allclose(sim.latent_rollout(batch, 2)[:, 1], sim.rollout(batch, 2)[:, 1], atol=1e-5)
        assert torch.allclose(sim.reconstruct(batch), batch.state[:, -1], atol=1e-5)
