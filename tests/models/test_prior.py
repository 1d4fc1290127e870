"""A prior: observations that are refused, posteriors whose answer is known, and its saved form."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from known_fields import DARCY, Data, darcy_batch, select
from ups_core import Component, UPSError
from ups_models.bundle import load_bundle, save_bundle
from ups_models.export.step_module import StepModule
from ups_models.prior.config import LearnedObservations, PosteriorConfig
from ups_models.prior.joint_flow import Evidence, JointFlow
from ups_models.prior.observations import Observations, joint_fields
from ups_models.prior.simulator import PriorSimulator

MODEL = Component.of("models", "unet", {"width": 4, "levels": 2})


def prior(sampler: PosteriorConfig | None = None) -> PriorSimulator:
    torch.manual_seed(0)
    flow = JointFlow(MODEL, {DARCY.name: DARCY})
    for weight in flow.parameters():  # networks start with a last layer of zeros
        weight.data += 0.05 * torch.randn_like(weight)
    statistics = Data(DARCY, darcy_batch(4)).statistics
    made = PriorSimulator(
        flow,
        {DARCY.name: DARCY},
        {DARCY.name: statistics},
        sampler or PosteriorConfig(),
        LearnedObservations(noise=0.5),
    )
    made.fit(DARCY.name, joint_fields(darcy_batch(4)))
    return made.eval()


def few_points(count: int, noise: float = 0.0) -> Observations:
    batch = darcy_batch(count)
    mask = torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(3)) < 0.05
    return Observations.of_fields(joint_fields(batch), mask, noise)


class Gaussian(torch.nn.Module):
    """The exact flow of independent cells with mean `m` and standard deviation `s`, given nothing."""

    def __init__(self, like: JointFlow, m: float, s: float) -> None:
        super().__init__()
        self.network, self.m, self.s = like.network, m, s

    def forward(self, x: Any, noisy: Tensor, time: Tensor, evidence: Evidence) -> Tensor:
        t = time.reshape(-1, 1, 1, 1)
        variance = (1 - t) ** 2 * self.s**2 + t**2
        # E[e - x | z]: both are jointly Gaussian with z = (1 - t) x + t e.
        away = noisy - (1 - t) * self.m
        return (t * away / variance) - (self.m + (1 - t) * self.s**2 * away / variance)

    def mean(self, task: str) -> Tensor:
        return torch.zeros(2, 32, 32)

    def scale(self, task: str) -> Tensor:
        return torch.ones(2, 1, 1)

    def evidence(self, task: str, values: Tensor, mask: Tensor, noise: Tensor) -> Evidence:
        return Evidence(values, mask, noise, torch.zeros_like(values))


def test_samples_of_a_known_law_have_its_mean_and_spread() -> None:
    made = prior(PosteriorConfig(steps=40, replace=False))
    made = made.with_prior(Gaussian(made.prior, 0.7, 0.3))  # type: ignore[arg-type]
    batch = select(darcy_batch(2), [0])
    fields = made.posterior(batch, few_points(1), 16, seed=0)
    assert float(fields.mean()) == pytest.approx(0.7, abs=0.01)
    assert float(fields.std()) == pytest.approx(0.3, abs=0.01)
    noisy = few_points(1, noise=0.1)
    assert torch.allclose(made.expected(batch, noisy), torch.tensor(0.7), atol=1e-6)


@pytest.mark.parametrize("kind", ["heun", "euler"])
def test_exact_observations_are_met(kind: Any) -> None:
    made, seen = prior(PosteriorConfig(kind=kind, steps=3)), few_points(3)
    with torch.inference_mode():
        fields = made.posterior(darcy_batch(3), seen, 2, seed=0)
        expected = made.expected(darcy_batch(3), seen)
    for member in (*fields, expected):
        assert torch.allclose(member[seen.mask], seen.values[seen.mask], atol=1e-5)


def test_noisy_observations_are_not() -> None:
    made, seen = prior(), few_points(3, noise=0.1)
    fields = made.posterior(darcy_batch(3), seen, 1, seed=0)[0]
    assert (fields[seen.mask] - seen.values[seen.mask]).abs().max() > 1e-3


def test_members_depend_on_seed_trajectory_and_number_alone() -> None:
    made, batch, seen = prior(), darcy_batch(4), few_points(4)
    with torch.inference_mode():
        together = made.posterior(batch, seen, 3, seed=7)
        alone = made.posterior(
            select(batch, [2]), Observations(seen.values[2:3], seen.mask[2:3], seen.noise[2:3]), 2, seed=7
        )
        other = made.posterior(batch, seen, 1, seed=8)
    assert torch.allclose(together[:2, 2], alone[:, 0], atol=1e-5)
    assert (together[0] - other[0]).abs().max() > 1e-2
    assert (together[0] - together[1]).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("options", "evaluations"),
    [
        ({}, 7),
        ({"kind": "euler"}, 4),
        ({"guidance": 2.0}, 14),
        ({"guidance": 0.0}, 14),
        ({"misfit_weight": 1.0}, 7),
    ],
)
def test_what_a_sample_costs(options: dict[str, Any], evaluations: int) -> None:
    made = prior(PosteriorConfig(steps=4, **options))
    calls = []
    made.prior.network.register_forward_pre_hook(lambda *_: calls.append(1))
    fields = made.posterior(darcy_batch(2), few_points(2, 0.1), 1, seed=0)
    assert len(calls) == evaluations
    assert fields.isfinite().all()
    with torch.inference_mode():
        assert torch.allclose(made.posterior(darcy_batch(2), few_points(2, 0.1), 1, seed=0), fields)
    assert not fields.requires_grad


def test_guidance_exaggerates_what_observations_change() -> None:
    """By one step of Euler's method, whose fields are linear in the velocity."""
    fields = {}
    for guidance in (0.0, 1.0, 2.5):
        made = prior(PosteriorConfig(kind="euler", steps=1, guidance=guidance, replace=False))
        fields[guidance] = made.posterior(darcy_batch(2), few_points(2), 1, seed=0)
    change = fields[1.0] - fields[0.0]
    assert change.abs().max() > 1e-2
    assert torch.allclose(fields[2.5], fields[0.0] + 2.5 * change, atol=1e-4)


