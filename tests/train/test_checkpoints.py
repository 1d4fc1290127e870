"""Checkpoint files: which are kept, and what damage, a full disk and hostile content do to them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from interrupted import ADAMW, At, Killed, kill, outcome, train
from listener import Listener
from ups_core import UPSError
from ups_train.engine import checkpoint_files
from ups_train.engine.checkpoint_files import (
    RESUMABLE,
    SUM,
    digest_of,
    find_damage,
    newest_sound,
    saved_steps,
)
from ups_train.engine.metrics_file import read_metrics


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


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
    recorded = json.loads((directory / "details.json").read_text())["checkpoint"]
    chosen = directory / "checkpoints" / RESUMABLE.format(best)
    assert recorded == {"step": best, "file": chosen.name, "sha256": digest_of(chosen)}
    saved = torch.load(chosen, weights_only=True)["state_dict"]
    weights = load_file(directory / "model" / "weights.safetensors")
    assert all(torch.equal(value, saved[f"average.{name}"]) for name, value in weights.items())


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

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def hostile_pickle(path: Path) -> None:
    torch.save({"state_dict": Hostile(path.parent / "executed")}, path)
    checkpoint_files.seal(path)  # who writes such a thing can write a sum too


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    **{
        f"cut to {share:.0%}": (truncate(share), "does not match its sha256")
        for share in (0, 1e-3, 0.5, 0.99)
    },
    "one bit": (flip_a_bit, "does not match its sha256"),
    "without its sum": (lambda path: path.with_name(path.name + SUM).unlink(), "has no sha256 file"),
    "hostile": (hostile_pickle, "contains something other than tensors and plain data"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(damage: str, root: Path) -> None:
    if not (root / "whole" / "model").exists():
        train(root, "whole", ADAMW)
    with pytest.raises(Killed):
        train(root, damage, ADAMW, At("on_train_batch_start", 11, kill))
    folder = root / damage / "checkpoints"
    before, newest = saved_steps(folder)
    path = folder / RESUMABLE.format(newest)
    spoil, what = DAMAGES[damage]
    spoil(path)
    size, lines = path.stat().st_size, Listener()
    train(root, damage, ADAMW, lines=lines)
    assert any(f"{path} ({size} bytes) {what}" in line for line in lines.lines), lines.lines
    assert outcome(root / damage) == outcome(root / "whole")
    assert not (folder / "executed").exists()
    assert before < newest


@pytest.mark.parametrize("damage", ["cut to 50%", "one bit", "without its sum", "hostile"])
def test_damaged_weights_are_not_exported(damage: str, root: Path) -> None:
    """The best checkpoint is damaged, which is not the newest one: the next best is exported, and it is said."""
    options: dict[str, Any] = {
        "epochs": 4,
        "validate_every": 2,
        "ema": None,
        "scheduler": {"kind": "constant"},
    }
    options |= {"optimizer": {"kind": "adamw", "lr": 0.05}}
    name = f"damaged-best-{damage}"
    directory = train(root, name, options)
    best = json.loads((directory / "details.json").read_text())["checkpoint"]["step"]
    assert best != saved_steps(directory / "checkpoints")[-1]
    path = directory / "checkpoints" / RESUMABLE.format(best)
    spoil, what = DAMAGES[damage]
    spoil(path)
    lines = Listener()
    train(root, name, options, lines=lines)
    assert any(f"{path} {what}" in line for line in lines.lines), lines.lines
    chosen = json.loads((directory / "details.json").read_text())["checkpoint"]
    assert chosen["step"] != best
    sound = directory / "checkpoints" / chosen["file"]
    assert chosen["sha256"] == digest_of(sound)
    saved = torch.load(sound, weights_only=True)["state_dict"]
    weights = load_file(directory / "model" / "weights.safetensors")
    for key, value in weights.items():
        (same,) = (tensor for name, tensor in saved.items() if name.endswith(f".{key}"))
        assert torch.equal(value, same)


def test_stray_files_among_checkpoints_are_ignored(root: Path) -> None:
    with pytest.raises(Killed):
        train(root, "stray", ADAMW, At("on_train_batch_start", 6, kill))
    folder = root / "stray" / "checkpoints"
    for name in ("step-abc.ckpt", "step-1.ckpt", "step-00000001.ckpt.old", "step-.ckpt"):
        (folder / name).write_text("stray")
    train(root, "stray", ADAMW)
    if not (root / "whole" / "model").exists():
        train(root, "whole", ADAMW)
    assert outcome(root / "stray") == outcome(root / "whole")


def test_a_training_that_stopped_early_has_ended(root: Path) -> None:
    """Killed between its last checkpoint and its export, it is not trained on."""
    still = ADAMW | {"epochs": 50, "patience": 1, "optimizer": {"kind": "adamw", "lr": 1e-9}}
    train(root, "early", still)
    with pytest.raises(Killed):
        train(root, "early-killed", still, At("on_train_end", 1, kill))
    assert not (root / "early-killed" / "model").exists()
    train(root, "early-killed", still)
    assert outcome(root / "early-killed") == outcome(root / "early")


def test_with_nothing_but_damage_nothing_is_started_from_scratch(root: Path) -> None:
    with pytest.raises(Killed):
        train(root, "ruins", ADAMW, At("on_train_batch_start", 6, kill))
    folder = root / "ruins" / "checkpoints"
    for step in saved_steps(folder):
        truncate(0.5)(folder / RESUMABLE.format(step))
    with pytest.raises(UPSError, match=r"no checkpoint in .* can be used; to start this step from scratch"):
        train(root, "ruins", ADAMW)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_full_disk_leaves_the_earlier_checkpoint(
    asynchronous: bool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, options = f"full-{asynchronous}", {"checkpoints": {"asynchronous": asynchronous}, "epochs": 3}
    write, files = checkpoint_files._write, []

    def full(path: Path, content: memoryview) -> None:
        files.append(path)
        if len(files) == 2:
            with monkeypatch.context() as patch:
                patch.setattr(
                    os, "fsync", lambda number: (_ for _ in ()).throw(OSError(28, "No space left on device"))
                )
                return write(path, content)
        return write(path, content)

    monkeypatch.setattr(checkpoint_files, "_write", full)
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

    monkeypatch.setattr(checkpoint_files, "remove", refuse)
    lines = Listener()
    directory = train(root, "undeleted", {"validate_every": 2}, lines=lines)
    assert any("cannot delete" in line and "Permission denied" in line for line in lines.lines)
    assert len(saved_steps(directory / "checkpoints")) == len(read_metrics(directory / "metrics.jsonl"))
