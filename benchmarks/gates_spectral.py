"""Accuracy gates of the generators of reaction, diffusion, sorption, vorticity and chaos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from ups_data.generators import diffusion_reaction as fitzhugh
from ups_data.generators import diffusion_sorption as sorption
from ups_data.generators import kuramoto_sivashinsky as chaos
from ups_data.generators import reaction_diffusion as fisher
from ups_data.generators import vorticity

SEED = 2022
Array = NDArray[np.float64]
Gate = Callable[[], tuple[str, float, float]]


def first(states: Iterator[Array], count: int) -> Array:
    """The first states, copied."""
    return np.stack([state.copy() for state in islice(states, count)])


def relative(found: Array, expected: Array) -> float:
    """Largest relative error of a frame in the root mean square."""
    rows = (len(found), -1)
    error = np.linalg.norm((found - expected).reshape(rows), axis=1)
    return float((error / np.linalg.norm(expected.reshape(rows), axis=1)).max())


def diffusion_reaction_gate() -> tuple[str, float, float]:
    """The complete trajectory against an adaptive method of order 8."""
    initial = fitzhugh.initial_state(SEED, 0)
    spread = np.array([fitzhugh.DU, fitzhugh.DV])[:, None, None] * (fitzhugh.POINTS / fitzhugh.EXTENT) ** 2

    def rates(_: float, flat: Array) -> Any:
        state = flat.reshape(initial.shape)
        padded = np.pad(state, ((0, 0), (1, 1), (1, 1)), mode="edge")
        across = padded[:, 2:, 1:-1] + padded[:, :-2, 1:-1] + padded[:, 1:-1, 2:] + padded[:, 1:-1, :-2]
        u, v = state
        return (spread * (across - 4 * state) + np.stack([u - u**3 - fitzhugh.K - v, u - v])).ravel()

    times = fitzhugh.FRAME * np.arange(101)
    exact = solve_ivp(rates, (0, 5), initial.ravel(), "DOP853", t_eval=times, rtol=1e-9, atol=1e-12).y.T
    found = first(fitzhugh.evolve(initial[None]), 101)
    return "DOP853 at rtol 1e-9, relative error", relative(found, exact.reshape(found.shape)), 1e-5


def reaction_diffusion_gate() -> tuple[str, float, float]:
    """Published parameters against four times the steps and three times the points."""
    worst = 0.0
    for nu, rho in ((0.5, 1.0), (0.5, 10.0), (5.0, 10.0)):
        fields = []
        for points, finer, refine in ((1024, 8, 1), (3072, 9, 4)):
            states = [fisher.initial_state(SEED, number, points, finer) for number in range(16)]
            values, spectra = (np.stack(parts) for parts in zip(*states, strict=True))
            fields.append(first(fisher.evolve(values, spectra, nu, rho, refine), 21))
        worst = max(worst, float(np.abs(fields[0] - fields[1][..., 1::3]).max()))
    return "4 x steps, 3 x points, max error", worst, 2e-6


def diffusion_sorption_gate() -> tuple[str, float, float]:
    """The complete trajectory against a thousand times smaller tolerances."""
    found = [sorption.evolve(0.1), sorption.evolve(0.1, relative=1e-10, absolute=1e-13)]
    return "tolerances of 1e-10, max error", float(np.abs(found[0] - found[1]).max()), 1e-6


def vorticity_gate() -> tuple[str, float, float]:
    """Ten times at viscosity 1e-3 and 1e-4 against a finer grid and half the steps."""
    worst = 0.0
    for nu, points, finer in ((1e-3, 64, 128), (1e-4, 128, 192)):
        start = vorticity.initial_spectrum(SEED, 0)
        fields = []
        for cells, refine in ((points, 1), (finer, 2)):
            states = vorticity.evolve(vorticity.NATIVE.resized(start, (cells, cells)), nu, refine=refine)
            apart = cells // vorticity.POINTS
            fields.append(first(states, 11)[:, ::apart, ::apart])
        worst = max(worst, relative(*fields))
    return "finer grid, 2 x steps until t = 10", worst, 1e-6


def kuramoto_sivashinsky_gate() -> tuple[str, float, float]:
    """Until t = 20, where chaos has not yet amplified the error, against four times the steps."""
    initial = np.stack([chaos.initial_state(SEED, number) for number in range(16)])
    found = [first(chaos.evolve(initial, factor * chaos.STEPS), 41) for factor in (1, 4)]
    return "4 x steps until t = 20, max error", float(np.abs(found[0] - found[1]).max()), 1e-5


GATES: dict[str, Gate] = {
    "diffusion_reaction2d": diffusion_reaction_gate,
    "reaction_diffusion1d": reaction_diffusion_gate,
    "diffusion_sorption1d": diffusion_sorption_gate,
    "vorticity2d": vorticity_gate,
    "kuramoto_sivashinsky1d": kuramoto_sivashinsky_gate,
}
"""Task -> what is compared, the measured error, and its limit."""
