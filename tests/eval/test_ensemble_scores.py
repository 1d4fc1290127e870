"""Scores of ensembles against scoringrules and against laws with known values."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ups_eval.ensemble_metrics import (
    CRPS,
    Coverage50,
    Coverage90,
    EnergyScore,
    EnsembleMetric,
    RankHistogram,
    SpectrumError,
    SpreadSkill,
)
from ups_eval.ensemble_scores import covered, crps, energy_score, fewest_members, ranks
from ups_eval.trajectory_statistics import reduce_values

scoringrules = pytest.importorskip("scoringrules")


def gaussian(members: int, cases: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Members and truth of the same law, independent."""
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randn(members + 1, cases, 1, 1, 8, generator=generator, dtype=torch.float64)
    return draws[1:], draws[0]


@given(members=st.integers(2, 12), seed=st.integers(0, 1000))
def test_fair_crps_is_that_of_scoringrules(members: int, seed: int) -> None:
    ensemble, truth = gaussian(members, 3, seed)
    expected = scoringrules.crps_ensemble(
        truth.numpy(), np.moveaxis(ensemble.numpy(), 0, -1), estimator="fair"
    )
    np.testing.assert_allclose(crps(ensemble, truth).numpy(), expected, atol=1e-12)


@given(members=st.integers(2, 12), seed=st.integers(0, 1000))
def test_plain_crps_is_that_of_scoringrules(members: int, seed: int) -> None:
    ensemble, truth = gaussian(members, 3, seed)
    expected = scoringrules.crps_ensemble(
        truth.numpy(), np.moveaxis(ensemble.numpy(), 0, -1), estimator="nrg"
    )
    np.testing.assert_allclose(crps(ensemble, truth, fair=0.0).numpy(), expected, atol=1e-12)


@given(members=st.integers(2, 12), seed=st.integers(0, 1000))
def test_plain_energy_score_is_that_of_scoringrules(members: int, seed: int) -> None:
    ensemble, truth = gaussian(members, 3, seed)
    flat = np.moveaxis(ensemble.flatten(2).numpy(), 0, 1)  # (B, M, D)
    expected = scoringrules.es_ensemble(truth.flatten(1).numpy(), flat) / math.sqrt(8)
    np.testing.assert_allclose(energy_score(ensemble, truth, fair=0.0).numpy(), expected, atol=1e-12)


def test_fair_scores_of_a_gaussian_do_not_depend_on_the_members() -> None:
    # The CRPS of a standard normal law about its own draws is 1 / sqrt(pi) in the mean.
    for members in (2, 5, 40):
        ensemble, truth = gaussian(members, 20_000)
        assert crps(ensemble, truth).mean() == pytest.approx(1 / math.sqrt(math.pi), abs=0.01)
    few, many = (float(energy_score(*gaussian(members, 20_000)).mean()) for members in (2, 16))
    assert few == pytest.approx(many, rel=0.01)


def test_one_member_gives_the_errors_of_a_prediction() -> None:
    ensemble, truth = gaussian(1, 4)
    error = ensemble[0] - truth
    assert torch.equal(crps(ensemble, truth), error.abs())
    rmse = error.square().flatten(1).mean(dim=1).sqrt()
    torch.testing.assert_close(energy_score(ensemble, truth), rmse)


def test_gradients_are_finite_where_members_agree() -> None:
    ensemble = torch.zeros(4, 2, 1, 1, 8, requires_grad=True)
    energy_score(ensemble, torch.zeros(2, 1, 1, 8)).sum().backward()
    assert ensemble.grad is not None
    assert torch.isfinite(ensemble.grad).all()


def test_per_point_crps_does_not_see_shuffled_members_but_the_energy_score_does() -> None:
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(9, 2000, 1, 1, 1, generator=generator).expand(-1, -1, -1, -1, 16).double()
    members, truth = whole[1:], whole[0]
    order = torch.stack([torch.randperm(8, generator=generator) for _ in range(16)], dim=1)
    shuffled = members.gather(0, order.reshape(8, 1, 1, 1, 16).expand(8, 2000, 1, 1, 16))
    torch.testing.assert_close(crps(shuffled, truth).mean(), crps(members, truth).mean())
    assert energy_score(shuffled, truth).mean() > 1.1 * energy_score(members, truth).mean()


@pytest.mark.parametrize(("level", "fewest"), [(0.5, 3), (0.9, 19)])
def test_an_interval_needs_members(level: float, fewest: int) -> None:
    assert fewest_members(level) == fewest
    with pytest.raises(ValueError, match="interval"):
        covered(torch.zeros(fewest - 1, 3), torch.zeros(3), level)


@pytest.mark.parametrize(("members", "level"), [(3, 0.5), (8, 0.5), (19, 0.9), (32, 0.9), (100, 0.9)])
def test_an_honest_ensemble_covers_its_level(members: int, level: float) -> None:
    ensemble, truth = gaussian(members, 6000)
    assert covered(ensemble, truth, level).double().mean() == pytest.approx(level, abs=0.015)


def test_ranks_of_an_honest_ensemble_are_flat_also_where_values_are_equal() -> None:
    ensemble, truth = gaussian(4, 20_000)
    for lost in (1.0, 0.0):  # everything equal where multiplied by zero
        found = ranks(ensemble * lost, truth * lost, torch.Generator().manual_seed(0))
        shares = torch.bincount(found.flatten(), minlength=5) / found.numel()
        torch.testing.assert_close(shares.double(), torch.full((5,), 0.2).double(), atol=0.01, rtol=0)


METRICS: list[type[EnsembleMetric]] = [
    CRPS,
    EnergyScore,
    SpreadSkill,
    RankHistogram,
    Coverage50,
    Coverage90,
    SpectrumError,
]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [(32,), (26, 28)])
def test_a_metric_does_not_depend_on_batches(metric: type[EnsembleMetric], shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    draws = torch.randn(21, 7, 2, 3, *shape, generator=generator)
    members, truth = draws[1:], draws[0]
    one, many = metric(), metric()
    one.update(members, truth)
    for part in (slice(0, 2), slice(2, 7)):
        many.update(members[:, part], truth[part])
    assert float(one.compute()) == pytest.approx(float(many.compute()), rel=1e-12)
    assert math.isfinite(float(one.compute()))


def test_metrics_of_an_honest_ensemble() -> None:
    draws = torch.randn(25, 400, 1, 1, 32, generator=torch.Generator().manual_seed(2))
    members, truth = draws[1:], draws[0]
    value = {metric: float(reduce_values(metric().values(members, truth).numpy(), metric.reduction))
             for metric in METRICS}  # fmt: skip
    assert value[SpreadSkill] == pytest.approx(1.0, abs=0.03)
    assert value[Coverage50] == pytest.approx(0.5, abs=0.02)
    assert value[Coverage90] == pytest.approx(0.9, abs=0.02)
    assert value[RankHistogram] < 1
    assert value[SpectrumError] < 0.05


def test_a_narrow_ensemble_is_found_out() -> None:
    draws = torch.randn(25, 400, 1, 1, 32, generator=torch.Generator().manual_seed(2))
    members, truth = 0.5 * draws[1:], draws[0]
    value = {metric: float(reduce_values(metric().values(members, truth).numpy(), metric.reduction))
             for metric in METRICS}  # fmt: skip
    assert value[SpreadSkill] == pytest.approx(0.5, abs=0.05)
    assert value[Coverage90] < 0.7
    assert value[RankHistogram] > 10
    assert value[SpectrumError] == pytest.approx(math.log10(4), abs=0.05)


def test_nothing_updated_is_nan() -> None:
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert math.isnan(float(CRPS().compute()))
