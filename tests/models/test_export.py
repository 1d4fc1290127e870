"""Exported steps: transforms by matrices are those by FFT, and programs predict the same without UPS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_models import FLOW, PAIR, WAVE, model_of, saved
from toy_models import component
from toy_tasks import evolution
from ups_core import UPSError
from ups_core.cli.main import main
from ups_data.info import TaskInfo
from ups_models.bundle import save_bundle
from ups_models.export import program
from ups_models.export.real_dft import RealDFT
from ups_models.export.step_module import StepModule, input_shapes
from ups_models.export.without_fft import MatrixPropagator, MatrixSpectral, replace_ffts
from ups_models.latent.linear_propagator import LinearPropagator
from ups_models.layers.spectral import DepthwiseSpectral, SpectralConv
from ups_models.simulator import Simulator

GRIDS = st.lists(st.integers(2, 9), min_size=1, max_size=3)
NO_UPS = """
import json, sys, numpy as np
for name in ("ups_core", "ups_data", "ups_models", "ups_eval", "ups_train"):
    sys.modules[name] = None
import torch
step = torch.export.load(sys.argv[1]).module()
given = np.load(sys.argv[2])
np.save(sys.argv[3], step(*(torch.from_numpy(given[name]) for name in given.files)).numpy())
"""


@given(shape=GRIDS)
@settings(max_examples=30, deadline=None)
def test_all_frequencies_give_the_field_back(shape: list[int]) -> None:
    numbers = [list(range(cells)) for cells in shape[:-1]]
    dft = RealDFT(shape, [*numbers, list(range(shape[-1] // 2 + 1))])
    x = torch.randn(2, 3, *shape)
    axes = tuple(range(2, x.dim()))
    expected = torch.fft.rfftn(x, dim=axes, norm="ortho")
    real, imaginary = dft(x)
    assert torch.allclose(real, expected.real, atol=1e-5)
    assert torch.allclose(imaginary, expected.imag, atol=1e-5)
    assert torch.allclose(dft.inverse((real, imaginary)), x, atol=1e-5)


@given(shape=GRIDS, modes=st.integers(1, 5), kind=st.sampled_from([SpectralConv, DepthwiseSpectral]))
@settings(max_examples=30, deadline=None)
def test_a_spectral_layer_by_matrices(
    shape: list[int], modes: int, kind: type[SpectralConv] | type[DepthwiseSpectral]
) -> None:
    layer = kind(len(shape), 3, modes)
    x = torch.randn(2, 3, *shape)
    with torch.no_grad():
        assert torch.allclose(MatrixSpectral(layer, shape)(x), layer(x), atol=1e-5)


@given(dim=st.integers(1, 3), cells=st.integers(4, 9))
@settings(max_examples=15, deadline=None)
def test_a_linear_propagator_by_matrices(dim: int, cells: int) -> None:
    propagator = LinearPropagator(evolution(dim=dim, cells=cells, history=1))
    propagator.coefficients.normal_()
    propagator.active = True
    x, params, dt = torch.randn(3, 2, *[cells] * dim), torch.rand(3, 1), torch.tensor([0.1, 0.2, 0.3])
    other = MatrixPropagator(propagator, x.shape[2:])
    features = torch.randn(3, 5, *[cells] * dim)
    assert torch.allclose(other(x, params, dt), propagator(x, params, dt), atol=1e-5)
    assert torch.allclose(
        other.shared(features, params, dt), propagator.shared(features, params, dt), atol=1e-5
    )


def simulator(kind: str, task: TaskInfo) -> Simulator:
    made = model_of(task, kind=kind)
    for module in made.modules():
        if isinstance(module, LinearPropagator):  # as after a fit
            module.coefficients.fill_(0.3)
            module.active = True
    return made


@pytest.mark.parametrize(
    ("kind", "task"),
    [("unet", PAIR), ("fno", FLOW), ("latent_operator", WAVE), ("persistence", WAVE)],
    ids=lambda item: getattr(item, "name", item),
)
@pytest.mark.parametrize("form", ["torch", "onnx"])
def test_models_are_exported_and_compared(
    kind: str, task: TaskInfo, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if form == "onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package)
    save_bundle(tmp_path / "model", simulator(kind, task), component(kind), "f" * 64)
    out = tmp_path / f"step.{'pt2' if form == 'torch' else 'onnx'}"
    code = main(["export", str(tmp_path / "model"), "--format", form, "-o", str(out), "--json"])
    said, error = capsys.readouterr()
    assert code == 0, error
    found = json.loads(said)
    assert found["difference"] <= (0 if form == "torch" else 1e-5) * found["scale"]
    described = json.loads((tmp_path / f"{out.name}.json").read_text())
    assert described["inputs"] == {name: ["batch", *shape] for name, shape in input_shapes(task).items()}
    assert described["dt"] == task.dt
    assert described["coordinates"] == [list(points) for points in task.axes]
    assert described["predicted"] == [{"name": item.name, "unit": item.unit} for item in task.target_channels]


def test_a_torch_program_runs_without_ups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sim = simulator("fno", WAVE)
    save_bundle(tmp_path / "model", sim, component("fno"), "f")
    assert main(["export", str(tmp_path / "model"), "-o", str(tmp_path / "step.pt2")]) == 0
    assert "largest difference from the model 0 of" in capsys.readouterr().out
    u = np.random.default_rng(0).normal(size=(7, 1, 1, 32)).astype(np.float32)
    beta = np.linspace(0.1, 0.4, 7, dtype=np.float32)[:, None]
    np.savez(tmp_path / "given.npz", state=u, params=beta)
    arguments = [str(tmp_path / name) for name in ("step.pt2", "given.npz", "frame.npy")]
    subprocess.run([sys.executable, "-c", NO_UPS, *arguments], check=True)
    expected = sim.predict(u, {"beta": beta[:, 0]}, 1)[:, 0]
    assert np.allclose(np.load(tmp_path / "frame.npy"), expected, atol=1e-6)


def test_replacing_ffts_leaves_none(tmp_path: Path) -> None:
    sim = simulator("fno", FLOW)
    step = StepModule(sim, "flow")
    x = torch.randn(2, 1, 12, 12)
    replace_ffts(step, (x,))
    assert not [module for module in step.modules() if isinstance(module, SpectralConv)]
    assert [module for module in sim.modules() if isinstance(module, SpectralConv)], "the model stays"
    with torch.no_grad():
        assert torch.allclose(step(x), StepModule(sim, "flow")(x), atol=1e-5)


def test_a_stochastic_model_is_exported_without_noise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = component("latent_operator", noise={"channels": 3})
    sim = simulator("latent_operator", WAVE)
    other = made.create(tasks={"wave": WAVE})
    save_bundle(tmp_path / "model", Simulator(other, sim.tasks, sim.statistics), made, "f")
    assert main(["export", str(tmp_path / "model"), "-o", str(tmp_path / "step.pt2")]) == 0
    assert "the model is stochastic: its prediction without noise is exported" in capsys.readouterr().err
    assert json.loads((tmp_path / "step.pt2.json").read_text())["without_noise"] is True


def test_what_cannot_be_exported_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "wave", WAVE)
    save_bundle(tmp_path / "none", model_of(FLOW, kind="persistence"), component("persistence"), "f")
    (tmp_path / "there.pt2").touch()
    for line, code, problem in (
        ("wave -o step.onnx", 2, "step.onnx is not a .pt2 file, the ending for --format torch"),
        ("wave -o there.pt2", 2, "there.pt2 already exists; choose another -o or remove it"),
        ("wave -o no/step.pt2", 2, "no is not a directory; create it or choose another -o"),
        ("none -o step.pt2", 2, "this model makes no predictions for the steady task 'flow'"),
        ("there.pt2 -o step.pt2", 2, "there.pt2 is not a directory; name a saved model"),
    ):
        assert main(["export", *line.split()]) == code
        assert problem in capsys.readouterr().err

    def differ(*_: object) -> object:
        return lambda *inputs: inputs[0][:, -1] + 1

    def fail(*_: object) -> object:
        raise ValueError("a tensor decides where to go on\nand more lines")

    for writer, problem in (
        (differ, "the exported program differs from the model by"),
        (fail, "a UNet cannot be exported as torch: a tensor decides where to go on and more lines"),
    ):
        monkeypatch.setitem(program.WRITERS, "torch", writer)
        assert main(["export", "wave", "-o", "step.pt2"]) == 1
        assert problem in capsys.readouterr().err
    assert sorted(os.listdir()) == ["none", "there.pt2", "wave"]


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    sim = simulator("unet", WAVE)
    from ups_models.prediction.predict import expects_of_simulator

    with pytest.raises(
        UPSError, match=r"needs the package onnx\w*; install it with: pip install 'ups-models\[onnx\]'"
    ):
        program.export_step(sim, expects_of_simulator(sim, None), "onnx", tmp_path / "step.onnx", {})
    assert os.listdir(tmp_path) == []
