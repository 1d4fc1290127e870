"""The clock of training steps, with a host clock that the test moves, and counted operations."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from toy_tasks import batch_of, evolution, steady
from ups_data.batches.batch import FieldBatch
from ups_train.engine import step_clock
from ups_train.engine.step_clock import (
    PARTS,
    PEAK_FLOPS,
    StepClock,
    count_flops,
    peak_flops,
    peak_memory,
)

WAVE, FLOW = batch_of(evolution(), size=3), batch_of(steady(), size=5)
CPU = torch.device("cpu")
STATUS = Path("/proc/self/status")


class Time:
    """Stands for the module `time`: seconds pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    moved = Time()
    monkeypatch.setattr(step_clock, "time", moved)
    return moved


class Training:
    """Calls the clock's hooks in Lightning's order."""

    def __init__(self, time: Time, world: int = 1) -> None:
        self.time = time
        self.clock = StepClock()
        self.module: Any = nn.Linear(1, 1)
        self.trainer: Any = SimpleNamespace(strategy=SimpleNamespace(root_device=CPU), world_size=world)
        self.clock.on_train_start(self.trainer, self.module)

    def micro_batch(self, batch: FieldBatch, *seconds: float, number: int = 0) -> None:
        """Seconds of loading, forward, backward and the optimizer."""
        given = self.trainer, self.module
        data, forward, backward, optimizer = seconds
        self.time.now += data
        self.clock.on_train_batch_start(*given, batch, number)
        self.time.now += forward
        self.clock.on_before_backward(*given, torch.zeros(()))
        self.time.now += backward
        self.clock.on_after_backward(*given)
        self.time.now += optimizer
        self.clock.on_train_batch_end(*given, None, batch, number)

    def validation(self, seconds: float) -> None:
        self.time.now += seconds
        self.clock.on_validation_end(self.trainer, self.module)


def parts(found: dict[str, float]) -> list[float]:
    return [found[f"speed/{part}_seconds"] for part in PARTS]


def test_parts_are_means_of_micro_batches(time: Time) -> None:
    training = Training(time)
    training.micro_batch(WAVE, 1.0, 2.0, 3.0, 4.0)
    training.micro_batch(WAVE, 3.0, 4.0, 5.0, 0.0)
    assert parts(training.clock.take()) == pytest.approx([2.0, 3.0, 4.0, 2.0])


def test_nothing_between_hooks_is_lost(time: Time) -> None:
    training = Training(time)
    begin = time.now
    for number in range(5):
        training.micro_batch(WAVE, 0.1 * number, 0.25, 0.5, 0.125)
    assert 5 * sum(parts(training.clock.take())) == pytest.approx(time.now - begin)


def test_validations_are_not_counted(time: Time) -> None:
    training = Training(time)
    training.micro_batch(WAVE, 1.0, 1.0, 1.0, 1.0)
    training.validation(1000.0)
    training.micro_batch(WAVE, 1.0, 1.0, 1.0, 1.0)
    assert parts(training.clock.take()) == pytest.approx([1.0] * 4)


def test_samples_and_cells_are_counted_per_second(time: Time) -> None:
    training = Training(time)
    training.micro_batch(WAVE, 1.0, 1.0, 1.0, 1.0)
    training.micro_batch(FLOW, 1.0, 1.0, 1.0, 1.0)
    found = training.clock.take()
    assert found["speed/samples_per_second"] == pytest.approx((3 + 5) / 8)
    assert found["speed/tokens_per_second"] == pytest.approx((3 * 32 + 5 * 16 * 16) / 8)


@pytest.mark.parametrize("world", [1, 2, 8])
def test_every_rank_counts_for_the_speed(time: Time, world: int) -> None:
    training = Training(time, world)
    training.micro_batch(WAVE, 1.0, 1.0, 1.0, 1.0)
    found = training.clock.take()
    assert found["speed/samples_per_second"] == pytest.approx(world * 3 / 4)
    assert found["speed/tokens_per_second"] == pytest.approx(world * 3 * 32 / 4)
    assert parts(found) == pytest.approx([1.0] * 4)


def test_figures_are_of_the_micro_batches_since_the_last_call(time: Time) -> None:
    training = Training(time)
    training.micro_batch(FLOW, 5.0, 5.0, 5.0, 5.0)
    training.clock.take()
    training.micro_batch(WAVE, 1.0, 2.0, 3.0, 4.0)
    found = training.clock.take()
    assert parts(found) == pytest.approx([1.0, 2.0, 3.0, 4.0])
    assert found["speed/samples_per_second"] == pytest.approx(0.3)


def test_without_micro_batches_there_are_no_figures(time: Time) -> None:
    training = Training(time)
    assert training.clock.take() == {}
    training.micro_batch(WAVE, 1.0, 1.0, 1.0, 1.0)
    assert training.clock.take()
    assert training.clock.take() == {}


