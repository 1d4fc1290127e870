"""Tasks: options are checked with helpful words, descriptions survive JSON, planning is light."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from ups_core import UPSError
from ups_data.batches.symmetry import SYMMETRIES
from ups_data.info import Channel, Parameter, Symmetry, TaskInfo
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
import sys
from pathlib import Path
from ups_data.tasks.create import create_task
task = create_task("advection1d", {{"beta": [0.1, 0.4, 1.0]}})
plan = task.plan_data(Path({str(tmp_path)!r}))
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


def flow(**changes: Any) -> TaskInfo:
    """A sound evolution on a plane, with changes."""
    sound: dict[str, Any] = {
        "name": "flow",
        "family": "toy",
        "kind": "evolution",
        "channels": (Channel("u", "1", "state"),),
        "parameters": (),
        "boundary": "periodic",
        "domain": ((0.0, 1.0), (0.0, 2.0)),
        "shape": (8, 8),
        "dt": 0.1,
        "frames": 5,
        "history": 1,
        "invariants": ("mean",),
        "equation": "u_t = 0",
        "symmetries": ("translation",),
    }
    return TaskInfo(**sound | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"boundary": "Periodic"},
            r"unknown boundary 'Periodic'; did you mean 'periodic'\? \(known: periodic, dirichlet, ",
        ),
        (
            {"boundary": "outflow"},
            "unknown boundary 'outflow'; known: periodic, dirichlet, neumann, open, wall",
        ),
        ({"boundary": (("periodic", "periodic"), ("wall", "Open"))}, "unknown boundary 'Open'; did you mean"),
        ({"boundary": (("wall", "wall"),)}, r"needs a word for both ends of each of 2 axes"),
        ({"boundary": (("wall",), ("wall", "wall"))}, r"needs a word for both ends of each of 2 axes"),
        ({"boundary": (("periodic", "wall"), ("wall", "wall"))}, "axis 0 is 'periodic' at one end only"),
        (
            {"boundary": (("wall", "wall"), ("wall", "open")), "symmetries": ("reflection",)},
            "axis 1 between 'wall' and 'open' has no symmetry 'reflection'; remove it",
        ),
        (
            {
                "boundary": (("periodic",) * 2, ("wall",) * 2),
                "domain": ((0.0, 1.0), (0.0, 1.0)),
                "symmetries": ("transpose",),
            },
            "'transpose' needs two last axes that are equal",
        ),
        ({"kind": "steadi"}, "task 'flow': unknown kind 'steadi'; did you mean 'steady'"),
        ({"invariants": ("mean", "energy")}, "task 'flow': unknown invariant 'energy'; known: mean, l2"),
        ({"symmetries": ("rotation",)}, "task 'flow': unknown symmetry 'rotation'"),
        ({"shape": (4, 4, 4, 4), "domain": ((0.0, 1.0),) * 4}, "the shape has 4 axes; use 1, 2 or 3"),
        ({"shape": ()}, "the shape has 0 axes"),
        ({"domain": ((0.0, 1.0),)}, "differ in length"),
        ({"points": ((0.0, 1.0),)}, "differ in length"),
        ({"domain": ((0.0, 1.0), (1.0, 1.0))}, "an axis without length"),
        ({"kind": "steady", "invariants": ()}, "no channel has the role 'target'"),
        ({"channels": (Channel("p", "1", "target"),)}, "no channel has the role 'state'"),
        ({"boundary": "dirichlet"}, "boundary 'dirichlet' has no symmetry 'translation'; remove it"),
        ({"symmetries": ("odd_reflection",)}, "'odd_reflection' is defined on one axis, not on 2"),
        (
            {"shape": (8, 16), "symmetries": ("transpose",)},
            r"'transpose' needs two last axes that are equal, not \(8, 16\)",
        ),
        (
            {"domain": ((0.0, 1.0), (0.0, 2.0)), "symmetries": ("transpose",)},
            r"not \(8, 8\) on \(\(0.0, 1.0\), \(0.0, 2.0\)\)",
        ),
        (
            {
                "kind": "steady",
                "channels": (Channel("p", "1", "target"),),
                "invariants": (),
                "symmetries": ("sign",),
            },
            "'sign' negates states, which a steady task does not have",
        ),
        (
            {"kind": "steady", "channels": (Channel("p", "1", "target"),)},
            "a steady task conserves nothing; remove invariant 'mean'",
        ),
    ],
)
def test_what_a_task_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UPSError, match=message):
        flow(**changes)


def test_what_channels_and_parameters_cannot_be() -> None:
    with pytest.raises(UPSError, match=r"channel 'u': unknown role 'stat'; did you mean 'state'\?"):
        Channel("u", "1", "stat")  # type: ignore[arg-type]
    with pytest.raises(UPSError, match=r"parameter 'nu': unknown scale 'Log'; .*known: linear, log"):
        Parameter("nu", "1", 1.0, 2.0, scale="Log")  # type: ignore[arg-type]
    with pytest.raises(UPSError, match="parameter 'nu': low 0 has no logarithm; use scale 'linear'"):
        Parameter("nu", "1", 0.0, 2.0, scale="log")
    with pytest.raises(UPSError, match="parameter 'nu': low 3 exceeds high 2"):
        Parameter("nu", "1", 3.0, 2.0)


def test_every_symmetry_has_a_transformation() -> None:
    assert set(SYMMETRIES) == set(get_args(Symmetry))


def test_a_task_knows_its_grid_points(task: Callable[..., Task]) -> None:
    plain = flow()
    assert plain.spacing == (0.125, 0.25)
    assert plain.axes[0] == tuple((point + 0.5) / 8 for point in range(8))
    ends = flow(points=((0.0, 1.0), (0.0, 1.75)))
    assert ends.axes[1] == tuple(0.25 * point for point in range(8))
    assert ends.axes[0][-1] == pytest.approx(1.0)
    for kind in ("advection1d", "darcy2d"):
        made = task(kind, resolution=32)
        for axis in made.info.axes:
            assert axis == pytest.approx([(point + 0.5) / 32 - 0.5 / 32 + axis[0] for point in range(32)])
        assert TaskInfo.from_dict(json.loads(json.dumps(made.info.to_dict()))).axes == made.info.axes


def test_every_end_of_every_axis_has_a_boundary() -> None:
    channel = flow(boundary=(("periodic", "periodic"), ("wall", "open")), symmetries=())
    assert channel.periodic == (True, False)
    assert channel.sides[1] == ("wall", "open")
    assert TaskInfo.from_dict(json.loads(json.dumps(channel.to_dict()))) == channel
    assert flow().sides == (("periodic", "periodic"),) * 2
    assert flow().to_dict()["boundary"] == "periodic", "one word stays one word, as in bundles of before"