def test_without_guidance_observations_do_not_matter() -> None:
    made = prior(PosteriorConfig(steps=2, guidance=0.0, replace=False))
    first = made.posterior(darcy_batch(2), few_points(2), 1, seed=0)
    seen = few_points(2)
    other = made.posterior(darcy_batch(2), replace(seen, values=seen.values + 1), 1, seed=0)
    assert torch.allclose(first, other, atol=1e-6)


@pytest.mark.parametrize("inference", [False, True])
def test_the_gradient_of_the_misfit_brings_samples_nearer_to_the_observations(inference: bool) -> None:
    """The exact flow of a law that knows of no observations."""
    misfits = []
    for weight in (0.0, 4.0):
        made = prior(PosteriorConfig(steps=20, replace=False, misfit_weight=weight))
        made = made.with_prior(Gaussian(made.prior, 0.0, 1.0))  # type: ignore[arg-type]
        seen = few_points(2)
        with torch.inference_mode(inference):
            fields = made.posterior(darcy_batch(2), seen, 1, seed=0)[0]
        misfits.append(float((fields - seen.values)[seen.mask].square().mean()))
    assert misfits[1] < 0.1 * misfits[0]


def test_as_a_simulator_it_knows_the_coefficient_alone() -> None:
    made, batch = prior(), darcy_batch(3)
    hidden = replace(batch, target=torch.full_like(batch.target, math.nan))
    with torch.inference_mode():
        assert torch.equal(made.rollout(batch, 1), made.rollout(hidden, 1))
        assert torch.equal(made.sample(batch, 1, 2, 0), made.sample(hidden, 1, 2, 0))
    assert made.stochastic
    assert made.rollout(batch, 1).shape == (3, 1, 1, 32, 32)


@pytest.mark.filterwarnings("ignore:The tensor attributes")
def test_own_coefficients_and_an_exported_step() -> None:
    """What every simulator can do."""
    made, batch = prior(), darcy_batch(3)
    expected = made.rollout(batch, 1)[:, 0].detach()
    found = made.predict(batch.static.numpy(), {"beta": 1.0})
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert made.predict(batch.static.numpy(), {"beta": 1.0}, members=2).shape == (3, 2, *found.shape[1:])
    program = torch.export.export(StepModule(made, DARCY.name), (batch.static, batch.params))
    assert torch.allclose(program.module()(batch.static, batch.params), expected, atol=1e-5)


def test_a_saved_prior_is_the_same(tmp_path: Path) -> None:
    made, batch, seen = prior(PosteriorConfig(steps=2)), darcy_batch(2), few_points(2)
    save_bundle(tmp_path / "model", made, MODEL, "f")
    loaded = load_bundle(tmp_path / "model")
    assert isinstance(loaded, PriorSimulator)
    assert loaded.sampler == made.sampler
    assert loaded.learned == made.learned
    with torch.inference_mode():
        assert torch.equal(loaded.posterior(batch, seen, 2, 0), made.posterior(batch, seen, 2, 0))
        assert torch.equal(loaded.expected(batch, seen), made.expected(batch, seen))


