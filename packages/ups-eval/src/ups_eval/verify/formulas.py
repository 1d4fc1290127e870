"""The built-in metrics again, per trajectory, in numpy: an auditor does not reuse the code that it audits.

Formulas as in :mod:`ups_eval.metrics` and :mod:`ups_eval.spectral`, which name their sources. All take
predictions and targets `(n, T, C, *S)` in float64 and return `(n, ...)`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt, prod

import numpy as np

from ups_eval.trajectory_statistics import Values

VRMSE_EPSILON = 1e-7
ERRORS = "nRMSE per frame and channel"
"""Name of what tables and curves follow from; not a metric."""


def _space(field: Values) -> tuple[int, ...]:
    return tuple(range(3, field.ndim))


def _ratio(error: Values, scale: Values) -> Values:
    """`error / scale`; zero where both are zero, infinite where only the scale is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(error == 0, 0.0, error / scale))


def _rms(field: Values) -> Values:
    return np.asarray(np.sqrt(np.mean(field**2, axis=_space(field))))


def nrmse_per_channel(prediction: Values, target: Values) -> Values:
    """nRMSE of every trajectory, frame and channel, `(n, T, C)`."""
    return _ratio(_rms(prediction - target), _rms(target))


def rmse(prediction: Values, target: Values) -> Values:
    """`(n,)`."""
    return np.asarray(_rms(prediction - target).mean(axis=(1, 2)))


def nrmse(prediction: Values, target: Values) -> Values:
    """`(n,)`."""
    return np.asarray(nrmse_per_channel(prediction, target).mean(axis=(1, 2)))


def crmse(prediction: Values, target: Values) -> Values:
    """`(n, T, C, 1)`."""
    error = prediction - target
    return np.asarray(error.mean(axis=_space(error)) ** 2)[..., None]


def brmse(prediction: Values, target: Values) -> Values:
    """`(n,)`."""
    squares = (prediction - target) ** 2
    faces = [np.take(squares, end, axis=axis) for axis in _space(squares) for end in (0, -1)]
    cells = np.concatenate([face.reshape(*squares.shape[:3], -1) for face in faces], axis=3)
    return np.asarray(np.sqrt(cells.mean(axis=3)).mean(axis=(1, 2)))


def max_error(prediction: Values, target: Values) -> Values:
    """`(n, T, C)`."""
    error = np.abs(prediction - target)
    return np.asarray(error.max(axis=_space(error)))


def rel_l2(prediction: Values, target: Values) -> Values:
    """`(n,)`."""
    flat = prediction.reshape(len(prediction), -1), target.reshape(len(target), -1)
    return _ratio(np.linalg.norm(flat[0] - flat[1], axis=1), np.linalg.norm(flat[1], axis=1))


def vrmse(prediction: Values, target: Values) -> Values:
    """`(n,)`."""
    axes = _space(target)
    variance = target.var(axis=axes, ddof=1)
    errors = np.sqrt(((prediction - target) ** 2).mean(axis=axes) / (variance + VRMSE_EPSILON))
    return np.asarray(errors.mean(axis=(1, 2)))


def error_spectrum(prediction: Values, target: Values) -> Values:
    """Squared spectral error per wavenumber, `(n, T, C, K)`; see :func:`ups_eval.spectral.error_spectrum`."""
    error = prediction - target
    shape = error.shape[3:]
    cells = prod(shape)
    if len(shape) == 1:
        return np.asarray(np.abs(np.fft.rfft(error, axis=3)) ** 2 / cells**2)
    halves = tuple(size // 2 for size in shape)
    power = np.abs(np.fft.fftn(error, axes=_space(error))) ** 2 / cells**2
    binned = np.zeros((*error.shape[:3], min(halves)))
    for mode in np.ndindex(*halves):
        shell = isqrt(sum(index * index for index in mode))
        if shell < min(halves):
            binned[..., shell] += power[(..., *mode)]
    return binned


def _band(band: slice) -> Callable[[Values, Values], Values]:
    return lambda prediction, target: error_spectrum(prediction, target)[..., band]


FORMULAS: dict[str, Callable[[Values, Values], Values]] = {
    ERRORS: nrmse_per_channel,
    "rmse": rmse,
    "nrmse": nrmse,
    "crmse": crmse,
    "brmse": brmse,
    "max_error": max_error,
    "frmse_low": _band(slice(0, 4)),
    "frmse_mid": _band(slice(4, 12)),
    "frmse_high": _band(slice(12, None)),
    "rel_l2": rel_l2,
    "vrmse": vrmse,
}
"""Built-in metric, or :data:`ERRORS` -> its values per trajectory."""
