"""Parallel strategies: which one is chosen, what Lightning gets, and which process this is."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.strategies import DDPStrategy
from pydantic import ValidationError

from ups_core import StrategyConfig, UPSError, validate_options
from ups_core.plugin_loader import registry_in_use
from ups_train.parallel import strategies
from ups_train.parallel.config import (
    DDPConfig,
    DeepSpeedConfig,
    Fsdp2Config,
    SeveralDevicesConfig,
    SingleConfig,
    TorchrunConfig,
)
from ups_train.parallel.ranks import Ranks, leave_group, nodes
from ups_train.parallel.strategies import SHARE, STATE_BYTES, Fsdp2Strategy, auto, choose, ddp, fsdp2

GIB = 2**30
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def gpus_of(monkeypatch: pytest.MonkeyPatch, memory: float) -> None:
    """Pretend that there are GPUs with so many bytes."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    properties = SimpleNamespace(total_memory=int(memory))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without what a launcher sets."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


# The choice


@pytest.mark.parametrize("parameters", [1, 10**12])
def test_one_device_needs_no_strategy(parameters: int) -> None:
    assert choose(1, parameters) == ("single", "one device")
    assert auto(StrategyConfig(), 1, parameters) == "auto"


@given(devices=st.integers(2, 64), parameters=st.integers(1, 10**11))
def test_without_a_gpu_every_process_has_the_complete_model(devices: int, parameters: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        assert choose(devices, parameters).kind == "ddp"


@pytest.mark.parametrize("memory", [8 * GIB, 80 * GIB])
def test_large_models_are_sharded(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    gpus_of(monkeypatch, memory)
    limit = int(SHARE * memory / STATE_BYTES)
    assert choose(2, limit).kind == "ddp"
    assert choose(2, limit + 1).kind == "fsdp2"
    assert choose(1, limit + 1).kind == "single"


def test_reasons_have_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus_of(monkeypatch, 10 * GIB)
    small, large = choose(2, GIB // 64), choose(2, GIB)
    assert small.reason == "parameters and their state take 0.25 GiB, kept on every device"
    assert large.reason == "parameters and their state take 16.0 of 10.0 GiB"


@pytest.mark.parametrize(("parameters", "kind"), [(1, DDPStrategy), (GIB, Fsdp2Strategy)])
def test_auto_makes_what_was_chosen(monkeypatch: pytest.MonkeyPatch, parameters: int, kind: type) -> None:
    gpus_of(monkeypatch, 10 * GIB)
    assert type(auto(StrategyConfig(), 2, parameters)) is kind


# What Lightning gets


@pytest.mark.parametrize("megabytes", [25.0, 3.5])
@pytest.mark.usefixtures("no_gpu")
def test_ddp_looks_for_unused_parameters_and_sends_buckets(megabytes: float) -> None:
    made: Any = ddp(DDPConfig(bucket_mb=megabytes), 2, 1)
    assert made._ddp_kwargs["find_unused_parameters"] is True
    assert made._ddp_kwargs["bucket_cap_mb"] == megabytes
    assert made.process_group_backend == "gloo"


@pytest.mark.parametrize(
    ("gpu", "offload", "backend"),
    [
        (False, False, "gloo"),
        (False, True, "gloo"),
        (True, False, "nccl"),
        (True, True, "cpu:gloo,cuda:nccl"),
    ],
)
def test_fsdp2_can_talk_about_the_tensors_that_it_has(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, offload: bool, backend: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    made: Any = fsdp2(Fsdp2Config(offload=offload), 4, 1)
    assert made.process_group_backend == backend
    assert made.offload is offload
    assert (made._data_parallel_size, made._tensor_parallel_size) == (4, 1)
    assert made._save_distributed_checkpoint is False


@pytest.mark.usefixtures("no_gpu")
def test_offloaded_shards_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not sharded, such as statistics, moves to the device."""
    model = torch.nn.BatchNorm1d(3)
    made: Any = Fsdp2Strategy(2, offload=True)
    made.model = model
    monkeypatch.setattr(strategies, "is_sharded", lambda tensor: tensor is model.weight)
    monkeypatch.setattr(Fsdp2Strategy, "root_device", torch.device("meta"))
    made.model_to_device()
    assert model.weight.device.type == "cpu"
    assert model.running_mean is not None
    assert model.running_mean.device.type == "meta"


def test_missing_deepspeed_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = r"^the strategy 'deepspeed' needs DeepSpeed: pip install 'ups-train\[deepspeed\]'$"
    with pytest.raises(UPSError, match=message):
        strategies.deepspeed(DeepSpeedConfig(), 2, 1)


@pytest.mark.parametrize("kind", ["auto", "single", "ddp", "fsdp2"])
@pytest.mark.usefixtures("no_gpu")
def test_registered_strategies_can_be_created(kind: str) -> None:
    entry = registry_in_use().get("strategies", kind)
    made = entry.create(entry.load_config()(), devices=2, parameters=10)
    assert made == "auto" if kind == "single" else isinstance(made, DDPStrategy | Fsdp2Strategy)


# Options


@pytest.mark.parametrize(
    ("config", "least", "most"),
    [
        (SingleConfig, 1, 1),
        (DDPConfig, 2, None),
        (Fsdp2Config, 2, None),
        (DeepSpeedConfig, 2, None),
        (StrategyConfig, 1, None),
    ],
)
def test_strategies_know_how_many_devices_make_sense(
    config: type[StrategyConfig], least: int, most: int | None
) -> None:
    assert (config.min_devices, config.max_devices) == (least, most)


@pytest.mark.parametrize("config", [DDPConfig(), Fsdp2Config(), DeepSpeedConfig(), SingleConfig()])
def test_only_offloaded_shards_need_a_gpu(config: StrategyConfig) -> None:
    assert config.needs_gpu is False
    assert Fsdp2Config(offload=True).needs_gpu is True


def test_only_deepspeed_splits_matrices() -> None:
    assert DeepSpeedConfig.splits_matrices
    assert not any(config.splits_matrices for config in (DDPConfig, Fsdp2Config, SeveralDevicesConfig))


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (DDPConfig, {"bucket_mb": 0.0}),
        (DDPConfig, {"bucket_mb": -1.0}),
        (DeepSpeedConfig, {"zero": 0}),
        (DeepSpeedConfig, {"zero": 4}),
        (TorchrunConfig, {"restarts": -1}),
        (SingleConfig, {"bucket_mb": 1.0}),
    ],
)
def test_values_without_a_meaning_are_refused(config: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        validate_options(config, options)


# Ranks


def test_a_step_with_one_device_is_alone_whatever_the_launcher_says(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("RANK", "3")
    environment.setenv("WORLD_SIZE", "4")
    assert Ranks.of(1) == (0, 1)


@pytest.mark.parametrize("rank", [0, 3])
def test_the_launcher_says_which_process_this_is(environment: pytest.MonkeyPatch, rank: int) -> None:
    environment.setenv("RANK", str(rank))
    environment.setenv("WORLD_SIZE", "4")
    assert Ranks.of(4) == (rank, 4)


def test_without_a_launcher_a_process_is_the_first(environment: pytest.MonkeyPatch) -> None:
    assert Ranks.of(4) == (0, 4)


@pytest.mark.parametrize(
    ("world", "local", "expected"), [(None, None, 1), ("4", None, 1), ("4", "4", 1), ("8", "4", 2)]
)
def test_machines_are_counted_from_processes(
    environment: pytest.MonkeyPatch, world: str | None, local: str | None, expected: int
) -> None:
    for name, value in (("WORLD_SIZE", world), ("LOCAL_WORLD_SIZE", local)):
        if value is not None:
            environment.setenv(name, value)
    assert nodes() == expected


def test_a_process_without_a_group_leaves_none() -> None:
    leave_group()
    assert not torch.distributed.is_initialized()


def test_the_last_thing_a_group_does_is_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    for name in ("barrier", "destroy_process_group"):
        monkeypatch.setattr(torch.distributed, name, lambda name=name: calls.append(name))
    leave_group()
    assert calls == ["barrier", "destroy_process_group"]
