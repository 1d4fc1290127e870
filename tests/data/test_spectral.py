"""The spectral core: transforms, wave numbers, and steps of order four for stiff problems."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_data.generators.spectral import ETDRK4, Modes, Spectrum

BOXES = [((16,), (3.0,)), ((8, 12), (1.0, 2.0))]


@pytest.mark.parametrize(("shape", "lengths"), BOXES)
def test_transforms_are_inverse_and_wavenumbers_differentiate(
    shape: tuple[int, ...], lengths: tuple[float, ...]
) -> None:
    modes = Modes(shape, lengths)
    axes = [np.arange(n) * length / n for n, length in zip(shape, lengths, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    wave = [2 * np.pi * 2 / length for length in lengths]
    phase = sum(k * x for k, x in zip(wave, grid, strict=True))
    field = np.stack([np.sin(phase), np.cos(phase) + 1])
    spectrum = modes.forward(field)
    np.testing.assert_allclose(modes.backward(spectrum), field, atol=1e-14)
    for k, factor in zip(modes.wavenumbers, wave, strict=True):
        slope = modes.backward(1j * k * spectrum)
        np.testing.assert_allclose(slope, factor * np.stack([np.cos(phase), -np.sin(phase)]), atol=1e-12)
    curved = -sum(k**2 for k in wave) * np.stack([np.sin(phase), np.cos(phase)])
    np.testing.assert_allclose(modes.backward(modes.laplacian * spectrum), curved, atol=1e-10)


def test_products_of_kept_modes_have_no_aliases() -> None:
    """What N sees of a product is exact: the same as on a grid of twice the points."""
    coarse, fine = Modes((24, 24), (1.0, 1.0)), Modes((48, 48), (1.0, 1.0))
    random = np.random.default_rng(0)
    a, b = (coarse.kept * coarse.forward(random.standard_normal((24, 24))) for _ in range(2))
    product = coarse.kept * coarse.forward(coarse.backward(a) * coarse.backward(b))
    exact = fine.forward(
        fine.backward(coarse.resized(a, (48, 48))) * fine.backward(coarse.resized(b, (48, 48)))
    )
    np.testing.assert_allclose(product, coarse.kept * fine.resized(exact, (24, 24)), atol=1e-11)


@given(seed=st.integers(0, 99), finer=st.sampled_from([1, 2, 3]))
def test_resized_fields_have_the_same_values_at_common_points(seed: int, finer: int) -> None:
    modes = Modes((8, 12), (1.0, 2.0))
    spectrum = modes.forward(np.random.default_rng(seed).standard_normal((3, 8, 12)))
    smooth = modes.resized(spectrum, (8, 12))
    shape = (8 * finer, 12 * finer)
    larger = modes.resized(spectrum, shape)
    found = Modes(shape, (1.0, 2.0)).backward(larger)[:, ::finer, ::finer]
    np.testing.assert_allclose(found, modes.backward(smooth), atol=1e-14)


def test_steps_converge_with_order_four_and_linear_parts_are_exact() -> None:
    """u' = λ u + u² for stiff and slow λ, from Bernoulli's solution."""
    rates = np.array([-1e4, -10.0, -1.0, -1e-8, 0.5])
    start = np.full(5, 0.3 + 0j)

    def square(u: Spectrum) -> Spectrum:
        product: Spectrum = u * u
        return product

    exact = rates * start * np.exp(rates) / (rates - start * np.expm1(rates))
    errors = []
    for steps in (10, 20, 40):
        found = ETDRK4(rates, square, 1 / steps).advance(start, steps)
        errors.append(np.abs(found - exact).max())
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert all(3.7 < order < 4.5 for order in orders), orders
    nothing = ETDRK4(rates, np.zeros_like, 0.1).advance(start, 10)
    np.testing.assert_allclose(nothing, start * np.exp(rates), rtol=1e-12, atol=1e-300)


def test_coefficients_are_exact_where_their_formulas_cancel() -> None:
    """A constant N: u' = λ u + 1 is solved exactly, also for tiny λ."""
    rates = np.array([0.0, -1e-12, -1e-6, -1e-3, -0.5, -30.0])
    found = ETDRK4(rates, np.ones_like, 0.7).advance(np.zeros(6, dtype=complex))
    exact = [0.7 if rate == 0 else math.expm1(0.7 * rate) / rate for rate in rates]
    np.testing.assert_allclose(found, exact, rtol=1e-13)
