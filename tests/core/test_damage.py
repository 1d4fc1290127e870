"""A finished run with a damaged file: the command says which, repairs the step, and ends as before."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from damage import DAMAGE
from ups_core.cli.run import main as ups_run
from ups_core.finished_step import FinishedStep
from ups_core.run_file import check_spec, read_run
from ups_core.sealed import read_sealed

RUNS = Path("runs")


def executed() -> list[str]:
    path = Path("data/executions.txt")
    lines = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


@pytest.fixture
def run(spec_file: Path) -> Path:
    assert ups_run([str(spec_file)]) == 0
    executed()
    (directory,) = RUNS.iterdir()
    return directory


@pytest.mark.parametrize("file", ["model.json", "checkpoint.json", "step.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_and_the_step_repeated(
    damage: str, file: str, run: Path, spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_sealed(run / "run.json")["metrics"]
    path = run / "steps" / "train" / file
    DAMAGE[damage](path)
    capsys.readouterr()
    assert ups_run([str(spec_file)]) == 0
    said = capsys.readouterr().err
    assert f"{path} " in said
    assert "; step 'train' runs again\n" in said
    assert executed() == ["train", "score", "page"], "and what was computed from it"
    FinishedStep.read(run, "train").check()
    after = read_sealed(run / "run.json")["metrics"]
    assert {key for key in before if before[key] != after[key]} <= {"train/resumed"}
    assert ups_run([str(spec_file)]) == 0
    assert executed() == []


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["run.json", "spec.yaml"])
def test_a_damaged_record_of_the_run_is_written_again(
    damage: str, name: str, run: Path, spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_sealed(run / "run.json")["metrics"]
    DAMAGE[damage](run / name)
    capsys.readouterr()
    assert ups_run([str(spec_file)]) == 0
    assert re.search(rf"{name} .*; it is written again", capsys.readouterr().err)
    assert executed() == []
    assert read_sealed(run / "run.json")["metrics"] == before
    check_spec(run, read_run(run).spec)
    assert ups_run([str(spec_file)]) == 0
    assert "again" not in capsys.readouterr().err


def test_options_without_effect_are_no_damage(
    run: Path, spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert ups_run([str(spec_file), "--set", "trainer.max_time=100"]) == 0
    assert "again" not in capsys.readouterr().err
    check_spec(run, read_run(run).spec)


def test_plan_shows_damage_and_changes_nothing(
    run: Path, spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "steps" / "train" / "model.json"
    path.write_text("")
    capsys.readouterr()
    assert ups_run([str(spec_file), "--plan"]) == 0
    said = capsys.readouterr().out
    assert "damaged" in said
    assert f"train: {path} has 0 bytes instead of " in said
    assert path.read_text() == ""


def test_a_damaged_step_of_another_run_is_not_kept(
    run: Path, spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGE["bit flipped"](run / "steps" / "train" / "model.json")
    capsys.readouterr()
    assert ups_run([str(spec_file), "--set", "pipeline.score.split=val"]) == 0
    assert "model.json does not match its checksum" in capsys.readouterr().err
    assert executed() == ["train", "score", "page"]


def test_files_that_cannot_be_deleted_are_not_resumed_from(
    run: Path, spec_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = run / "steps" / ".train.partial"
    partial.mkdir()
    (partial / "step.json").write_text('{"fingerprint": "of other options"}')
    shutil.rmtree(run / "steps" / "train")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    assert ups_run([str(spec_file)]) == 1
    assert "cannot delete" in capsys.readouterr().err
    assert executed() == []


# Other users


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Lets a file appear to belong to another user, which only root could really do."""

    def give(path: Path) -> None:
        stat = os.stat

        def of_another(name: Any, **options: Any) -> os.stat_result:
            found = stat(name, **options)
            return os.stat_result((*found[:4], 54321, *found[5:])) if str(name) == str(path) else found

        monkeypatch.setattr(os, "stat", of_another)

    return give


@pytest.mark.parametrize("file", ["", "step.json", "model.json"])
def test_results_of_other_users_count_with_a_flag_only(
    file: str,
    give_away: Callable[[Path], None],
    run: Path,
    spec_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = run / "steps" / "train" / file
    give_away(path)
    capsys.readouterr()
    assert ups_run([str(spec_file)]) == 1
    said = capsys.readouterr().err
    assert f"{path} belongs to another user (uid 54321); use its result with --accept-others" in said
    assert executed() == []
    assert ups_run([str(spec_file), "--accept-others"]) == 0
    assert executed() == []
    assert ups_run([str(spec_file), "--fresh"]) == 0
    assert executed() == ["train", "toy-other", "score", "page"]


def test_steps_of_other_users_are_not_kept_unless_asked_for_and_then_copied(
    give_away: Callable[[Path], None], run: Path, spec_file: Path
) -> None:
    change = "--set", "pipeline.score.split=val"
    source = run / "steps" / "train" / "model.json"
    give_away(source)
    assert ups_run([str(spec_file), *change]) == 0
    assert executed() == ["train", "score", "page"]
    shutil.rmtree(next(path for path in RUNS.iterdir() if path != run))
    assert ups_run([str(spec_file), *change, "--accept-others"]) == 0
    assert executed() == ["score", "page"]
    second = next(path for path in RUNS.iterdir() if path != run)
    copy = FinishedStep.read(second, "train")
    assert copy.record.kept_from == str(run)
    assert not os.path.samefile(copy.file("model.json"), source)
    assert copy.file("model.json").stat().st_uid == os.geteuid()


# Links that a stranger's run directory may contain


@pytest.mark.parametrize("name", [".lock", "events.jsonl", "run.json", "spec.yaml"])
def test_nothing_is_written_through_a_link(name: str, run: Path, spec_file: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(precious)
    shutil.rmtree(run / "steps" / "page")
    assert ups_run([str(spec_file)]) in (0, 1)
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("name", ["steps/train", "steps/.train.partial", "report"])
def test_no_folder_is_replaced_by_a_link(name: str, run: Path, spec_file: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "a.txt").write_text("precious")
    shutil.rmtree(run / "steps" / "train")
    if (run / name).exists():
        shutil.rmtree(run / name)
    (run / name).symlink_to(precious)
    assert ups_run([str(spec_file)]) in (0, 1)
    assert sorted(path.name for path in precious.iterdir()) == ["a.txt"]


def test_a_foreign_spec_beside_the_run_is_read_within_limits(run: Path, spec_file: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(8)
    )
    (run / "spec.yaml").write_text(bomb)
    assert ups_run([str(spec_file), "--set", "seed=5"]) == 0


def test_records_are_plain_json(run: Path) -> None:
    stored = json.loads((run / "steps" / "train" / "step.json").read_text())
    assert set(stored["files"]["model.json"]) == {"bytes", "sha256"}
    assert "kept_from" not in stored, "it was computed here"