def test_a_clock_too_coarse_to_tell_gives_no_figures(time: Time) -> None:
    training = Training(time)
    training.micro_batch(WAVE, 0.0, 0.0, 0.0, 0.0)
    assert training.clock.take() == {}


def test_without_a_known_peak_nothing_is_counted(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_clock, "count_flops", pytest.fail)
    training = Training(time)
    training.micro_batch(WAVE, 1.0, 1.0, 1.0, 1.0)
    found = training.clock.take()
    assert "speed/mfu" not in found
    assert set(found) == {
        *(f"speed/{part}_seconds" for part in PARTS),
        "speed/samples_per_second",
        "speed/tokens_per_second",
        "speed/peak_memory_mb",
    }


class Counted:
    """Notes for which tasks operations were counted; 600 of each batch, which takes 7 seconds."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.tasks: list[str] = []

    def __call__(self, module: Any, loss: Any) -> float:
        self.tasks.append(loss.args[0].task)
        self.time.now += 7.0
        return 600.0


def test_utilisation_is_the_share_of_the_peak(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(time)
    monkeypatch.setattr(step_clock, "TrainingModule", nn.Linear)
    monkeypatch.setattr(step_clock, "count_flops", counted)
    monkeypatch.setattr(step_clock, "peak_flops", lambda device: 1000.0)
    training = Training(time)
    training.module.loss = lambda batch, seed: None
    small = batch_of(evolution(), size=1)
    for batch in (WAVE, FLOW, small):
        training.micro_batch(batch, 1.0, 1.0, 1.0, 1.0)
    assert counted.tasks == ["wave", "flow"], "once per task"
    found = training.clock.take()
    assert parts(found) == pytest.approx([1.0] * 4), "counting is neither loading nor training"
    # A sample of WAVE has 200 operations, also in the smaller batch.
    assert found["speed/mfu"] == pytest.approx((600 + 600 + 200) / 12 / 1000)


# Operations


@pytest.mark.parametrize("shape", [(7, 3, 5), (1, 1, 1), (16, 32, 8)])
def test_operations_of_a_product_are_those_of_the_formula(shape: tuple[int, int, int]) -> None:
    rows, inner, columns = shape
    layer = nn.Linear(inner, columns, bias=False)
    x = torch.randn(rows, inner)
    # Forward and the gradient of the weight; the input needs none.
    assert count_flops(layer, lambda: layer(x).sum()) == 2 * 2 * rows * inner * columns


def test_operations_of_inner_layers_include_the_gradient_of_their_input() -> None:
    layers = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 5, bias=False))
    x = torch.randn(7, 3)
    first, second = 2 * 7 * 3 * 4, 2 * 7 * 4 * 5
    assert count_flops(layers, lambda: layers(x).sum()) == 2 * first + 3 * second


def test_frozen_weights_need_no_gradient() -> None:
    layers = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 5, bias=False))
    layers[0].weight.requires_grad_(False)
    x = torch.randn(7, 3)
    assert count_flops(layers, lambda: layers(x).sum()) == 2 * 7 * 3 * 4 + 2 * (2 * 7 * 4 * 5)


def test_counting_leaves_no_gradients() -> None:
    layer = nn.Linear(3, 5)
    count_flops(layer, lambda: layer(torch.randn(7, 3)).sum())
    assert all(weight.grad is None for weight in layer.parameters())


def test_weights_that_a_loss_does_not_use_cost_nothing() -> None:
    layers = nn.ModuleList([nn.Linear(3, 5, bias=False), nn.Linear(300, 500)])
    x = torch.randn(7, 3)
    assert count_flops(layers, lambda: layers[0](x).sum()) == 2 * 2 * 7 * 3 * 5


# Memory and peaks


@pytest.mark.skipif(not STATUS.exists(), reason="needs Linux")
def test_peak_memory_is_that_of_the_process_in_bytes() -> None:
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
    assert peak_memory(CPU) == pytest.approx(int(line.split()[1]) * 1024, rel=0.1)


def test_peak_memory_never_falls() -> None:
    found = [peak_memory(CPU)]
    for size in (20_000_000, 10, 1_000_000):
        assert torch.ones(size)[-1] == 1
        found.append(peak_memory(CPU))
    assert found == sorted(found)
    assert found[0] > 50e6, "torch alone is larger"


def test_a_host_has_no_known_peak() -> None:
    assert peak_flops(CPU) is None


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA A100-SXM4-40GB", "A100"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA GeForce RTX 2080", None),
    ],
)
def test_a_gpu_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str, part: str | None) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    expected = None if part is None else PEAK_FLOPS[part]
    assert peak_flops(torch.device("cuda", 0)) == expected
