"""The finite-volume core: exact Riemann problems, orders of convergence, conservation, positivity, viscosity."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import riemann_solutions
from ups_data.generators.finite_volume.boundaries import Ends
from ups_data.generators.finite_volume.laws import Gas, Law, ShallowWater
from ups_data.generators.finite_volume.lines import pieces
from ups_data.generators.finite_volume.reconstruction import face_values
from ups_data.generators.finite_volume.scheme import NotPositive, Scheme
from ups_data.generators.finite_volume.viscosity import Viscosity

Array = NDArray[Any]
AIR = Gas(1.4)


def solve(
    law: Law, primitive: Array, time: float, ends: Ends, width: float = 1.0, viscosity: float = 0.0
) -> Array:
    """Primitive variables `(n, C, *S)` at `time`, cells of a cube with edges of length `width`."""
    made = np.full_like(primitive, np.nan)
    spacing = tuple(width / cells for cells in primitive.shape[2:])
    viscous = Viscosity(viscosity, viscosity, spacing, ends) if viscosity else None

    def record(rows: Array, frame: Array, state: Array) -> None:
        assert (frame == 1).all()
        made[rows] = law.primitive(state)

    Scheme(law, spacing, ends, viscous).march(law.conserved(primitive), time, 2, record)
    return made


def tube(left: tuple[float, ...], right: tuple[float, ...], cells: int) -> tuple[Array, Array]:
    """Two constant states `(1, C, cells)` on (-1/2, 1/2), and the cells' centres."""
    x = (np.arange(cells) + 0.5) / cells - 0.5
    return np.where(x < 0, np.array(left)[:, None], np.array(right)[:, None])[None], x


def smooth(shape: tuple[int, ...], seed: int = 0) -> Array:
    """A smooth periodic gas `(1, 2 + d, *shape)` with velocities near the speed of sound."""
    random = np.random.default_rng(seed)
    grid = np.meshgrid(*((np.arange(cells) + 0.5) / cells for cells in shape), indexing="ij")

    def field() -> Array:
        waves = (np.sin(2 * np.pi * (place * random.integers(1, 3) + random.random())) for place in grid)
        return np.asarray(math.prod(waves))

    return np.stack([1 + 0.4 * field(), *(0.8 * field() for _ in shape), 1 + 0.4 * field()])[None]


SOD = (1.0, 0.0, 1.0), (0.125, 0.0, 0.1)


def test_sod_converges_to_the_exact_solution() -> None:
    errors = []
    for cells in (100, 200, 400):
        start, x = tube(*SOD, cells)
        found = solve(AIR, start, 0.2, "open")[0]
        errors.append(np.abs(found - riemann_solutions.gas(SOD, 1.4, x / 0.2)).mean(axis=1))
    assert (errors[-1] < [0.002, 0.004, 0.0015]).all()
    for coarse, fine in pairwise(errors):
        assert (np.log2(coarse / fine) > 0.8).all()


@pytest.mark.parametrize(
    ("sides", "time", "limits"),
    [
        (((1.0, -2.0, 0.4), (1.0, 2.0, 0.4)), 0.15, [0.01, 0.03, 0.01]),  # nearly a vacuum
        (((1.0, 0.0, 1000.0), (1.0, 0.0, 0.01)), 0.012, [0.1, 0.3, 6.0]),  # a strong shock
        (((1.0, 2.0, 1.0), (1.0, -2.0, 1.0)), 0.15, [0.05, 0.05, 0.15]),  # two shocks
    ],
)
def test_hard_riemann_problems(sides: riemann_solutions.Sides, time: float, limits: list[float]) -> None:
    start, x = tube(*sides, 200)
    found = solve(AIR, start, time, "open")[0]
    assert (np.abs(found - riemann_solutions.gas(sides, 1.4, x / time)).mean(axis=1) < limits).all()
    assert found[0].min() > 0
    assert found[2].min() > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("speed", [2.7, 4.0, 20.0])
