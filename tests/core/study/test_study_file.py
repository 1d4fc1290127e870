"""A study on disk, and what plugins do when it has ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from damage import DAMAGE
from small_study import LOSS, LR, study, tune
from ups_core import UPSError
from ups_core.document import Document
from ups_core.reading import UnsoundFile
from ups_core.sealed import write_sealed
from ups_core.spec import PipelineSpec
from ups_core.study.parameters import read_space
from ups_core.study.space import Choice, Range, assignments, set_options
from ups_core.study.study import Study, Trial

Load = Callable[..., tuple[PipelineSpec, Document]]


def a_study(*values: float | None, directory: Path = Path("study")) -> Study:
    space = (Range(LR, 1e-4, 1e-1, log=True), Choice("model.width", (8, 16)))
    made = Study(
        directory,
        space,
        {"metric": LOSS, "parameters": {p.key: p.text for p in space}},
        ["ups-run", "a b.yaml"],
    )
    for number, value in enumerate(values, start=1):
        status: Any = "failed" if value is None else "completed"
        made.trials.append(Trial(number, {LR: 10.0 ** (-1 - number), "model.width": 8}, status, value))
    return made


def test_the_best_is_the_lowest_and_the_first_of_equals() -> None:
    found = a_study(0.5, None, 0.25, 0.25, None)
    assert found.best is found.trials[2]
    assert [trial.number for trial in found.ranked] == [3, 4, 1, 2, 5]
    assert a_study(None, None).best is None
    assert a_study().best is None
    assert a_study(None).use_best() is None
    assert a_study(None).edges() == []


def test_the_command_of_the_best_can_be_pasted_into_a_shell() -> None:
    command = a_study(0.5).use_best()
    assert command == "ups-run 'a b.yaml' --set pipeline.operator.optimizer.lr=0.01 --set model.width=8"
    assert set_options(["a=[1, 2]"]) == "--set 'a=[1, 2]'"
    assert assignments({"a": [1, "x"], "b": None, "c": "1e3"}) == ['a=[1, "x"]', "b=null", 'c="1e3"']


def test_a_best_value_at_the_end_of_its_range_is_reported() -> None:
    assert a_study(0.5, 0.4, 0.3).edges() == [
        f"the best {LR}, 0.0001, is at the lower edge of 0.0001:0.1:log; widen the range"
    ]
    assert a_study(0.1, 0.4, 0.3).edges() == [], "0.01 is in the middle"


def test_a_study_reads_back_as_it_was_saved() -> None:
    saved = a_study(0.5, None)
    saved.save()
    read = Study.read(Path("study"))
    assert read.trials == saved.trials
    assert read.space == saved.space == read_space(saved.about["parameters"])
    assert read.best == saved.best
    content = json.loads(Path("study/study.json").read_text())
    assert content["schema"] == 1
    assert content["best"]["command"] == saved.use_best()


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UPSError, match=r"is not a study directory \(study\.json missing\)"):
        Study.read(tmp_path)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_study_is_refused(damage: Callable[[Path], None]) -> None:
    made = a_study(0.5, None)
    made.save()
    damage(made.path)
    if not os.path.lexists(made.path):
        return
    for read in (lambda: Study.read(made.directory), made.load):
        with pytest.raises(UnsoundFile, match=r"study/study\.json .*; start the study again with --fresh"):
            read()


@pytest.mark.parametrize("change", [{"trials": [{"number": "one"}]}, {"trials": 3}, {"parameters": [1]}])
def test_an_odd_study_is_refused(change: dict[str, Any]) -> None:
    made = a_study(0.5, None)
    write_sealed(made.path, made.to_dict() | change)
    with pytest.raises(UnsoundFile, match=r"study/study\.json is not the record of a study"):
        Study.read(made.directory)


DRAWING = """\
from ups_core import hookimpl

@hookimpl
def ups_study_finished(study):
    (study.directory / "curve.png").write_text(study.metric)
"""
FAULTY = """\
from ups_core import hookimpl

@hookimpl
def ups_study_finished(study):
    raise ValueError("no display")
"""


def test_plugins_see_a_finished_study_and_cannot_fail_it(
    folder: Path, install: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("drawing", DRAWING)
    install("faulty", FAULTY)
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,drawing,faulty")
    arguments = "--param", "optimizer.lr=0.01,0.1"
    assert tune(*arguments) == 0
    out, err = capsys.readouterr()
    assert "plugin faulty: ValueError: no display\n" in err
    (curve,) = Path("runs").glob("tune-*/curve.png")
    assert curve.read_text() == LOSS
    assert f"figure: {curve}\n" in out
    curve.unlink()
    assert tune(*arguments) == 0
    assert not curve.exists(), "nothing has changed, so nothing is drawn"


def test_the_evaluation_package_draws_a_figure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ups_eval", reason="the core is tested alone")
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,ups-eval")
    assert tune("--param", "optimizer.lr=0.01,0.1") == 0
    assert study()["best"]["parameters"][LR] == 0.01
    (figure,) = Path("runs").glob("tune-*/study.png")
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_study_of_a_module_can_be_run_as_a_program(folder: Path) -> None:
    """Trials use the interpreter of the study, whatever `python` on PATH is."""
    command = [
        sys.executable,
        "-m",
        "ups_core.cli.main",
        "tune",
        "tiny.yaml",
        "--param",
        "optimizer.lr=0.01,0.1",
    ]
    result = subprocess.run(
        command, env=os.environ | {"PATH": "/nowhere"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert len(study()["trials"]) == 2
