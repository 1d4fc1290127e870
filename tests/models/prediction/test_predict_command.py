"""`ups predict`: every format in and out, the same numbers as in Python, and one line for every mistake."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from own_files import FORMATS
from prediction_models import FLOW, PAIR, WAVE, saved
from toy_models import component
from ups_core.cli.main import main
from ups_data.stores.array_files import ArrayFile
from ups_data.stores.array_formats import NEEDS, WRITERS
from ups_models.bundle import load_bundle, save_bundle
from ups_models.prediction import run as run_module

RNG = np.random.default_rng(0)
U = RNG.normal(size=(7, 32)).astype(np.float32)
X = np.asarray(WAVE.axes[0])
BETA = np.linspace(0.1, 0.4, 7)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name, tasks in {"wave": (WAVE,), "pair": (PAIR,), "flow": (FLOW,), "both": (WAVE, FLOW)}.items():
        saved(folder / name, *tasks)
    return folder


@pytest.fixture
def predict(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs the command in an empty folder; returns what it printed, or what it said where it failed."""
    monkeypatch.chdir(tmp_path)

    def call(line: str, code: int = 0) -> str:
        found = main(["predict", *shlex.split(line.replace("MODELS", str(models)))])
        out, err = capsys.readouterr()
        assert found == code, err
        return err if code else out + err

    return call


def read(path: str, name: str = "u") -> Any:
    array = ArrayFile(Path(path))[name]
    return array[(slice(None),) * len(array.shape)]


def needs(ending: str) -> None:
    for package in NEEDS.get(ending, ()):
        pytest.importorskip(package)
        pytest.importorskip("xarray")


