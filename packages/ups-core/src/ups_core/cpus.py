"""The CPU cores that this process may use, and how its threads share them."""

from __future__ import annotations

import os

SPINS = 1000
"""Rounds that a waiting OpenMP thread spins. GNU's library spins for 300,000 by default."""


def available_cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_cores() -> None:
    """Let threads that wait for each other soon give their core to other processes.

    Otherwise two trainings on the same cores run at a fraction of half the speed of one. Must be called
    before torch is loaded. What the environment says about waiting (`OMP_WAIT_POLICY`, `GOMP_SPINCOUNT`) is
    kept.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
