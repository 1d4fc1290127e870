"""Options of training stages: every check of them, of the model, of the data and of the devices."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from documents import ROOT
from toy_models import component
from toy_tasks import evolution, steady
from ups_core import Component, validate_options
from ups_core.errors import SpecError
from ups_core.plugin_loader import registry_in_use
from ups_core.trainer import TrainerSpec
from ups_core.validate import load_spec
from ups_train.engine.config import CheckpointsConfig, CompileConfig, SpikesConfig, TrainingConfig
from ups_train.optimizers.config import GroupedConfig, MuonHybridConfig
from ups_train.stages.operator_config import OperatorConfig

TASKS = {"wave": evolution(), "flow": steady()}
LATENT, PLAIN = component("latent_operator"), component("fno")


def config(**options: Any) -> TrainingConfig:
    return validate_options(TrainingConfig, options)


def operator(**options: Any) -> OperatorConfig:
    return validate_options(OperatorConfig, options)


def trainer(**options: Any) -> TrainerSpec:
    return validate_options(TrainerSpec, options)


def launcher(remote: bool = False) -> Component:
    entry = registry_in_use().get("launchers", "local")
    options = entry.load_config()
    return Component(entry, type("Elsewhere", (options,), {"remote": remote})())


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


# Single options


@pytest.mark.parametrize(
    "name",
    ["epochs", "max_steps", "batch_size", "accumulate", "validate_every", "patience"],
)
@pytest.mark.parametrize("value", [0, -1, 1.5, "3", True])
def test_counts_are_positive_integers(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        config(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("budget", 0.0),
        ("clip", 0.0),
        ("clip", -1.0),
        ("ema", 0.0),
        ("ema", 1.0),
        ("task_weights", {"wave": 0.0}),
        ("select", "newest"),
        ("compile", {"mode": "fast"}),
        ("compile", {"policy": "try"}),
        ("checkpoints", {"keep": 0}),
        ("checkpoints", {"every": 0.0}),
        ("spikes", {"policy": "ignore"}),
        ("spikes", {"factor": 1.0}),
        ("spikes", {"window": 4}),
        ("spikes", {"max_spikes": 0}),
        ("optimizer", "adamm"),
        ("scheduler", {"kind": "cosine", "warmup": 1.0}),
        ("callbacks", ["none"]),
        ("lerning_rate", 1.0),
    ],
)
def test_values_without_a_meaning_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        config(**{name: value})
    assert all(problem["loc"][0] == name for problem in raised.value.errors())


@pytest.mark.parametrize("name", ["clip", "ema", "compile", "patience"])
def test_null_switches_an_option_off(name: str) -> None:
    assert getattr(config(**{name: None}), name) is None


def test_checkpoints_need_not_follow_the_clock() -> None:
    assert validate_options(CheckpointsConfig, {"every": None}).every is None


FORMER: dict[str, tuple[Any, str]] = {
    "validate_on": (TrainingConfig, "renamed to 'validation_trajectories' in 0.2"),
    "most": (SpikesConfig, "renamed to 'max_spikes' in 0.2"),
    "groups": (MuonHybridConfig, "moved to the optimizer 'grouped' in 0.2"),
    "batch": (TrainerSpec, "renamed to 'micro_batches' (none or auto) in 0.2"),
}


@pytest.mark.parametrize("key", FORMER)
def test_former_keys_are_refused_and_explained(key: str) -> None:
    options, message = FORMER[key]
    assert key not in options.model_fields
    with pytest.raises(ValidationError, match=key):
        validate_options(options, {key: 1})
    assert options.explain_former_key(key) == message


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("pipeline.operator.validate_on=3", "validate_on"),
        ("pipeline.operator.spikes.most=3", "most"),
        ("pipeline.operator.optimizer={kind: muon_hybrid, groups: []}", "groups"),
        ("trainer.batch=auto", "batch"),
    ],
)
def test_a_mistake_in_a_spec_names_the_way_out(override: str, key: str) -> None:
    with pytest.raises(SpecError) as raised:
        load_spec(ROOT / "specs" / "smoke.yaml", [override])
    assert FORMER[key][1] in str(raised.value)


# The length of a training


@pytest.mark.parametrize("name", ["epochs", "max_steps", "validate_every"])
def test_a_budget_excludes_other_lengths(name: str) -> None:
    with pytest.raises(ValidationError, match=f"budget and {name} exclude each other: set one of them"):
        config(budget=10.0, **{name: 3})
    assert config(budget=10.0).epochs is None


def test_epochs_and_steps_may_limit_a_training_together() -> None:
    both = config(epochs=3, max_steps=100, validate_every=10)
    assert (both.epochs, both.max_steps, both.validate_every) == (3, 100, 10)


@pytest.mark.parametrize(
    ("options", "message"), [({"accumulate": 2}, "set accumulate to 1"), ({"accumulate": 1}, None)]
)
def test_conflicts_are_measured_between_single_batches(options: dict[str, int], message: str | None) -> None:
    if message is None:
        assert config(measure_conflict=True, **options).measure_conflict
    else:
        with pytest.raises(ValidationError, match=message):
            config(measure_conflict=True, **options)


@pytest.mark.parametrize(
    ("options", "horizon"),
    [
        ({}, 1),
        ({"unroll": 3}, 3),
        ({"unroll": 2, "pushforward": 4}, 6),
        ({"unroll": 2, "latent_unroll": 5}, 5),
        ({"unroll": 3, "pushforward": 4, "latent_unroll": 5}, 7),
    ],
)
def test_the_horizon_holds_the_longest_rollout(options: dict[str, int], horizon: int) -> None:
    assert operator(**options).horizon == horizon
    assert config().horizon == 1


# Model and data


def test_windows_must_fit_into_trajectories() -> None:
    """Eight frames, two of which are given."""
    assert not list(operator(unroll=6).check(TASKS, LATENT))
    assert operator(unroll=7).check(TASKS, LATENT) == [
        ("unroll", "7 steps after 2 given frames need 9 frames; task 'wave' has 8")
    ]


def test_every_task_that_is_too_short_is_reported() -> None:
    tasks = {"a": replace(evolution(), frames=3), "b": evolution(), "c": replace(evolution(), frames=4)}
    problems = operator(unroll=2, pushforward=1).check(tasks, LATENT)
    assert [message.rpartition("task ")[2] for _, message in problems] == ["'a' has 3", "'c' has 4"]


def test_steady_tasks_have_no_horizon() -> None:
    assert not list(operator(unroll=50).check({"flow": steady()}, LATENT))


def test_weights_are_of_tasks_of_the_spec() -> None:
    found = config(task_weights={"wave": 0.5, "wafe": 2.0}).check_names(list(TASKS))
    assert found == [("task_weights", "unknown task 'wafe'; tasks: wave, flow")]


@pytest.mark.parametrize("kind", ["mean", "persistence"])
def test_a_model_without_weights_cannot_be_trained(kind: str) -> None:
    entry = registry_in_use().get("models", kind)
    model = Component(entry, entry.load_config()())
    assert ("model", f"'{kind}' has nothing to train") in list(config().check(TASKS, model))


@pytest.mark.parametrize("option", ["latent_unroll", "consistency"])
def test_losses_of_a_latent_space_need_one(option: str) -> None:
    stage = operator(**{option: 1})
    assert not list(stage.check(TASKS, LATENT))
    assert stage.check(TASKS, PLAIN) == [(option, "'fno' has no latent space; set it to 0")]


def test_problems_of_the_optimizer_are_reported_below_its_key() -> None:
    listed = [{"pattern": "no such name", "optimizer": "adamw"}, {"pattern": "", "optimizer": "adamw"}]
    problems = config(optimizer={"kind": "grouped", "groups": listed}).check(TASKS, PLAIN)
    ((place, message),) = problems
    assert place == "optimizer.groups"
    assert "no such name" in message
    assert "gets no parameter" in message


def test_a_baseline_is_trained_without_what_the_other_model_lacks() -> None:
    listed = [{"pattern": "codec", "optimizer": "adamw"}, {"pattern": "", "optimizer": "adamw"}]
    stage = operator(
        latent_unroll=3, consistency=0.5, batch_size=7, optimizer={"kind": "grouped", "groups": listed}
    )
    changes = stage.for_baseline(PLAIN)
    assert (changes["latent_unroll"], changes["consistency"]) == (0, 0.0)
    assert isinstance(changes["optimizer"].config, GroupedConfig)
    assert changes["optimizer"].config.allow_empty
    assert not stage.optimizer.config.allow_empty  # type: ignore[attr-defined]
    other = stage.model_copy(update=changes)
    assert not list(other.check(TASKS, PLAIN))
    assert other.batch_size == 7


def test_a_baseline_that_sees_the_complete_grid_is_trained_on_complete_grids() -> None:
    stage = operator(losses=["mse"], tiles={"cells": 8, "halo": 0})
    for kind, options in (("fno", {}), ("latent_operator", {"trunk": "pdet_stack"})):
        model = Component.of("models", kind, options)
        assert any("sees the complete grid" in problem for _, problem in stage.check(TASKS, model))
        other = stage.model_copy(update=stage.for_baseline(model))
        assert not any("tiles" in option for option, _ in other.check(TASKS, model))
    assert "tiles" not in stage.for_baseline(Component.of("models", "unet", {}))
    assert "tiles" not in stage.for_baseline(LATENT), "local on grids that are not periodic"


def test_a_halo_that_is_narrower_than_what_the_model_sees() -> None:
    """A U-Net of two levels sees 14 cells; its blocks have 2."""
    tasks = {"flow": replace(steady(), shape=(64, 64))}
    model = Component.of("models", "unet", {"levels": 2})
    assert model.config.cells_seen(2) == 14  # type: ignore[attr-defined]

    def advice(cells: int, halo: int) -> list[str]:
        return list(operator(losses=["mse"], tiles={"cells": cells, "halo": halo}).advise(tasks, model))

    (line,) = advice(16, 4)
    assert line == (
        "tiles.halo 4 is less than the 14 cells that 'unet' sees on each side of a tile of task 'flow', which "
        "biases gradients; 14 is enough"
    )
    assert advice(16, 14) == []
    (line,) = advice(54, 4)
    assert "less than the 10 cells" in line, "the grid has no more"
    assert advice(64, 0) == [], "one tile is the complete grid"
    assert list(operator().advise(tasks, model)) == []


def test_a_baseline_with_a_latent_space_keeps_its_losses() -> None:
    changes = operator(latent_unroll=3).for_baseline(LATENT)
    assert "latent_unroll" not in changes


# Devices


@pytest.mark.parametrize("strategy", ["auto", "ddp", "fsdp2", "deepspeed"])
@pytest.mark.parametrize("optimizer", ["muon_hybrid", "adamw"])
def test_muon_needs_complete_matrices(strategy: str, optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2)
    found = config(optimizer=optimizer).check_trainer(trainer(devices=2, strategy=strategy), launcher())
    message = "Muon needs complete matrices, 'deepspeed' splits them; use fsdp2 or adamw"
    wrong = (strategy, optimizer) == ("deepspeed", "muon_hybrid")
    assert found == ([("optimizer", message)] if wrong else [])


def test_offloading_works_on_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2)
    assert config(offload=True).check_trainer(trainer(), launcher()) == []
    ((place, message),) = config(offload=True).check_trainer(trainer(devices=2), launcher())
    assert place == "offload"
    assert message.startswith("offload works on one device, got 2; ")
    assert message.endswith("set trainer.strategy to {kind: fsdp2, offload: true}")


GPU_ONLY: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "offload": ({"offload": True}, {}, "offload needs a GPU, but none is visible"),
    "trainer.strategy": (
        {},
        {"devices": 2, "strategy": {"kind": "fsdp2", "offload": True}},
        "offload needs a GPU, but none is visible",
    ),
    "trainer.precision": ({}, {"precision": "tf32"}, "precision tf32 needs a GPU, but none is visible"),
    "trainer.accelerator": (
        {},
        {"accelerator": "gpu"},
        "accelerator gpu needs a GPU, but none is visible",
    ),
}


@pytest.mark.parametrize("place", GPU_ONLY)
def test_what_needs_a_gpu_is_refused_without_one(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, options, message = GPU_ONLY[place]
    gpus(monkeypatch, 0)
    assert config(**stage).check_trainer(trainer(**options), launcher()) == [(place, message)]
    gpus(monkeypatch, 2)
    assert config(**stage).check_trainer(trainer(**options), launcher()) == []


@pytest.mark.parametrize("place", GPU_ONLY)
def test_another_machine_may_have_a_gpu(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, options, _ = GPU_ONLY[place]
    gpus(monkeypatch, 0)
    assert config(**stage).check_trainer(trainer(**options), launcher(remote=True)) == []


@pytest.mark.parametrize("accelerator", ["cpu", "mps"])
def test_a_spec_for_other_devices_does_not_get_a_gpu(
    accelerator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, 8)
    found = config(offload=True).check_trainer(trainer(accelerator=accelerator), launcher())
    assert found == [("offload", "offload needs a GPU, but none is visible")]


@pytest.mark.parametrize(
    ("devices", "visible", "accelerator", "wrong"),
    [
        (4, 2, "auto", True),
        (4, 4, "auto", False),
        (4, 8, "gpu", False),
        (1, 1, "auto", False),
        (4, 2, "cpu", False),
        (4, 0, "auto", False),
    ],
)
def test_there_are_as_many_gpus_as_devices(
    devices: int, visible: int, accelerator: str, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, visible)
    found = config().check_trainer(trainer(devices=devices, accelerator=accelerator), launcher())
    expected = [("trainer.devices", "trainer.devices is 4 but only 2 GPUs are visible")]
    assert found == (expected if wrong else [])


@pytest.mark.parametrize("precision", ["16-mixed", "tf32"])
def test_half_precision_on_a_cpu_is_refused_by_the_trainer(precision: str) -> None:
    with pytest.raises(ValidationError, match=f"precision {precision} needs a GPU; on a CPU use 32"):
        trainer(accelerator="cpu", precision=precision)


def test_options_are_read_without_torch() -> None:
    """`ups validate` shall answer at once."""
    script = (
        "import sys, ups_train.stages.operator_config, ups_train.optimizers.config\n"
        "import ups_train.parallel.config, ups_train.trackers.config, ups_train.losses.config\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_options_do_not_ask_for_gpus_where_nothing_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    assert config().check_trainer(trainer(), launcher()) == []


def test_compilation_is_off_and_lenient_by_default() -> None:
    assert config().compile is None
    assert config(compile={}).compile == CompileConfig(mode="default", policy="allow")