@pytest.fixture(scope="module")
def expected(models: Path) -> Any:
    return load_bundle(models / "wave").predict(U[:, None], {"beta": BETA}, 5)[:, :, 0]


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_of_the_output(ending: str, predict: Callable[..., str], expected: Any) -> None:
    needs(ending)
    np.savez("in.npz", u=U, beta=BETA, x=X)
    said = predict(f"MODELS/wave in.npz -o out{ending} --steps 5 --batch-size 3")
    assert f"out{ending}: u (7, 5, 32) as (trajectory, t, x)" in said
    assert "7 inputs: 'u' (7, 32) as nx" in said
    name = "array" if ending == ".npy" else "u"
    assert np.allclose(read(f"out{ending}", name), expected, atol=1e-6)
    if ending != ".npy":
        assert np.allclose(read(f"out{ending}", "x").ravel(), X)
        assert np.allclose(read(f"out{ending}", "t").ravel(), 0.1 * np.arange(1, 6))
        assert np.allclose(read(f"out{ending}", "beta").ravel(), BETA)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_of_the_input(kind: str, predict: Callable[..., str], expected: Any) -> None:
    ending, write = FORMATS[kind]
    needs(ending)
    arrays = {"data": U} if kind == "npy" else {"u": U, "beta": BETA, "x": X}
    write(Path(f"in{ending}"), arrays)
    parameters = "" if kind != "npy" else "--param beta=0.1"
    predict(f"MODELS/wave in{ending} -o out.npz --steps 5 {parameters}")
    found = read("out.npz")
    assert np.allclose(
        found[:1] if kind == "npy" else found, expected[:1] if kind == "npy" else expected, atol=1e-6
    )


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_the_size_of_batches_and_blocks_changes_nothing(
    size: int, predict: Callable[..., str], expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez("in.npz", u=U, beta=BETA)
    monkeypatch.setattr(run_module, "BLOCK_BYTES", size * 300)
    predict(f"MODELS/wave in.npz -o out.h5 --steps 5 --batch-size {size}")
    assert np.allclose(read("out.h5"), expected, atol=1e-6)


def test_a_series_its_times_and_strides(predict: Callable[..., str], expected: Any) -> None:
    series = np.repeat(np.stack([U, U + 1, U + 2], axis=1), 2, axis=2)  # twice the points
    fine = np.linspace(-8, 8, 64, endpoint=False)
    np.savez("in.npz", u=series, beta=BETA, x=fine, t=[1.0, 1.05, 1.1])
    said = predict("MODELS/wave in.npz -o out.npz --steps 5 --space-stride 2")
    assert "'u' (7, 3, 64) as ntx" in said
    assert "warning" not in said
    assert np.allclose(read("out.npz"), expected, atol=1e-6)
    assert np.allclose(read("out.npz", "t"), 1 + 0.1 * np.arange(1, 6))
    assert "the grid 64 has 0.5 times the spacing" in predict("MODELS/wave in.npz -o fine.npz --steps 1")
    assert read("fine.npz").shape == (7, 1, 64)


def test_one_state_without_a_trajectory_axis(predict: Callable[..., str], expected: Any) -> None:
    np.savez("in.npz", anything=U[0])
    predict("MODELS/wave in.npz -o out.npz --steps 5 --param beta=0.1")
    assert np.allclose(read("out.npz"), expected[:1], atol=1e-6)


def test_several_files_and_a_folder(predict: Callable[..., str], expected: Any) -> None:
    os.mkdir("folder")
    np.savez("folder/b.npz", u=U[3:], beta=BETA[3:])
    np.savez("folder/a.npz", u=U[:3], beta=BETA[:3])
    for number, inputs in enumerate(("folder", "'folder/*.npz'", "folder/a.npz folder/b.npz")):
        predict(f"MODELS/wave {inputs} -o {number}.npz --steps 5 --batch-size 2")
        assert np.allclose(read(f"{number}.npz"), expected, atol=1e-6)


def test_channels_static_fields_and_forcing(models: Path, predict: Callable[..., str]) -> None:
    state = RNG.normal(size=(2, 2, 2, 16, 12)).astype(np.float32)
    mask = RNG.normal(size=(16, 12)).astype(np.float32)
    push = RNG.normal(size=(2, 5, 16, 12)).astype(np.float32)
    expected = load_bundle(models / "pair").predict(state, steps=3, static=mask, forcing=push[:, :, None])
    np.savez("in.npz", state=state, mask=mask, push=push)
    predict("MODELS/pair in.npz -o out.npz --steps 3")
    for place, name in enumerate("uv"):
        assert np.allclose(read("out.npz", name), expected[:, :, place], atol=1e-6)
    np.savez("other.npz", a=state[:, :, 0], b=state[:, :, 1], mask=mask, push=push)
    predict("MODELS/pair other.npz -o named.npz --steps 3 --channel u=a --channel v=b --axes ntxy")
    assert np.array_equal(read("named.npz", "v"), read("out.npz", "v"))
    assert "'u' and" not in predict("MODELS/pair other.npz -o no.npz --steps 3", code=2)
    problem = predict("MODELS/pair in.npz -o no.npz --steps 4", code=2)
    assert "'push' has shape (2, 5, 16, 12), which does not fit" in problem


def test_a_steady_task_named_like_an_axis(models: Path, predict: Callable[..., str]) -> None:
    medium = RNG.random((4, 12, 12)) > 0.5
    np.savez("in.npz", a=medium, y=np.zeros((4, 12, 12)))
    assert "out.h5: y (4, 12, 12) as (trajectory, x, y_coord)" in predict("MODELS/flow in.npz -o out.h5")
    assert np.allclose(
        read("out.h5", "y"), load_bundle(models / "flow").predict(medium[:, None])[:, 0], atol=1e-6
    )
    assert np.allclose(read("out.h5", "y_coord"), FLOW.axes[1])
    assert read("out.h5", "x").shape == (12,)


def test_complex_numbers_of_rounding(predict: Callable[..., str], expected: Any) -> None:
    np.savez("in.npz", u=U + 1e-9j, beta=BETA)
    predict("MODELS/wave in.npz -o out.npz --steps 5")
    assert np.allclose(read("out.npz"), expected, atol=1e-6)
    np.savez("bad.npz", u=U + 1j, beta=BETA)
    assert "'u' is complex; the model takes real numbers" in predict(
        "MODELS/wave bad.npz -o no.npz --steps 5", 2
    )


def test_warnings_are_said_and_recorded(predict: Callable[..., str]) -> None:
    np.savez("in.npz", u=U)
    said = predict("MODELS/wave in.npz -o out.h5 --steps 2 --param beta=5")
    warning = (
        "parameter 'beta' is 5, outside the trained range from 0.1 to 0.4; the error can be many times larger"
    )
    assert f"warning: {warning}" in said
    with h5py.File("out.h5") as file:
        assert file.attrs["warnings"] == warning
        assert file.attrs["fingerprint"] == "f" * 64
        assert file.attrs["task"] == "wave"
        assert file.attrs["equation"] == "u_t + beta u_x = 0"
        assert file["u"].attrs["units"] == "m"
        assert file["beta"].attrs["units"] == "m/s"
        assert file["t"].attrs["axis"] == "T"
        assert [axis.label for axis in file["u"].dims] == ["trajectory", "t", "x"]


def test_members_are_the_same_in_batches_of_any_size(tmp_path: Path, predict: Callable[..., str]) -> None:
    from prediction_models import statistics_of
    from ups_models.simulator import build_simulator

    made = component("latent_operator", noise={"channels": 3})
    sim = build_simulator(made, {"wave": WAVE}, {"wave": statistics_of(WAVE)})
    save_bundle(tmp_path / "ensemble", sim, made, "f")
    np.savez("in.npz", u=U, beta=BETA)
    for size in (2, 7):
        said = predict(f"ensemble in.npz -o {size}.npz --steps 2 --members 3 --seed 4 --batch-size {size}")
        assert "u (7, 3, 2, 32) as (trajectory, member, t, x)" in said
    assert np.allclose(read("2.npz"), read("7.npz"), atol=1e-6)
    assert "yes: --members M gives an ensemble" in predict("ensemble")


def test_what_a_model_expects_and_an_example_that_works(
    models: Path, tmp_path: Path, predict: Callable[..., str]
) -> None:
    said = predict("MODELS/wave")
    for text in (
        "parameter beta  trained on 0.1 to 0.4 m/s",
        "given           u (m), the first frame",
        "axis x          32 points from -8 to 7.5; domain [-8, 8], periodic",
        "dt              0.1",
        "fingerprint     ffff",
    ):
        assert text in said
    for name in ("wave", "pair", "flow", "both"):
        found = json.loads(predict(f"MODELS/{name} --json"))
        for task in found["tasks"]:
            make, line = task["example"]
            subprocess.run([sys.executable, *shlex.split(make)[1:]], cwd=tmp_path, check=True)
            predict(line.removeprefix("ups predict "))
            os.remove("predicted.npz")
    assert found["model"] == "unet"
    assert found["tasks"][0]["parameters"][0] == {
        "name": "beta", "unit": "m/s", "range": [0.1, 0.4], "optional": False,
    }  # fmt: skip


def test_predictions_that_diverge_are_counted(
    models: Path, tmp_path: Path, predict: Callable[..., str]
) -> None:
    sim = load_bundle(models / "wave")
    for weight in sim.parameters():
        weight.data.mul_(1e6)
    save_bundle(tmp_path / "wild", sim, component("unet"), "f")
    np.savez("in.npz", u=U)
    said = predict("wild in.npz -o out.npz --steps 4 --param beta=0.2 --batch-size 2")
    assert "warning: the predictions of 7 of 7 inputs diverge" in said
    assert json.loads(predict("wild in.npz -o two.npz --steps 4 --param beta=0.2 --json"))["diverged"] == 7


def test_the_result_as_json(predict: Callable[..., str]) -> None:
    np.savez("in.npz", u=U)
    found = json.loads(predict("MODELS/wave in.npz -o out.h5 --steps 2 --param beta=5 --json"))
    assert found["out"] == "out.h5"
    assert found["arrays"] == {"u": [7, 2, 32]}
    assert len(found["warnings"]) == 1


def repeated(value: object) -> str:
    """A short name of a case."""
    return "" if isinstance(value, dict) else str(value)[:40]


EXPECTS = "task 'wave' expects u on 32 points, beta from 0.1 to 0.4"


@pytest.mark.parametrize(
    ("arrays", "options", "problem"),
    [
        ({"v": U, "w": U}, "", "in.npz has no array 'u' (found v, w); name it with --channel u=ARRAY; " + EXPECTS),
        ({"u": U[None, None, None]}, "", "'u' has shape (1, 1, 1, 7, 32), which does not fit 1 axis of space"),
        ({"u": np.where(U > 2, np.nan, U)}, "", "in.npz: 'u' contains NaN or infinity in input"),
        ({"u": U}, "--param beta=fast", "--param beta=fast is not a number"),
        ({"u": U}, "--param beta", "--param beta is not NAME=VALUE"),
        ({"u": U}, "--param gamma=1", "unknown parameter 'gamma'; known: beta; " + EXPECTS),
        ({"u": U, "beta": BETA[:3]}, "", "parameter 'beta' has shape (3,) for 7 trajectories; give one number"),
        ({"u": U, "x": X / 8}, "", "in.npz: 32 coordinates along x from -1 to 0.9375 do not cover the model's domain"),
        ({"u": U[:, None], "t": [0.0], "x": X}, "--dt 3", "in.npz has frames 3 apart, but the model was trained with"),
        ({"u": np.stack([U, U], 1), "t": [0, 0.3]}, "", "in.npz has frames 0.3 apart, but the model was trained with"),
        ({"u": np.stack([U] * 3, 1), "t": [0, 0.1, 0.3]}, "", "in.npz has times that are not evenly spaced"),
        ({"u": U}, "--axes nq", "--axes nq names 'q'; use each of the letters n t c x y z once"),
        ({"u": U}, "--channel v=u", "--channel names 'v', which the model does not take"),
        ({"u": U}, "--channel u=w", "in.npz has no array 'w'; known: u; " + EXPECTS),
        ({"u": U}, "--steps 0", "steps is 0; give the number of frames to predict, 1 or more"),
        ({"u": U}, "--members 3", "members is 3, but the model is deterministic"),
        ({"u": U}, "--task other", "the model has no task 'other'"),
        ({"u": U}, "-o out.txt", "out.txt has an unknown ending; known: .npz, .npy"),
        ({"u": U}, "-o in.npz", "in.npz already exists; choose another -o or remove it"),
        ({"u": U}, "-o no/out.npz", "no is not a directory; create it or choose another -o"),
        ({"u": U[:, :2]}, "", "the model cannot run on a grid of 2 points"),
    ],
    ids=repeated,
)  # fmt: skip
def test_mistakes_get_one_line(
    arrays: dict[str, Any], options: str, problem: str, predict: Callable[..., str]
) -> None:
    np.savez("in.npz", **arrays)
    plain = "--param beta=0.2 " if "beta" not in arrays and "--param" not in options else ""
    plain += "" if "--steps" in options else "--steps 2 "
    plain += "" if "-o " in options else "-o out.npz "
    said = predict(f"MODELS/wave in.npz {plain}{options}", code=2)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert problem in errors[0]
    assert sorted(os.listdir()) == ["in.npz"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "nowhere in.npz -o out.npz --steps 2",
            "nowhere is not a directory; name a saved model, a step or a run",
        ),
        (
            ". in.npz -o out.npz --steps 2",
            ". is not a saved model (config.json), a step with one or a run directory",
        ),
        (
            "MODELS/wave in.npz --steps 2",
            "-o is missing; name a new file for the predictions, such as -o predicted.npz",
        ),
        (
            "MODELS/wave in.npz -o out.npz",
            "steps is missing; give the number of frames to predict, 1 or more",
        ),
        ("MODELS/wave in.npz -o out.npz --steps 2", "parameter 'beta' is missing; " + EXPECTS),
        (
            "MODELS/both in.npz -o out.npz --steps 2",
            "the model was trained on 2 tasks; choose one with --task: wave",
        ),
        (
            "MODELS/wave --steps 2",
            "--steps needs an INPUT; without one the command prints what the model expects",
        ),
    ],
    ids=str,
)
def test_wrong_commands_get_one_line(line: str, problem: str, predict: Callable[..., str]) -> None:
    np.savez("in.npz", u=U)
    assert problem in predict(line, code=2)


