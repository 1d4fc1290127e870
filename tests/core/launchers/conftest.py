"""Fixtures of the launcher tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a module's runs, which share the data that they generate."""
    return tmp_path_factory.mktemp("runs")
