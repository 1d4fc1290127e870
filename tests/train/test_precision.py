"""Half precision and compiling: what stays in float32, what the record says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from small_stage import context, run
from ups_core import UPSError
from ups_models.layers.norm import LayerNorm
from ups_models.layers.spectral import _SpectralLayer
from ups_models.simulator import build_simulator
from ups_train.engine.compilation import compile_network
from ups_train.engine.config import CompileConfig
from ups_train.engine.metrics_file import read_metrics

TRUNKS: list[dict[str, Any]] = [{}, {"trunk": "pdet_stack", "heads": 2}, {"trunk": "pdet_unet", "heads": 2}]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def models(given: Any, kind: str, options: dict[str, Any]) -> Any:
    from ups_core.component import Component, validate_options
    from ups_core.plugin_loader import registry_in_use

    entry = registry_in_use().get("models", kind)
    base = {} if kind != "latent_operator" else given.spec.model.config.model_dump(mode="json")
    return Component(entry, validate_options(entry.load_config(), base | options, registry_in_use()))


@pytest.mark.parametrize(
    ("kind", "options"),
    [*(("latent_operator", trunk) for trunk in TRUNKS), ("fno", {"modes": 4}), ("unet", {})],
)
def test_norms_and_transforms_stay_in_float32_under_bfloat16(
    kind: str, options: dict[str, Any], data_root: Path, tmp_path: Path
) -> None:
    _, given = context(data_root, tmp_path)
    data = {name: task.open(data_root) for name, task in given.tasks.items()}
    component = models(given, kind, options)
    simulator = build_simulator(
        component,
        {name: opened.info for name, opened in data.items()},
        {name: opened.statistics for name, opened in data.items()},
    )
    seen: dict[str, set[torch.dtype]] = {"float32 island": set(), "matrix": set()}

    def note(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        seen["matrix" if isinstance(module, nn.Linear) else "float32 island"].add(output.dtype)

    for module in simulator.network.modules():
        assert type(module) is not nn.LayerNorm, "use ups_models.layers.norm.LayerNorm"
        if isinstance(module, (nn.Linear, LayerNorm, _SpectralLayer)):
            module.register_forward_hook(note)
    for opened in data.values():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = simulator.step(opened.windows("train", horizon=1).batch(range(4)))
        assert out.dtype == torch.float32
        assert torch.isfinite(out).all()
        out.square().mean().backward()
    assert seen["float32 island"] in ({torch.float32}, set())
    assert kind == "fno" or torch.bfloat16 in seen["matrix"]


def test_bfloat16_training_learns_and_says_so(data_root: Path, tmp_path: Path) -> None:
    run(data_root, tmp_path, trainer={"precision": "bf16-mixed"}, epochs=4)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert lines[-1]["train/loss"] < lines[0]["train/loss"]
    assert json.loads((tmp_path / "details.json").read_text())["precision"] == "bf16-mixed"


@pytest.mark.slow
def test_a_compiled_network_computes_the_same(data_root: Path, tmp_path: Path) -> None:
    _, given = context(data_root, tmp_path)
    opened = given.tasks["advection1d"].open(data_root)
    simulator = build_simulator(
        models(given, "unet", {"width": 4, "levels": 1}),
        {"advection1d": opened.info},
        {"advection1d": opened.statistics},
    )
    for weight in simulator.parameters():
        weight.data += 0.02 * torch.randn_like(weight)
    batch = opened.windows("train", horizon=1).batch(range(4))
    before = simulator.step(batch)
    found = compile_network(
        CompileConfig(), simulator.network, [batch], lambda batch: simulator.step(batch).square().mean()
    )
    assert found["compiled"], found
    assert found["speedup"] > 0
    assert found["graph_breaks"] == 0
    assert torch.allclose(simulator.step(batch), before, rtol=1e-4, atol=1e-5)
    assert all(weight.grad is None for weight in simulator.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex")
def test_a_compiled_training_learns_and_is_recorded(objective: str, data_root: Path, tmp_path: Path) -> None:
    run(data_root, tmp_path, compile={"policy": "require"}, epochs=4, objective=objective)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert lines[-1]["train/loss"] < lines[0]["train/loss"]
    assert json.loads((tmp_path / "details.json").read_text())["compile"]["compiled"]


@pytest.mark.parametrize("policy", ["allow", "require"])
def test_a_network_that_cannot_be_compiled(
    policy: str, objective: str, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr("torch._dynamo.convert_frame.compile_frame", fail)
    options = {"compile": {"policy": policy}, "epochs": 1, "objective": objective}
    if policy == "require":
        with pytest.raises(UPSError, match="no compiler here"):
            run(data_root, tmp_path, **options)
        return
    run(data_root, tmp_path, **options)
    reported = json.loads((tmp_path / "details.json").read_text())["compile"]
    assert not reported["compiled"]
    assert "no compiler here" in reported["reason"]
