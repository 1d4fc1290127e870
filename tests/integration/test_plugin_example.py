"""The example plugin: installed by pip, used by name; one that is broken harms nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands import TINY, command, overrides
from documents import ROOT

EXAMPLE = ROOT / "examples" / "ups-plugin-example"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, installed by pip into a folder of its own."""
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--target",
            str(target),
            str(EXAMPLE),
        ],
        check=True,
        capture_output=True,
    )
    return target


def test_its_model_and_loss_work_by_name(site: Path, tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(site)}
    listed = json.loads(command("ups", "plugins", "--json", cwd=tmp_path, **env).stdout)
    row = next(row for row in listed if row["plugin"] == "ups-plugin-example")
    assert row["provides"] == ["models:example/cnn", "losses:example/l1"]
    small = [value for value in TINY if not value.startswith("model.")]
    command("ups-run", EXAMPLE / "spec.yaml", *overrides(small), cwd=tmp_path, **env)
    (run,) = (tmp_path / "runs").iterdir()
    config = json.loads((run / "steps/operator/model/config.json").read_text())
    assert (config["kind"], config["provider"], config["version"]) == (
        "example/cnn",
        "ups-plugin-example",
        "0.1.0",
    )
    result = command("ups-run", EXAMPLE / "spec.yaml", "--set", "model.widht=3", cwd=tmp_path, code=2, **env)
    assert "model.widht: unknown key 'widht'; did you mean 'width'?" in result.stderr


def test_without_it_its_names_are_unknown(tmp_path: Path) -> None:
    result = command("ups-run", EXAMPLE / "spec.yaml", cwd=tmp_path, code=2)
    assert "model.kind: unknown model 'example/cnn'" in result.stderr


def test_a_broken_plugin_beside_it_harms_nobody(site: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    info = broken / "broken-1.0.dist-info"
    info.mkdir(parents=True)
    (broken / "broken.py").write_text("import sys\nsys.exit('not today')\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ups]\nbroken = broken\n")
    env = {"PYTHONPATH": os.pathsep.join([str(site), str(broken)])}
    assert "SystemExit: not today" in command("ups", "plugins", cwd=tmp_path, **env).stdout
    command("ups", "validate", ROOT / "specs" / "smoke.yaml", EXAMPLE / "spec.yaml", cwd=tmp_path, **env)
