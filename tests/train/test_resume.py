"""Killed anywhere, a training ends with the bits of one that was left alone."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from small_stage import context
from ups_core import UPSError, stopping
from ups_core.console import Console
from ups_train import checkpoints
from ups_train.callbacks import read_metrics
from ups_train.checkpoints import RESUMABLE, SUM, digest_of, find_damage, newest_sound, saved_steps
from ups_train.operator_stage import OperatorStage

VARIANTS: dict[str, dict[str, Any]] = {
    "adamw": {"optimizer": "adamw", "ema": None, "validate_every": 4, "measure_conflict": True},
    "everything": {
        "optimizer": "muon_hybrid", "ema": 0.9, "unroll": 2, "pushforward": 1, "noise": 0.01,
        "scheduler": {"kind": "plateau", "patience": 0, "threshold": 0.5}, "validate_every": 3,
        "spikes": {"policy": "skip", "window": 5, "factor": 1.05, "most": 50},
    },
    "accumulated": {"accumulate": 3, "validate_every": 5, "checkpoints": {"every": 1e-9, "keep": 1}},
    "bfloat16": {"trainer": {"precision": "bf16-mixed"}, "checkpoints": {"asynchronous": True}},
    "workers": {"trainer": {"workers": 2}, "checkpoints": {"every": 1e-9}},
}  # fmt: skip
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


class Killed(BaseException):
    """Stands for the end of the process."""


class At(Callback):
    """Does something at the n-th call of a hook."""

    def __init__(self, hook: str, number: int, action: Callable[[Trainer], None]):
        self.left = number
        self.action = action
        setattr(self, hook, self.hook)

    def hook(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.action(trainer)


def kill(trainer: Trainer) -> None:
    raise Killed


def train(
    root: Path,
    name: str,
    options: Mapping[str, Any],
    *callbacks: Callback,
    lines: Console | None = None,
    max_time: float | None = None,
) -> Path:
    """Train in the folder of this name; with what is there it goes on."""
    step, given = context(root / "data", root / name, **({"epochs": 3, "batch_size": 12} | dict(options)))
    if lines is not None:
        given = replace(given, console=lines)
    build = OperatorStage._trainer

    def with_callbacks(self: OperatorStage, *arguments: Any) -> Trainer:
        trainer = build(self, *arguments)
        trainer.callbacks[:0] = callbacks
        return trainer

    with pytest.MonkeyPatch.context() as patch, stopping.listening(max_time):
        patch.setattr(OperatorStage, "_trainer", with_callbacks)
        step.run(given)
    return root / name


def outcome(directory: Path) -> tuple[bytes, list[dict[str, Any]], int]:
    """What must not depend on interruptions: saved weights, all figures but times, the tracker's lines."""
    lines = [
        {key: value for key, value in line.items() if not key.startswith("speed/") and "seconds" not in key}
        for line in read_metrics(directory / "metrics.jsonl")
    ]
    tracked = (directory / "metrics.csv").read_text().count("\n")
    return (directory / "model" / "weights.safetensors").read_bytes(), lines, tracked


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


@pytest.mark.parametrize("place", PLACES)
def test_killed_there_it_goes_on_to_the_same_bits(
    place: str, variant: tuple[str, dict[str, Any]], root: Path
) -> None:
    name, options = variant
    with pytest.raises(Killed):
        train(root, f"{name}-{place}", options, At(*PLACES[place], kill))
    assert not (root / f"{name}-{place}" / "model").exists()
    assert outcome(train(root, f"{name}-{place}", options)) == outcome(root / f"{name}-whole")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_at_the_next_batch(
    number: signal.Signals, variant: tuple[str, dict[str, Any]], root: Path
) -> None:
    name, options = variant
    reached: list[int] = []

    def ask(trainer: Trainer) -> None:
        os.kill(os.getpid(), number)
        reached.append(trainer.global_step)

    with pytest.raises(stopping.Interrupted) as stop:
        train(root, f"{name}-{number}", options, At("on_after_backward", 8, ask))
    assert stop.value.code == 128 + number
    assert saved_steps(root / f"{name}-{number}" / "checkpoints")[-1] == reached[0] + 1
    assert outcome(train(root, f"{name}-{number}", options)) == outcome(root / f"{name}-whole")


