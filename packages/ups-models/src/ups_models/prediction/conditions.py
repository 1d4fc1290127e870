"""Parameters and time step of a prediction: names, values, and what training saw of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_core import UsageError
from ups_core.mistakes import did_you_mean
from ups_models.prediction.expects import Expects

ROUNDING = 1e-5
"""Relative excess over a range that is rounding of float32."""


@dataclass(frozen=True)
class Conditions:
    """What is given to a model beside fields.

    Attributes:
        params: values of all parameters for every trajectory `(n, P)`.
        known: which of them are known `(P,)`.
        dt: time between frames; 0 when steady.
        notes: what a user should know: values that training did not have.
    """

    params: NDArray[np.float32]
    known: NDArray[np.bool_]
    dt: float
    notes: tuple[str, ...]


def conditions_of(expects: Expects, params: Mapping[str, Any], dt: float | None, count: int) -> Conditions:
    """Check parameters and time step.

    Args:
        expects: what the model was trained on.
        params: name -> a number, or one for each of `count` trajectories.
        dt: time between frames; None for that of training.
        count: trajectories.

    Raises:
        UsageError: a parameter is unknown, missing or not a finite number, or the model has another dt.
    """
    declared = expects.task.parameters
    names = [parameter.name for parameter in declared]
    unknown = next((name for name in params if name not in names), None)
    if unknown is not None:
        hint = did_you_mean(unknown, names) or "; the model has none"
        raise UsageError(f"unknown parameter '{unknown}'{hint}; {expects.line}")
    columns, known, notes = [], [], []
    for parameter in declared:
        low, high = expects.range_of(parameter)
        if parameter.name not in params:
            if not expects.optional(parameter):
                raise UsageError(f"parameter '{parameter.name}' is missing; {expects.line}")
            columns.append(np.full(count, low))
            known.append(low == high)
            continue
        values = _numbers(parameter.name, params[parameter.name], count, expects)
        columns.append(values)
        known.append(True)
        if note := _outside(f"parameter '{parameter.name}'", values, low, high):
            notes.append(note)
    step, note = _step(expects, dt)
    matrix = np.stack(columns, axis=1) if columns else np.empty((count, 0))
    return Conditions(
        matrix.astype(np.float32), np.asarray(known, dtype=bool), step, (*notes, *([note] if note else []))
    )


def _numbers(name: str, given: Any, count: int, expects: Expects) -> NDArray[np.float64]:
    try:
        values = np.asarray(given)
        if values.dtype.kind not in "biuf":
            raise TypeError
        values = values.astype(np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"parameter '{name}' is {given!r}, not a number; {expects.line}") from None
    if values.size not in (1, count) or values.ndim > 1:
        raise UsageError(
            f"parameter '{name}' has shape {values.shape} for {count} inputs; give one number, or one "
            "for each"
        )
    bad = values[~np.isfinite(values)]
    if bad.size:
        raise UsageError(f"parameter '{name}' is {bad.ravel()[0]:g}; {expects.line}")
    return np.array(np.broadcast_to(values.ravel(), (count,)))


def _outside(what: str, values: NDArray[np.float64], low: float, high: float) -> str | None:
    """A note about values that the training did not have."""
    slack = ROUNDING * max(abs(low), abs(high))
    outside = values[(values < low - slack) | (values > high + slack)]
    if not outside.size:
        return None
    worst = float(max(outside, key=lambda value: max(low - value, value - high)))
    if low == high:
        return f"{what} is {worst:g}, but training had {low:g} only; the prediction does not depend on it"
    return (
        f"{what} is {worst:g}, outside the trained range from {low:g} to {high:g}; the error can be many "
        "times larger"
    )


def _step(expects: Expects, dt: float | None) -> tuple[float, str | None]:
    """The time step, and a note where training had others only."""
    own, (low, high) = expects.task.dt, expects.dt
    if dt is None or expects.task.kind == "steady":
        return own, None
    if not (math.isfinite(dt) and dt > 0):
        raise UsageError(
            f"dt is {dt:g}; give a positive time between frames; the model was trained with {own:g}"
        )
    if low == high:
        if abs(dt - own) > 1e-2 * own:
            raise UsageError(f"dt is {dt:g}, but the model was trained with frames {own:g} apart only")
        return own, None
    return dt, _outside("dt", np.asarray([dt]), low, high)