def test_missing_and_unreadable_inputs(predict: Callable[..., str]) -> None:
    Path("bad.npz").write_bytes(b"PK nothing")
    for name, problem in (("no.npz", "no.npz does not exist"), ("bad.npz", "bad.npz cannot be read")):
        assert problem in predict(f"MODELS/wave {name} -o out.npz --steps 2 --param beta=0.1", code=2)


def test_the_module_starts_without_torch() -> None:
    code = (
        "import sys, ups_models.predict_command, ups_models.export_command; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("unit", "accepted"), [("m/s", True), ("", True), (None, True), ("cm/s", False), (7, True)]
)
def test_a_field_in_another_unit_is_refused(
    unit: object, accepted: bool, predict: Callable[..., str], models: Path
) -> None:
    """Where both say one; a unit that is no text says nothing."""
    task = replace(WAVE, channels=(replace(WAVE.channels[0], unit="m/s"),))
    saved(models / "units", task)
    with h5py.File("in.h5", "w") as file:
        data = file.create_dataset("u", data=U)
        file["beta"] = BETA
        if unit is not None:
            data.attrs["units"] = unit
    said = predict("MODELS/units in.h5 -o out.npz --steps 2", code=0 if accepted else 2)
    assert ("'u' is in cm/s, and the model takes m/s; convert it" in said) != accepted
