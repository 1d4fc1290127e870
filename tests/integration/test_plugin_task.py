"""The example plugin with a task: installed by pip, generated, trained, evaluated; its generator is right."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import command, overrides
from documents import ROOT

EXAMPLE = ROOT / "examples" / "ups-plugin-task"
CODE = EXAMPLE / "src" / "ups_plugin_task.py"


def test_it_takes_sixty_lines() -> None:
    assert len([line for line in CODE.read_text().splitlines() if line.strip()]) <= 60


@pytest.fixture(scope="module")
def module() -> Any:
    spec = spec_from_file_location("ups_plugin_task", CODE)
    assert spec is not None
    assert spec.loader is not None
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def made(module: Any, start: int, stop: int, **changes: float) -> Any:
    config = module.GrayScottConfig(resolution=16)
    info = module.GrayScott(config, "spots").info
    return module.generate(info, {"F": 0.03, "k": 0.06} | changes, 3, start, stop).frames


def test_trajectories_depend_on_their_number_only(module: Any) -> None:
    every = made(module, 0, 4)
    assert every.shape == (4, 21, 2, 16, 16)
    assert every.dtype == np.float32
    assert np.array_equal(made(module, 2, 3)[0], every[2])
    assert not np.array_equal(every[0, 0], every[1, 0])


def test_the_generator_is_accurate(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the steps change the last frame by little; without v, u relaxes to 1 at rate F."""
    coarse = made(module, 0, 2)
    monkeypatch.setattr(module, "STEPS", 80)
    np.testing.assert_allclose(made(module, 0, 2), coarse, atol=2e-3)
    monkeypatch.setattr(
        module, "spots", lambda info, random: np.stack([np.full(info.shape, 0.5), np.zeros(info.shape)])
    )
    flat = made(module, 0, 1)
    expected = 1 - 0.5 * np.exp(-0.03 * module.DT * np.arange(21))
    np.testing.assert_allclose(flat[0, :, 0, 0, 0], expected, atol=1e-4)
    assert np.all(flat[:, :, 1] == 0)


def test_installed_it_is_trained_and_evaluated(tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(EXAMPLE)], check=True, capture_output=True)
    env = {"PYTHONPATH": str(site)}
    tiny = [
        "tasks.spots.trajectories=10",
        "tasks.spots.resolution=24",
        "pipeline.0.max_steps=2",
        "model.width=16",
        "model.middle_width=8",
        "model.local_width=8",
    ]
    command("ups-run", EXAMPLE / "spec.yaml", *overrides(tiny), cwd=tmp_path, **env)
    (run,) = (tmp_path / "runs").iterdir()
    record = json.loads((run / "run.json").read_text())
    assert record["data"]["spots"]["splits"] == {"train": 16, "val": 2, "test": 2}
    assert {"test/spots/nrmse", "test/spots/fno/nrmse"} <= set(record["metrics"])
    names = sorted(path.name for path in tmp_path.glob("data/generated/*/*.hdf5"))
    assert names == ["F0.03_k0.06.hdf5", "F0.04_k0.06.hdf5"]
