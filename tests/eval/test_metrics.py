"""Metrics in cases whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ups_core import UPSError
from ups_eval.builtin_metrics import METRICS, create_metric
from ups_eval.metrics import VRMSE, nrmse_per_frame


def value(name: str, prediction: torch.Tensor, target: torch.Tensor) -> float:
    return float(create_metric(name)(prediction, target))


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("space", [(32,), (26, 28)])
def test_a_perfect_prediction_scores_zero(name: str, space: tuple[int, ...]) -> None:
    target = torch.rand(3, 2, 2, *space) + 1
    assert value(name, target, target) == 0


@pytest.mark.parametrize("space", [(32,), (26, 28), (8, 6, 7)])
def test_a_constant_offset_is_measured_exactly(space: tuple[int, ...]) -> None:
    target = torch.full((4, 3, 2, *space), 2.0)
    for name in ("rmse", "crmse", "brmse", "max_error"):
        assert value(name, target - 0.5, target) == pytest.approx(0.5, rel=1e-12)
    for name in ("nrmse", "rel_l2"):
        assert value(name, target - 0.5, target) == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize(("wavenumber", "band", "width"), [(2, "low", 4), (7, "mid", 8), (20, "high", 21)])
def test_a_pure_mode_lands_in_its_band_1d(wavenumber: int, band: str, width: int) -> None:
    """A sine of amplitude a has |F_k|/n = a/2 at one wavenumber; the band's mean divides by its width."""
    x = torch.arange(64, dtype=torch.float64) / 64
    target = torch.zeros(2, 1, 1, 64)
    prediction = (3 * torch.sin(2 * math.pi * wavenumber * x)).expand(2, 1, 1, 64)
    for name in ("low", "mid", "high"):
        expected = 1.5 / width if name == band else 0
        assert value(f"frmse_{name}", prediction, target) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("mode", "band"), [((2, 2), "low"), ((3, 3), "mid"), ((9, 9), "high")])
def test_a_pure_mode_lands_in_its_band_2d(mode: tuple[int, int], band: str) -> None:
    x = torch.arange(64, dtype=torch.float64) / 64
    wave = torch.cos(2 * math.pi * (mode[0] * x[:, None] + mode[1] * x[None, :]))
    prediction, target = wave.expand(2, 1, 1, 64, 64), torch.zeros(2, 1, 1, 64, 64)
    scores = {name: value(f"frmse_{name}", prediction, target) for name in ("low", "mid", "high")}
    assert scores[band] > 1e-3
    assert sum(scores.values()) == pytest.approx(scores[band])


def test_2d_bands_ignore_modes_with_a_negative_index() -> None:
    """PDEBench's first-quadrant rule, kept so that numbers can be compared, and documented as a bias."""
    x = torch.arange(64, dtype=torch.float64) / 64
    wave = torch.cos(2 * math.pi * (2 * x[:, None] - 2 * x[None, :]))
    assert value("frmse_low", wave[None, None, None], torch.zeros(1, 1, 1, 64, 64)) < 1e-12


def test_a_band_without_wavenumbers_is_nan() -> None:
    assert math.isnan(value("frmse_high", torch.ones(1, 1, 1, 16), torch.zeros(1, 1, 1, 16)))


@pytest.mark.parametrize("name", ["nrmse", "rel_l2"])
@given(scale=st.floats(1e-6, 1e6))
def test_relative_metrics_ignore_the_unit(name: str, scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 3, 2, 2, 16, generator=generator, dtype=torch.float64)
    assert value(name, prediction * scale, target * scale) == pytest.approx(value(name, prediction, target))


def test_predicting_the_spatial_mean_has_vrmse_one() -> None:
    target = torch.randn(4, 2, 1, 64, 64, dtype=torch.float64)
    mean = target.mean(dim=(3, 4), keepdim=True).expand_as(target)
    assert value("vrmse", mean, target) == pytest.approx(1, abs=1e-3)


def test_a_vanishing_target_gives_zero_or_infinity_never_nan() -> None:
    zero, one = torch.zeros(2, 1, 1, 8), torch.ones(2, 1, 1, 8)
    for name in ("nrmse", "rel_l2"):
        assert value(name, zero, zero) == 0
        assert value(name, one, zero) == math.inf


def test_late_small_frames_dominate_nrmse_but_not_rel_l2() -> None:
    """The two differ for decaying solutions, which is why both exist."""
    target = torch.tensor([1.0, 1e-3])[None, :, None, None].expand(1, 2, 1, 8)
    prediction = target + 1e-3
    assert value("nrmse", prediction, target) == pytest.approx((1e-3 + 1) / 2, rel=1e-4)
    assert value("rel_l2", prediction, target) == pytest.approx(math.sqrt(2) * 1e-3, rel=1e-4)


def test_error_curve_averages_to_nrmse() -> None:
    prediction, target = torch.randn(2, 5, 7, 2, 12)
    curve = nrmse_per_frame(prediction, target)
    assert curve.shape == (5, 7)
    assert float(curve.mean()) == pytest.approx(value("nrmse", prediction, target))


def test_float32_input_is_summed_in_float64() -> None:
    target = torch.full((1, 1, 1, 4), 1.0)
    made = create_metric("rmse")
    for _ in range(3000):
        made.update(target + 0.1, target)
    single = float((target + 0.1 - target)[0, 0, 0, 0])
    assert float(made.compute()) == pytest.approx(single, rel=1e-13)


@pytest.mark.parametrize("name", METRICS)
def test_reset_forgets(name: str) -> None:
    made = create_metric(name)
    made.update(torch.ones(1, 1, 1, 32), torch.zeros(1, 1, 1, 32))
    made.reset()
    made.update(torch.ones(1, 1, 1, 32), torch.ones(1, 1, 1, 32))
    assert float(made.compute()) == 0


def test_shapes_that_cannot_be_scored_are_named() -> None:
    with pytest.raises(UPSError, match=r"\(1, 2, 1, 8\) and target \(1, 3, 1, 8\)"):
        VRMSE().update(torch.zeros(1, 2, 1, 8), torch.zeros(1, 3, 1, 8))
    with pytest.raises(UPSError, match="expected"):
        VRMSE().update(torch.zeros(2, 8), torch.zeros(2, 8))
