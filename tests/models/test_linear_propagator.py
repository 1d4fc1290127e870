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
from ups_models.latent.linear_propagator import (
    DIFFUSION_SCALE,
    HYPER_SCALE,
    LinearPropagator,
    propagate,
)


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
    task = evolution(dim=dim, cells=8 if dim == 3 else 16)
    before = waves(task, 64, modes=3)
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
        batch,
        state=field[:, None],
        target=field.roll(3, -1)[:, None],
        params=torch.ones(64, 1),
        params_mask=torch.ones(64, 1, dtype=torch.bool),
        dt=torch.full((64,), task.dt),
        static=torch.zeros(64, 0, *task.shape),
        index=torch.arange(64),
    )
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


def line(cells: int, length: float = 1.0) -> Tensor:
    """Points of a periodic line, float64."""
    return torch.arange(cells, dtype=torch.float64) * (length / cells)


def coefficients(dim: int, **terms: float) -> Tensor:
    """One channel without parameters: `v0`, `w0`... along the axes, `d`, `h`."""
    found = torch.zeros(1, 2 * dim + 2, 1, dtype=torch.float64)
    names = [*(f"v{axis}" for axis in range(dim)), *(f"w{axis}" for axis in range(dim)), "d", "h"]
    for name, value in terms.items():
        found[0, names.index(name)] = value
    return found


def advance(x: Tensor, terms: Tensor, dt: float, lengths: list[float]) -> Tensor:
    return propagate(x[None, None], terms, torch.zeros(1, 0), torch.tensor([dt]), lengths)[0, 0]


@pytest.mark.parametrize("length", [1.0, 2.5])
def test_transport_is_a_translation(length: float) -> None:
    x = line(48, length)

    def wave(at: Tensor) -> Tensor:
        k = 2 * math.pi / length
        return torch.sin(k * at) + 0.5 * torch.cos(5 * k * at + 1)

    found = advance(wave(x), coefficients(1, v0=0.8), 0.37, [length])
    assert torch.allclose(found, wave(x - 0.8 * 0.37), atol=1e-6)


def test_diffusion_is_the_heat_equation() -> None:
    """u_t = D u_xx damps a mode of wave number k by exp(-D k² t)."""
    x = line(32)
    for number in (1, 3, 7):
        k = 2 * math.pi * number
        diffusivity = 4.0 * DIFFUSION_SCALE
        found = advance(torch.cos(k * x), coefficients(1, d=4.0), 0.2, [1.0])
        assert torch.allclose(found, math.exp(-diffusivity * k**2 * 0.2) * torch.cos(k * x), atol=1e-6)


def test_diffusion_never_amplifies() -> None:
    x = torch.randn(32, dtype=torch.float64)
    for terms in (coefficients(1, d=-3.0), coefficients(1, h=-3.0)):
        assert advance(x, terms, 0.5, [1.0]).norm() < x.norm()


def test_dispersion_is_the_linear_korteweg_de_vries_equation() -> None:
    """u_t = c u_xxx: a mode of wave number k travels with speed c k²."""
    x = line(32)
    strength = 50.0 * HYPER_SCALE
    for number in (1, 2, 5):
        k = 2 * math.pi * number
        found = advance(torch.sin(k * x), coefficients(1, w0=50.0), 0.4, [1.0])
        assert torch.allclose(found, torch.sin(k * (x - strength * k**2 * 0.4)), atol=1e-7)


def test_hyper_diffusion_damps_with_the_fourth_power() -> None:
    x = line(32)
    k = 2 * math.pi * 4
    found = advance(torch.cos(k * x), coefficients(1, h=200.0), 0.3, [1.0])
    assert torch.allclose(found, math.exp(-200 * HYPER_SCALE * k**4 * 0.3) * torch.cos(k * x), atol=1e-6)


def test_a_plane_wave_in_two_dimensions() -> None:
    x, y = torch.meshgrid(line(16, 2.0), line(12), indexing="ij")

    def wave(shift_x: float, shift_y: float) -> Tensor:
        return torch.cos(math.pi * (x - shift_x) + 4 * math.pi * (y - shift_y))

    found = advance(wave(0, 0), coefficients(2, v0=0.3, v1=-0.2), 0.5, [2.0, 1.0])
    assert torch.allclose(found, wave(0.15, -0.1), atol=1e-6)