def test_a_second_signal_stops_at_once(root: Path) -> None:
    def ask_twice(trainer: Trainer) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

    options = VARIANTS["adamw"]
    with pytest.raises(stopping.Interrupted) as stop:
        train(root, "twice", options, At("on_after_backward", 6, ask_twice))
    assert stop.value.code == 128 + signal.SIGTERM
    (line,) = read_metrics(root / "twice" / "metrics.jsonl")
    assert saved_steps(root / "twice" / "checkpoints") == [line["step"]], "the validation's, from before"


@pytest.mark.parametrize("batch", [1, 3])
def test_a_signal_breaks_a_validation_off(
    batch: int, variant: tuple[str, dict[str, Any]], root: Path
) -> None:
    """It begins anew; where gradients are pending it is finished, and training goes on to the next update."""
    name, options = variant
    run = f"{name}-validation-{batch}"
    reached: list[tuple[int, bool]] = []

    def ask(trainer: Trainer) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append((trainer.global_step, trainer.fit_loop.epoch_loop._should_accumulate()))

    with pytest.raises(stopping.Interrupted):
        train(root, run, options, At("on_validation_batch_end", batch, ask))
    ((step, pending),) = reached
    assert pending == (name == "accumulated")
    assert (step in [line["step"] for line in read_metrics(root / run / "metrics.jsonl")]) == pending
    assert saved_steps(root / run / "checkpoints")[-1] == step + pending
    with pytest.raises(Killed):
        train(root, run, options, At("on_train_batch_start", 2, kill))
    assert outcome(train(root, run, options)) == outcome(root / f"{name}-whole")


def test_a_signal_within_the_last_validation_waits_for_its_end(root: Path) -> None:
    name, options = "last-validation", VARIANTS["adamw"] | {"epochs": 1, "validate_every": None}
    with pytest.raises(stopping.Interrupted):
        train(
            root, name, options,
            At("on_validation_batch_end", 1, lambda trainer: os.kill(os.getpid(), signal.SIGTERM)),
        )  # fmt: skip
    (line,) = read_metrics(root / name / "metrics.jsonl")
    assert saved_steps(root / name / "checkpoints") == [line["step"]]
    train(root, name, options)
    assert len(read_metrics(root / name / "metrics.jsonl")) == 1


def test_a_time_limit_stops_like_a_signal(variant: tuple[str, dict[str, Any]], root: Path) -> None:
    name, options = variant
    codes: list[int] = []
    while not (root / f"{name}-hasty" / "model").exists():
        try:
            train(root, f"{name}-hasty", options, max_time=0.1 * (len(codes) + 1))
        except stopping.Interrupted as stop:
            codes.append(stop.code)
    assert set(codes) == {stopping.OUT_OF_TIME}
    assert outcome(root / f"{name}-hasty") == outcome(root / f"{name}-whole")


def test_the_kept_checkpoints_are_the_newest_and_the_best(root: Path) -> None:
    directory = train(
        root, "kept", {"epochs": 6, "validate_every": 2, "optimizer": {"kind": "adamw", "lr": 0.02}}
    )
    lines = read_metrics(directory / "metrics.jsonl")
    best = min(lines, key=lambda line: line["val/nrmse"])["step"]
    newest = [line["step"] for line in lines[-2:]]
    assert set(newest) <= set(saved_steps(directory / "checkpoints"))
    assert best in saved_steps(directory / "checkpoints")
    assert len(saved_steps(directory / "checkpoints")) <= 4
    for path in (directory / "checkpoints").glob("*.ckpt"):
        assert find_damage(path) is None
    told = json.loads((directory / "details.json").read_text())["checkpoint"]
    chosen = directory / "checkpoints" / RESUMABLE.format(best)
    assert told == {"step": best, "file": chosen.name, "sha256": digest_of(chosen)}
    saved = torch.load(chosen, weights_only=True)["state_dict"]
    weights = load_file(directory / "model" / "weights.safetensors")
    assert all(torch.equal(value, saved[f"average.network.{name}"]) for name, value in weights.items())


