"""Own arrays that do not fit the options, or options that do not fit each other, are one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from own_files import FIELD, own, uneven
from ups_core import UPSError, UsageError
from ups_core.console import Console

BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "axes": ({"u": FIELD}, {"axes": "ntxy"}, r"'u' has 3 axes, shape \(10, 6, 8\), but axes names 4"),
    "name": ({"velocity": FIELD}, {"channels": "velocty"}, "no array 'velocty'; did you mean 'velocity'"),
    "one of two": ({"u": FIELD}, {"channels": ["u", "v"]}, "no array 'v'"),
    "lengths": (
        {"u": FIELD, "v": FIELD[:, :5]},
        {"channels": ["u", "v"]},
        "'v' has 5 points along time, but 'u' has 6",
    ),
    "uneven time": (
        {"u": FIELD, "t": uneven(6)},
        {"coordinates": {"time": "t"}},
        r"the times 't' are not evenly spaced: a step of .* interpolate",
    ),
    "falling": (
        {"u": FIELD, "x": np.linspace(1, 0, 8)},
        {"coordinates": {"x": "x"}, "domain": None},
        "'x', the coordinate of axis x, does not increase: 1 is followed by 0.857143",
    ),
    "length of a coordinate": (
        {"u": FIELD, "x": np.linspace(0, 1, 7)},
        {"coordinates": {"x": "x"}, "domain": None},
        r"'x' has shape \(7,\), but axis x has 8 points",
    ),
    "domain": (
        {"u": FIELD, "x": np.linspace(0, 1, 8)},
        {"coordinates": {"x": "x"}, "domain": {"x": [0, 0.5]}},
        r"the points along x go from 0 to 1, beyond its domain \(0, 0.5\)",
    ),
    "no domain": ({"u": FIELD}, {"domain": None}, "has no coordinates for axis x; name an array"),
    "no times": ({"u": FIELD}, {"dt": None}, "has no times; name an array in coordinates.time, or give dt"),
    "parameter": (
        {"u": FIELD, "gamma": 1.4},
        {"parameters": {"gamma": "gama"}},
        "no number 'gama' for parameter 'gamma'; did you mean 'gamma'",
    ),
    "pattern": ({"u": FIELD}, {"file_pattern": "nu{nu}"}, "does not have the form 'nu{nu}' of file_pattern"),
    "frames": ({"u": FIELD}, {"frames": 7}, "has 6 frames, but 7 frames 1 apart need 7"),
    "history": ({"u": FIELD}, {"history": 6}, "has 6 frames, but history 6 leaves none to predict"),
    "vector": ({"u": FIELD}, {"vectors": {"V": ["w"]}}, "no channel 'w'"),
    "boundary": ({"u": FIELD}, {"boundary": {"y": "open"}}, "boundary names the axes y, but the data have x"),
    "trajectories": ({"u": FIELD}, {"trajectories": 11}, "has 10 trajectories; the task asks for 11"),
    "objects": (
        {"u": np.array([{"a": 1}], dtype=object)},
        {},
        "Python objects in 'u', which are never unpickled",
    ),
    "nan": (
        {"u": np.where(FIELD > 2, np.nan, FIELD)},
        {},
        r"'u' contains NaN or infinity in trajectory \d.* replace such values",
    ),
    "empty": ({"u": FIELD[:0]}, {}, r"'u' is empty: shape \(0, 6, 8\)"),
    "text": ({"u": np.array(["a", "b"])}, {}, "has no numeric arrays"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_one_line(case: str, tmp_path: Path, console: Console) -> None:
    arrays, options, message = BAD[case]
    np.savez(tmp_path / "own.npz", **arrays)
    plain = {"files": "own.npz", "axes": "ntx", "channels": "u"}
    with pytest.raises(UPSError, match=message) as caught:
        own(tmp_path, **plain | options).prepare_data(tmp_path, console)
    assert "\n" not in str(caught.value)
    assert "own" in str(caught.value) or case in ("vector", "boundary", "domain")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": "ntxx"}, "axes names 'x' twice"),
        ({"axes": "nty"}, r"use x, or x and y"),
        ({"axes": "nt"}, "use x, or x and y"),
        ({"axes": "ntq"}, "axes"),
        ({"axes": "nx"}, "problem is steady and needs given fields; name them in static"),
        ({"channels": {"a": "u", "b": "u"}}, "array 'u' holds several channels, but axes has no 'channel'"),
        ({"static": {"u": "x"}}, "'u' is among channels and static"),
        ({"domain": {"y": [0, 1]}}, "'y' is not among axes"),
        ({"coordinates": {"time": "t"}, "dt": 0.1}, "dt and coordinates.time both give the times"),
        ({"files": []}, "no data: give files, or train and test"),
        ({"train": "own.npz"}, "give one or the other"),
        ({"files": [], "train": "a", "test": "b", "split": {"by": "time"}}, "split.by is 'time'"),
        ({"space_stride": 0}, "space_stride"),
        ({"history": 3, "frames": 3}, "history 3 leaves none of 3 frames"),
        ({"boundary": {"x": ["periodic"]}}, "boundary"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    plain = {"files": "own.npz", "axes": "ntx", "channels": "u"}
    with pytest.raises(UsageError, match=message):
        own(tmp_path, **plain | options)


def test_files_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"axes": "ntx", "channels": "u"}
    with pytest.raises(UPSError, match=r"absent.npz does not exist; relative paths start at the data root"):
        own(tmp_path, files="absent.npz", **options).plan_data(tmp_path)
    with pytest.raises(UPSError, match=r"no file matches .*\*.npz"):
        own(tmp_path, files="*.npz", **options).plan_data(tmp_path)
    here = tmp_path / "here"
    here.mkdir()
    (here / "own.npz").touch()
    monkeypatch.chdir(here)
    with pytest.raises(UPSError, match=r"own.npz is here, so give its absolute path"):
        own(tmp_path, files="own.npz", **options).plan_data(tmp_path / "data")
    np.savez(tmp_path / "a.npz", u=FIELD)
    with pytest.raises(UPSError, match=r"a.npz is named twice"):
        own(tmp_path, files=["a.npz", "*.npz"], **options).plan_data(tmp_path)
    (tmp_path / "own.csv").write_text("1,2\n")
    with pytest.raises(UPSError, match=r"unknown ending"):
        own(tmp_path, files="own.csv", **options).describe(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": FIELD[..., :4]}, r"'x' \(4 points from .* does not contain the 8 points of the task"),
        ({"v": FIELD}, "no array 'u'"),
        ({"u": FIELD[:, :4]}, "has 4 frames, but 6 frames 1 apart need 6"),
    ],
)
def test_files_of_one_glob_that_differ(
    change: dict[str, Any], message: str, tmp_path: Path, console: Console
) -> None:
    np.savez(tmp_path / "a.npz", u=FIELD)
    np.savez(tmp_path / "b.npz", **change)
    with pytest.raises(UPSError, match=message) as caught:
        own(tmp_path, files="*.npz", axes="ntx", channels="u").prepare_data(tmp_path, console)
    assert "b.npz" in str(caught.value)


def test_a_test_file_of_another_domain(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", u=FIELD, x=np.linspace(0, 1, 8))
    np.savez(tmp_path / "test.npz", u=FIELD[:5], x=np.linspace(0, 3, 8))
    task = own(
        tmp_path,
        train="train.npz",
        test="test.npz",
        axes="ntx",
        channels="u",
        coordinates={"x": "x"},
        domain=None,
    )
    with pytest.raises(UPSError, match=r"test.npz has the domain .*all splits need the same"):
        task.stores(task.plan_data(tmp_path), tmp_path)
