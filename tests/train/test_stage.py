"""The operator stage on real data: it learns, resumes exactly, refuses a loss that is not finite."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from small_stage import context, run
from toy_tasks import evolution, steady
from ups_core import CallbackConfig, UPSError
from ups_core.component import Component, validate_options
from ups_core.plugin_loader import registry_in_use
from ups_core.registry import Entry, Provider
from ups_core.spec import PipelineSpec
from ups_models.bundle import load_bundle
from ups_models.simulator import build_simulator
from ups_train.engine.checkpoint_files import newest_sound, saved_steps
from ups_train.engine.duration import training_duration
from ups_train.engine.metrics_file import read_metrics
from ups_train.stages.latent_consistency import latent_consistency
from ups_train.stages.operator import operator
from ups_train.stages.operator_config import OperatorConfig


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def weights(directory: Path) -> bytes:
    return (directory / "model" / "weights.safetensors").read_bytes()


def test_learns_and_leaves_everything(data_root: Path, tmp_path: Path) -> None:
    metrics = run(data_root, tmp_path, epochs=24, optimizer={"kind": "muon_hybrid", "lr": 5e-3})
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert lines[-1]["train/loss"] < 0.7 * lines[0]["train/loss"]
    assert {"val/nrmse", "val/advection1d/nrmse", "val/darcy2d/nrmse", "train/darcy2d/loss", "lr"} <= set(
        lines[0]
    )
    assert metrics["val/nrmse"] == min(line["val/nrmse"] for line in lines)
    assert saved_steps(tmp_path / "checkpoints")[-1] == lines[-1]["step"]
    assert load_bundle(tmp_path / "model").parameter_count() == metrics["parameters"]


def test_the_same_twice_gives_the_same_bits(data_root: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(data_root, tmp_path / name)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    step, given = context(data_root, tmp_path / "three")
    other_seed = validate_options(
        PipelineSpec, given.spec.model_dump(mode="json") | {"seed": 2}, registry_in_use()
    )
    step.run(replace(given, spec=other_seed))  # type: ignore[arg-type]
    assert weights(tmp_path / "three") != weights(tmp_path / "one")


class Killed(BaseException):
    """Stands for the end of the process."""


class Stop(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise Killed


def test_callbacks_of_plugins_work_by_name(data_root: Path, tmp_path: Path) -> None:
    registry = copy.deepcopy(registry_in_use())
    registry.add(
        Entry("callbacks", "acme/stop", lambda config: Stop(3), CallbackConfig, "", Provider("acme", "1"))
    )
    _, given = context(data_root, tmp_path)
    config = validate_options(OperatorConfig, {"callbacks": ["acme/stop"], "epochs": 2}, registry)
    with pytest.raises(Killed):
        operator(config).run(given)  # type: ignore[arg-type]


def test_accumulated_batches_update_once(data_root: Path, tmp_path: Path) -> None:
    run(data_root, tmp_path / "one", epochs=1)
    run(data_root, tmp_path / "two", epochs=1, accumulate=2)
    one, two = (read_metrics(tmp_path / name / "metrics.jsonl")[-1]["step"] for name in ("one", "two"))
    assert two == -(-one // 2)


def test_max_steps_and_patience_end_training(data_root: Path, tmp_path: Path) -> None:
    run(data_root, tmp_path / "steps", max_steps=4, validate_every=2)
    assert [line["step"] for line in read_metrics(tmp_path / "steps" / "metrics.jsonl")] == [2, 4]
    run(
        data_root,
        tmp_path / "patience",
        epochs=50,
        patience=1,
        optimizer={"kind": "adamw", "lr": 1e-9},
        ema=None,
    )
    assert len(read_metrics(tmp_path / "patience" / "metrics.jsonl")) < 50


@given(
    batches=st.integers(1, 50),
    epochs=st.integers(1, 4),
    every=st.none() | st.integers(1, 300),
    limit=st.none() | st.integers(1, 300),
    accumulate=st.integers(1, 5),
)
def test_validations_fill_the_training(
    batches: int, epochs: int, every: int | None, limit: int | None, accumulate: int
) -> None:
    config = OperatorConfig(epochs=epochs, validate_every=every, max_steps=limit, accumulate=accumulate)
    length = training_duration(config, batches)
    asked = min(-(-batches // accumulate) * epochs, limit or 10**9)
    assert length.validate_every >= 1
    assert length.steps <= asked
    if accumulate == 1:
        validations = length.steps // length.validate_every
        assert length.steps == validations * length.validate_every, "the last validation is at the end"
        assert asked - length.steps < validations
    if every is None and limit is None:
        assert length.validate_every == batches


@pytest.mark.parametrize("every", [2, 99])
def test_accumulated_training_ends_with_a_validation(every: int, data_root: Path, tmp_path: Path) -> None:
    """Also where the last step ends between two validations, or before the first."""
    run(data_root, tmp_path, epochs=9, max_steps=7, accumulate=5, validate_every=every)
    steps = [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")]
    assert steps[-1] == 7
    assert steps.count(7) == 1


def test_unrolled_training_and_other_losses(data_root: Path, tmp_path: Path) -> None:
    metrics = run(
        data_root,
        tmp_path,
        unroll=3,
        losses=[{"kind": "relative_l2"}, {"kind": "mse", "weight": 0.1}],
        epochs=1,
    )
    assert metrics["val/advection1d/nrmse"] < 2.0


def test_options_that_do_not_fit_the_data() -> None:
    config = OperatorConfig(unroll=6)
    registry = registry_in_use()
    fno, mean = (
        Component(registry.get("models", name), registry.get("models", name).load_config()())
        for name in ("fno", "mean")
    )
    tasks = {"a": replace(evolution(), frames=6, history=1), "d": steady()}
    assert config.check(tasks, fno) == [
        ("unroll", "6 steps after 1 given frames need 7 frames; task 'a' has 6")
    ]
    assert OperatorConfig().check(tasks, mean) == [("model", "'mean' has nothing to train")]


def test_metrics_file_ignores_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"step": 1}) + "\n" + '{"step": 2, "val')
    assert read_metrics(path) == [{"step": 1}]
    with pytest.raises(UPSError):
        load_bundle(tmp_path)


def test_a_budget_ends_the_training_after_a_validation(data_root: Path, tmp_path: Path) -> None:
    run(data_root, tmp_path, epochs=None, budget=1.0)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert len(lines) >= 2
    assert 1.0 <= lines[-1]["training_seconds"] < 3.0
    assert lines[-1]["lr"] < 0.2 * max(line["lr"] for line in lines), "the schedule followed the clock"
    newest = newest_sound(tmp_path / "checkpoints", print)
    assert newest is not None
    state = torch.load(newest, weights_only=True)
    assert state["progress"]["seconds"] >= 1.0


def test_rollout_losses_conflict_and_weights(data_root: Path, tmp_path: Path) -> None:
    run(
        data_root,
        tmp_path,
        unroll=2,
        pushforward=1,
        latent_unroll=2,
        consistency=0.1,
        noise=0.01,
        measure_conflict=True,
        losses=[{"kind": "h1"}],
        task_weights={"darcy2d": 0.5},
    )
    for line in read_metrics(tmp_path / "metrics.jsonl"):
        assert -1 <= line["train/gradient_cosine"] <= 1


def test_latent_training_moves_the_latent_parts(data_root: Path, tmp_path: Path) -> None:
    run(data_root, tmp_path / "plain")
    run(data_root, tmp_path / "latent", latent_unroll=2)
    plain, latent = (load_bundle(tmp_path / name / "model") for name in ("plain", "latent"))
    for simulator, moved in ((plain, False), (latent, True)):
        onward = [weight for name, weight in simulator.named_parameters() if ".onward." in name]
        assert onward
        assert any(bool(weight.any()) for weight in onward) is moved


def test_consistency_reaches_codec_and_trunk(data_root: Path, tmp_path: Path) -> None:
    _, given = context(data_root, tmp_path)
    data = given.tasks["advection1d"].open(data_root)  # type: ignore[attr-defined]
    simulator = build_simulator(
        given.spec.model, {"advection1d": data.info}, {"advection1d": data.statistics}
    )
    batch = data.windows("train", horizon=1).batch([0, 1])
    simulator.latent_network().codec.head["advection1d"].weight.data.normal_()  # type: ignore[union-attr, index]
    latent_consistency(simulator, batch).backward()
    for part in ("codec.lift", "codec.onward", "codec.head", "trunk."):
        grads = [weight.grad for name, weight in simulator.network.named_parameters() if part in name]
        assert any(grad is not None and grad.any() for grad in grads), part


def test_models_without_latents_say_so(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UPSError, match="has no latent space"):
        run(data_root, tmp_path, latent_unroll=2, model={"kind": "unet", "width": 8, "levels": 2})
