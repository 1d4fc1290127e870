"""After a change of the spec, finished steps that it does not affect are kept."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finished import finish_step
from ups_core import UPSError
from ups_core.cli.run import main as ups_run
from ups_core.finished_step import FinishedStep
from ups_core.plan import Plan
from ups_core.reading import UnsoundFile, read_json
from ups_core.reuse import MAX_CHANGES, copy_finished, describe_changes, reuse_previous

MakePlan = Callable[..., Plan]
RUNS = Path("runs")


def states(plan: Plan) -> dict[str, str]:
    return {step.id: step.state for step in plan.steps}


@pytest.fixture
def first(spec_file: Path) -> Path:
    """The directory of a finished run of the toy spec."""
    assert ups_run([str(spec_file)]) == 0
    (directory,) = RUNS.iterdir()
    return directory


def test_steps_with_the_same_fingerprint_are_kept(first: Path, make: MakePlan) -> None:
    plan = reuse_previous(make("pipeline.score.split=val"), RUNS)
    assert states(plan) == {"train": "kept", "toy-other": "kept", "score": "to do", "page": "to do"}
    assert plan.previous is not None
    assert plan.previous.directory == first
    assert plan.previous.changes == ("pipeline.score.split: 'test' -> 'val'",)
    assert [step.id for step in plan.todo] == ["score", "page"]


def test_the_run_itself_is_not_its_predecessor(first: Path, make: MakePlan) -> None:
    plan = reuse_previous(make(), RUNS)
    assert plan.previous is None
    assert set(states(plan).values()) == {"done"}


def test_what_is_done_or_stale_here_is_not_kept(first: Path, make: MakePlan) -> None:
    change = "pipeline.score.split=val"
    target = make(change)
    for name, fingerprint in (("train", target.step("train").fingerprint), ("toy-other", "of another spec")):
        finish_step(target.directory, name, fingerprint)
    plan = reuse_previous(make(change), RUNS)
    assert states(plan) | {"score": "", "page": ""} == {
        "train": "done",
        "toy-other": "stale",
        "score": "",
        "page": "",
    }


def test_the_newest_run_of_the_name_is_compared_with(first: Path, spec_file: Path, make: MakePlan) -> None:
    assert ups_run([str(spec_file), "--set", "seed=4"]) == 0
    second = next(path for path in RUNS.iterdir() if path != first)
    os.utime(first / "run.json", (1, 1))
    plan = reuse_previous(make("seed=5"), RUNS)
    assert plan.previous is not None
    assert plan.previous.directory == second
    assert plan.previous.changes == ("seed: 4 -> 5",)
    os.utime(second / "run.json", (0, 0))
    again = reuse_previous(make("seed=5"), RUNS)
    assert again.previous is not None
    assert again.previous.directory == first


def test_runs_of_other_names_do_not_count(first: Path, spec_file: Path, make: MakePlan) -> None:
    """`toy-2` begins like `toy`."""
    assert ups_run([str(spec_file), "--set", "name=toy-2"]) == 0
    os.utime(first / "run.json", (1, 1))
    plan = reuse_previous(make("seed=5"), RUNS)
    assert plan.previous is not None
    assert plan.previous.directory == first


@pytest.mark.parametrize("content", [None, "", "- a list", "a: [", b"\xff\xfe\xff", "name: [1]"])
def test_a_run_whose_spec_cannot_be_read_does_not_count(
    content: str | bytes | None, first: Path, make: MakePlan
) -> None:
    (first / "spec.yaml").unlink()
    if content is not None:
        (first / "spec.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    assert reuse_previous(make("seed=5"), RUNS).previous is None


def test_no_runs_at_all(make: MakePlan) -> None:
    assert reuse_previous(make(), RUNS).previous is None


def test_changes_are_named_by_key_with_steps_by_id(first: Path, make: MakePlan) -> None:
    plan = make(
        "tasks.b={kind: toy/line, cells: 6}",
        "model.depth=3",
        "pipeline.train.optimizer.kind=toy/adam",
        "pipeline.score.baselines=[]",
        "sampling.temperature=0.5",
    )
    previous = reuse_previous(plan, RUNS).previous
    assert previous is not None
    assert previous.changes == (
        "model.depth: 2 -> 3",
        "pipeline.score.baselines: (absent) -> []",
        "pipeline.score.baselines[0]: 'toy/constant' -> (absent)",
        "pipeline.score.baselines[1]: 'toy/other' -> (absent)",
        "pipeline.train.optimizer.kind: 'toy/sgd' -> 'toy/adam'",
        "pipeline.train.optimizer.lr: 0.01 -> 0.001",
        "sampling.temperature: 1.0 -> 0.5",
        "tasks.b: (absent) -> (present)",
    )


def test_the_description_lists_changes_and_what_they_mean(first: Path, make: MakePlan) -> None:
    plan = reuse_previous(make("pipeline.score.split=val"), RUNS)
    assert list(describe_changes(plan)) == [
        f"compared with {first}:",
        "  pipeline.score.split: 'test' -> 'val'",
        "  kept: train, toy-other",
        "  to be done: score, page",
    ]
    assert list(describe_changes(make())) == []


def test_an_unchanged_spec_whose_code_changed_says_so(first: Path, make: MakePlan) -> None:
    shutil.move(first, RUNS / "toy-00000000")
    plan = reuse_previous(make(), RUNS)
    assert list(describe_changes(plan))[1] == "  nothing in the spec"
    assert set(states(plan).values()) == {"kept"}


def test_many_changes_are_counted(first: Path, make: MakePlan) -> None:
    tasks = [f"tasks.t{number}={{kind: toy/line, cells: 6}}" for number in range(30)]
    lines = list(describe_changes(reuse_previous(make(*tasks), RUNS)))
    assert lines[1 + MAX_CHANGES] == f"  and {30 - MAX_CHANGES} more"


def test_a_run_keeps_and_the_old_run_stays(first: Path, spec_file: Path) -> None:
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    Path("data/executions.txt").unlink()
    assert ups_run([str(spec_file), "--set", "pipeline.score.split=val"]) == 0
    assert Path("data/executions.txt").read_text().split() == ["score", "page"]
    second = next(path for path in RUNS.iterdir() if path != first)
    old, new = (run / "steps" / "train" / "model.json" for run in (first, second))
    assert os.path.samefile(old, new), "finished files are shared"
    assert {path: path.read_bytes() for path in before} == before
    events = [line for line in (second / "events.jsonl").read_text().splitlines() if "step_kept" in line]
    assert len(events) == 2
    assert read_json(second / "run.json")["metrics"]["train/val/loss"] == 0.5


def test_a_step_that_may_not_be_read_is_to_be_done(
    first: Path, spec_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two people may share a runs folder, and root may read everything, so the system call is refused."""
    Path("data/executions.txt").unlink()
    private, real = first.resolve() / "steps" / "train" / "model.json", os.open

    def refuse(path: Any, *arguments: Any, **more: Any) -> int:
        if Path(path).resolve() == private:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *arguments, **more)

    monkeypatch.setattr(os, "open", refuse)
    capsys.readouterr()
    assert ups_run([str(spec_file), "--set", "pipeline.score.split=val"]) == 0
    assert Path("data/executions.txt").read_text().split() == ["train", "score", "page"]
    assert "model.json cannot be read (Permission denied)" in capsys.readouterr().err


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A run directory with one finished step."""
    run = tmp_path / "old"
    (run / "steps" / "train" / "deep").mkdir(parents=True)
    (run / "steps" / "train" / "deep" / "a.txt").write_text("content")
    finish_step(run, "train", "x")
    return run


def test_a_copy_shares_files_and_says_where_it_is_from(old: Path, tmp_path: Path) -> None:
    copy_finished(old, "train", tmp_path / "new")
    copy = FinishedStep.read(tmp_path / "new", "train")
    assert copy.record.kept_from == str(old)
    assert os.path.samefile(copy.file("deep/a.txt"), old / "steps" / "train" / "deep" / "a.txt")
    copy_finished(tmp_path / "new", "train", tmp_path / "newer")
    assert FinishedStep.read(tmp_path / "newer", "train").record.kept_from == str(old), (
        "where it was computed"
    )


def test_a_copy_without_hard_links(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs may be on different file systems."""

    def refuse(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    copy_finished(old, "train", tmp_path / "new")
    copy = FinishedStep.read(tmp_path / "new", "train").file("deep/a.txt")
    assert copy.read_text() == "content"
    assert not os.path.samefile(copy, old / "steps" / "train" / "deep" / "a.txt")


def test_a_damaged_file_is_not_copied(old: Path, tmp_path: Path) -> None:
    (old / "steps" / "train" / "deep" / "a.txt").write_text("contents")
    with pytest.raises(UnsoundFile, match="has 8 bytes instead of 7"):
        copy_finished(old, "train", tmp_path / "new")
    assert not (tmp_path / "new" / "steps" / "train").exists()


def test_a_copy_that_finds_no_room_is_one_line(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(
        UPSError, match=r"cannot copy step 'train' of .*old to .* \(No space left on device\)"
    ):
        copy_finished(old, "train", tmp_path / "new")
    assert not (tmp_path / "new" / "steps" / "train").exists()


def test_a_copy_that_was_interrupted_is_made_again(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", stop)
    with pytest.raises(KeyboardInterrupt):
        copy_finished(old, "train", tmp_path / "new")
    assert not (tmp_path / "new" / "steps" / "train").exists(), "never a part"
    monkeypatch.undo()
    copy_finished(old, "train", tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new" / "steps").iterdir()) == ["train"]
