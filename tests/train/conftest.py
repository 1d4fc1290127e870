"""Fixtures of the training tests."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tensors this small are faster on one thread, and bits do not depend on the machine's cores."""
    torch.set_num_threads(1)
