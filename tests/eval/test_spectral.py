"""fRMSE by hand: single modes, sums of modes, edges of the bands, samples and channels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ups_core import UPSError
from ups_eval.builtin_metrics import create_metric
from ups_eval.spectral import HighFRMSE, LowFRMSE, MidFRMSE, error_spectrum

X64 = torch.arange(64, dtype=torch.float64) / 64


def sine(number: int, size: float = 1.0, x: Tensor = X64) -> Tensor:
    return size * torch.sin(2 * math.pi * number * x)


def sample(field: Tensor) -> Tensor:
    """One sample, frame and channel."""
    return field[None, None, None]


def spectrum(error: Tensor) -> Tensor:
    return error_spectrum(error, torch.zeros_like(error))


def test_a_sine_has_a_quarter_of_its_square_in_one_bin() -> None:
    found = spectrum(sample(sine(5, 3.0)))[0, 0, 0]
    assert found.shape == (33,)
    assert float(found[5]) == pytest.approx(9 / 4)
    assert float(found.sum()) == pytest.approx(9 / 4)


def test_the_mean_and_the_shortest_wave_have_bins_of_their_own() -> None:
    flat = spectrum(sample(torch.full((64,), 2.0, dtype=torch.float64)))[0, 0, 0]
    assert float(flat[0]) == pytest.approx(4)
    assert float(flat[1:].sum()) < 1e-20
    alternating = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(32)
    shortest = spectrum(sample(alternating))[0, 0, 0]
    assert float(shortest[32]) == pytest.approx(1)


@given(coefficients=st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_power_adds_up_as_parseval_says(coefficients: list[float]) -> None:
    """1-D: mean square of the error = bin 0 + 2 * all others (below the shortest wave)."""
    error = sum(sine(number + 1, size) for number, size in enumerate(coefficients))
    assert isinstance(error, Tensor)
    error = error + coefficients[0]
    bins = spectrum(sample(error))[0, 0, 0]
    assert float(bins[0] + 2 * bins[1:].sum()) == pytest.approx(float(error.square().mean()), abs=1e-9)


@pytest.mark.parametrize(
    ("number", "metric", "width"),
    [(3, LowFRMSE, 4), (4, MidFRMSE, 8), (11, MidFRMSE, 8), (12, HighFRMSE, 21), (31, HighFRMSE, 21)],
)
def test_the_edges_of_the_bands(number: int, metric: type, width: int) -> None:
    """A band's value is the mean over its wavenumbers of |F_k| / n, of which one is a / 2."""
    error = sample(sine(number, 4.0))
    for kind in (LowFRMSE, MidFRMSE, HighFRMSE):
        expected = 2.0 / width if kind is metric else 0.0
        assert float(kind()(error, torch.zeros_like(error))) == pytest.approx(expected, abs=1e-10)


def test_samples_are_averaged_as_squares_channels_and_frames_as_roots() -> None:
    error = torch.zeros(2, 2, 2, 64, dtype=torch.float64)
    error[0, 0, 0], error[1, 0, 0] = sine(2, 6.0), sine(2, 8.0)  # amplitudes 3 and 4 in bin 2
    per_frame = math.sqrt((9 + 16) / 2) / 4  # one of four bins
    expected = per_frame / 4  # one of two frames, one of two channels
    assert float(LowFRMSE()(error, torch.zeros_like(error))) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("mode", "shell"), [((0, 0), 0), ((3, 4), 5), ((1, 1), 1), ((2, 2), 2), ((5, 6), 7), ((0, 7), 7)]
)
def test_a_plane_wave_lands_in_its_shell(mode: tuple[int, int], shell: int) -> None:
    x = torch.arange(16, dtype=torch.float64) / 16
    phase = 2 * math.pi * (mode[0] * x[:, None] + mode[1] * x[None, :])
    bins = spectrum(sample(torch.cos(phase)))[0, 0, 0]
    assert bins.shape == (8,)
    power = 1.0 if mode == (0, 0) else 0.25  # of a cosine the quadrant has one of its two modes
    assert float(bins[shell]) == pytest.approx(power)
    assert float(bins.sum()) == pytest.approx(power)


def test_corners_of_the_quadrant_are_beyond_the_last_shell() -> None:
    x = torch.arange(16, dtype=torch.float64) / 16
    corner = torch.cos(2 * math.pi * 7 * (x[:, None] + x[None, :]))  # |k| = 9.9
    assert float(spectrum(sample(corner)).sum()) < 1e-20


@pytest.mark.parametrize("shape", [(16, 24), (24, 16), (12, 16, 20)], ids=str)
def test_other_shapes_have_as_many_shells_as_half_their_shortest_axis(shape: tuple[int, ...]) -> None:
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) / n for n in shape), indexing="ij")
    wave = torch.cos(2 * math.pi * (2 * axes[0] + 2 * axes[1]))
    bins = spectrum(sample(wave))[0, 0, 0]
    assert bins.shape == (min(shape) // 2,)
    assert float(bins[2]) == pytest.approx(0.25)


def test_a_cube_sums_its_octant() -> None:
    x = torch.arange(8, dtype=torch.float64) / 8
    phase = 2 * math.pi * (x[:, None, None] + 2 * x[None, :, None] + 2 * x[None, None, :])
    bins = spectrum(sample(torch.cos(phase)))[0, 0, 0]
    assert bins.tolist() == pytest.approx([0, 0, 0, 0.25], abs=1e-12), "|(1, 2, 2)| = 3"


def test_the_error_counts_not_the_fields() -> None:
    target = sample(sine(1, 100.0))
    error = sample(sine(9, 0.5))
    assert float(MidFRMSE()(target + error, target)) == pytest.approx(0.25 / 8)
    assert float(LowFRMSE()(target + error, target)) < 1e-10


@pytest.mark.parametrize(("cells", "empty"), [(6, "mid"), (16, "high"), (22, "high")])
def test_a_grid_too_coarse_for_a_band_gives_nan(cells: int, empty: str) -> None:
    error = torch.ones(1, 1, 1, cells)
    assert math.isnan(float(create_metric(f"frmse_{empty}")(error, torch.zeros_like(error))))
    assert float(create_metric("frmse_low")(error, torch.zeros_like(error))) > 0


def test_shapes_are_checked() -> None:
    with pytest.raises(UPSError, match="differ in shape"):
        error_spectrum(torch.zeros(1, 1, 1, 8), torch.zeros(1, 1, 1, 9))
