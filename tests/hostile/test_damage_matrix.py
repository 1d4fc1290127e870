"""Every file of a run and its data, damaged in every way: noticed or repaired, never silent, never a traceback.

By default every third file is damaged in one way, in turn; all in `make test-slow`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands import BIN
from damage import DAMAGE, LOGS, damaged_copy, files_below
from victim import WEIGHTS, Victim, numbers
from warm_process import run_warm

LONGEST = 1500
"""Characters of an error line; paths are long in tests."""


def outcome_of(name: str, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail; it must say why in one line."""
    line = [str(BIN / name), *map(str, arguments)]
    result = run_warm(line, cwd, dict(os.environ), 120)
    assert "Traceback" not in result.stdout + result.stderr, result.stderr
    assert result.returncode in (0, 1), result.stderr
    if result.returncode:
        errors = [text for text in result.stderr.splitlines() if text.startswith("error: ")]
        assert len(errors) <= 1, result.stderr
        assert all(len(text) < LONGEST for text in errors)
    return result


def names(folder: Path, keep: Callable[[str], bool] = lambda name: True) -> list[str]:
    return [name for name in files_below(folder) if keep(name)]


def each_once(found: list[str]) -> Iterator[tuple[str, str]]:
    """Every third file with one damage; together they are hit by all."""
    damages = list(DAMAGE)
    for number, name in enumerate(found[::3]):
        yield name, damages[number % len(damages)]


def every_case(found: list[str], everything: bool) -> list[tuple[str, str]]:
    once = list(each_once(found))
    return (
        [(name, damage) for name in found for damage in DAMAGE if (name, damage) not in once]
        if everything
        else once
    )


EVERYTHING = [False, pytest.param(True, marks=pytest.mark.slow)]


class TestFinishedRun:
    """What reads a finished run: the same command again, `ups eval show`, `ups verify`."""

    @pytest.mark.parametrize("everything", EVERYTHING)
    def test_reading_finds_it(self, finished: Victim, tmp_path: Path, everything: bool) -> None:
        for number, (name, damage) in enumerate(every_case(names(finished.files), everything)):
            folder = tmp_path / str(number)
            path = damaged_copy(finished.folder, folder, f"{finished.run}/{name}", damage)
            found = outcome_of("ups", "verify", finished.run, cwd=folder)
            if Path(name).name not in LOGS:
                assert found.returncode == 1, (name, damage, found.stdout)
                said = found.stdout + found.stderr
                assert path.name in said, (name, damage, said)
            shown = outcome_of("ups", "eval", "show", finished.run, cwd=folder)
            if name in ("run.json", "steps/test/metrics.json", "steps/test/step.json"):
                assert shown.returncode == 1, (name, damage)
            shutil.rmtree(folder)

    @pytest.mark.parametrize("everything", EVERYTHING)
    def test_the_same_command_names_and_repairs_it(
        self, finished: Victim, tmp_path: Path, everything: bool
    ) -> None:
        for number, (name, damage) in enumerate(every_case(names(finished.files), everything)):
            folder = tmp_path / str(number)
            path = damaged_copy(finished.folder, folder, f"{finished.run}/{name}", damage)
            result = outcome_of("ups-run", "spec.yaml", cwd=folder)
            check_end(finished, folder, result, f"{name}, {damage}")
            assert path.name in result.stderr or name in LOGS, (name, damage, result.stderr)
            shutil.rmtree(folder)


@pytest.mark.parametrize("everything", EVERYTHING)
def test_an_interrupted_training_ends_as_if_nothing_had_happened(
    interrupted: Victim, tmp_path: Path, everything: bool
) -> None:
    for number, (name, damage) in enumerate(every_case(names(interrupted.files), everything)):
        folder = tmp_path / str(number)
        path = damaged_copy(interrupted.folder, folder, f"{interrupted.run}/{name}", damage)
        result = outcome_of("ups-run", "spec.yaml", cwd=folder)
        check_end(interrupted, folder, result, f"{name}, {damage}")
        if name.endswith("step-00000008.ckpt") and damage != "deleted":  # the one that training resumes from
            assert path.name in result.stderr, (damage, result.stderr)
        shutil.rmtree(folder)


@pytest.mark.parametrize("everything", EVERYTHING)
def test_data_are_compared_before_they_are_used(finished: Victim, tmp_path: Path, everything: bool) -> None:
    for number, (name, damage) in enumerate(every_case(names(finished.folder / "data"), everything)):
        folder = tmp_path / str(number)
        path = damaged_copy(finished.folder, folder, f"data/{name}", damage)
        shutil.rmtree(folder / "runs")
        result = outcome_of("ups-run", "spec.yaml", cwd=folder)
        check_end(finished, folder, result, f"{name}, {damage}")
        if result.returncode == 0 and damage != "deleted":
            assert path.name in result.stderr, (name, damage, result.stderr)
        shutil.rmtree(folder)


def check_end(victim: Victim, folder: Path, result: subprocess.CompletedProcess[str], case: str) -> None:
    """Either a line that names the problem, or the same bits as ever and a run that is verified."""
    if result.returncode:
        assert re.search(r"^error: .*(/|\.json|\.yaml|\.h)", result.stderr, re.MULTILINE), (
            case,
            result.stderr,
        )
        return
    run = folder / victim.run
    assert (run / WEIGHTS).read_bytes() == victim.weights, case
    assert numbers(run) == victim.metrics, case
    verified = outcome_of("ups", "verify", victim.run, cwd=folder)
    assert verified.returncode == 0, (case, verified.stdout)
