"""Killed anywhere, a training ends with the bits of one that was left alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer

from interrupted import ADAMW, At, Killed, kill, outcome, train
from ups_core import interrupts
from ups_train.engine.checkpoint_files import saved_steps
from ups_train.engine.metrics_file import read_metrics

VARIANTS: dict[str, dict[str, Any]] = {
    "everything": {
        "optimizer": "muon_hybrid",
        "ema": 0.9,
        "unroll": 2,
        "pushforward": 1,
        "noise": 0.01,
        "scheduler": {"kind": "plateau", "patience": 0, "threshold": 0.5},
        "validate_every": 3,
        "spikes": {"policy": "skip", "window": 5, "factor": 1.05, "max_spikes": 50},
    },
    "another objective": {"objective": "test/energy", "validate_every": 4, "measure_conflict": True},
    "ensemble": {"objective": "ensemble", "validate_every": 4, "pushforward": 1},
    "flow": {"objective": "diffusion_residual", "validate_every": 4, "optimizer": "adamw"},
    "student": {"objective": "consistency_distillation", "validate_every": 4},
    "prior": {"objective": "steady_prior", "validate_every": 4, "batch_size": 4},
    "accumulated": {
        "optimizer": "adamw",
        "ema": None,
        "accumulate": 3,
        "validate_every": 5,
        "checkpoints": {"every": 1e-9, "keep": 1},
    },
    "bfloat16 and workers": {
        "trainer": {"precision": "bf16-mixed", "workers": 2},
        "checkpoints": {"asynchronous": True, "every": 1e-9},
    },
}
PLACES = {
    "before a batch": ("on_train_batch_start", 8),
    "in the first step": ("on_after_backward", 1),
    "within a step": ("on_after_backward", 11),
    "before the update": ("on_before_optimizer_step", 4),
    "after a batch": ("on_train_batch_end", 10),
    "within a validation": ("on_validation_batch_end", 4),
    "after a validation": ("on_validation_end", 2),
    "at the end of an epoch": ("on_train_epoch_end", 1),
    "at the start of an epoch": ("on_train_epoch_start", 2),
    "after the last step": ("on_train_end", 1),
}

PLACES_OF_PROCESSES = ("within a step", "within a validation", "at the end of an epoch")


@pytest.fixture(autouse=True)
def _hears_ctrl_c() -> Iterator[None]:
    """Tests that run in the background ignore it, and so would the trainings that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resume")


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest, root: Path) -> tuple[str, dict[str, Any]]:
    """A way to train, with the uninterrupted training beside."""
    name = request.param
    train(root, f"{name}-whole", VARIANTS[name])
    return name, VARIANTS[name]


@pytest.mark.parametrize("place", PLACES_OF_PROCESSES)
def test_killed_there_it_resumes_to_the_same_bits(
    place: str, variant: tuple[str, dict[str, Any]], root: Path
) -> None:
    name, options = variant
    with pytest.raises(Killed):
        train(root, f"{name}-{place}", options, At(*PLACES[place], kill))
    assert not (root / f"{name}-{place}" / "model").exists()
    assert outcome(train(root, f"{name}-{place}", options)) == outcome(root / f"{name}-whole")


@pytest.mark.parametrize("place", [place for place in PLACES if place not in PLACES_OF_PROCESSES])
@pytest.mark.parametrize(
    "variant",
    [
        "everything",
        pytest.param("another objective", marks=pytest.mark.slow),
        pytest.param("accumulated", marks=pytest.mark.slow),
    ],
    indirect=True,
)
def test_killed_anywhere_else_too(place: str, variant: tuple[str, dict[str, Any]], root: Path) -> None:
    """Where workers and rounding do not matter."""
    test_killed_there_it_resumes_to_the_same_bits(place, variant, root)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_at_the_next_batch(
    number: signal.Signals, variant: tuple[str, dict[str, Any]], root: Path
) -> None:
    name, options = variant
    reached: list[int] = []

    def ask(trainer: Trainer) -> None:
        os.kill(os.getpid(), number)
        reached.append(trainer.global_step)

    with pytest.raises(interrupts.Interrupted) as stop:
        train(root, f"{name}-{number}", options, At("on_after_backward", 8, ask))
    assert stop.value.code == 128 + number
    assert saved_steps(root / f"{name}-{number}" / "checkpoints")[-1] == reached[0] + 1
    assert outcome(train(root, f"{name}-{number}", options)) == outcome(root / f"{name}-whole")


