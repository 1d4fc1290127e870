"""`ups predict` and `ups export` with a finished run and the files that it was trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from commands import FinishedRun, command
from ups_core import UsageError
from ups_data.stores.array_files import ArrayFile
from ups_models.bundle import load_bundle
from ups_models.prediction.models import find_model


def data_file(smoke: FinishedRun, task: str) -> Path:
    """The file that the run was trained on: other tests generate others in the same folder."""
    (path,) = json.loads((smoke.directory / "run.json").read_text())["data"][task]["files"]
    return smoke.folder / path


def test_a_run_stands_for_its_own_newest_model(smoke: FinishedRun, tmp_path: Path) -> None:
    model = smoke.directory / "steps" / "operator" / "model"
    assert (smoke.directory / "steps" / "fno" / "model").is_dir(), "a baseline that is trained later"
    assert find_model(smoke.directory) == find_model(model.parent) == find_model(model) == model
    copy = tmp_path / "run"
    shutil.copytree(smoke.directory, copy)
    shutil.rmtree(copy / "steps" / "operator")
    with pytest.raises(UsageError, match="has no finished step with a model; finish the run, or name a step"):
        find_model(copy)
    assert find_model(copy / "steps" / "fno").parent.name == "fno"


def test_the_training_file_is_an_input(smoke: FinishedRun, tmp_path: Path) -> None:
    path = data_file(smoke, "advection1d")
    out = tmp_path / "out.npz"
    options = ["--task", "advection1d", "--steps", "3"]
    said = command("ups", "predict", smoke.directory, path, "-o", out, *options, cwd=tmp_path).stderr
    assert "layout pdebench_tensor: tensor" in said
    assert "warning" not in said
    found = np.load(out)
    simulator = load_bundle(smoke.directory / "steps" / "operator" / "model")
    u = ArrayFile(path)["tensor"][(slice(None), slice(0, 1))]
    expected = simulator.predict(u, {"beta": 0.4}, 3, task="advection1d")[:, :, 0]
    assert np.allclose(found["u"], expected, atol=1e-6)
    assert np.allclose(found["beta"], 0.4)
    assert np.allclose(found["t"], simulator.tasks["advection1d"].dt * np.arange(1, 4))


def test_a_steady_file_needs_no_steps(smoke: FinishedRun, tmp_path: Path) -> None:
    path = data_file(smoke, "darcy2d")
    command("ups", "predict", smoke.directory, path, "-o", "out.h5", "--task", "darcy2d", cwd=tmp_path)
    found = ArrayFile(tmp_path / "out.h5")
    assert found["u"].shape == (60, 32, 32)


def test_what_both_tasks_expect(smoke: FinishedRun, tmp_path: Path) -> None:
    found = json.loads(command("ups", "predict", smoke.directory, "--json", cwd=tmp_path).stdout)
    assert [task["task"] for task in found["tasks"]] == ["advection1d", "darcy2d"]
    wrong = command("ups", "export", smoke.directory, "-o", "step.pt2", cwd=tmp_path, code=2).stderr
    assert "trained on 2 tasks; choose one with --task: advection1d, darcy2d" in wrong


def test_a_step_of_a_run_is_exported(smoke: FinishedRun, tmp_path: Path) -> None:
    line = ["export", smoke.directory, "-o", "step.pt2", "--task", "darcy2d"]
    said = command("ups", *line, cwd=tmp_path).stdout
    assert said.startswith("step.pt2: largest difference from the model 0 of")
