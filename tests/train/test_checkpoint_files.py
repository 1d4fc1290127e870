"""Checkpoint files: round trips, damage of every kind, and what is kept."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from ups_core import UPSError
from ups_train.engine import checkpoint_files
from ups_train.engine.checkpoint_files import (
    FORMAT,
    RESUMABLE,
    SUM,
    CheckpointFiles,
    digest_of,
    find_damage,
    newest_sound,
    prune,
    remove,
    saved_steps,
    seal,
    set_aside,
)


def content(step: int) -> dict[str, Any]:
    return {"format": FORMAT, "state_dict": {"weight": torch.arange(6.0) + step}, "global_step": step}


def saved(folder: Path, *steps: int) -> list[Path]:
    files = CheckpointFiles()
    paths = [folder / RESUMABLE.format(step) for step in steps]
    for path, step in zip(paths, steps, strict=True):
        files.save_checkpoint(content(step), path)
    return paths


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path, asynchronous: bool) -> None:
    files = CheckpointFiles(asynchronous)
    given = content(3)
    files.save_checkpoint(given, tmp_path / "a.ckpt")
    given["state_dict"]["weight"] += 100  # training continues while the file is being written
    files.teardown()
    found = files.load_checkpoint(tmp_path / "a.ckpt")
    assert torch.equal(found["state_dict"]["weight"], torch.arange(6.0) + 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ckpt", "a.ckpt.sha256"]


def test_people_who_share_a_folder_can_read_checkpoints(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        saved(tmp_path, 1)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o664}


def test_sha256sum_accepts_the_checksum(tmp_path: Path) -> None:
    (path,) = saved(tmp_path, 1)
    check = ["sha256sum", "--check", "--strict", path.name + SUM]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    path.write_bytes(path.read_bytes() + b"x")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_an_error_in_the_background_is_raised_by_the_next_call(tmp_path: Path) -> None:
    files = CheckpointFiles(asynchronous=True)
    files.save_checkpoint(content(1), tmp_path / "no" / "such" / ("x" * 300) / "a.ckpt")
    with pytest.raises(UPSError, match="earlier checkpoints are intact; free some disk space"):
        files.wait()
    files.wait()  # raised once


# Damage


def bit_flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def text(path: Path) -> None:
    path.write_text("weights")
    seal(path)


class Hostile:
    """Would create a file if it were unpickled."""

    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (self.target, "w")


def hostile(path: Path) -> None:
    torch.save({"format": FORMAT, "state": Hostile(str(path.parent / "executed"))}, path)
    seal(path)


def other_format(path: Path) -> None:
    torch.save({"state_dict": {}}, path)
    seal(path)


def newer_format(path: Path) -> None:
    torch.save({"format": FORMAT + 1}, path)
    seal(path)


DAMAGE = {
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-10]), "does not match its sha256"),
    "empty": (lambda path: path.write_bytes(b""), "does not match its sha256"),
    "bit flip": (bit_flip, "does not match its sha256"),
    "no sum": (lambda path: path.with_name(path.name + SUM).unlink(), "has no sha256 file"),
    "empty sum": (lambda path: path.with_name(path.name + SUM).write_text(""), "does not match its sha256"),
    "other sum": (
        lambda path: path.with_name(path.name + SUM).write_text("0" * 64),
        "does not match its sha256",
    ),
    "text": (text, "contains something other than tensors and plain data"),
    "hostile": (hostile, "contains something other than tensors and plain data"),
    "format 1": (other_format, f"has the format 1 of another version; this version resumes format {FORMAT}"),
    "newer": (newer_format, f"has the format {FORMAT + 1} of another version"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_the_previous_checkpoint_is_used(tmp_path: Path, damage: str) -> None:
    before, newest = saved(tmp_path, 10, 20)
    assert find_damage(newest) is None
    harm, message = DAMAGE[damage]
    harm(newest)
    assert message in (find_damage(newest) or "")
    reports: list[str] = []
    assert newest_sound(tmp_path, reports.append) == before
    (line,) = reports
    assert line.startswith(f"checkpoint {newest} (")
    assert message in line
    assert line.endswith("; using the previous one")
    assert not (tmp_path / "executed").exists()


def test_nothing_sound_is_an_error_and_nothing_at_all_is_not(tmp_path: Path) -> None:
    assert newest_sound(tmp_path, pytest.fail) is None
    for path in saved(tmp_path, 1, 2):
        bit_flip(path)
    with pytest.raises(UPSError, match=r"no checkpoint in .* can be used; to start this step from scratch"):
        newest_sound(tmp_path, lambda line: None)
    assert len(saved_steps(tmp_path)) == 2  # nothing was deleted


def test_the_newest_is_by_number_not_by_name_or_age(tmp_path: Path) -> None:
    late, early = saved(tmp_path, 100_000_000, 99_999_999)
    assert newest_sound(tmp_path, pytest.fail) == late
    assert saved_steps(tmp_path) == [99_999_999, 100_000_000]
    assert early.exists()


def test_a_folder_has_the_sum_of_everything_inside(tmp_path: Path) -> None:
    folder = tmp_path / RESUMABLE.format(1)
    (folder / "rank").mkdir(parents=True)
    (folder / "meta").write_bytes(b"a")
    (folder / "rank" / "shard").write_bytes(b"b")
    seal(folder)
    assert find_damage(folder) is None
    digest = digest_of(folder)
    (folder / "rank" / "shard").rename(folder / "shard")
    assert digest_of(folder) != digest
    assert find_damage(folder) == "does not match its sha256"


# What is kept


def test_everything_else_is_deleted_with_its_sum(tmp_path: Path) -> None:
    first, second, third = saved(tmp_path, 1, 2, 3)
    prune(tmp_path, keep=[second], report=pytest.fail)
    assert not first.exists()
    assert not third.with_name(third.name + SUM).exists()
    assert sorted(tmp_path.iterdir()) == [second, second.with_name(second.name + SUM)]


def test_what_cannot_be_deleted_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = saved(tmp_path, 1, 2)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkpoint_files, "remove", refuse)
    reports: list[str] = []
    prune(tmp_path, keep=[tmp_path / RESUMABLE.format(2)], report=reports.append)
    assert reports == [f"cannot delete {first}: Permission denied"]
    assert first.exists()


def test_removing_twice_is_no_error(tmp_path: Path) -> None:
    (path,) = saved(tmp_path, 1)
    remove(path)
    remove(path)
    assert not list(tmp_path.iterdir())
    folder = tmp_path / "folder.ckpt"
    folder.mkdir()
    (folder / "x").touch()
    CheckpointFiles().remove_checkpoint(folder)
    assert not folder.exists()


def test_newer_checkpoints_than_the_resumed_one_are_set_aside(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2, 3)
    (tmp_path / ".step-00000004.ckpt.tmp").touch()
    set_aside(tmp_path, after=1)
    names = {path.name for path in tmp_path.iterdir() if not path.name.endswith(SUM)}
    assert names == {"step-00000001.ckpt", "step-00000002.ckpt.damaged", "step-00000003.ckpt.damaged"}
    assert saved_steps(tmp_path) == [1]
