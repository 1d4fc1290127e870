"""One finished run of the smoke spec, shared by the tests that only look."""

from __future__ import annotations

import pytest

from commands import FinishedRun, command
from documents import ROOT


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """`ups-run specs/smoke.yaml` in a folder with a space and a letter that is not ASCII."""
    folder = tmp_path_factory.mktemp("a run é")
    result = command("ups-run", ROOT / "specs" / "smoke.yaml", cwd=folder)
    (directory,) = (folder / "runs").iterdir()
    return FinishedRun(folder, directory, result.stderr)
