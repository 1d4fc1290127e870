"""Readers take exactly the strided points, and say in one line what is wrong with a broken file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ups_core import UPSError
from ups_data.stores import file_store as store_module
from ups_data.stores import recycled
from ups_data.stores.file_store import FileStore
from ups_data.stores.part import Part
from ups_data.tasks.sourced import SourcedTask

Official = Callable[..., Path]
Tasks = Callable[..., SourcedTask]


@pytest.fixture(params=["memory", "windows", "direct"])
def limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ways of reading must give the same values."""
    if request.param != "memory":
        monkeypatch.setattr(store_module, "MEMORY_LIMIT", 0)
    if request.param == "direct":
        monkeypatch.setattr(store_module, "IN_CACHE", 0)
        monkeypatch.setattr(recycled, "LARGE", 0)


def store_of(task: SourcedTask, *paths: Path) -> FileStore:
    """The store of a task in these files."""
    request = task.request
    layout = request.layout.create()
    parts = [
        Part(layout.open(path), file.parameters) for path, file in zip(paths, request.files, strict=True)
    ]
    return FileStore(
        request.info, parts, tuple(request.files[0].parameters), request.trajectories, request.paired
    )


def ids(*numbers: int) -> Any:
    return np.array(numbers, dtype=np.int64)


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("resolution", [256, 1024])
def test_native_advection_is_strided(task: Tasks, official: Official, resolution: int) -> None:
    made = task("advection1d", beta=[0.4, 1.0], resolution=resolution, frames=21, time_stride=10)
    request, store = made.request, store_of(made, official(0.4), official(1.0))
    values = store.frames(ids(3, 11 + request.trajectories), ids(0, 18), 3)[:, :, 0]
    x = (np.arange(0, 1024, 1024 // resolution) + 0.5) / 1024
    t = np.array([[0.0, 0.1, 0.2], [1.8, 1.9, 2.0]])
    expected = np.array([3, 11])[:, None, None] + 10 * t[..., None] + x / 10
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert values.dtype == np.float32
    assert store.static(ids(3, 11)).shape == (2, 0, resolution)
    assert store.parameters[ids(3, 11 + request.trajectories), 0].tolist() == [0.4, 1.0]
    assert store.groups[ids(3, 11 + request.trajectories)].tolist() == [3, 11]


@pytest.mark.usefixtures("limit")
def test_native_darcy_is_strided(task: Tasks, official: Official) -> None:
    store = store_of(task("darcy2d", resolution=32), official(1.0, kind="darcy2d"))
    x = (np.arange(0, 128, 4) + 0.5) / 128
    expected = np.array([5, 2])[:, None, None] + 10 * x[:, None] + x / 10
    np.testing.assert_allclose(store.static(ids(5, 2))[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(store.frames(ids(5, 2), ids(0, 0), 1)[:, 0, 0], -expected, rtol=1e-6)


def test_small_selections_are_read_once(task: Tasks, official: Official) -> None:
    path = official(0.4)
    store = store_of(task("advection1d", resolution=64, frames=5), path)
    before = store.frames(ids(2), ids(1), 2)
    store.parts[0].file.file.close()
    path.unlink()
    assert np.array_equal(store.frames(ids(2), ids(1), 2), before)


def test_another_process_opens_its_own_file(
    task: Tasks, official: Official, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = store_of(task("advection1d"), official(0.4)).parts[0].file
    mine = file.file
    assert file.file is mine
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert file.file is not mine


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def edit(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return apply


def put(key: str, value: Any) -> Callable[[Path], None]:
    def change(file: h5py.File) -> None:
        del file[key]
        file[key] = value

    return edit(change)


def poison(file: h5py.File) -> None:
    file["tensor"][7, 50, 512] = np.nan


X = (np.arange(1024) + 0.5) / 1024


def turn_into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_to_nothing(file: h5py.File) -> None:
    del file["tensor"]
    file["tensor"] = h5py.SoftLink("/elsewhere")


def make_a_group(file: h5py.File) -> None:
    del file["tensor"]
    file.create_group("tensor")


def claim_a_huge_coordinate(file: h5py.File) -> None:
    del file["x-coordinate"]
    file.create_dataset("x-coordinate", shape=(10**12,), chunks=(1024,), dtype="f4")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, r"is missing; expected 'tensor' \(trajectory, time, space\)"),
        (truncate, r"is not a readable HDF5 file \(\d+ bytes: .*truncated.*expected 'tensor'"),
        (lambda path: path.write_bytes(b""), r"not a readable HDF5 file \(0 bytes"),
        (lambda path: path.write_text("<html>login"), r"not a readable HDF5 file \(11 bytes"),
        (
            edit(lambda file: file.move("tensor", "u")),
            "no dataset 'tensor' .found t-coordinate, u, x-coordinate",
        ),
        (edit(lambda file: file.__delitem__("t-coordinate")), "no dataset 't-coordinate'"),
        (put("tensor", np.zeros((12, 1024), "f4")), r"'tensor' has shape \(12, 1024\); expected"),
        (
            put("tensor", np.zeros((12, 201, 512), "f4")),
            r"'tensor' has shape .*, but its coordinates have \(1024,\) points",
        ),
        (put("tensor", np.zeros((12, 201, 1024), "i4")), "'tensor' has type int32; expected float32"),
        (
            put("tensor", np.zeros((11, 201, 1024), "f4")),
            "'tensor' has 11 trajectories; the task asks for 12",
        ),
        (put("tensor", np.zeros((12, 101, 1024), "f4")), "has 101 frames, but 41 frames 5 apart need 201"),
        (
            put("t-coordinate", np.arange(202) ** 2 / 100),
            "'t-coordinate' does not contain the 41 frames 0.05 apart",
        ),
        (
            put("x-coordinate", X * 2 - 1),
            "'x-coordinate' .1024 points from -0.99.* does not contain the 256 points",
        ),
        (
            edit(lambda file: file.attrs.__setitem__("beta", 0.7)),
            "beta is 0.7 in the file but 0.4 in its name",
        ),
        (edit(poison), "'tensor' contains NaN or infinity in trajectory 7, frame 50"),
        (
            edit(lambda file: file["tensor"].__setitem__((7, 50, 512), -3e38)),
            "'tensor' contains the value -3e.38 in trajectory 7, frame 50; the file seems damaged; download it again",
        ),
        (put("tensor", np.full((12, 201, 1024), 1e200)), "'tensor' contains NaN or infinity in trajectory"),
        (put("tensor", np.full((12, 201, 1024), "a", "S1")), "'tensor' has type .S1; expected float32"),
        (
            put("tensor", np.float32(3)),
            r"'tensor' has shape \(\); expected \(trajectory, time, x\)",
        ),
        (edit(make_a_group), "no dataset 'tensor' .found t-coordinate, tensor, x-coordinate"),
        (edit(link_to_nothing), "has 'tensor' as a link to /elsewhere, which is not followed"),
        (turn_into_a_folder, r"is not a regular file"),
        (
            put("x-coordinate", np.float32(3)),
            r"'x-coordinate' of shape \(\) does not contain increasing numbers",
        ),
        (put("x-coordinate", X[:, None]), r"'x-coordinate' of shape \(1024, 1\) does not contain increasing"),
        (put("x-coordinate", X[:0]), r"'x-coordinate' of shape \(0,\) does not contain increasing numbers"),
        (put("x-coordinate", np.full(1024, np.nan)), "'x-coordinate' .* does not contain increasing numbers"),
        (put("x-coordinate", np.full(1024, b"a")), "cannot read 'x-coordinate' .could not convert"),
        (
            edit(claim_a_huge_coordinate),
            "has 'x-coordinate', which declares 4000000 MB but stores 0 bytes",
        ),
        (put("t-coordinate", np.zeros(202)), "'t-coordinate' .* does not contain increasing numbers"),
        (put("t-coordinate", np.arange(202) * 1e-310), "has 201 frames, but 41 frames 202 apart need 8081"),
        (
            edit(lambda file: file.move("tensor", "u\n\x1b[31m")),
            r"found t-coordinate, u\\n\\x1b\[31m, x-coord",
        ),
    ],
)
@pytest.mark.usefixtures("limit")
def test_broken_files(
    task: Tasks, official: Official, damage: Callable[[Path], object], message: str
) -> None:
    path = official(0.4)
    damage(path)
    with pytest.raises(UPSError, match=message) as caught:
        store_of(task("advection1d"), path).frames(ids(7), ids(8), 5)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_than_the_layout_is_no_harm(task: Tasks, official: Official) -> None:
    path = official(0.4)
    advection = task("advection1d")
    before = store_of(advection, path).frames(ids(7), ids(8), 5)
    with h5py.File(path, "r+") as file:
        file["pressure"] = np.zeros(3)
        file.create_group("notes").attrs["author"] = "somebody"
    assert np.array_equal(store_of(advection, path).frames(ids(7), ids(8), 5), before)


def test_nan_in_a_coefficient(task: Tasks, official: Official) -> None:
    path = official(1.0, kind="darcy2d")
    edit(lambda file: file["nu"].__setitem__((4, 0, 0), np.inf))(path)
    with pytest.raises(UPSError, match="'nu' contains NaN or infinity in trajectory 4;"):
        list(store_of(task("darcy2d"), path).chunks())


LIMITED = """\
import resource, sys
from pathlib import Path

import numpy as np

from ups_data.stores.file_store import FileStore
from ups_data.stores.part import Part
from ups_data.tasks.create import create_task

task = create_task(
    "advection1d", {"trajectories": 10_000, "beta": [0.4], "resolution": 1024, "frames": 201, "time_stride": 1}
)
part = Part(task.request.layout.create().open(Path(sys.argv[1])), {"beta": 0.4})
store = FileStore(task.info, [part], ["beta"], task.config.trajectories)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30),) * 2)
print(store.nbytes, store.frames(np.array([9_999]), np.array([3]), 2).mean())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads its size in /proc")
def test_one_window_of_a_file_that_is_larger_than_memory(tmp_path: Path) -> None:
    path = tmp_path / "1D_Advection_Sols_beta0.4.hdf5"
    with h5py.File(path, "w") as file:
        x, t = (np.arange(1024) + 0.5) / 1024, np.arange(202) / 100
        file["x-coordinate"], file["t-coordinate"] = x.astype("f4"), t.astype("f4")
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)  # 8 GB, of which the disk holds what is written
        space = h5py.h5s.create_simple((10_000, 201, 1024))
        h5py.h5d.create(file.id, b"tensor", h5py.h5t.IEEE_F32LE, space, layout)
        file["tensor"][9_999] = 7.0
    assert path.stat().st_size > 8e9
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    size, mean = done.stdout.split()
    assert int(size) > store_module.MEMORY_LIMIT
    assert float(mean) == 7.0
