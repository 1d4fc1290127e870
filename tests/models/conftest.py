"""Fixtures of the model tests."""

from __future__ import annotations

import pytest
import torch

from toy_tasks import evolution, steady
from ups_data.info import TaskInfo


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tensors this small are faster on one thread, and bits do not depend on the machine's cores."""
    torch.set_num_threads(1)


@pytest.fixture(params=["1d", "2d", "3d", "steady"])
def task(request: pytest.FixtureRequest) -> TaskInfo:
    return {
        "1d": evolution(),
        "2d": evolution(dim=2, cells=16, history=1),
        "3d": evolution(dim=3, cells=8, history=1),
        "steady": steady(),
    }[request.param]
