"""Files of every family of PDEBench are read value by value, with the quirks of the official ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from official_files import write_official
from ups_core import Component, UPSError, UsageError
from ups_core.console import Console
from ups_core.plugin_loader import registry_in_use
from ups_data.cli.inspection import layout_of
from ups_data.sources import versions
from ups_data.stores.file_store import FileStore
from ups_data.tasks.create import create_task
from ups_data.tasks.sourced import SourcedTask

CASES: dict[str, dict[str, Any]] = {
    "advection1d": {"beta": [0.1, 0.4]},
    "burgers1d": {"nu": [0.001, 1.0]},
    "reaction_diffusion1d": {"nu": [0.5, 2.0], "rho": [1.0, 10.0]},
    "diffusion_sorption1d": {},
    "compressible_flow1d": {"eta": [0.01, 0.1]},
    "darcy2d": {},
    "compressible_flow2d": {"mach": [0.1, 1.0], "eta": [0.01, 0.1]},
    "diffusion_reaction2d": {},
    "shallow_water2d": {},
    "incompressible_flow2d": {"seeds": [0, 3, 10]},
    "compressible_flow3d": {},
}
"""Task -> options with several files."""


def make(kind: str, **options: Any) -> SourcedTask:
    few = {} if kind == "incompressible_flow2d" else {"trajectories": 10}
    steady = kind == "darcy2d"
    small = {"resolution": 8, "source": "official"} | ({} if steady else {"frames": 4})
    task = create_task(kind, small | few | options)
    assert isinstance(task, SourcedTask)
    return task


def opened(task: SourcedTask, root: Path) -> FileStore:
    store = task.stores(task.plan_data(root), root).train
    assert isinstance(store, FileStore)
    return store


@pytest.mark.parametrize("kind", CASES)
def test_every_family_is_read_as_it_was_written(kind: str, tmp_path: Path, console: Console) -> None:
    task = make(kind, **CASES[kind])
    written = write_official(task, tmp_path)
    store = opened(task, tmp_path)
    frames = np.concatenate([fields.frames for fields in written])
    static = np.concatenate([fields.static for fields in written])
    numbers = np.arange(len(frames))
    assert np.array_equal(store.frames(numbers, np.zeros_like(numbers), task.info.frames), frames)
    assert np.array_equal(store.static(numbers), static)
    chunks = list(store.chunks())
    assert np.array_equal(np.concatenate([chunk.frames for chunk in chunks]), frames)
    expected = [list(file.parameters.values()) for file in task.request.files for _ in written[0].frames]
    assert np.array_equal(store.parameters, np.asarray(expected).reshape(len(frames), -1))

    details = task.prepare_data(tmp_path, console)
    assert details["source"] == "official"
    assert sum(details["splits"].values()) == len(frames)
    data = task.open(tmp_path)
    batch = data.windows("train", horizon=1).batch([0])
    assert batch.target.shape[2] == len(task.info.target_channels)
    assert np.array_equal(batch.target[0, -1], frames[data.splits.train[0], task.info.history])
    assert all(layout_of(path) == task.request.layout.kind for path in task.plan_data(tmp_path).files)


@pytest.mark.parametrize("kind", CASES)
def test_options_that_every_family_has(kind: str) -> None:
    task = make(kind)
    assert len({file.name for file in make(kind, **CASES[kind]).request.files}) > 0
    with pytest.raises(UsageError, match="resolution"):
        make(kind, resolution=9)
    if task.info.kind == "evolution":
        with pytest.raises(UsageError, match=r"use fewer frames or a smaller time_stride"):
            make(kind, frames=4000)
        with pytest.raises(UsageError, match="history 4 leaves none of 4 frames"):
            make(kind, history=4)


@pytest.mark.parametrize("kind", CASES)
def test_a_missing_official_file_says_where_it_is(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UPSError, match=r"official file not found: .*(download|PDEBench published)") as caught:
        make(kind, **CASES[kind]).plan_data(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "options", "names"),
    [
        ("reaction_diffusion1d", {"nu": [0.5], "rho": [10.0]}, ["ReacDiff_Nu0.5_Rho10.0.hdf5"]),
        ("diffusion_sorption1d", {}, ["1D_diff-sorp_NA_NA.h5"]),
        ("compressible_flow1d", {"eta": [1e-8]}, ["1D_CFD_Rand_Eta1.e-8_Zeta1.e-8_periodic_Train.hdf5"]),
        (
            "compressible_flow1d",
            {"eta": [1e-8], "ends": "open"},
            ["1D_CFD_Rand_Eta1.e-8_Zeta1.e-8_trans_Train.hdf5"],
        ),
        (
            "compressible_flow1d",
            {"eta": [1e-8], "ends": "open", "initial": "shock"},
            ["1D_CFD_Shock_Eta1.e-8_Zeta1.e-8_trans_Train.hdf5"],
        ),
        (
            "compressible_flow2d",
            {"mach": [1.0], "eta": [0.1]},
            ["2D_CFD_Rand_M1.0_Eta0.1_Zeta0.1_periodic_128_Train.hdf5"],
        ),
        (
            "compressible_flow2d",
            {"eta": [1e-8]},
            ["2D_CFD_Rand_M0.1_Eta1e-08_Zeta1e-08_periodic_512_Train.hdf5"],
        ),
        (
            "compressible_flow2d",
            {"eta": [1e-8], "initial": "turbulence"},
            ["2D_CFD_Turb_M0.1_Eta1e-08_Zeta1e-08_periodic_512_Train.hdf5"],
        ),
        ("compressible_flow3d", {}, ["3D_CFD_Rand_M1.0_Eta1e-08_Zeta1e-08_periodic_Train.hdf5"]),
        (
            "compressible_flow3d",
            {"initial": "turbulence"},
            ["3D_CFD_Turb_M1.0_Eta1e-08_Zeta1e-08_periodic_Train.hdf5"],
        ),
        ("diffusion_reaction2d", {}, ["2D_diff-react_NA_NA.h5"]),
        ("shallow_water2d", {}, ["2D_rdb_NA_NA.h5"]),
        ("incompressible_flow2d", {"seeds": [0, 274]}, [f"ns_incom_inhom_2d_512-{n}.h5" for n in (0, 274)]),
    ],
)
def test_files_have_the_published_names(kind: str, options: dict[str, Any], names: list[str]) -> None:
    files = make(kind, **options).request.files
    assert [file.name for file in files] == names
    assert all(file.datafile or kind == "incompressible_flow2d" for file in files)


def test_numbers_of_files_follow_their_names() -> None:
    files = make("reaction_diffusion1d", nu=[0.5, 1.0, 5.0], rho=[1.0, 2.0, 10.0]).request.files
    found = {file.name: file.datafile for file in files}
    assert found["ReacDiff_Nu0.5_Rho1.0.hdf5"] == 133177
    assert found["ReacDiff_Nu0.5_Rho10.0.hdf5"] == 133178
    assert found["ReacDiff_Nu1.0_Rho2.0.hdf5"] == 133183
    assert found["ReacDiff_Nu5.0_Rho2.0.hdf5"] == 133191


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": [1e-8, 0.1]}, "use two tasks"),
        ({"initial": "turbulence", "eta": [0.1]}, "initial 'turbulence' has eta 1e-8"),
        ({"resolution": 256}, "resolution 256 does not divide the native 128 points"),
        ({"mach": [1.0, 1.0]}, "contains a value twice"),
    ],
)
def test_files_that_do_not_exist_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make("compressible_flow2d", **options)


def test_shocks_have_fewer_frames() -> None:
    with pytest.raises(UsageError, match="initial 'shock' has open ends"):
        make("compressible_flow1d", initial="shock")
    with pytest.raises(UsageError, match="the last one of initial 'shock' is 80"):
        make("compressible_flow1d", initial="shock", ends="open", frames=42, time_stride=2, eta=[1e-8])


def damage(path: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def replace(key: str, values: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[key]
        file[key] = values

    return change


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("compressible_flow1d", lambda file: file.__delitem__("pressure"), "no dataset 'pressure'"),
        (
            "compressible_flow1d",
            replace("Vx", np.zeros((10, 4, 4), "f4")),
            r"'Vx' has shape \(10, 4, 4\), but its coordinates have \(8,\) points",
        ),
        (
            "compressible_flow2d",
            replace("Vy", np.zeros((10, 3, 8, 8), "f4")),
            r"'Vy' has shape \(10, 3, 8, 8\), but 'density' has \(10, 4, 8, 8\)",
        ),
        (
            "diffusion_reaction2d",
            replace("0010/data", np.zeros((4, 8, 8, 3), "f4")),
            r"'0010/data' has shape \(4, 8, 8, 3\), but the first group has",
        ),
        ("diffusion_reaction2d", lambda file: file.__delitem__("0013/data"), "no dataset '0013/data'"),
        ("diffusion_reaction2d", lambda file: file["0007"].__delitem__("grid"), "no dataset '0007/grid/x'"),
        (
            "shallow_water2d",
            replace("0007/grid/x", np.linspace(0, 1, 8)),
            r"'x' .* does not contain the 8 points of the task",
        ),
        ("shallow_water2d", lambda file: [file.__delitem__(key) for key in list(file)], "has no groups"),
        ("incompressible_flow2d", lambda file: file.__delitem__("force"), "no dataset 'force'"),
        (
            "incompressible_flow2d",
            replace("t", np.arange(16.0).reshape(4, 4) ** 2),
            "'t' differs between trajectories",
        ),
        ("incompressible_flow2d", replace("t", np.zeros((4, 4))), "'t' does not contain increasing numbers"),
        (
            "incompressible_flow2d",
            replace("particles", np.zeros((4, 4, 8, 8, 2), "f4")),
            r"'particles' has shape \(4, 4, 8, 8, 2\); expected \(4, 4, 8, 8, 1\)",
        ),
        (
            "incompressible_flow2d",
            lambda file: file["velocity"].__setitem__((1, 2, 3, 4, 1), np.nan),
            "'velocity_y' contains NaN or infinity in trajectory 1, frame 2",
        ),
        (
            "reaction_diffusion1d",
            lambda file: file.attrs.__setitem__("rho", 5.0),
            "rho is 5 in the file but 1.0 in its name",
        ),
    ],
)
def test_broken_files(
    kind: str, change: Callable[[h5py.File], None], message: str, tmp_path: Path, console: Console
) -> None:
    task = make(kind)
    write_official(task, tmp_path)
    path = task.plan_data(tmp_path).files[0]
    damage(path, change)
    with pytest.raises(UPSError, match=message) as caught:
        task.prepare_data(tmp_path, console)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(sorted(CASES)),
    frames=st.integers(2, 5),
    stride=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_any_window_of_any_layout(
    kind: str, frames: int, stride: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A file with more frames than the task wants: windows of every stride are those of the file."""
    root = tmp_path_factory.mktemp("layouts")
    if kind == "darcy2d":
        return
    history = {"history": 1}
    whole = make(kind, frames=(frames - 1) * stride + 2, time_stride=1, **history)
    written = write_official(whole, root)[0].frames
    task = make(kind, frames=frames, time_stride=stride, **history)
    store = opened(task, root)
    random = np.random.default_rng(seed)
    rows = random.integers(0, len(written), size=3)
    starts = random.integers(0, frames - 1, size=3)
    found = store.frames(rows, starts, 2)
    for row, start, values in zip(rows, starts, found, strict=True):
        assert np.array_equal(values, written[row, [start * stride, (start + 1) * stride]])


