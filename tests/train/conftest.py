"""Fixtures of the training tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from plugin_for_tests import OBJECTIVES


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tensors this small are faster on one thread, and bits do not depend on the machine's cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a module's runs, which share the data that they generate."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(params=OBJECTIVES)
def objective(request: pytest.FixtureRequest) -> str:
    """The name of a stage: what the engine does, it does for each."""
    return str(request.param)
