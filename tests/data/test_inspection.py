"""What `ups data inspect` finds in a file: layout, ranges, profiles, and values that are not numbers."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ups_core import CommandConfig, UPSError
from ups_core.cli.main import main
from ups_core.console import Console
from ups_data.cli import inspection
from ups_data.cli.command import DataCommand
from ups_data.cli.inspection import BARS, SPARK_WIDTH, inspect_file
from ups_data.cli.inspection_text import render
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
    assert findings["layout"] == "pdebench_tensor"
    assert findings["made_by_ups"] is False
    assert findings["attributes"] == {"Nu" if kind == "burgers1d" else "beta": 1.0}
    text = text_of(findings)
    assert "layout: pdebench_tensor" in text
    assert findings["contents"]["channels"] == ["tensor"]
    assert ", given nu, beta = 1" in text if kind == "darcy2d" else ", channels tensor, " in text


@pytest.mark.parametrize("kind", ["advection1d", "burgers1d", "darcy2d"])
def test_generated_layouts_are_recognised(kind: str, tmp_path: Path, console: Console) -> None:
    options = {"trajectories": 10, "resolution": 16} | ({} if kind == "darcy2d" else {"frames": 3})
    task = create_task(kind, options)
    task.prepare_data(tmp_path, console)
    findings = inspect_file(task.plan_data(tmp_path).files[0])
    assert (findings["layout"], findings["made_by_ups"]) == ("pdebench_tensor", True)
    assert findings["attributes"]["ups_seed"] == 2022
    assert findings["bytes"] == task.plan_data(tmp_path).files[0].stat().st_size


@pytest.mark.parametrize(("limit", "step"), [(1 << 20, 1), (40 * 32 // 3, 4)])
def test_values_of_a_small_file_are_all_read_and_of_a_large_one_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, step: int
) -> None:
    monkeypatch.setattr(inspection, "ALL_BYTES", limit)
    monkeypatch.setattr(inspection, "BLOCK_BYTES", 100)
    fields = np.arange(40 * 8, dtype="f4").reshape(40, 8)
    findings = inspect_file(write(tmp_path / "a.h5", u=fields))
    values, looked_at = findings["values"]["u"], fields[::step]
    assert (values["trajectories"], values["of"]) == (len(looked_at), 40)
    assert (values["min"], values["max"]) == (looked_at.min(), looked_at.max())
    assert values["mean"] == pytest.approx(looked_at.mean())
    assert values["not_finite"] == 0
    assert values["profile"] == BARS, "eight rising values are the eight bars"
    assert f"u: {'all' if step == 1 else '10 of the'} 40 rows" in text_of(findings)


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
    assert (
        "not recognised (known: pdebench_fields, pdebench_groups, pdebench_ns, pdebench_tensor, the_well)"
        in text
    )


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UPSError, match=r"absent\.h5 is missing"):
        inspect_file(tmp_path / "absent.h5")
    with pytest.raises(UPSError, match="is not a regular file"):
        inspect_file(tmp_path)
    os.mkfifo(tmp_path / "fifo.h5")
    with pytest.raises(UPSError, match="is not a regular file"):
        inspect_file(tmp_path / "fifo.h5")


ODD: dict[str, Any] = {
    "nan": np.nan,
    "infinity": -np.inf,
    "many": np.array([1.0, np.nan]),
    "complex": 1 + 2j,
    "long": np.longdouble(1) / 3,
    "half": np.float16(0.5),
    "flag": np.bool_(True),
    "raw": np.void(b"\x00\xff"),
    "record": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "text": "caf\u00e9",
    "bytes": np.bytes_(b"\xff"),
    "empty": h5py.Empty("S4"),
    "large": np.zeros(7000),
    "unsigned": np.uint64(2**64 - 1),
}


def test_json_is_valid_whatever_the_attributes_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.h5", u=np.full((2, 3), np.nan, "f4"))
    with h5py.File(path, "r+") as file:
        for name, value in ODD.items():
            file.attrs[name] = value
        file.attrs["reference"] = file["u"].ref
        file["x-coordinate"] = np.array([np.nan, np.inf])

    def no_constant(text: str) -> None:
        pytest.fail(f"{text} is not JSON")

    args = argparse.Namespace(action="inspect", file=path, json=True, plot=None)
    DataCommand(CommandConfig()).run(args, Console(quiet=True))
    found = json.loads(capsys.readouterr().out, parse_constant=no_constant)
    attributes = found["attributes"]
    assert {*ODD, "reference"} == set(attributes)
    assert attributes["nan"] is attributes["infinity"] is None
    assert attributes["many"] == [1.0, None]
    assert (attributes["half"], attributes["flag"], attributes["complex"]) == (0.5, True, "(1+2j)")
    assert attributes["large"] == "(56000 bytes)"
    assert found["coordinates"]["x-coordinate"] == {"points": 2, "first": None, "last": None}
    text_of(inspect_file(path))


def test_names_and_values_are_printed_without_control_characters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", **{"u\x1b[31m": np.ones((2, 3), "f4")})
    with h5py.File(path, "r+") as file:
        file.attrs["note\n"] = "\x1b]0;title\x07"
    text = text_of(inspect_file(path))
    assert "\x1b" not in text.replace("\\x1b", "")
    assert "\x07" not in text


def test_what_lies_outside_the_file_is_named_and_not_read(tmp_path: Path) -> None:
    write(tmp_path / "other.h5", u=np.full((2, 3), 7, "f4"))
    path = write(tmp_path / "a.h5", v=np.ones((2, 3), "f4"))
    (tmp_path / "raw").write_bytes(np.full((2, 3), 7, "f4").tobytes())
    layout = h5py.VirtualLayout((2, 3), "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "u", (2, 3))
    with h5py.File(path, "r+") as file:
        file["linked"] = h5py.ExternalLink(tmp_path / "other.h5", "/u")
        file["soft"] = h5py.SoftLink("/linked")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (2, 3), "f4", external=str(tmp_path / "raw"))
    findings = inspect_file(path)
    assert set(findings["values"]) == {"v"}
    assert set(findings["not_read"]) == {"linked", "soft", "virtual", "raw"}
    assert "linked is a link to /u in another file" in text_of(findings)


def test_arrays_of_other_formats_are_shown(tmp_path: Path) -> None:
    x, u = np.linspace(-1, 1, 8)[:, None], np.arange(24.0).reshape(8, 3)
    u[1, 1] = np.nan
    np.savez(tmp_path / "flow.npz", x=x, u=u, mask=u > 3, spectrum=np.fft.fft(x), name="flow")
    findings = json.loads(json.dumps(inspect_file(tmp_path / "flow.npz"), allow_nan=False))
    assert findings["layout"] == "arrays"
    assert findings["datasets"]["u"] == {"shape": [8, 3], "dtype": "float64"}
    assert set(findings["datasets"]) == {"x", "u", "mask", "spectrum"}
    assert findings["coordinates"] == {"x": {"points": 8, "first": -1.0, "last": 1.0}}
    values = findings["values"]["u"]
    assert (values["min"], values["max"], values["not_finite"]) == (0.0, 23.0, 1)
    assert (findings["values"]["mask"]["min"], findings["values"]["mask"]["max"]) == (0.0, 1.0)
    said = text_of(findings)
    assert "u: all 8 rows, mean" in said
    assert "spectrum has complex numbers, which have no range" in said


def test_odd_files_of_other_formats_get_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.mat").write_text("hello")
    os.mkfifo(tmp_path / "pipe.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    np.savez(tmp_path / "words.npz", name="flow")
    for name, problem in (
        ("text.mat", "cannot be read"),
        ("pipe.npy", "is not a regular file"),
        ("objects.npy", "holds Python objects"),
        ("words.npz", "has no numeric arrays"),
        ("gone.pt", "is missing"),
    ):
        with pytest.raises(UPSError, match=f"{name} {problem}") as caught:
            inspect_file(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_arrays_in_an_unknown_hdf5_file_are_shown_like_those_of_other_formats(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", u=np.ones((3, 5)), mask=np.eye(3, dtype=int), x=np.arange(5.0)[None])
    findings = inspect_file(path)
    assert findings["layout"] is findings["contents"] is None
    assert set(findings["values"]) == {"u", "mask"}
    assert findings["coordinates"] == {"x": {"points": 5, "first": 0.0, "last": 4.0}}
    assert "layout: not recognised" in text_of(findings)


PICTURES = {
    "flow.npz": {"u": np.random.default_rng(0).random((40, 16)), "x": np.arange(16.0), "t": np.arange(40.0)},
    "plane.npz": {
        "u": np.random.default_rng(0).random((4, 9, 16, 12)),
        "x": np.arange(16.0),
        "y": np.arange(12.0),
        "t": np.arange(9.0),
    },
    "steady.npz": {"a": np.eye(8)[None].repeat(5, 0) > 0, "u": np.random.default_rng(0).random((5, 8, 8))},
    "volume.npz": {
        "u": np.random.default_rng(0).random((3, 6, 7, 8)),
        "x": np.arange(6.0),
        "y": np.arange(7.0),
        "z": np.arange(8.0),
        "t": np.arange(3.0),
    },
}


@pytest.mark.parametrize("name", PICTURES)
def test_frames_of_trajectories_are_drawn(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="ups-data does not depend on it")
    np.savez(tmp_path / name, **PICTURES[name])
    assert main(["data", "inspect", str(tmp_path / name), "--plot", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_of_a_layout_is_drawn(tmp_path: Path, official: Callable[..., Path]) -> None:
    pytest.importorskip("matplotlib", reason="ups-data does not depend on it")
    for kind in ("advection1d", "darcy2d"):
        picture = tmp_path / f"{kind}.png"
        assert main(["data", "inspect", str(official(1.0, kind=kind)), "--plot", str(picture)]) == 0
        assert picture.exists()


def test_what_cannot_be_drawn_gets_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="ups-data does not depend on it")
    path = tmp_path / "a.npz"
    np.savez(path, u=np.ones((8, 8)), x=np.arange(8.0), t=np.arange(8.0))
    assert main(["data", "inspect", str(path), "--plot", str(tmp_path / "a.png")]) == 1
    assert (
        "cannot tell which axis is which for --plot (shape 8x8 has axes of equal length"
        in capsys.readouterr().err
    )
    assert main(["data", "inspect", str(path), "--plot", str(path)]) == 2
    assert "a.npz is not a .png file; give it that ending" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["data", "inspect", str(path), "--plot", str(tmp_path / "a.png")]) == 1
    assert "--plot needs matplotlib; install it with: pip install matplotlib" in capsys.readouterr().err