def test_every_layout_of_ups_data_has_a_case() -> None:
    layouts = {make(kind).request.layout.kind for kind in CASES}
    registered = {
        entry.name
        for entry in registry_in_use().entries("layouts")
        if entry.name.startswith("pdebench") and Component.of("layouts", entry.name)
    }
    assert layouts == registered


def test_another_version_of_an_official_file_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make("burgers1d", nu=[0.01])
    write_official(task, tmp_path)
    path = task.plan_data(tmp_path).files[0]
    task.prepare_data(tmp_path, Console())
    said = capsys.readouterr().err.replace("\n", "")
    assert f"{path} is not today's official file" in said
    assert "twice the speed" in said
    task.prepare_data(tmp_path, Console())
    assert "official file" not in capsys.readouterr().err

    path.with_name(path.name + ".sum.json").unlink()
    monkeypatch.setitem(versions.MD5, 281363, hashlib.md5(path.read_bytes()).hexdigest())
    task.prepare_data(tmp_path, Console())
    assert "official file" not in capsys.readouterr().err


def test_every_published_file_has_a_checksum() -> None:
    numbers = {
        file.datafile
        for kind, options in CASES.items()
        for file in make(kind, **options).request.files
        if file.datafile is not None
    }
    assert numbers <= set(versions.MD5)
    assert all(len(md5) == 32 for md5 in versions.MD5.values())
    repeated = 24  # pairs of files of incompressible flow are one file, in the manifest too
    assert len(set(versions.MD5.values())) == len(versions.MD5) - repeated


