"""Inputs in files of registered layouts: a file of The Well and a file of PDEBench, with the model of their task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from toy_models import component, perturbed
from ups_core.cli.main import main
from ups_core.console import Console
from ups_data import prepare_task
from ups_data.tasks.create import create_task
from ups_models.bundle import save_bundle
from ups_models.simulator import Simulator, build_simulator
from well_files import small_well

KIND = "unet"


def model_for(data: Any, directory: Path) -> Simulator:
    """An untrained model of a task, saved."""
    name = data.info.name
    made = build_simulator(component(KIND), {name: data.info}, {name: data.statistics})
    save_bundle(directory, perturbed(made).eval(), component(KIND), "f")
    return made


def rollout(sim: Simulator, batch: Any, steps: int) -> Any:
    with torch.no_grad():
        return sim.rollout(batch, steps).numpy()


def test_a_file_of_the_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, (split, count) in enumerate({"train": 5, "valid": 2, "test": 3}.items()):
        (tmp_path / "tiny" / split).mkdir(parents=True)
        small_well(seed, count).write(tmp_path / "tiny" / split / f"{split}.hdf5")
    task = create_task("the_well", {"path": "tiny"})
    task.prepare_data(tmp_path, Console(quiet=True))
    data = task.open(tmp_path)
    sim = model_for(data, tmp_path / "model")
    windows = data.trajectories("test")
    expected = rollout(sim, windows.batch(range(len(windows))), 3)
    assert main(["predict", "model", "tiny/test", "-o", "out.npz", "--steps", "3"]) == 0
    found = np.load("out.npz")
    for place, channel in enumerate(data.info.target_channels):
        assert np.allclose(found[channel.name], expected[:, :, place], atol=1e-5)
    for place, parameter in enumerate(data.info.parameters):
        assert np.allclose(found[parameter.name], windows.batch(range(3)).params[:, place])


def test_a_file_of_pdebench_has_its_parameter_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"beta": [0.4], "trajectories": 10, "resolution": 32, "frames": 5}
    data = prepare_task("advection1d", options, "data")
    sim = model_for(data, tmp_path / "model")
    (path,) = tmp_path.joinpath("data").rglob("*.hdf5")
    assert main(["predict", "model", str(path), "-o", "out.npz", "--steps", "2"]) == 0
    assert "warning" not in capsys.readouterr().err
    windows = data.trajectories("test")
    batch = windows.batch(range(len(windows)))
    found = np.load("out.npz")["u"][batch.index.numpy()]
    assert np.allclose(found, rollout(sim, batch, 2)[:, :, 0], atol=1e-5)