def test_gas_that_is_torn_apart_stays_positive(speed: float, dtype: type) -> None:
    """Beyond 2 c / (gamma - 1) = 3.7 the exact solution has a vacuum."""
    start, _ = tube((1.0, -speed, 0.4), (1.0, speed, 0.4), 200)
    found = solve(AIR, start.astype(dtype), 0.5 / speed, "open")[0]
    assert np.isfinite(found).all()
    assert found[0].min() > 0
    assert found[2].min() > 0


@pytest.mark.parametrize("shape", [(60,), (32, 32)])
def test_a_step_that_is_not_positive_is_repeated_without_slopes(shape: tuple[int, ...]) -> None:
    """Noise far above the speed of sound: many steps would fail, and mass is conserved nevertheless."""
    random = np.random.default_rng(0)
    density, pressure = 10 ** random.uniform(-4, 1, (2, *shape))
    start = np.stack([density, *random.uniform(-20, 20, (len(shape), *shape)), pressure])[None]
    scheme = Scheme(AIR, (1 / shape[0],) * len(shape), "periodic")
    state = AIR.conserved(start)
    mass, repeated = state[:, 0].sum(), 0
    for _ in range(40):
        size = scheme.stable_step(state)
        with np.errstate(all="ignore"):
            repeated += bool(AIR.troubled(scheme._transport(state, size, None)).any())
        state = scheme.step(state, size)
        assert not AIR.troubled(state).any()
    assert repeated > 5
    assert state[:, 0].sum() == pytest.approx(mass, rel=1e-13)


def test_what_no_repetition_helps_is_an_error_with_its_row() -> None:
    states = np.concatenate([smooth((16,), seed) for seed in range(3)])
    state = AIR.conserved(states)
    state[1, 0, 4] = np.nan
    with pytest.raises(NotPositive) as raised:
        Scheme(AIR, (1 / 16,), "periodic").march(state, 0.1, 2, lambda *found: None)
    assert raised.value.row == 1


def vortex(cells: int, drift: tuple[float, float]) -> Array:
    """Averages of conserved variables of the isentropic vortex of C.-W. Shu on (-5, 5)², `(4, cells, cells)`."""
    width = 10 / cells
    nodes = np.array([-1, 1]) / math.sqrt(12)
    total = np.zeros((1, 4, cells, cells))
    for a in nodes:
        for b in nodes:
            x = ((np.arange(cells) + 0.5 + a) * width - 5)[:, None]
            y = (np.arange(cells) + 0.5 + b) * width - 5
            swirl = 5 / (2 * np.pi) * np.exp((1 - x**2 - y**2) / 2)
            density = (1 - 0.4 / 2.8 * swirl**2) ** 2.5
            primitive = np.stack([density, drift[0] - swirl * y, drift[1] + swirl * x, density**1.4])
            total += AIR.conserved(primitive[None]) / 4
    return total[0]


