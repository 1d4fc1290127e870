"""Less memory, the same training: micro-batches after a failure, recomputation, an offloaded optimizer."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from plugin_for_tests import OBJECTIVES
from small_stage import context, run
from ups_core import UPSError
from ups_core.component import Component
from ups_core.console import Console
from ups_core.plugin_loader import registry_in_use
from ups_data.batches.loader import MultiTaskLoader
from ups_data.batches.sampler import MultiTaskBatchSampler
from ups_data.batches.seeds import derive_seed
from ups_models.simulator import Simulator, build_simulator
from ups_train.engine.activation_checkpointing import recompute_blocks
from ups_train.engine.lightning_progress import accumulation_factor
from ups_train.engine.metrics_file import read_metrics
from ups_train.engine.objective import ObjectiveInputs
from ups_train.engine.stage import training_loader
from ups_train.optimizers.config import AdamWConfig, MuonHybridConfig
from ups_train.optimizers.create import create_optimizer
from ups_train.parallel.ranks import Ranks
from ups_train.stages.operator import OperatorObjective
from ups_train.stages.operator_config import OperatorConfig

STAGE: dict[str, Any] = {
    "epochs": 2,
    "validate_every": 3,
    "optimizer": {"kind": "adamw", "lr": 2e-3},
}
"""An epoch has ten windows' batches of 8 and, of a task with 16 trajectories, an odd one at the end."""


def out_of_memory(step: int, max_micro_batches: int = 1) -> dict[str, Any]:
    """The callback of the tests' plugin."""
    return {"kind": "test/out_of_memory", "step": step, "max_micro_batches": max_micro_batches}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def stage_of(objective: str) -> dict[str, Any]:
    """Options of a stage, the operator's own ones for the operator only."""
    own = {"pushforward": 1, "noise": 0.01} if objective == "operator" else {}
    return {"objective": objective, **STAGE, **own}


