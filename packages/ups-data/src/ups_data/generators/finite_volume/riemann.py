"""Approximate solutions of the Riemann problem at every face.

Shallow water: A. Harten, P. D. Lax, B. van Leer, "On upstream differencing and Godunov-type schemes", SIAM
Rev. 25 (1983) 35, doi:10.1137/1025002; the mass flux carries the velocity along the face. Gas, HLLC: E. F.
Toro, M. Spruce, W. Speares, "Restoration of the contact surface in the HLL-Riemann solver", Shock Waves 4
(1994) 25, doi:10.1007/BF01414629. The speeds of the outer waves bound those on both sides.

`left` and `right` are primitive variables `(C, F, M)`, density (or height) first, then the velocity; `normal`
is the channel of the velocity across the face. Fluxes are those of the conserved variables.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def hll_shallow_water(left: Array, right: Array, normal: int, gravity: float) -> Array:
    """Fluxes of height and momentum `(1 + d, F, M)`."""
    height_l, height_r = left[0], right[0]
    speed_l, speed_r = left[normal], right[normal]
    g = left.dtype.type(gravity)
    wave = np.sqrt(g * np.maximum(height_l, height_r))
    slow = np.minimum(np.minimum(speed_l, speed_r) - wave, 0)
    fast = np.maximum(np.maximum(speed_l, speed_r) + wave, 0)
    width = 1 / np.maximum(fast - slow, np.finfo(left.dtype).tiny)
    mass_l, mass_r = height_l * speed_l, height_r * speed_r
    both = fast * slow * width
    fast *= width
    slow *= width
    flux = np.empty_like(left)
    mass = flux[0]
    mass[...] = fast * mass_l - slow * mass_r + both * (height_r - height_l)
    half = left.dtype.type(0.5 * gravity)
    push_l = mass_l * speed_l + half * height_l * height_l
    push_r = mass_r * speed_r + half * height_r * height_r
    flux[normal] = fast * push_l - slow * push_r + both * (mass_r - mass_l)
    for other in range(1, len(left)):
        if other != normal:
            flux[other] = mass * np.where(mass > 0, left[other], right[other])
    return flux


def hllc_gas(left: Array, right: Array, normal: int, gamma: float) -> Array:
    """Fluxes of mass, momentum and energy `(2 + d, F, M)`; the pressure is the last primitive variable."""
    dtype = left.dtype.type
    density_l, density_r = left[0], right[0]
    speed_l, speed_r = left[normal], right[normal]
    pressure_l, pressure_r = left[-1], right[-1]
    sound = np.maximum(pressure_l / density_l, pressure_r / density_r)
    sound *= dtype(gamma)
    np.sqrt(sound, out=sound)
    slow = np.minimum(speed_l, speed_r)
    slow -= sound
    fast = np.maximum(speed_l, speed_r)
    fast += sound
    # Mass that crosses each outer wave per unit of time; negative on the left.
    inflow_l = density_l * (slow - speed_l)
    inflow_r = density_r * (fast - speed_r)
    middle = pressure_r - pressure_l
    middle += inflow_l * speed_l
    middle -= inflow_r * speed_r
    middle /= inflow_l - inflow_r
    # Only the side that the contact leaves at the face matters.
    from_left = middle >= 0
    side = np.where(from_left, left, right)
    inflow = np.where(from_left, inflow_l, inflow_r)
    wave = np.where(from_left, slow, fast)
    reached = np.where(from_left, np.minimum(slow, 0), np.maximum(fast, 0))
    density, speed, pressure = side[0], side[normal], side[-1]
    # Jumps across the outer wave: U* - U = [(s - u) U + (0, p* - p, p* s - p u)] / (S - s).
    reached /= wave - middle
    shift = middle - speed
    rise = inflow * shift
    carried = reached * shift
    carried += speed
    work = pressure * speed
    flux = np.empty_like(left)
    mass = np.multiply(density, carried, out=flux[0])
    kinetic = np.zeros_like(speed)
    for channel in range(1, len(left) - 1):
        component = side[channel]
        kinetic += component * component
        np.multiply(mass, component, out=flux[channel])
    flux[normal] += pressure
    flux[normal] += reached * rise
    kinetic *= dtype(0.5)
    star = (pressure + rise) * middle
    star -= work
    star *= reached
    energy = np.multiply(kinetic, mass, out=flux[-1])
    energy += dtype(1 / (gamma - 1)) * pressure * carried
    energy += work
    energy += star
    return flux
