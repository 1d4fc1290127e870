"""Exported data are read back bit for bit by our own readers, and by The Well's dataset class."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from documents import ROOT
from problems import info_of
from ups_core import UPSError
from ups_core.cli.main import main
from ups_data import prepare_task
from ups_data.info import Channel, TaskInfo
from ups_data.prepare.opening import TaskData
from ups_data.stores.base import Fields
from ups_data.stores.layout_config import TheWellConfig
from ups_data.stores.well import TheWell

BURGERS: dict[str, Any] = {"nu": [0.01, 0.1], "trajectories": 20, "resolution": 64, "frames": 6}
FLAGS = ["burgers1d", "--nu", "0.01", "0.1", "--trajectories", "20", "--resolution", "64", "--frames", "6"]


def export(root: Path, fmt: str, *flags: str) -> Path:
    out = root / f"out_{fmt}"
    command = ["data", "export", *flags, "--format", fmt, "-o", str(out), "--data-root", str(root)]
    assert main(command) == 0
    return out


def numbers(data: TaskData, split: str) -> dict[tuple[float, ...], np.ndarray]:
    """Parameters -> all frames, sorted by trajectory."""
    store = data.stores.of(split)
    rows = np.flatnonzero(np.isin(store.groups, data.splits[split]))
    frames = store.frames(rows, np.zeros_like(rows), store.info.frames)
    keys = [tuple(values) for values in store.parameters[rows].tolist()]
    return {key: frames[[place == key for place in keys]] for key in dict.fromkeys(keys)}


def same(ours: TaskData, theirs: TaskData) -> None:
    for split in ("train", "val", "test"):
        expected, found = numbers(ours, split), numbers(theirs, split)
        assert list(expected) == list(found)
        for key, frames in expected.items():
            assert np.array_equal(found[key], frames), (split, key)


def test_the_well_and_back(tmp_path: Path) -> None:
    ours = prepare_task("burgers1d", BURGERS, tmp_path)
    out = export(tmp_path, "the_well", *FLAGS)
    same(ours, prepare_task("the_well", {"path": str(out), "history": 1}, tmp_path))
    stats = yaml.safe_load((out / "stats.yaml").read_text())
    train = np.concatenate(list(numbers(ours, "train").values()))[:, :, 0].astype(float)
    change = np.diff(train, axis=1)
    for key, values in (("", train), ("_delta", change)):
        assert stats[f"mean{key}"]["u"] == pytest.approx(values.mean(), rel=1e-9)
        assert stats[f"std{key}"]["u"] == pytest.approx(values.std(), rel=1e-9)
        assert stats[f"rms{key}"]["u"] == pytest.approx(np.sqrt((values**2).mean()), rel=1e-9)


def test_pdebench_and_back(tmp_path: Path) -> None:
    ours = prepare_task("burgers1d", BURGERS, tmp_path)
    out = export(tmp_path, "pdebench", *FLAGS)
    assert sorted(path.name for path in out.iterdir()) == [
        "1D_Burgers_Sols_Nu0.01.hdf5",
        "1D_Burgers_Sols_Nu0.1.hdf5",
    ]
    again = {
        "layout": "pdebench_tensor",
        "files": str(out / "*.hdf5"),
        "boundary": "periodic",
        "parameters": {"nu": "Nu"},
        "same_starts": True,
    }
    theirs = prepare_task("files", again, tmp_path)
    same(ours, theirs)


def test_an_exported_file_is_not_taken_for_an_official_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = export(tmp_path, "pdebench", *FLAGS)
    (out / "1D_Burgers_Sols_Nu0.01.hdf5").rename(tmp_path / "1D_Burgers_Sols_Nu0.01.hdf5")
    options = BURGERS | {"nu": [0.01], "source": {"kind": "official"}}
    with pytest.raises(UPSError, match="official file not found"):
        prepare_task("burgers1d", options, tmp_path)


def test_npz_and_back(tmp_path: Path) -> None:
    ours = prepare_task("burgers1d", BURGERS, tmp_path)
    out = export(tmp_path, "npz", *FLAGS)
    again = {
        **{split: str(out / f"{split}.npz") for split in ("train", "val", "test")},
        "axes": "ntx",
        "channels": "u",
        "coordinates": {"x": "x", "time": "time"},
        "parameters": {"nu": "nu"},
        "boundary": "periodic",
    }
    same(ours, prepare_task("arrays", again, tmp_path))


def test_steady_npz_and_back(tmp_path: Path) -> None:
    options = {"trajectories": 20, "resolution": 16}
    ours = prepare_task("darcy2d", options, tmp_path)
    out = export(tmp_path, "npz", "darcy2d", "--trajectories", "20", "--resolution", "16")
    again = {
        **{split: str(out / f"{split}.npz") for split in ("train", "val", "test")},
        "axes": "nxy",
        "channels": "u",
        "static": "a",
        "coordinates": {"x": "x", "y": "y"},
        "parameters": {"beta": "beta"},
        "boundary": "dirichlet",
    }
    theirs = prepare_task("arrays", again, tmp_path)
    same(ours, theirs)
    for split in ("train", "val", "test"):
        media = [
            data.stores.of(split).static(
                np.flatnonzero(np.isin(data.stores.of(split).groups, data.splits[split]))
            )
            for data in (ours, theirs)
        ]
        assert np.array_equal(*media)


@st.composite
def problems(draw: st.DrawFn) -> TaskInfo:
    """Scalars, vectors and tensors, some of them incomplete or symmetric, in any order."""
    dim = draw(st.integers(1, 3))
    channels = [Channel("rho", "1", "state")]
    if draw(st.booleans()):
        axes = draw(st.permutations(range(dim)))
        kept = axes if draw(st.booleans()) else axes[:1]
        channels += [Channel(f"v{axis}", "1", "state", "v", (axis,)) for axis in kept]
    if draw(st.booleans()):
        every = list(product(range(dim), repeat=2))
        if draw(st.booleans()):
            every = [(i, j) for i, j in every if i <= j]
        every = draw(st.permutations(every))
        channels += [Channel(f"s{i}{j}", "1", "state", "s", (i, j)) for i, j in every]
    if draw(st.booleans()):
        channels.append(Channel("medium", "1", "coefficient"))
        channels += [Channel(f"g{axis}", "1", "coefficient", "g", (axis,)) for axis in range(dim)]
    words: Any = st.sampled_from(["periodic", "wall", "open", "dirichlet"])
    sides = []
    for _ in range(dim):
        low, high = draw(words), draw(words)
        sides.append(("periodic", "periodic") if "periodic" in (low, high) else (low, high))
    shape = tuple(draw(st.integers(2, 4)) for _ in range(dim))
    info = info_of(1, shape)
    return replace(info, channels=tuple(draw(st.permutations(channels))), boundary=tuple(sides))


@given(info=problems())
def test_any_fields_in_the_well(info: TaskInfo, tmp_path_factory: pytest.TempPathFactory) -> None:
    random = np.random.default_rng(0)
    count = 3
    frames = random.normal(size=(count, info.frames, len(info.target_channels), *info.shape)).astype("f4")
    static = random.normal(size=(count, len(info.static_channels), *info.shape)).astype("f4")
    layout, path = TheWell(TheWellConfig()), tmp_path_factory.mktemp("well") / "a.hdf5"
    blocks = [
        Fields(frames[part], static[part] if info.static_channels else None)
        for part in (slice(0, 2), slice(2, 3))
    ]
    layout.write(path, info, {"nu": 0.25}, count, blocks)
    file = layout.open(path)
    head = file.head
    assert head.parameters["nu"].tolist() == [0.25] * count
    words = {"dirichlet": "wall"}
    expected = tuple(tuple(words.get(side, side) for side in sides) for sides in info.sides)
    assert head.boundary == expected
    found, given = file.frames(slice(0, count), slice(0, info.frames)), file.static(slice(0, count))
    for channels, ours, names, theirs in (
        (info.target_channels, np.moveaxis(frames, 2, 0), head.channels, np.moveaxis(found, 2, 0)),
        (info.static_channels, np.moveaxis(static, 1, 0), head.static, np.moveaxis(given, 1, 0)),
    ):
        assert len(names) == len(channels)
        by_component = {
            head.components.get(name, (name, ())): values for name, values in zip(names, theirs, strict=True)
        }
        for channel, values in zip(channels, ours, strict=True):
            key = (channel.vector, channel.component) if channel.vector else (channel.name, ())
            alone = (channel.name, ())  # a component of an incomplete vector is a scalar
            assert np.array_equal(by_component[key if key in by_component else alone], values), channel.name


@pytest.mark.parametrize(
    ("flags", "fmt", "message"),
    [
        (["darcy2d", "--trajectories", "20", "--resolution", "16"], "the_well", "no steady problems"),
        (["burgers1d", "--resolution", "60"], "npz", "resolution 60 does not divide"),
        (["spec", "absent.yaml"], "npz", "absent.yaml"),
    ],
)
def test_mistakes(
    flags: list[str], fmt: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["data", "export", *flags, "--format", fmt, "-o", str(tmp_path / "out")]
    assert main([*command, "--data-root", str(tmp_path / "data")]) in (1, 2)
    said = capsys.readouterr().err
    assert message in said
    assert not [path for path in tmp_path.iterdir() if path.name != "data"]


def test_targets_are_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = export(tmp_path, "npz", *FLAGS)
    before = {path: path.read_bytes() for path in out.iterdir()}
    command = ["data", "export", *FLAGS, "--format", "npz", "--data-root", str(tmp_path)]
    assert main([*command, "-o", str(out)]) == 2
    assert f"{out} already exists; choose another -o or remove it" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    assert main([*command, "-o", str(tmp_path / "no" / "where")]) == 2
    assert "is not a directory; create it" in capsys.readouterr().err


def test_a_task_of_a_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = str(ROOT / "specs" / "smoke.yaml")
    command = ["data", "export", "spec", spec, "--format", "npz", "--data-root", str(tmp_path / "data")]
    assert main([*command, "-o", str(tmp_path / "out")]) == 2
    assert "has the tasks advection1d, darcy2d; choose one with --task" in capsys.readouterr().err
    assert main([*command, "--task", "darcy2", "-o", str(tmp_path / "out")]) == 2
    assert "has no task 'darcy2'; did you mean 'darcy2d'?" in capsys.readouterr().err
    assert main([*command, "--task", "darcy2d", "-o", str(tmp_path / "out"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [Path(row["path"]).name for row in rows] == ["train.npz", "val.npz", "test.npz"]
    for row in rows:
        with np.load(row["path"]) as file:
            assert len(file["u"]) == row["trajectories"]


@pytest.mark.slow
def test_the_wells_own_dataset_class(tmp_path: Path) -> None:
    """The package from PyPI reads every exported window with equal values."""
    packages = tmp_path / "packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages)]
    subprocess.run([*install, "the_well==1.2.0", "einops==0.8.1"], check=True)
    out = export(tmp_path, "the_well", *FLAGS)
    found = tmp_path / "found.npz"
    script = ROOT / "tests" / "helpers" / "read_with_the_well.py"
    subprocess.run(
        [sys.executable, str(script), str(out), str(found)],
        check=True,
        env=os.environ | {"PYTHONPATH": str(packages)},
    )
    expected = []
    for path in sorted((out / "data" / "test").iterdir()):
        with h5py.File(path) as file:
            for trajectory in file["t0_fields/u"][:]:
                expected += [trajectory[start : start + 3] for start in range(len(trajectory) - 2)]
    with np.load(found) as file:
        assert np.array_equal(file["windows"][..., 0], np.stack(expected))
        assert set(np.unique(file["parameters"])) == {0.01, 0.1}
        assert (file["boundary"] == 2).all(), "periodic"
        stats = yaml.safe_load((out / "stats.yaml").read_text())
        scaled = (np.stack(expected) - stats["mean"]["u"]) / stats["std"]["u"]
        assert np.allclose(file["normalised"][..., 0], scaled, atol=1e-5)