def test_the_isentropic_vortex_converges_with_order_two() -> None:
    """It drifts by whole cells: by (2, 1) in two units of time."""
    errors = []
    for cells in (40, 80, 160):
        start = vortex(cells, (1.0, 0.5))
        found = AIR.conserved(solve(AIR, AIR.primitive(start[None]), 2.0, "periodic", 10.0))[0]
        moved = np.roll(start, (cells // 5, cells // 10), axis=(1, 2))
        errors.append(np.abs(found - moved).mean(axis=(1, 2)))
    for coarse, fine in pairwise(errors):
        assert (np.log2(coarse / fine) > 1.8).all()


@pytest.mark.parametrize("shape", [(64,), (24, 20), (10, 8, 12)])
@pytest.mark.parametrize("viscosity", [0.0, 0.05])
def test_mass_momentum_and_energy_are_conserved(shape: tuple[int, ...], viscosity: float) -> None:
    start = smooth(shape)
    found = solve(AIR, start, 0.3, "periodic", viscosity=viscosity)
    axes = tuple(range(2, start.ndim))
    before, after = (AIR.conserved(state) for state in (start, found))
    size = np.abs(before).mean(axis=axes)
    np.testing.assert_array_less(np.abs((after - before).mean(axis=axes)) / size, 1e-12)
    assert np.abs(after - before).max() > 0.1


@pytest.mark.parametrize("law", [Gas(), ShallowWater()])
@pytest.mark.parametrize("viscosity", [0.0, 0.02])
def test_mirrored_and_exchanged_axes(law: Law, viscosity: float) -> None:
    start = smooth((16, 16))[:, : 4 if isinstance(law, Gas) else 3]
    viscosity = viscosity if isinstance(law, Gas) else 0.0

    def run(state: Array) -> Array:
        return solve(law, np.ascontiguousarray(state), 0.2, "periodic", viscosity=viscosity)

    def mirrored(state: Array) -> Array:
        made = state[:, :, ::-1].copy()
        made[:, 1] *= -1
        return made

    def exchanged(state: Array) -> Array:
        made = state.swapaxes(2, 3).copy()
        made[:, [1, 2]] = made[:, [2, 1]]
        return made

    found = run(start)
    for change in (mirrored, exchanged, lambda state: np.roll(state, (3, 5), axis=(2, 3))):
        np.testing.assert_allclose(run(change(start)), change(found), atol=1e-13)


def test_a_moving_frame_sees_the_same_flow() -> None:
    """A drift of a whole number of cells; the error of the scheme differs, and falls with order two."""
    errors = []
    for cells in (80, 160, 320):
        start = smooth((cells,))
        moving = start.copy()
        moving[:, 1] += 2.5
        still, found = (solve(AIR, state, 0.04, "periodic") for state in (start, moving))
        found = np.roll(found, -cells // 10, axis=2)
        found[:, 1] -= 2.5
        errors.append(np.abs(found - still).mean())
    assert errors[-1] < 1e-3
    assert all(math.log2(coarse / fine) > 1.6 for coarse, fine in pairwise(errors))


@pytest.mark.parametrize("viscosity", [0.01, 0.1, 1.0])
def test_a_shear_wave_decays_by_its_viscosity(viscosity: float) -> None:
    """v = A sin(2πy), rho constant: exp(-eta (2π)² t), up to the discrete Laplacian's 1 - (2π/N)²/12."""
    cells, time = 32, 0.05
    wave = np.sin(2 * np.pi * (np.arange(cells) + 0.5) / cells)
    start = np.ones((1, 4, 4, cells))
    start[:, 1], start[:, 2], start[:, 3] = 1e-3 * wave, 0.0, 10.0
    made = np.full_like(start, np.nan)
    law = Gas()
    spacing = 1 / cells, 1 / cells
    scheme = Scheme(law, spacing, "periodic", Viscosity(viscosity, viscosity, spacing, "periodic"))
    scheme.march(law.conserved(start), time, 2, lambda r, f, state: made.__setitem__(r, law.primitive(state)))
    amplitude = 2 * (made[0, 1, 0] * wave).mean() / 1e-3
    discrete = viscosity * (2 * cells * math.sin(math.pi / cells)) ** 2
    assert amplitude == pytest.approx(math.exp(-discrete * time), rel=2e-3)
    assert amplitude == pytest.approx(math.exp(-viscosity * 4 * math.pi**2 * time), rel=0.01)


def test_a_compression_wave_decays_by_both_viscosities() -> None:
    """Viscosity alone: the velocity along the wave diffuses with eta + zeta + eta/3, in any direction."""
    cells, eta, zeta, time = 48, 0.03, 0.05, 0.1
    x = (np.arange(cells) + 0.5) / cells
    phase = 2 * np.pi * (x[:, None] + x)
    state = Gas().conserved(np.ones((1, 4, cells, cells)))
    state[:, 1] = state[:, 2] = 1e-2 * np.sin(phase)
    viscosity = Viscosity(eta, zeta, (1 / cells, 1 / cells), "periodic")
    for sign, sum_of_both in ((1, eta + zeta + eta / 3), (-1, eta)):
        made = state.copy()
        made[:, 2] *= sign
        for _ in range(10):
            made = viscosity.advance(made, np.array([time / 10]))
        amplitude = 2 * (made[0, 1] * np.sin(phase)).mean() / 1e-2
        assert amplitude == pytest.approx(math.exp(-sum_of_both * 8 * math.pi**2 * time), rel=5e-3)


def test_super_time_steps_agree_with_small_ones() -> None:
    state = Gas().conserved(smooth((24, 24)))
    viscosity = Viscosity(0.1, 0.1, (1 / 24, 1 / 24), "periodic")
    errors = []
    exact = state
    for _ in range(256):
        exact = viscosity.advance(exact, np.array([0.01 / 256]))
    for steps in (1, 2, 4):
        found = state
        for _ in range(steps):
            found = viscosity.advance(found, np.array([0.01 / steps]))
        errors.append(np.abs(found - exact).max())
    assert errors[-1] < 3e-3
    assert all(math.log2(coarse / fine) > 1.5 for coarse, fine in pairwise(errors))


@pytest.mark.parametrize("viscosity", [0.0, 0.02])
def test_bits_do_not_depend_on_the_batch(viscosity: float) -> None:
    law = Gas()
    spacing = (1 / 48,)
    viscous = Viscosity(viscosity, viscosity, spacing, "periodic") if viscosity else None
    scheme = Scheme(law, spacing, "periodic", viscous)
    states = np.concatenate([(1 + seed) * smooth((48,), seed) for seed in range(5)]).astype(np.float32)
    together = np.zeros((5, 4, 3, 48), dtype=np.float32)
    alone = np.zeros_like(together)
    scheme.march(
        law.conserved(states), 0.05, 4, lambda rows, frame, state: together.__setitem__((rows, frame), state)
    )
    for row in range(5):
        scheme.march(
            law.conserved(states[row : row + 1]),
            0.05,
            4,
            lambda rows, frame, state, row=row: alone.__setitem__((row, frame), state),
        )
    assert (together[:, 1:] != 0).any(axis=(2, 3)).all()
    np.testing.assert_array_equal(together, alone)


def test_open_ends_let_waves_out() -> None:
    """A pulse at rest leaves the domain in both directions; little of it comes back."""
    x = (np.arange(200) + 0.5) / 200 - 0.5
    start = np.stack([np.ones(200), 0 * x, 1 + 0.01 * np.exp(-((x / 0.05) ** 2))])[None]
    found = solve(AIR, start, 1.0, "open")[0]
    assert np.abs(found[2] - 1).max() < 2e-5


@given(
    values=st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_values_at_faces_are_between_their_neighbours(values: list[float]) -> None:
    cells = np.array(values)[None, :, None]
    left, right = face_values(cells)
    low, high = (pick(cells[:, 1:-2], cells[:, 2:-1]) for pick in (np.minimum, np.maximum))
    for side in (left, right):
        assert (side >= low * (1 - 1e-12)).all()
        assert (side <= high * (1 + 1e-12)).all()


def test_straight_lines_are_reconstructed_exactly() -> None:
    left, right = face_values(np.arange(10.0)[None, :, None])
    np.testing.assert_allclose(left[0, :, 0], np.arange(1.5, 8.5))
    np.testing.assert_allclose(right, left)


@given(shape=st.lists(st.integers(1, 7), min_size=1, max_size=3), size=st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_pieces_cover_every_entry_once(shape: list[int], size: int) -> None:
    count = np.zeros(shape, dtype=int)
    for piece in pieces(tuple(shape), size):
        assert count[piece].size <= size
        count[piece] += 1
    assert (count == 1).all()
