"""Members of ensembles: from noise in the network, and from a corrector beside an operator."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from toy_models import component
from ups_core import Component
from ups_data.batches.batch import FieldBatch
from ups_data.info import Channel, Parameter, TaskInfo
from ups_data.prepare.statistics import ChannelStatistics, Statistics
from ups_models.bundle import load_bundle, save_bundle, save_corrected
from ups_models.residual.config import Flow, Sampler, SamplerConfig
from ups_models.residual.corrector import Corrector
from ups_models.residual.flow import difference, interpolate, solve
from ups_models.residual.simulator import CorrectedSimulator
from ups_models.simulator import Simulator, build_simulator

SMALL = {
    "width": 8,
    "middle_width": 8,
    "local_width": {"1": 4, "2": 4},
    "condition_width": 8,
    "noise": {"channels": 3},
}
INFO = TaskInfo(
    name="flow",
    family="toy",
    kind="evolution",
    channels=(Channel("u", "1", "state"), Channel("v", "1", "state"), Channel("a", "1", "coefficient")),
    parameters=(Parameter("nu", "1", 0.1, 1.0),),
    boundary="periodic",
    domain=((0.0, 1.0),),
    shape=(16,),
    dt=0.1,
    frames=6,
    history=2,
    invariants=(),
    equation="unknown",
)
STATISTICS = Statistics(
    state=ChannelStatistics((1.0, 0.0), (2.0, 0.5)),
    static=ChannelStatistics((0.0,), (1.0,)),
    target=ChannelStatistics((1.0, 0.0), (2.0, 0.5)),
    delta=(0.3, 0.1),
)


def batch(count: int = 3) -> FieldBatch:
    draws = torch.Generator().manual_seed(0)
    return FieldBatch(
        task="flow",
        state=torch.randn(count, 2, 2, 16, generator=draws),
        static=torch.randn(count, 1, 16, generator=draws),
        params=torch.rand(count, 1, generator=draws),
        params_mask=torch.ones(count, 1, dtype=torch.bool),
        dt=torch.full((count,), 0.1),
        coords=((torch.arange(16) + 0.5) / 16)[:, None],
        target=torch.randn(count, 3, 2, 16, generator=draws),
        index=torch.arange(10, 10 + count),
    )


def moved(module: torch.nn.Module) -> None:
    """Give every weight a value: last layers start at zero, and hide what comes before."""
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=draws))


def stochastic(hold: bool = False) -> Simulator:
    torch.manual_seed(0)
    noise = {"channels": 3, "hold": hold}
    model = Component.of("models", "latent_operator", SMALL | {"noise": noise})
    simulator = build_simulator(model, {"flow": INFO}, {"flow": STATISTICS}).eval()
    moved(simulator.network)
    return simulator


def corrected(flow: Flow = "rectified") -> CorrectedSimulator:
    operator = build_simulator(component("unet"), {"flow": INFO}, {"flow": STATISTICS}).eval()
    moved(operator.network)
    corrector = Corrector(component("fno"), {"flow": INFO}, flow).eval()
    moved(corrector)
    return CorrectedSimulator(operator, corrector, SamplerConfig(steps=2))


def diffusion() -> CorrectedSimulator:
    return corrected("edm")


@pytest.mark.parametrize("make", [stochastic, corrected, diffusion])
def test_a_member_is_a_function_of_seed_trajectory_and_number(make: type) -> None:
    simulator, whole = make(), batch()
    members = simulator.sample(whole, 3, 4, seed=7)
    assert members.shape == (4, 3, 3, 2, 16)
    alone = whole.rows(torch.tensor([1]))
    torch.testing.assert_close(simulator.sample(alone, 3, 4, seed=7), members[:, 1:2])
    torch.testing.assert_close(simulator.sample(whole, 3, 2, seed=7), members[:2])
    torch.testing.assert_close(simulator.sample(whole, 2, 4, seed=7), members[:, :, :2])
    assert not torch.allclose(simulator.sample(whole, 3, 4, seed=8), members)
    assert float(members.detach().std(dim=0).min()) > 0


def test_a_deterministic_simulator_has_one_member() -> None:
    simulator = build_simulator(component("fno"), {"flow": INFO}, {"flow": STATISTICS}).eval()
    moved(simulator.network)
    members = simulator.sample(batch(), 3, 5, seed=0)
    assert torch.equal(members, simulator.rollout(batch(), 3)[None])
    assert not simulator.stochastic


def test_noise_is_held_on_request() -> None:
    one, other = (
        simulator.sample(batch(), 2, 1, seed=0) for simulator in (stochastic(), stochastic(hold=True))
    )
    torch.testing.assert_close(one[:, :, 0], other[:, :, 0])
    assert not torch.allclose(one[:, :, 1], other[:, :, 1])


def test_zero_noise_gives_the_operator() -> None:
    simulator, given = stochastic(), batch()
    still = simulator.step(given, torch.zeros(3, 3))
    torch.testing.assert_close(still, simulator.rollout(given, 1)[:, 0])


def test_a_stochastic_simulator_survives_its_bundle(tmp_path: Path) -> None:
    simulator = stochastic()
    save_bundle(tmp_path, simulator, Component.of("models", "latent_operator", SMALL), "f")
    assert torch.equal(load_bundle(tmp_path).sample(batch(), 2, 3, 0), simulator.sample(batch(), 2, 3, 0))


@pytest.mark.parametrize("make", [corrected, diffusion])
def test_a_corrected_simulator_survives_its_bundle(make: type, tmp_path: Path) -> None:
    simulator = make()
    save_bundle(tmp_path / "operator", simulator.operator, component("unet"), "f")
    save_corrected(tmp_path / "corrected", simulator, tmp_path / "operator", component("fno"), "g")
    loaded = load_bundle(tmp_path / "corrected")
    assert torch.equal(loaded.sample(batch(), 2, 3, 0), simulator.sample(batch(), 2, 3, 0))
    # What corrects the same operator takes it from there.
    save_corrected(tmp_path / "again", simulator, tmp_path / "corrected", component("fno"), "g")
    assert torch.equal(load_bundle(tmp_path / "again").rollout(batch(), 2), simulator.rollout(batch(), 2))


def test_only_every_kth_frame_is_corrected() -> None:
    simulator = corrected()
    rarely = CorrectedSimulator(simulator, simulator.corrector, SamplerConfig(steps=2, every=2))
    members = rarely.sample(batch(), 2, 1, seed=0)[0]
    first = members[:, 0]
    onward = FieldBatch(
        **{**vars(batch()), "state": torch.stack([batch().state[:, 1], first], dim=1)}
    )  # the newest two frames
    torch.testing.assert_close(members[:, 1], simulator.step(onward))


def test_the_exact_velocity_of_a_normal_law_gives_that_law() -> None:
    # Residuals of deviation 0.5 about 2: the mean of e - x given z_t is linear in z_t.
    mean, deviation = 2.0, 0.5

    def velocity(z: torch.Tensor, time: torch.Tensor, jump: torch.Tensor) -> torch.Tensor:
        t = time[:, None]
        variance = (1 - t) ** 2 * deviation**2 + t**2
        return -mean + (t - (1 - t) * deviation**2) / variance * (z - (1 - t) * mean)

    noise = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cases: list[tuple[Flow, Sampler, int, float]] = [
        ("rectified", "heun", 16, 0.01),
        ("rectified", "euler", 200, 0.01),
        ("rectified", "euler", 4, 0.2),
        ("edm", "heun", 32, 0.01),
    ]
    for flow, kind, steps, allowed in cases:
        found = solve(velocity, noise, SamplerConfig(kind=kind, steps=steps), flow)
        assert float(found.mean()) == pytest.approx(mean, abs=0.03)
        assert float(found.std()) == pytest.approx(deviation, abs=allowed)


def test_a_later_start_refines_the_prediction() -> None:
    """Less noise leaves less of the residual's law: with hardly any, the prediction stays as it is."""
    simulator = corrected()
    predicted = simulator.rollout(batch(), 1)
    moved_by = []
    for start in (1.0, 0.5, 1e-6):
        refined = CorrectedSimulator(simulator, simulator.corrector, SamplerConfig(steps=4, start=start))
        moved_by.append(float((refined.sample(batch(), 1, 1, 0)[0] - predicted).detach().abs().max()))
    assert moved_by[0] > moved_by[1] > 1e3 * moved_by[2]


