"""What a training tells about itself: speed, profile, size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from commands import command
from plugin_for_tests import with_plugin
from small_stage import context, run
from ups_core.context import PROFILE
from ups_models.simulator import build_simulator
from ups_train.engine.metrics_file import read_metrics
from ups_train.engine.objective import ObjectiveInputs, create_objective
from ups_train.engine.out_of_memory import read_micro_batches
from ups_train.engine.step_clock import count_flops
from ups_train.sizing.measure import Sizing, measure


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def test_every_line_has_the_speed_of_its_steps(data_root: Path, tmp_path: Path) -> None:
    run(data_root, tmp_path, epochs=3)
    for line in read_metrics(tmp_path / "metrics.jsonl"):
        parts = [line[f"speed/{part}_seconds"] for part in ("data", "forward", "backward", "optimizer")]
        assert all(part > 0 for part in parts)
        # Batches have at most 8 samples of 32 or 16 x 16 cells.
        assert 0 < line["speed/samples_per_second"] * sum(parts) <= 8.001
        assert 32 <= line["speed/tokens_per_second"] / line["speed/samples_per_second"] <= 256
        assert line["speed/peak_memory_mb"] > 50


def test_operations_are_counted() -> None:
    layer = torch.nn.Linear(3, 5, bias=False)
    x = torch.randn(7, 3)
    # 2 m n k of the product, and as much for the gradient of the weight; none for that of x.
    assert count_flops(layer, lambda: layer(x).sum()) == 2 * (2 * 7 * 3 * 5)


def test_profile_leaves_a_trace_and_a_table(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROFILE, "1")
    run(data_root, tmp_path, epochs=2)
    trace = json.loads((tmp_path / "profile" / "trace.json").read_text())
    assert any("conv" in event.get("name", "") for event in trace["traceEvents"])
    table = (tmp_path / "profile" / "operators.txt").read_text()
    assert "Self CPU" in table
    rows = [line for line in table.splitlines() if "aten::" in line or "Optimizer" in line]
    assert 0 < len(rows) <= 10


def test_more_memory_allows_more_samples(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, given = context(data_root, tmp_path)
    inputs = ObjectiveInputs.open(step.config, given)

    def size(free: float, **changes: object) -> Sizing:
        monkeypatch.setattr("ups_train.sizing.measure.free_memory", lambda device: int(free))
        config = step.config.model_copy(update=changes)
        objective = create_objective(step.objective, config, inputs)
        return measure(config, objective, inputs, given.spec, torch.device("cpu"))

    much = size(1e12)
    assert much.micro_batch == 8
    assert much.micro_batches(8) == 1
    count = much.parameters
    # weights, moving average, gradients, two moments of AdamW or one of Muon's momentum; numbers of 4 bytes
    assert 4 * 4 * count <= much.state <= 5 * 4 * count + 100_000
    little = size((much.state + 3.5 * much.activations) / 0.8)
    assert little.micro_batch == 3
    assert little.micro_batches(8) == 4
    assert size(1).micro_batch == 0
    assert size(1e12, recompute=True).activations < 0.6 * much.activations
    assert much.steps == 2 * 12 // 1 or much.steps > 0
    assert much.training == pytest.approx(much.steps * much.step)


def test_micro_batches_auto_splits_batches_until_they_fit(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(data_root, tmp_path / "spec")
    monkeypatch.setattr(
        "ups_train.engine.stage.measure", lambda *a: Sizing("m", "cpu", 1, 1, 1, 1, 3, 1.0, 1, 1.0, 1)
    )
    run(data_root, tmp_path / "auto", trainer={"micro_batches": "auto"})
    assert read_micro_batches(tmp_path / "auto") == 4
    plain, auto = (read_metrics(tmp_path / name / "metrics.jsonl") for name in ("spec", "auto"))
    for ours, theirs in zip(auto, plain, strict=True):
        assert ours["step"] == theirs["step"]
        assert ours["train/loss"] == pytest.approx(theirs["train/loss"], rel=1e-4)


def test_size_prints_a_table_and_keeps_it(data_root: Path, tmp_path: Path) -> None:
    _, given = context(data_root, tmp_path, epochs=3)
    spec = given.spec.model_dump(mode="json")
    ensemble = {"stage": "operator", "id": "ensemble", "init": {"step": "operator"}}
    spec["pipeline"] += [
        {"stage": "test/energy", "id": "energy"},
        {**ensemble, "objective": {"kind": "ensemble"}},
        {"stage": "diffusion_residual", "id": "flow"},
        {"stage": "consistency_distillation", "id": "student"},
    ]
    spec["pipeline"].append({"evaluate": "rollout", "baselines": ["unet"]})
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    result = command("ups", "size", path, "--data-root", data_root, cwd=tmp_path, PYTHONPATH=with_plugin())
    rows = [line.split()[0] for line in result.stdout.splitlines() if line]
    assert rows[:7] == ["stage", "operator", "energy", "ensemble", "flow", "student", "unet"]
    assert "of memory are free on cpu" in result.stdout
    (kept,) = tmp_path.glob("runs/t-*/sizing.json")
    stages = json.loads(kept.read_text())["stages"]
    opened = {name: task.open(data_root) for name, task in given.tasks.items()}
    known = build_simulator(
        given.spec.model,
        {name: part.info for name, part in opened.items()},
        {name: part.statistics for name, part in opened.items()},
    ).parameter_count()
    assert stages["operator"]["parameters"] == stages["energy"]["parameters"] == known
    assert stages["operator"]["step"] > 0