def linked(kind: str, root: Path, how: str) -> tuple[SourcedTask, Path, Any]:
    """A file whose values are in another one, `other.h5`, beside it."""
    task = make(kind)
    written = write_official(task, root)[0].frames
    path = task.plan_data(root).files[0]
    other = path.with_name("other.h5")
    key = "0007/data" if kind == "diffusion_reaction2d" else "tensor"
    with h5py.File(path, "r+") as file, h5py.File(other, "w") as target:
        values = file[key][:]
        target["values"] = values
        del file[key]
        if how == "link":
            file[key] = h5py.ExternalLink("other.h5", "values")
        elif how == "virtual":
            layout = h5py.VirtualLayout(values.shape, values.dtype)
            layout[...] = h5py.VirtualSource("other.h5", "values", values.shape)
            file.create_virtual_dataset(key, layout)
        else:
            raw = path.with_name("other.raw")
            raw.write_bytes(values.tobytes())
            file.create_dataset(key, values.shape, values.dtype, external=[("other.raw", 0, values.nbytes)])
    return task, path, written


@pytest.mark.parametrize("how", ["link", "virtual", "storage"])
@pytest.mark.parametrize("kind", ["advection1d", "diffusion_reaction2d"])
def test_what_is_outside_a_file_is_read_only_if_the_spec_allows_it(
    kind: str, how: str, tmp_path: Path
) -> None:
    task, path, written = linked(kind, tmp_path, how)
    options = {"axes": "yx"} if kind == "diffusion_reaction2d" else {}
    own = {"files": str(path), "boundary": "periodic", "domain": {}}
    layout = {"kind": task.request.layout.kind, **options}
    refused = create_task("files", own | {"layout": layout})
    with pytest.raises(UPSError, match=r"not followed|not opened"):
        refused.describe(tmp_path)
    target = "other.raw" if how == "storage" else "other.h5"
    wrong = create_task("files", own | {"layout": layout | {"external": ["elsewhere.h5"]}})
    with pytest.raises(UPSError, match=r"not followed|not opened"):
        wrong.describe(tmp_path)
    allowed = create_task("files", own | {"layout": layout | {"external": [target]}})
    store = allowed.stores(allowed.plan_data(tmp_path), tmp_path).train
    found = store.frames(np.array([0]), np.array([0]), store.info.frames)
    assert np.array_equal(found[0], written[0])