@pytest.fixture(scope="module", params=OBJECTIVES)
def complete(
    request: pytest.FixtureRequest, data_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Options of each objective's stage, and metrics of a training that never ran out of memory."""
    directory, options = tmp_path_factory.mktemp("complete"), stage_of(request.param)
    run(data_root, directory, **options)
    return options, read_metrics(directory / "metrics.jsonl")


def assert_same(lines: list[dict[str, Any]], complete: list[dict[str, Any]], tolerance: float = 1e-4) -> None:
    assert [line["step"] for line in lines] == [line["step"] for line in complete]
    for ours, theirs in zip(lines, complete, strict=True):
        monitor = next(name for name in OBJECTIVES.values() if name in theirs)
        for name in ("train/loss", monitor, "lr"):
            # A student that starts as its teacher has hardly a loss.
            assert ours[name] == pytest.approx(theirs[name], rel=tolerance, abs=1e-9), (ours["step"], name)


@pytest.mark.parametrize("step", [0, 7])
def test_out_of_memory_halves_the_micro_batch_and_changes_nothing_else(
    step: int, complete: tuple[dict[str, Any], list[dict[str, Any]]], data_root: Path, tmp_path: Path
) -> None:
    options, metrics = complete
    run(data_root, tmp_path, **options, callbacks=[out_of_memory(step)])
    assert_same(read_metrics(tmp_path / "metrics.jsonl"), metrics)
    reported = json.loads((tmp_path / "details.json").read_text())["micro_batches"]
    assert reported["micro_batches"] == 2
    assert reported["failures"] == [{"rank": 0, "micro_batches": 1}]


def test_a_second_failure_halves_again_with_advice(
    complete: tuple[dict[str, Any], list[dict[str, Any]]],
    data_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options, metrics = complete
    callbacks = [out_of_memory(4, max_micro_batches=2)]
    step, given = context(data_root, tmp_path, **options, callbacks=callbacks)
    step.run(replace(given, console=Console()))
    said = "".join(capsys.readouterr())
    assert "out of memory: batches of 8 are now split into 2 micro-batches, accumulating gradients\n" in said
    assert (
        "split into 4 micro-batches, accumulating gradients; recompute: true or batch_size: 2 would" in said
    )
    assert_same(read_metrics(tmp_path / "metrics.jsonl"), metrics)


def test_a_sample_that_does_not_fit_is_an_error(objective: str, data_root: Path, tmp_path: Path) -> None:
    callbacks = [out_of_memory(0, max_micro_batches=99)]
    with pytest.raises(UPSError, match=r"single sample per micro-batch; use a smaller model"):
        run(data_root, tmp_path, **stage_of(objective), callbacks=callbacks)


def test_other_errors_are_not_taken_for_it(data_root: Path, tmp_path: Path) -> None:
    step, given = context(data_root, tmp_path, **STAGE)
    given.tasks["darcy2d"].open = None  # type: ignore[method-assign]
    with pytest.raises(TypeError):
        step.run(given)
    assert not (tmp_path / "memory.json").exists()


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_parts_hold_every_sample_of_a_batch_once(parts: int, data_root: Path, tmp_path: Path) -> None:
    _, given = context(data_root, tmp_path)
    windows = {"darcy2d": given.tasks["darcy2d"].open(data_root).windows("train", horizon=1)}
    size = len(windows["darcy2d"])
    loader = MultiTaskLoader(windows, MultiTaskBatchSampler({"darcy2d": size}, 6, rank=1, world=2), parts)
    batches = list(loader)
    assert len(batches) == len(loader) == parts * len(loader.sampler)
    for number, (_, indices, of_all) in enumerate(loader.sampler):
        group = batches[number * parts : (number + 1) * parts]
        real = [part for part in group if part.loss_weight]
        expected = windows["darcy2d"].batch(indices).index.tolist()
        assert sorted(i for part in real for i in part.index.tolist()) == sorted(expected)
        assert sum(part.loss_weight for part in group) / parts == pytest.approx(2 * len(indices) / of_all)


def simulator_and_batch(data_root: Path, directory: Path, task: str) -> tuple[Simulator, Any]:
    _, given = context(data_root, directory)
    opened = given.tasks[task].open(data_root)
    torch.manual_seed(0)
    simulator = build_simulator(given.spec.model, {task: opened.info}, {task: opened.statistics})
    for weight in simulator.parameters():
        weight.data += 0.02 * torch.randn_like(weight)  # nothing stays at zero
    return simulator, opened.windows("train", horizon=1).batch(range(8))


def gradients(simulator: Simulator, batch: Any) -> tuple[list[Tensor], int]:
    """Gradients of the squared prediction, and the bytes that the forward pass keeps for them."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {weight.untyped_storage().data_ptr() for weight in simulator.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = simulator.step(batch).square().mean()
    size = sum(bytes_ for place, bytes_ in kept.items() if place not in weights)
    return list(torch.autograd.grad(loss, list(simulator.parameters()), allow_unused=True)), size


@pytest.mark.parametrize("task", ["advection1d", "darcy2d"])
def test_recomputed_blocks_give_the_same_gradients_for_less_memory(
    task: str, data_root: Path, tmp_path: Path
) -> None:
    simulator, batch = simulator_and_batch(data_root, tmp_path, task)
    plain, much = gradients(simulator, batch)
    names = [name for name, _ in simulator.named_parameters()]
    assert recompute_blocks(simulator.network) >= 4
    again, little = gradients(simulator, batch)
    assert names == [name for name, _ in simulator.named_parameters()]
    for ours, theirs in zip(again, plain, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert torch.equal(ours, theirs)
    assert little < 0.5 * much


def test_a_recomputed_training_is_the_same(
    complete: tuple[dict[str, Any], list[dict[str, Any]]], data_root: Path, tmp_path: Path
) -> None:
    options, metrics = complete
    run(data_root, tmp_path, recompute=True, **options)
    assert_same(read_metrics(tmp_path / "metrics.jsonl"), metrics, tolerance=1e-6)


@pytest.mark.parametrize("options", [AdamWConfig(), MuonHybridConfig()])
def test_an_offloaded_optimizer_makes_the_same_steps(
    options: AdamWConfig, data_root: Path, tmp_path: Path
) -> None:
    kind = "adamw" if type(options) is AdamWConfig else "muon_hybrid"
    component = Component(registry_in_use().get("optimizers", kind), options)
    simulator, batch = simulator_and_batch(data_root, tmp_path, "advection1d")
    twin = copy.deepcopy(simulator)

    def steps(simulator: Simulator, optimizer: torch.optim.Optimizer, count: int) -> None:
        for number in range(count):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 / (1 + number)
            optimizer.zero_grad()
            simulator.step(batch).square().mean().backward()
            optimizer.step()

    plain = create_optimizer(component, twin.network)
    steps(twin, plain, 5)
    ours = create_optimizer(component, simulator.network, offload=True)
    steps(simulator, ours, 3)
    resumed = copy.deepcopy(simulator)
    again = create_optimizer(component, resumed.network, offload=True)
    again.load_state_dict(copy.deepcopy(ours.state_dict()))
    for number in (3, 4):
        for group in again.param_groups:
            group["lr"] = 1e-3 / (1 + number)
        again.zero_grad()
        resumed.step(batch).square().mean().backward()
        again.step()
    for ours_, theirs in zip(resumed.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours_, theirs)


def test_accumulation_and_clipping_are_what_they_are_by_hand(data_root: Path, tmp_path: Path) -> None:
    """Three steps of plain gradient descent on pairs of batches, against the sum done here."""
    rate, clip = 0.05, 0.02
    optimizer = {"kind": "sgd", "lr": rate, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    options = {"max_steps": 3, "accumulate": 2, "clip": clip, "ema": None, "select": "last", "augment": False}
    options |= {"optimizer": optimizer, "scheduler": {"kind": "constant"}}
    step, given = context(data_root, tmp_path, **options)
    step.run(given)
    found = load_file(tmp_path / "model" / "weights.safetensors")

    inputs = ObjectiveInputs.open(step.config, given)
    torch.manual_seed(derive_seed(given.spec.seed, "weights", "latent_operator"))
    assert isinstance(step.config, OperatorConfig)
    objective = OperatorObjective(step.config, inputs)
    objective.initialise()
    simulator = objective.simulator
    weights = [weight for weight in simulator.parameters() if weight.requires_grad]
    batches = iter(training_loader(step.config, inputs, given.spec, Ranks(0, 1), 1))
    clipped = 0
    for _ in range(3):
        total = [torch.zeros_like(weight) for weight in weights]
        for _ in range(2):
            batch = next(batches)
            prediction = simulator.rollout(batch, 1)
            loss = objective.compare(batch, prediction, batch.target[:, :1]) * batch.loss_weight
            parts = torch.autograd.grad(loss, weights, allow_unused=True)
            total = [
                sum_ if part is None else sum_ + part / 2 for sum_, part in zip(total, parts, strict=True)
            ]
        norm = torch.stack([gradient.square().sum() for gradient in total]).sum().sqrt()
        clipped += bool(norm > clip)
        factor = min(1.0, clip / float(norm))
        with torch.no_grad():
            for weight, gradient in zip(weights, total, strict=True):
                weight -= rate * factor * gradient
    assert clipped
    for name, weight in simulator.network.state_dict().items():
        assert torch.allclose(found[name], weight, rtol=0, atol=1e-6), name


@given(batches=st.integers(1, 60), full=st.integers(1, 60))
def test_every_update_is_the_mean_of_its_batches(batches: int, full: int) -> None:
    """Lightning divides each loss by `full`; an epoch's last update may have fewer."""
    trainer: Any = SimpleNamespace(accumulate_grad_batches=full, num_training_batches=batches)
    shares = [accumulation_factor(trainer, index) / full for index in range(batches)]
    for begin in range(0, batches, full):
        assert math.fsum(shares[begin : begin + full]) == pytest.approx(1.0)


def test_more_accumulation_than_an_epoch_has_batches_is_the_epoch(data_root: Path, tmp_path: Path) -> None:
    """With `accumulate: 50` and fewer batches, the update had a fraction of its length."""
    optimizer = {"kind": "sgd", "lr": 0.05, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    options: dict[str, Any] = {"epochs": 2, "optimizer": optimizer, "ema": None, "select": "last"}
    options |= {"scheduler": {"kind": "constant"}, "clip": None}
    step, given_ = context(data_root, tmp_path / "probe", **options)
    inputs = ObjectiveInputs.open(step.config, given_)
    batches = len(training_loader(step.config, inputs, given_.spec, Ranks(0, 1), 1).sampler)
    weights = []
    for accumulate in (batches, batches + 1, 50):
        directory = tmp_path / str(accumulate)
        run(data_root, directory, **options, accumulate=accumulate)
        assert read_metrics(directory / "metrics.jsonl")[-1]["step"] == 2
        weights.append(load_file(directory / "model" / "weights.safetensors"))
    for other in weights[1:]:
        for name, weight in weights[0].items():
            assert torch.allclose(other[name], weight, rtol=0, atol=1e-7), name