def test_the_denoiser_of_edm_is_exact_for_residuals_of_deviation_one() -> None:
    """A network that gives nothing is right for standard normal residuals: E[x | y] = y / (1 + s²), y = x + s e."""
    corrector = diffusion().corrector
    with torch.no_grad():
        corrector.network.forward = lambda x: torch.zeros(3, 2, 16)  # type: ignore[method-assign]
        noisy, time = torch.randn(3, 2, 16), torch.tensor([0.2, 0.5, 0.9])
        x, predicted = diffusion().seen(batch(), torch.zeros(3, 2, 16))
        velocity = corrector(x, predicted, noisy, time, torch.zeros(3))
    s, t = (time / (1 - time))[:, None, None], time[:, None, None]
    scaled = noisy / (1 - t)  # x + s e
    residual = scaled / (1 + s**2)
    torch.testing.assert_close(velocity, (scaled - residual) / s - residual)


def test_heun_is_of_second_order() -> None:
    def velocity(z: torch.Tensor, time: torch.Tensor, jump: torch.Tensor) -> torch.Tensor:
        return z * torch.cos(3 * time)[:, None]

    one = torch.ones(1, 1, dtype=torch.float64)
    start, end = torch.ones(1, dtype=torch.float64), torch.full((1,), 0.5, dtype=torch.float64)
    exact = math.exp(-(math.sin(3.0) - math.sin(1.5)) / 3)
    errors = []
    for count in (8, 16):
        z, times = one, torch.linspace(1, 0.5, count + 1, dtype=torch.float64)
        for begin, stop in pairwise(times):
            z = z - difference(velocity, z, begin.expand(1), stop.expand(1), "heun")
        errors.append(abs(float(z) - exact))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
    assert torch.equal(difference(velocity, one, start, end, "jumps"), 0.5 * velocity(one, start, start))


def test_the_way_begins_at_the_residual_and_ends_at_the_noise() -> None:
    residual, noise = torch.zeros(2, 1, 4), torch.ones(2, 1, 4)
    assert torch.equal(
        interpolate(residual, noise, torch.tensor([0.0, 0.25]))[:, 0, 0], torch.tensor([0.0, 0.25])
    )