class Lines(Console):
    """Remembers what was said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def say(self, message: str, style: str = "") -> None:
        self.said.append(message)


def truncate(share: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        os.truncate(path, int(share * path.stat().st_size))

    return damage


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


class Hostile:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def hostile_pickle(path: Path) -> None:
    torch.save({"state_dict": Hostile(path.parent / "executed")}, path)
    checkpoints.seal(path)  # who writes such a thing can write a sum too


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    **{
        f"cut to {share:.0%}": (truncate(share), "does not match its sha256")
        for share in (0, 1e-3, 0.5, 0.99)
    },
    "one bit": (flip_a_bit, "does not match its sha256"),
    "without its sum": (lambda path: path.with_name(path.name + SUM).unlink(), "has no sha256 beside it"),
    "hostile": (hostile_pickle, "holds something else than tensors and plain data"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(damage: str, root: Path) -> None:
    options = VARIANTS["adamw"]
    if not (root / "adamw-whole" / "model").exists():
        train(root, "adamw-whole", options)
    with pytest.raises(Killed):
        train(root, damage, options, At("on_train_batch_start", 11, kill))
    folder = root / damage / "checkpoints"
    before, newest = saved_steps(folder)
    path = folder / RESUMABLE.format(newest)
    spoil, what = DAMAGES[damage]
    spoil(path)
    size, lines = path.stat().st_size, Lines()
    train(root, damage, options, lines=lines)
    assert any(f"{path} ({size} bytes) {what}" in line for line in lines.said), lines.said
    assert outcome(root / damage) == outcome(root / "adamw-whole")
    assert not (folder / "executed").exists()
    assert before < newest


def test_with_nothing_but_damage_nothing_is_started_from_scratch(root: Path) -> None:
    with pytest.raises(Killed):
        train(root, "ruins", VARIANTS["adamw"], At("on_train_batch_start", 6, kill))
    folder = root / "ruins" / "checkpoints"
    for step in saved_steps(folder):
        truncate(0.5)(folder / RESUMABLE.format(step))
    with pytest.raises(UPSError, match=r"no checkpoint in .* can be used; to start this step from scratch"):
        train(root, "ruins", VARIANTS["adamw"])


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_full_disk_leaves_the_earlier_checkpoint(
    asynchronous: bool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, options = f"full-{asynchronous}", {"checkpoints": {"asynchronous": asynchronous}, "epochs": 3}
    write, files = checkpoints._write, []

    def full(path: Path, content: memoryview) -> None:
        files.append(path)
        if len(files) == 2:
            with monkeypatch.context() as patch:
                patch.setattr(
                    os, "fsync", lambda number: (_ for _ in ()).throw(OSError(28, "No space left on device"))
                )
                return write(path, content)
        return write(path, content)

    monkeypatch.setattr(checkpoints, "_write", full)
    with pytest.raises(
        UPSError, match=r"cannot write .*ckpt \(\d+ bytes\): No space left on device; earlier"
    ):
        train(root, name, options)
    folder = root / name / "checkpoints"
    assert newest_sound(folder, print) == folder / RESUMABLE.format(saved_steps(folder)[0])
    assert len(saved_steps(folder)) == 1
    monkeypatch.undo()
    train(root, name, options)


def test_what_cannot_be_deleted_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(checkpoints, "remove", refuse)
    lines = Lines()
    directory = train(root, "undeleted", {"validate_every": 2}, lines=lines)
    assert any("cannot delete" in line and "Permission denied" in line for line in lines.said)
    assert len(saved_steps(directory / "checkpoints")) == len(read_metrics(directory / "metrics.jsonl"))
