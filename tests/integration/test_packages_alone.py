"""Each package alone: built as a wheel, installed into an empty environment, importing only what it declares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from commands import FinishedRun
from documents import ROOT

PACKAGES = ["core", "data", "models", "eval", "train"]
pytestmark = pytest.mark.slow


def run(*arguments: str | Path, cwd: Path) -> str:
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "UPS_", "VIRTUAL"))
    }
    result = subprocess.run(
        list(map(str, arguments)), cwd=cwd, env=clean, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five wheels."""
    target = tmp_path_factory.mktemp("wheels")
    for name in PACKAGES:
        run(
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--outdir",
            target,
            ROOT / "packages" / f"ups-{name}",
            cwd=target,
        )
    return target


@pytest.mark.parametrize("name", PACKAGES)
def test_installs_alone_and_passes_its_own_tests(
    name: str, wheels: Path, smoke: FinishedRun, tmp_path: Path
) -> None:
    (wheel,) = wheels.glob(f"ups_{name}-*.whl")
    files = zipfile.ZipFile(wheel).namelist()
    assert f"ups_{name}/py.typed" in files
    assert not [file for file in files if Path(file).name.startswith(("test_", "conftest"))]
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    constraints = ("-c", ROOT / "constraints.txt")
    run(python, "-m", "pip", "install", "-q", *constraints, "--find-links", wheels, wheel, cwd=tmp_path)
    listed = {
        row["name"] for row in json.loads(run(python, "-m", "pip", "list", "--format", "json", cwd=tmp_path))
    }
    siblings = PACKAGES[: PACKAGES.index(name) + 1]
    assert {item for item in listed if item.startswith("ups-")} == {f"ups-{sibling}" for sibling in siblings}
    assert ("torch" in listed) == (name != "core")
    assert ("lightning" in listed) == (name == "train")
    run(python, "-c", f"import ups_{name}", cwd=tmp_path)
    if name == "models":  # a finished run's model needs no training code, and predicts the same bits
        script = (ROOT / "tests/helpers/predict_bundle.py", smoke.directory, smoke.folder / "data")
        assert run(python, *script, cwd=tmp_path) == run(sys.executable, *script, cwd=tmp_path)
    plugins = json.loads(run(tmp_path / "env" / "bin" / "ups", "plugins", "--json", cwd=tmp_path))
    assert {row["plugin"]: row["status"] for row in plugins} == {
        f"ups-{sibling}": "loaded" for sibling in siblings
    }
    tools = ["pytest", "pytest-timeout", "pytest-xdist", "hypothesis"]
    if name == "core":
        tools.append(f"{wheel}[slurm,tune]")
    run(python, "-m", "pip", "install", "-q", *constraints, "--find-links", wheels, *tools, cwd=tmp_path)
    options = ("-q", "-n", "2", "--dist", "loadfile", "-c", ROOT / "pyproject.toml", "-p", "no:cacheprovider")
    run(python, "-m", "pytest", *options, ROOT / "tests" / name, cwd=tmp_path)
