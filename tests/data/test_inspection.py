"""What `ups data inspect` finds in a file: layout, ranges, profiles, and values that are not numbers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ups_core import UPSError
from ups_core.console import Console
from ups_data.cli.inspection import BARS, SAMPLE, SPARK_WIDTH, inspect_file, render
from ups_data.tasks.create import create_task


def text_of(findings: dict[str, Any]) -> str:
    stream = io.StringIO()
    render(findings, stream)
    return stream.getvalue()


def write(path: Path, **datasets: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name.replace("__", "/")] = values
    return path


@pytest.mark.parametrize("kind", ["advection1d", "burgers1d", "darcy2d"])
def test_official_layouts_are_recognised(kind: str, official: Callable[..., Path]) -> None:
    findings = inspect_file(official(1.0, kind=kind))
    assert findings["layout"] == kind
    assert findings["made_by_ups"] is False
    assert findings["parameter"] == {"Nu" if kind == "burgers1d" else "beta": 1.0}
    assert f"layout: {kind}" in text_of(findings)


@pytest.mark.parametrize("kind", ["advection1d", "burgers1d", "darcy2d"])
def test_generated_layouts_are_recognised(kind: str, tmp_path: Path, console: Console) -> None:
    options = {"trajectories": 10, "resolution": 16} | ({} if kind == "darcy2d" else {"frames": 3})
    task = create_task(kind, options)
    task.prepare_data(tmp_path, console)
    findings = inspect_file(task.plan_data(tmp_path).files[0])
    assert (findings["layout"], findings["made_by_ups"]) == (kind, True)
    assert findings["attributes"]["ups_seed"] == 2022
    assert findings["bytes"] == task.plan_data(tmp_path).files[0].stat().st_size


def test_values_are_those_of_the_first_trajectories(tmp_path: Path) -> None:
    fields = np.arange(40 * 8, dtype="f4").reshape(40, 8)
    values = inspect_file(write(tmp_path / "a.h5", u=fields))["values"]["u"]
    looked_at = fields[:SAMPLE]
    assert values["trajectories"] == SAMPLE
    assert (values["min"], values["max"]) == (looked_at.min(), looked_at.max())
    assert values["mean"] == pytest.approx(looked_at.mean())
    assert values["not_finite"] == 0
    assert values["profile"] == BARS, "eight rising values are the eight bars"


def test_a_profile_of_many_points_is_thinned(tmp_path: Path) -> None:
    fields = np.linspace(0, 1, 1024, dtype="f4")[None].repeat(2, 0)
    profile = inspect_file(write(tmp_path / "a.h5", u=fields))["values"]["u"]["profile"]
    assert SPARK_WIDTH / 2 < len(profile) <= SPARK_WIDTH
    assert list(profile) == sorted(profile, key=BARS.index)


def test_a_plane_is_shown_by_its_middle_row(tmp_path: Path) -> None:
    fields = np.zeros((3, 8, 8), dtype="f4")
    fields[0, 4] = np.arange(8)
    assert inspect_file(write(tmp_path / "a.h5", u=fields))["values"]["u"]["profile"] == BARS
    frames = np.zeros((3, 5, 8), dtype="f4")
    frames[0, 0] = np.arange(8)
    assert inspect_file(write(tmp_path / "b.h5", u=frames))["values"]["u"]["profile"] == BARS, (
        "the first frame"
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_counted_and_left_out(tmp_path: Path, bad: float) -> None:
    fields = np.ones((2, 4), dtype="f4")
    fields[0, 1] = bad
    findings = inspect_file(write(tmp_path / "a.h5", u=fields))
    values = findings["values"]["u"]
    assert (values["not_finite"], values["min"], values["max"], values["profile"]) == (1, 1.0, 1.0, "")
    assert "1 values are NaN or infinite" in text_of(findings)
    nothing = inspect_file(write(tmp_path / "b.h5", u=np.full((2, 4), bad, dtype="f4")))
    assert nothing["values"]["u"]["mean"] is None
    assert "mean -, 8 values are NaN or infinite" in text_of(nothing)


def test_constants_integers_and_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", flat=np.ones((2, 4), "f4"), numbers=np.arange(3), one=np.float32(2))
    with h5py.File(path, "r+") as file:
        file.attrs["author"] = np.bytes_(b"somebody")
        file.attrs["sizes"] = np.array([1, 2])
        file.attrs["names"] = np.array([b"u", b"\xff"])
        file.attrs["nothing"] = h5py.Empty("f")
    findings = inspect_file(path)
    json.dumps(findings)
    assert findings["values"]["flat"]["profile"] == BARS[0] * 4
    assert set(findings["values"]) == {"flat"}, "ranges are for fields"
    assert findings["datasets"]["numbers"] == {"shape": [3], "dtype": "int64"}
    assert findings["datasets"]["one"]["shape"] == []
    attributes = findings["attributes"]
    assert "Empty" in attributes.pop("nothing")
    assert attributes == {"author": "somebody", "sizes": [1, 2], "names": ["u", "\ufffd"]}


def test_coordinates_are_no_fields(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.h5", **{"x-coordinate": np.linspace(0.5, 2, 7, dtype="f4"), "u": np.ones((2, 7), "f4")}
    )
    findings = inspect_file(path)
    assert findings["coordinates"] == {"x-coordinate": {"points": 7, "first": 0.5, "last": 2.0}}
    assert set(findings["values"]) == {"u"}
    assert "0.5 .. 2" in text_of(findings)


def test_groups_and_odd_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", **{"group__[red]__u": np.ones((2, 3), "f4")})
    findings = inspect_file(path)
    assert list(findings["datasets"]) == ["group/[red]/u"]
    text = text_of(findings)
    assert "group/[red]/u" in text, "names are not markup"
    assert "not recognised (known: advection1d, burgers1d, darcy2d)" in text


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UPSError, match=r"absent\.h5: file not found"):
        inspect_file(tmp_path / "absent.h5")
    with pytest.raises(UPSError, match="file not found"):
        inspect_file(tmp_path)
