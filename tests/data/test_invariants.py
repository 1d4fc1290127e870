"""Declared invariants against data: conserved ones pass, drifting ones are reported, wrong ones refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from toy_flow import flow
from ups_core import UPSError
from ups_core.console import Console
from ups_data.info import Invariant, TaskInfo
from ups_data.prepare.invariants import InvariantCheck
from ups_data.prepare.statistics import Moments
from ups_data.tasks.create import create_task


def moving(dim: int, growth: float = 0.0, shift: float = 0.0) -> NDArray[np.float64]:
    """Random waves that move by a cell per frame `(8, 6, *S)`, growing, on a mean that shifts."""
    start = np.random.default_rng(0).standard_normal((8, *[32] * dim))
    start = (start - start.mean()) / start.std()
    frames = [(1 + growth * t) * np.roll(start, t, axis=-1) + shift * t for t in range(6)]
    return np.stack(frames, axis=1)


def check(info: TaskInfo, solution: NDArray[np.float64]) -> None:
    invariants, field = InvariantCheck(info), Moments()
    for part in (solution[:3], solution[3:]):
        invariants.add(part[:, :, None])
        field.add(part)
    invariants.check([field], Console())


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_what_is_conserved_is_not_mentioned(dim: int, capsys: pytest.CaptureFixture[str]) -> None:
    check(flow(invariants=("mean", "l2"), dim=dim), moving(dim))
    assert "".join(capsys.readouterr()) == ""


@pytest.mark.parametrize(
    ("invariant", "solution"), [("mean", moving(1, shift=0.01)), ("l2", moving(2, growth=0.01))]
)
def test_a_small_drift_is_reported_with_its_size(
    invariant: Invariant, solution: NDArray[np.float64], capsys: pytest.CaptureFixture[str]
) -> None:
    """0, 1, ... 5 % of the standard deviation: 3.3 % in root mean square over the frames after the first."""
    check(flow(invariants=(invariant,), dim=solution.ndim - 2), solution)
    said = " ".join("".join(capsys.readouterr()).split())
    assert f"task 'flow': the declared invariant '{invariant}' drifts by 3." in said
    check(flow(), solution)
    assert "".join(capsys.readouterr()) == "", "what is not declared may drift"


@pytest.mark.parametrize(
    ("invariant", "solution"), [("mean", moving(1, shift=0.5)), ("l2", moving(1, growth=50.0))]
)
def test_a_wrong_declaration_is_refused(invariant: Invariant, solution: NDArray[np.float64]) -> None:
    with pytest.raises(UPSError, match=f"'flow': the declared invariant '{invariant}' .* remove it"):
        check(flow(invariants=(invariant,)), solution)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("advection1d", {"beta": [0.4, 4.0]}), ("burgers1d", {"nu": [0.01, 0.001]})],
)
def test_the_shipped_tasks_conserve_what_they_declare(
    kind: str, options: dict[str, list[float]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create_task(kind, {"trajectories": 10, "resolution": 256} | options).prepare_data(tmp_path, Console())
    assert "invariant" not in "".join(capsys.readouterr())


def test_the_audit_reports_a_task_whose_data_contradict_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Burgers flow dissipates its norm."""
    task = create_task("burgers1d", {"trajectories": 60, "resolution": 64})
    wrong = replace(task.info, invariants=("mean", "l2"))
    monkeypatch.setattr(type(task), "info", property(lambda self: wrong))
    task.prepare_data(tmp_path, Console())
    said = " ".join("".join(capsys.readouterr()).split())
    assert re.search(
        r"task 'burgers1d': the declared invariant 'l2' drifts by [45]\d[.\d]* % of the field's", said
    )
    assert "'mean'" not in said


def test_refused_data_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = create_task("burgers1d", {"trajectories": 10, "resolution": 64, "nu": [0.01, 0.02]})
    wrong = replace(task.info, invariants=("l2",))
    monkeypatch.setattr(type(task), "info", property(lambda self: wrong))
    monkeypatch.setattr("ups_data.prepare.invariants.FALSE", 0.2)
    with pytest.raises(
        UPSError, match=r"Nu0\.01\.hdf5 and 1 more: task 'burgers1d': the declared invariant 'l2'"
    ):
        task.prepare_data(tmp_path, Console(quiet=True))
    assert not list(tmp_path.glob("audits/*.json")), "the audit of refused data is not stored"
