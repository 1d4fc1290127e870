"""Every test of a study works in a folder of its own, with the toy plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_study import SPEC
from ups_core.spec import PipelineSpec
from ups_core.validate import load_spec


@pytest.fixture
def folder(tmp_path: Path, toy: None) -> Path:
    """The working directory, with a spec of seconds in it."""
    (tmp_path / "tiny.yaml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def spec(folder: Path) -> PipelineSpec:
    return load_spec(folder / "tiny.yaml")[0]
