"""The built-in physics metrics again, per trajectory, in numpy; see :mod:`ups_eval.verify.formulas`.

Missing is the residual, which needs the solver of the task.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from ups_eval.predictions import TaskPredictions
from ups_eval.trajectory_statistics import Values


def _rms(field: Values) -> Values:
    return np.asarray(np.sqrt((field**2).mean(axis=tuple(range(3, field.ndim)))))


def _drift(before: Values, after: Values, given: Values) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        drift = np.abs(after - before)
        return np.asarray(np.where(drift == 0, 0.0, drift / _rms(given)).mean(axis=(1, 2)))


def mean_drift(fields: Values, stored: TaskPredictions) -> Values:
    """`(n,)`."""
    given = stored.state[:, -1:].astype(np.float64)
    space = tuple(range(3, fields.ndim))
    return _drift(given.mean(axis=space), fields.mean(axis=space), given)


def l2_drift(fields: Values, stored: TaskPredictions) -> Values:
    """`(n,)`."""
    given = stored.state[:, -1:].astype(np.float64)
    return _drift(_rms(given), _rms(fields), given)


def negative_share(fields: Values, stored: TaskPredictions) -> Values:
    """`(n,)`."""
    rows = [row for row, channel in enumerate(stored.info.target_channels) if channel.positive]
    return np.asarray((fields[:, :, rows] < 0).reshape(len(fields), -1).mean(axis=1))


def error_rate(fields: Values, stored: TaskPredictions) -> Values:
    """`(n,)`."""
    wrong = []
    for row, channel in enumerate(stored.info.target_channels):
        if channel.values:
            ends = np.asarray([(low + high) / 2 for low, high in pairwise(channel.values)])
            found, true = (np.searchsorted(ends, part[:, :, row]) for part in (fields, stored.target))
            wrong.append(found != true)
    return np.asarray(np.stack(wrong, axis=1).reshape(len(fields), -1).mean(axis=1))


PHYSICS_FORMULAS: dict[str, Callable[[Values, TaskPredictions], Values]] = {
    "mean_drift": mean_drift,
    "l2_drift": l2_drift,
    "negative_share": negative_share,
    "error_rate": error_rate,
}
"""Built-in physics metric -> its values per trajectory of fields `(n, T, C, *S)`."""


OF_MEAN = ("error_rate",)
"""Those of the mean of the members."""


def physics_values(metric: str, members: Values, stored: TaskPredictions) -> Values:
    """The mean over members `(n, M, T, C, *S)`, `(n,)`; of the mean of the members where that is scored."""
    if metric in OF_MEAN:
        return PHYSICS_FORMULAS[metric](members.mean(axis=1), stored)
    found = [PHYSICS_FORMULAS[metric](members[:, i], stored) for i in range(members.shape[1])]
    return np.asarray(np.mean(found, axis=0))
