"""Computes groups of trajectories on all cores, such that no value depends on the others."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ups_core import UPSError
from ups_core.cpus import available_cores
from ups_data.stores.base import Array


def in_groups(
    compute: Callable[[int, int], Array], start: int, stop: int, family: str, group: int = 1
) -> Array:
    """Trajectories start..stop-1, `(n, ...)`.

    Args:
        compute: number of the first trajectory and of the one after the last -> their values, `(n, ...)`.
            Runs in a thread: numpy and scipy.fft release the interpreter lock.
        start: number of the first trajectory.
        stop: number after the last one.
        family: the registered kind of the task, for the message.
        group: trajectories computed at once. Operations on small arrays are too short for threads to overlap.

    Raises:
        UPSError: a value is not finite.
    """

    def checked(first: int) -> Array:
        # What overflows is refused below, in one line instead of a warning per operation.
        with np.errstate(over="ignore", invalid="ignore"):
            values = compute(first, min(first + group, stop))
        check_finite(values, first, family)
        return values

    with ThreadPoolExecutor(available_cores()) as pool:
        return np.concatenate(list(pool.map(checked, range(start, stop, group))))


def check_finite(values: Array, first: int, family: str) -> None:
    """Check trajectories `(n, ...)`, of which the first has number `first`.

    Raises:
        UPSError: a value is not finite.
    """
    sound = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if not sound.all():
        number = first + int(np.argmin(sound))
        raise UPSError(
            f"{family}: generated trajectory {number} has values that are not finite; use another seed"
        )