def test_each_sample_has_its_own_parameter_and_time() -> None:
    x = line(32).float()
    terms = torch.zeros(1, 4, 2)
    terms[0, 0] = torch.tensor([1.0, 0.5])  # velocity 1 + p / 2
    fields = torch.sin(2 * math.pi * x).expand(3, 1, 32)
    params, dt = torch.tensor([[0.0], [1.0], [-2.0]]), torch.tensor([0.1, 0.1, 7.0])
    found = propagate(fields, terms, params, dt, [1.0])[:, 0]
    for row, distance in enumerate((0.1, 0.15, 0.0)):
        assert torch.allclose(found[row], torch.sin(2 * math.pi * (x - distance)), atol=1e-5)


def test_channels_have_their_own_coefficients_and_features_their_mean() -> None:
    task = evolution(parameters=0)
    propagator = LinearPropagator(task)
    propagator.coefficients[0, 0], propagator.coefficients[1, 0] = 1.0, 2.0
    propagator.active = True
    x = line(32).float()
    fields = torch.sin(2 * math.pi * x).expand(1, 2, 32)
    none, dt = torch.zeros(1, 0), torch.tensor([0.1])
    moved = propagator(fields, none, dt)[0]
    assert torch.allclose(moved[0], torch.sin(2 * math.pi * (x - 0.1)), atol=1e-5)
    assert torch.allclose(moved[1], torch.sin(2 * math.pi * (x - 0.2)), atol=1e-5)
    shared = propagator.shared(fields.repeat(1, 3, 1), none, dt)[0]
    assert torch.allclose(shared, torch.sin(2 * math.pi * (x - 0.15)).expand(6, 32), atol=1e-5)


@pytest.mark.parametrize("parameters", [0, 1, 3])
def test_the_fit_finds_an_advection_whatever_the_number_of_parameters(parameters: int) -> None:
    task = replace(evolution(parameters=parameters), channels=evolution().channels[:1])
    before = waves(task, 32)
    params = 2 * torch.rand(32, parameters, generator=torch.Generator().manual_seed(3)) - 1
    truth = torch.zeros(1, 4, 1 + parameters)
    truth[0, 0, 0] = 0.6
    if parameters:
        truth[0, 0, 1] = 0.2
    dt = torch.full((32,), 0.1)
    after = propagate(before, truth, params, dt, [1.0])
    propagator = LinearPropagator(task)
    propagator.fit(before, after, params, dt)
    assert propagator.active
    assert propagator.explained > 1 - 1e-6
    assert torch.allclose(propagator.coefficients[:, 0], truth[:, 0], atol=1e-3)


def test_a_fit_is_used_on_a_finer_grid() -> None:
    task = replace(evolution(parameters=0), channels=evolution().channels[:1])
    fine = replace(task, shape=(96,))
    truth, none, dt = coefficients(1, v0=0.7).float(), torch.zeros(32, 0), torch.full((32,), 0.1)
    before = waves(task, 32)
    propagator = LinearPropagator(task)
    propagator.fit(before, propagate(before, truth, none, dt, [1.0]), none, dt)
    unseen = waves(fine, 32)
    expected = propagate(unseen, truth, none, dt, [1.0])
    assert torch.allclose(propagator(unseen, none, dt), expected, atol=1e-3)


def test_an_identity_is_left_alone() -> None:
    """Frames that do not change, or nothing to learn from, never give NaN."""
    task = evolution(parameters=0)
    x = waves(task, 8)
    propagator = LinearPropagator(task)
    propagator.fit(x, x.clone(), torch.zeros(8, 0), torch.full((8,), 0.1))
    assert propagator.explained.isfinite()
    assert propagator.coefficients.isfinite().all()
    assert torch.allclose(propagator(x, torch.zeros(8, 0), torch.full((8,), 0.1)), x, atol=1e-4)


def test_loading_decides_whether_it_is_active() -> None:
    task = evolution()
    fitted, fresh = LinearPropagator(task), LinearPropagator(task)
    assert not fresh.active
    fitted.coefficients[0, 0, 0] = 1.0
    fresh.load_state_dict(fitted.state_dict())
    assert fresh.active
    fresh.load_state_dict(LinearPropagator(task).state_dict())
    assert not fresh.active
    assert not list(fitted.parameters()), "it is fitted, not trained"


def test_it_computes_in_float32_under_autocast() -> None:
    propagator = LinearPropagator(evolution(parameters=0))
    propagator.coefficients[:, 0] = 1.0
    propagator.active = True
    x, none, dt = torch.randn(2, 2, 32), torch.zeros(2, 0), torch.full((2,), 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = propagator(x.bfloat16(), none, dt)
        assert propagator.shared(x.bfloat16(), none, dt).dtype == torch.float32
    assert found.dtype == torch.float32
    assert torch.equal(found, propagator(x.bfloat16().float(), none, dt))
