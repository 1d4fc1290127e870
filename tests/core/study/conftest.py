"""Every test of a study works in a folder of its own, with the toy plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from small_study import SPEC
from ups_core.compose import read_spec
from ups_core.document import Document
from ups_core.spec import PipelineSpec
from ups_core.validate import load_spec, validate

Load = Callable[..., tuple[PipelineSpec, Document]]


@pytest.fixture
def folder(tmp_path: Path, toy: None) -> Path:
    """The working directory, with a spec of seconds in it."""
    (tmp_path / "tiny.yaml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def spec(folder: Path) -> PipelineSpec:
    return load_spec(folder / "tiny.yaml")[0]


@pytest.fixture
def load(folder: Path) -> Load:
    """`load(text)` reads and validates a spec."""

    def load(text: str = SPEC, *overrides: str) -> tuple[PipelineSpec, Document]:
        (folder / "tiny.yaml").write_text(text)
        document = read_spec(Path("tiny.yaml"), overrides)
        return validate(document), document

    return load
