"""Tasks: options are checked with helpful words, descriptions survive JSON, planning is light."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ups_core import UPSError
from ups_data.info import TaskInfo
from ups_data.tasks.base import Task
from ups_data.tasks.create import create_task


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            "advection1d",
            {"resolution": 100},
            "resolution 100 does not divide the native 1024 points; use 8, 16",
        ),
        ("darcy2d", {"resolution": 256}, "resolution 256 does not divide the native 128 points; use .*128"),
        (
            "advection1d",
            {"frames": 42},
            "42 frames 5 apart end at raw frame 205, but the last one is 200; use fewer",
        ),
        ("advection1d", {"history": 41}, "history 41 leaves none of 41 frames"),
        ("advection1d", {"beta": []}, "beta: .*at least 1 item"),
        ("advection1d", {"beta": [0.4, 0.4]}, "contains a value twice"),
        ("advection1d", {"beta": [-1.0]}, "beta: 0: .*greater than 0"),
        ("darcy2d", {"beta": 0}, "greater than 0"),
        ("darcy2d", {"trajectories": 3}, "trajectories: .*greater than or equal to 10"),
        (
            "darcy2d",
            {"split": {"train": 0.8, "val": 0.1, "test": 0.2}},
            r"split: train \+ val \+ test is 1.1",
        ),
        ("darcy2d", {"source": "offical"}, "unknown source 'offical'; did you mean 'official'"),
        ("darcy2d", {"widht": 3}, "widht"),
        ("darcy3d", {}, "did you mean 'darcy2d'"),
    ],
)
def test_wrong_options(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UPSError, match=message):
        create_task(kind, options)


def test_descriptions(task: Callable[..., Task]) -> None:
    advection = task("advection1d", beta=[0.4, 1, 0.1], resolution=128, time_stride=4, history=2).info
    assert (advection.dim, advection.shape, advection.dt, advection.frames) == (1, (128,), 0.04, 41)
    assert (advection.parameters[0].low, advection.parameters[0].high) == (0.1, 1.0)
    assert [c.name for c in advection.target_channels] == [c.name for c in advection.state_channels] == ["u"]
    burgers = task("burgers1d", nu=[0.01, 0.001]).info
    assert (burgers.parameters[0].low, burgers.parameters[0].high) == (0.001, 0.01)
    assert (burgers.shape, burgers.dt, burgers.frames, burgers.history) == ((256,), 0.05, 41, 1)
    darcy = task("darcy2d").info
    assert [c.name for c in darcy.static_channels] == ["a"]
    assert [c.name for c in darcy.target_channels] == ["u"]
    assert (darcy.state_channels, darcy.history, darcy.frames, darcy.dt) == ((), 0, 1, 0.0)
    for info in (advection, burgers, darcy):
        assert TaskInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info


def test_descriptions_without_the_newer_fields_are_read(task: Callable[..., Task]) -> None:
    plain = task("burgers1d").info.to_dict()
    del plain["symmetries"]
    for parameter in plain["parameters"]:
        del parameter["scale"]
    older = TaskInfo.from_dict(json.loads(json.dumps(plain)))
    assert (older.symmetries, older.parameters[0].scale) == ((), "linear")


def test_planning_is_light(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from ups_data.tasks.create import create_task
task = create_task("advection1d", {{"beta": [0.1, 0.4, 1.0]}})
begin = time.perf_counter()
plan = task.plan_data(Path({str(tmp_path)!r}))
assert time.perf_counter() - begin < 0.02
assert len(plan.missing) == 3
heavy = {{"torch", "numpy", "scipy", "h5py"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["channels", "parameters"])
@pytest.mark.parametrize("name", ["", "a/b", "a.b", "a\n", "a b", "a" * 65])
def test_names_of_channels_and_parameters_are_checked_when_a_task_is_described(what: str, name: str) -> None:
    info = create_task("advection1d", {}).info
    (first, *_) = getattr(info, what)
    with pytest.raises(UPSError, match=rf"task 'advection1d': {what[:-1]} .*expected a name of at most 64"):
        replace(info, **{what: (replace(first, name=name),)})
    with pytest.raises(UPSError, match=rf"task 'advection1d': {what[:-1]} '{first.name}' is named twice"):
        replace(info, **{what: (first, first)})
