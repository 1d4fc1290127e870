"""The built-in metrics of ensembles again, per trajectory, in numpy; see :mod:`ups_eval.verify.formulas`.

All take members `(n, M, T, C, *S)` and targets `(n, T, C, *S)` in float64 and return `(n, ...)`. Missing is
the rank histogram, which draws where members are equal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ups_eval.trajectory_statistics import Values
from ups_eval.verify.formulas import error_spectrum


def crps(members: Values, target: Values) -> Values:
    """`(n,)`."""
    error = np.abs(members - target[:, None]).mean(axis=1)
    count = members.shape[1]
    pairs = sum(np.abs(members[:, i] - members[:, j]) for i in range(count) for j in range(i))
    return np.asarray((error - pairs / max(1, count * (count - 1))).reshape(len(target), -1).mean(axis=1))


def energy_score(members: Values, target: Values) -> Values:
    """`(n,)`."""
    flat = members.reshape(*members.shape[:2], -1)
    count = members.shape[1]

    def size(difference: Values) -> Values:
        return np.asarray(np.sqrt((difference**2).mean(axis=-1)))

    error = size(flat - target.reshape(len(target), 1, -1)).mean(axis=1)
    pairs = sum(size(flat[:, i] - flat[:, j]) for i in range(count) for j in range(i))
    return np.asarray(error - pairs / max(1, count * (count - 1)))


def spread_skill(members: Values, target: Values) -> Values:
    """`(n, T, C, 2)`."""
    count = members.shape[1]
    axes = tuple(range(3, target.ndim))
    spread = (count + 1) / count * members.var(axis=1, ddof=1).mean(axis=axes)
    error = ((members.mean(axis=1) - target) ** 2).mean(axis=axes)
    return np.stack([spread, error], axis=-1)


def coverage(level: float) -> Callable[[Values, Values], Values]:
    """`(n,)`."""

    def formula(members: Values, target: Values) -> Values:
        count = members.shape[1]
        ordered = np.sort(members, axis=1)

        def quantile(share: float) -> Values:
            place = min(max(share * (count + 1) - 1, 0.0), count - 1.0)
            below = min(int(place), count - 2)
            weight = place - below
            return np.asarray((1 - weight) * ordered[:, below] + weight * ordered[:, below + 1])

        inside = (quantile((1 - level) / 2) <= target) & (target <= quantile((1 + level) / 2))
        return np.asarray(inside.reshape(len(target), -1).mean(axis=1))

    return formula


def spectrum_error(members: Values, target: Values) -> Values:
    """`(n, T, C, K, 2)`."""
    powers = np.mean([error_spectrum(members[:, i], 0 * target) for i in range(members.shape[1])], axis=0)
    both = np.stack([powers, error_spectrum(target, 0 * target)], axis=-1)[..., 1:, :]
    return np.asarray(both + 1e-6 * both[..., 1].max(axis=3)[..., None, None])


ENSEMBLE_FORMULAS: dict[str, Callable[[Values, Values], Values]] = {
    "crps": crps,
    "energy_score": energy_score,
    "spread_skill": spread_skill,
    "coverage_50": coverage(0.5),
    "coverage_90": coverage(0.9),
    "spectrum_error": spectrum_error,
}
"""Built-in metric of ensembles -> its values per trajectory."""