def test_a_second_signal_stops_at_once(root: Path) -> None:
    def ask_twice(trainer: Trainer) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

    options = ADAMW
    with pytest.raises(interrupts.Interrupted) as stop:
        train(root, "twice", options, At("on_after_backward", 6, ask_twice))
    assert stop.value.code == 128 + signal.SIGTERM
    (line,) = read_metrics(root / "twice" / "metrics.jsonl")
    assert saved_steps(root / "twice" / "checkpoints") == [line["step"]], "the validation's, from before"


@pytest.mark.parametrize("batch", [1, 3])
def test_a_signal_breaks_a_validation_off(
    batch: int, variant: tuple[str, dict[str, Any]], root: Path
) -> None:
    """It starts again; with pending gradients it is finished, and training continues to the next update."""
    name, options = variant
    run = f"{name}-validation-{batch}"
    reached: list[tuple[int, bool]] = []

    def ask(trainer: Trainer) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append((trainer.global_step, trainer.fit_loop.epoch_loop._should_accumulate()))

    with pytest.raises(interrupts.Interrupted):
        train(root, run, options, At("on_validation_batch_end", batch, ask))
    ((step, pending),) = reached
    assert pending == (name == "accumulated")
    assert (step in [line["step"] for line in read_metrics(root / run / "metrics.jsonl")]) == pending
    assert saved_steps(root / run / "checkpoints")[-1] == step + pending
    with pytest.raises(Killed):
        train(root, run, options, At("on_train_batch_start", 2, kill))
    assert outcome(train(root, run, options)) == outcome(root / f"{name}-whole")


def test_a_signal_within_the_last_validation_waits_for_its_end(root: Path) -> None:
    name, options = "last-validation", ADAMW | {"epochs": 1, "validate_every": None}
    with pytest.raises(interrupts.Interrupted):
        train(
            root,
            name,
            options,
            At("on_validation_batch_end", 1, lambda trainer: os.kill(os.getpid(), signal.SIGTERM)),
        )
    (line,) = read_metrics(root / name / "metrics.jsonl")
    assert saved_steps(root / name / "checkpoints") == [line["step"]]
    train(root, name, options)
    assert len(read_metrics(root / name / "metrics.jsonl")) == 1


@pytest.mark.parametrize(
    "variant_options",
    [
        ADAMW,
        pytest.param(ADAMW | {"validate_every": 1}, marks=pytest.mark.slow),
        pytest.param(ADAMW | {"accumulate": 3, "measure_conflict": False}, marks=pytest.mark.slow),
    ],
)
def test_a_time_limit_shorter_than_the_start_up_still_makes_progress(
    root: Path, variant_options: dict[str, Any]
) -> None:
    """Every attempt makes a step, or the validation that the one before was stopped in."""
    name = f"short-{variant_options['validate_every']}-{variant_options.get('accumulate')}"
    seen: list[int] = []
    while not (root / name / "model").exists():
        with suppress(interrupts.Interrupted):
            train(root, name, variant_options, max_time=1e-9)
        seen.append(saved_steps(root / name / "checkpoints")[-1])
        assert seen == sorted(seen), seen
        assert seen.count(seen[-1]) <= 3, seen
    assert len(seen) > 2
    assert outcome(root / name) == outcome(train(root, f"{name}-whole", variant_options))


def test_a_time_limit_stops_like_a_signal(variant: tuple[str, dict[str, Any]], root: Path) -> None:
    name, options = variant
    codes: list[int] = []
    while not (root / f"{name}-hasty" / "model").exists():
        try:
            train(root, f"{name}-hasty", options, max_time=0.1 * (len(codes) + 1))
        except interrupts.Interrupted as stop:
            codes.append(stop.code)
    assert set(codes) == {interrupts.OUT_OF_TIME}
    assert outcome(root / f"{name}-hasty") == outcome(root / f"{name}-whole")
