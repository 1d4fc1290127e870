"""Parts of the sizing that can be checked by hand: micro-batches, kept bytes, state, free memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from toy_models import component
from toy_tasks import batch_of, evolution, statistics, steady
from ups_core import validate_options
from ups_core.spec import PipelineSpec
from ups_core.trainer import TrainerSpec
from ups_data.prepare.opening import TaskData
from ups_train.engine.objective import ObjectiveInputs
from ups_train.sizing import measure as sizing_of
from ups_train.sizing.command import _duration, _row
from ups_train.sizing.measure import TRANSIENT, Sizing, Trial, free_memory, saved_bytes
from ups_train.stages.operator import OperatorObjective
from ups_train.stages.operator_config import OperatorConfig

CPU = torch.device("cpu")
WAVE, FLOW = batch_of(evolution(), size=4), batch_of(steady(), size=4)
SIZING = Sizing("fno", "cpu", 1000, 16_000, 500, 10**9, 4, 0.5, 100, 50.0, 40_000)


def trial(optimizer: str = "adamw", model: str = "fno", **options: Any) -> Trial:
    tasks = evolution(), steady()
    data = {task.name: TaskData(task, None, statistics(task), None) for task in tasks}  # type: ignore[arg-type]
    config = validate_options(OperatorConfig, {"optimizer": optimizer, "augment": False, **options})
    torch.manual_seed(0)
    objective = OperatorObjective(config, ObjectiveInputs(component(model), data))
    spec = PipelineSpec.model_construct(seed=0, trainer=validate_options(TrainerSpec, {"precision": 32}))
    return Trial(config, objective, spec, CPU)


def numbers(made: Trial) -> int:
    return sum(weight.numel() for weight in made.module.network.parameters())


# Micro-batches


@given(batch_size=st.integers(1, 4096), fits=st.integers(1, 4096))
def test_a_batch_is_split_into_the_smallest_power_of_two_that_fits(batch_size: int, fits: int) -> None:
    count = replace(SIZING, micro_batch=fits).micro_batches(batch_size)
    assert count & (count - 1) == 0
    assert count * fits >= batch_size
    assert count == 1 or count // 2 * fits < batch_size


@given(batch_size=st.integers(1, 4096))
def test_where_nothing_fits_single_samples_are_tried(batch_size: int) -> None:
    none, one = (replace(SIZING, micro_batch=fits).micro_batches(batch_size) for fits in (0, 1))
    assert none == one
    assert batch_size <= none < 2 * batch_size


@pytest.mark.parametrize(
    ("batch_size", "fits", "count"), [(8, 8, 1), (8, 7, 2), (8, 4, 2), (8, 3, 4), (8, 1, 8), (6, 2, 4)]
)
def test_known_cases(batch_size: int, fits: int, count: int) -> None:
    assert replace(SIZING, micro_batch=fits).micro_batches(batch_size) == count


# What a forward pass keeps


def test_kept_tensors_are_counted_in_bytes() -> None:
    x = torch.randn(10, 7, requires_grad=True)
    assert saved_bytes(nn.Module(), lambda: x.exp()) == 10 * 7 * 4


def test_a_tensor_that_is_kept_twice_is_counted_once() -> None:
    x = torch.randn(10, 7, requires_grad=True)

    def forward() -> Any:
        y = x.exp()  # keeps y
        return y.sin(), y.cos(), y[:5].square()  # keep y too, or a view of it

    assert saved_bytes(nn.Module(), forward) == 10 * 7 * 4


def test_weights_are_not_counted() -> None:
    layer = nn.Linear(50, 60)
    x = torch.randn(3, 50, requires_grad=True)
    assert saved_bytes(layer, lambda: layer(x)) == 3 * 50 * 4
    assert saved_bytes(nn.Module(), lambda: layer(x)) == 3 * 50 * 4 + 50 * 60 * 4


def test_without_gradients_nothing_is_kept() -> None:
    layer = nn.Linear(5, 6)
    with torch.no_grad():
        assert saved_bytes(layer, lambda: layer(torch.randn(3, 5)).exp()) == 0


@given(samples=st.integers(1, 20))
def test_kept_bytes_grow_with_the_batch(samples: int) -> None:
    layers = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2))
    one = saved_bytes(layers, lambda: layers(torch.ones(1, 5)))
    assert saved_bytes(layers, lambda: layers(torch.ones(samples, 5))) == samples * one


# A stage's trial


@pytest.mark.parametrize(
    ("optimizer", "moments"), [("adamw", 2), ("adam", 2), ({"kind": "sgd", "momentum": 0.9}, 1)]
)
@pytest.mark.parametrize("ema", [0.99, None])
def test_the_state_holds_every_copy_of_the_weights(optimizer: Any, moments: int, ema: float | None) -> None:
    made = trial(optimizer, ema=ema)
    count, size = numbers(made), made.state([WAVE, FLOW])
    weights = sum(weight.numel() * weight.element_size() for weight in made.module.network.parameters())
    assert weights >= 4 * count
    copies = 2 + moments + (ema is not None)  # weights, gradients, moments, moving average
    steps = size - copies * weights
    assert 0 <= steps <= 8 * len(list(made.module.network.parameters()))


def test_activations_are_of_one_sample() -> None:
    made = trial()
    one, four = (made.activations(batch_of(evolution(), size=size)) for size in (1, 4))
    assert one == pytest.approx(four, rel=0.2)
    kept = saved_bytes(made.module, lambda: made.loss(WAVE))
    assert made.activations(WAVE) == pytest.approx(TRANSIENT * kept / 4, abs=1)


def test_deeper_rollouts_keep_more() -> None:
    flat = trial(curriculum=0.0).activations(WAVE)
    deep = trial(unroll=3, curriculum=0.5).activations(WAVE)
    assert 2.5 * flat < deep < 3.5 * flat


def test_recomputed_blocks_keep_less() -> None:
    plain, lean = (trial(model="latent_operator", recompute=on).activations(FLOW) for on in (False, True))
    assert lean < 0.7 * plain


def test_every_measured_pass_starts_without_gradients() -> None:
    made = trial()
    made.gradients(WAVE)
    first = [weight.grad.clone() for weight in made.module.network.parameters() if weight.grad is not None]
    made.gradients(WAVE)
    second = [weight.grad for weight in made.module.network.parameters() if weight.grad is not None]
    assert len(first) == len(second) > 0
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


def test_a_measured_step_takes_time() -> None:
    assert trial().seconds(WAVE) > 0


# Memory of the host


def test_some_memory_is_free_and_less_than_there_is() -> None:
    import os

    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < free_memory(CPU) <= total


def test_free_memory_is_what_the_kernel_calls_available(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = tmp_path / "meminfo"
    known.write_text("MemTotal:  900 kB\nMemFree:  100 kB\nMemAvailable:  300 kB\n")
    monkeypatch.setattr(sizing_of, "Path", lambda path: known)
    assert free_memory(CPU) == 300 * 1024


def test_elsewhere_all_memory_counts_as_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sizing_of, "Path", lambda path: tmp_path / "none")
    monkeypatch.setattr(sizing_of.os, "sysconf", {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert free_memory(CPU) == 40_960


# The table


def test_a_sizing_is_plain_data() -> None:
    assert Sizing(**json.loads(json.dumps(SIZING.to_dict()))) == SIZING


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 min 00 s"),
        (59.6, "1 min 00 s"),
        (61.0, "1 min 01 s"),
        (3599.0, "59 min 59 s"),
        (3600.0, "1 h 00 min"),
        (100_000.0, "27 h 46 min"),
    ],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert _duration(seconds) == text


def test_a_row_says_where_nothing_fits() -> None:
    row = _row("operator", SIZING)
    assert row == (
        "operator",
        "fno",
        "1,000",
        "16.0 kB",
        "500 bytes",
        "4",
        "0.5",
        "100",
        "0 min 50 s",
        "40.0 kB",
    )
    assert "none fits" in _row("operator", replace(SIZING, micro_batch=0))