def test_points_count_for_the_nearest_cell() -> None:
    seen = Observations.at_points(DARCY, "u", [[0.0, 0.51], [0.99, 1.0], [0.02, 0.52]], [1.0, 2.0, 3.0])
    assert int(seen.mask.sum()) == 2
    assert not seen.mask[0, 0].any()
    assert float(seen.values[0, 1, 0, 16]) == 2.0, "two in one cell: their mean"
    assert float(seen.values[0, 1, 31, 31]) == 2.0
    both = seen.joined(Observations.at_points(DARCY, "a", [[0.5, 0.5]], [12.0], noise=0.1))
    assert int(both.mask.sum()) == 3
    assert both.noise.tolist() == [[pytest.approx(0.1), 0.0]], "exact points stay exact"
    again = both.joined(Observations.at_points(DARCY, "u", [[0.2, 0.2]], [1.0], noise=0.3))
    assert again.noise.tolist() == [[pytest.approx(0.1), pytest.approx(0.3)]]


@pytest.mark.parametrize(
    ("channel", "points", "values", "message"),
    [
        ("p", [[0, 0]], [1], "task 'darcy2d' has no channel 'p'"),
        (
            "u",
            [[0, 1.5]],
            [1],
            r"observation 0 of 'u' is at \(0.0, 1.5\), outside the domain \[0, 1\] along axis 1",
        ),
        (
            "u",
            [[0, 1], [0.5, math.nan]],
            [1, 2],
            r"observation 1 of 'u' is at \[0.5, nan\], not a finite number",
        ),
        ("u", [[0, 1]], [math.inf], "observation 0 of 'u' is inf, not a finite number; remove it"),
        ("u", np.empty((0, 2)), [], "observations of 'u': there is none; give at least one point"),
        ("u", [[0, 1, 2]], [1], r"points \(1, 3\) and values \(1,\); give \(N, 2\) and \(N,\)"),
        ("u", [[0, 1]], [1, 2], r"points \(1, 2\) and values \(2,\)"),
    ],
)
def test_points_that_are_refused(channel: str, points: Any, values: Any, message: str) -> None:
    with pytest.raises(UPSError, match=message) as caught:
        Observations.at_points(DARCY, channel, points, values)
    assert "\n" not in str(caught.value)


def test_observations_that_are_refused() -> None:
    made, batch, good = prior(), darcy_batch(2), few_points(2)
    cases = [
        (replace(good, mask=torch.zeros_like(good.mask)), "sample 0 has no observation"),
        (
            replace(good, mask=good.mask[..., :16]),
            "the mask of the observations are .* of task 'darcy2d' are",
        ),
        (Observations.of_fields(torch.zeros(2, 2, 16, 16), torch.ones(1, dtype=torch.bool)), "the values"),
        (
            replace(good, mask=good.mask.float()),
            "the mask of the observations is of torch.float32; give torch.bool",
        ),
        (replace(good, values=torch.full_like(good.values, math.nan)), "of 'a' is nan, not a finite number"),
        (replace(good, noise=torch.full_like(good.noise, -0.1)), "the noise of observations is -0.1, not"),
        (replace(good, noise=torch.full_like(good.noise, math.nan)), "the noise of observations is nan, not"),
        (replace(good, noise=good.noise[:, :1]), r"noise \(2, 1\) .*; give noise \(2, 2\)"),
        (replace(good, mask=good.mask[:1]), "of 2, 1 and 2 samples"),
        (
            few_points(2, noise=0.6),
            "noise 0.6 is more than the 0.5 that the prior was trained with; train it",
        ),
        (few_points(1), "the observations have 1 samples, the batch has 2"),
    ]
    for seen, message in cases:
        with pytest.raises(UPSError, match=message):
            made.posterior(batch, seen, 1, 0)
    with pytest.raises(UPSError, match="members is 0; give at least 1"):
        made.posterior(batch, good, 0, 0)
    fields = joint_fields(batch)
    with pytest.raises(UPSError, match=r"mask .* is \(1, 1, 16, 16\), but the fields are \(2, 2, 32, 32\)"):
        Observations.of_fields(fields, torch.ones(1, 1, 16, 16, dtype=torch.bool))
    with pytest.raises(UPSError, match=r"give torch\.bool"):
        Observations.of_fields(fields, torch.ones(2, 1, 32, 32, dtype=torch.int64))
    half = replace(batch, static=batch.static[..., ::2, ::2], target=batch.target[..., ::2, ::2])
    with pytest.raises(UPSError, match=r"task 'darcy2d' knows fields of \(32, 32\) points, got \(16, 16\)"):
        made.rollout(half, 1)
    with pytest.raises(UPSError, match="unknown task 'other'"):
        made.expected(replace(batch, task="other"), good)
    hidden = replace(good, values=torch.where(good.mask, good.values, math.nan))
    assert made.expected(batch, hidden).isfinite().all(), "what is not observed is of no importance"
