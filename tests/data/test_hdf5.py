"""HDF5 files of unknown origin: nothing outside the file is read, no size is believed, locks are explained."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ups_core import UPSError
from ups_core.console import Console
from ups_data.stores import file_store, hdf5
from ups_data.stores.hdf5 import open_hdf5, own_dataset
from ups_data.tasks.base import Task

Official = Callable[..., Path]
Tasks = Callable[..., Task]


def make_external(file: h5py.File, key: str, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other[key] = file[key][()]
    del file[key]
    file[key] = h5py.ExternalLink(folder / "other.h5", key)


def make_soft(file: h5py.File, key: str, folder: Path) -> None:
    make_external(file, key, folder)
    file.move(key, "hidden")
    file[key] = h5py.SoftLink("/hidden")


def make_virtual(file: h5py.File, key: str, folder: Path) -> None:
    shape, dtype = file[key].shape, file[key].dtype
    with h5py.File(folder / "other.h5", "w") as other:
        other[key] = file[key][()]
    layout = h5py.VirtualLayout(shape, dtype)
    layout[:] = h5py.VirtualSource(folder / "other.h5", key, shape)
    del file[key]
    file.create_virtual_dataset(key, layout)


def make_raw(file: h5py.File, key: str, folder: Path) -> None:
    values = file[key][()]
    (folder / "raw").write_bytes(values.tobytes())
    del file[key]
    file.create_dataset(key, values.shape, values.dtype, external=str(folder / "raw"))


def make_raw_fifo(file: h5py.File, key: str, folder: Path) -> None:
    os.mkfifo(folder / "raw")
    shape, dtype = file[key].shape, file[key].dtype
    del file[key]
    file.create_dataset(key, shape, dtype, external=str(folder / "raw"))


@pytest.mark.parametrize("make", [make_external, make_soft, make_virtual, make_raw, make_raw_fifo])
@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("advection1d", "tensor"),
        ("advection1d", "x-coordinate"),
        ("advection1d", "t-coordinate"),
        ("darcy2d", "nu"),
    ],
)
def test_values_outside_the_file_are_refused_with_their_name(
    tmp_path: Path,
    task: Tasks,
    official: Official,
    console: Console,
    make: Callable[[h5py.File, str, Path], None],
    kind: str,
    key: str,
) -> None:
    path = official(0.4 if kind == "advection1d" else 1.0, kind=kind)
    with h5py.File(path, "r+") as file:
        make(file, key, tmp_path)
    with pytest.raises(UPSError, match=rf"{path.name} has '{key}'.*(link|other files|another file)"):
        task(kind, source="official").prepare_data(tmp_path, console)


def test_links_within_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["g/u"] = np.ones(3)
        file["linked"] = h5py.SoftLink("/g")
    with open_hdf5(path) as file:
        assert own_dataset(file, "g/u", path) is not None
        assert own_dataset(file, "g/v", path) is None
        assert own_dataset(file, "g", path) is None
        with pytest.raises(UPSError, match="has 'linked/u' as a link to /g"):
            own_dataset(file, "linked/u", path)


def test_few_bytes_that_claim_to_be_large(
    tmp_path: Path, task: Tasks, official: Official, console: Console
) -> None:
    """A Darcy file of 60 kB that would need 0.7 GB."""
    path = official(1.0, kind="darcy2d")
    with h5py.File(path, "r+") as file:
        del file["tensor"], file["nu"]
        for key, shape in (("tensor", (10_000, 1, 128, 128)), ("nu", (10_000, 128, 128))):
            file.create_dataset(key, shape, "f4", chunks=(64, *shape[1:]), compression="gzip")
    with pytest.raises(UPSError, match=r"declares 655 MB but stores 0 bytes"):
        task("darcy2d", source="official", trajectories=10_000).prepare_data(tmp_path, console)


def test_zeros_that_compress_too_well(tmp_path: Path, official: Official) -> None:
    path = official(1.0, kind="darcy2d")
    with h5py.File(path, "r+") as file:
        del file["tensor"]
        file.create_dataset(
            "tensor", data=np.zeros((1200, 1, 128, 128), "f4"), compression="gzip", chunks=(64, 1, 128, 128)
        )
    with open_hdf5(path) as file, pytest.raises(UPSError, match="declares 79 MB but stores"):
        own_dataset(file, "tensor", path)


def test_huge_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "MAX_CHUNK", 1000)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("u", data=np.ones((2, 300)), chunks=(2, 300), compression="gzip")
    with (
        open_hdf5(path) as file,
        pytest.raises(UPSError, match="chunks of 0 MB, which HDF5 reads as a whole"),
    ):
        own_dataset(file, "u", path)


def test_a_trajectory_that_is_too_large_to_read(
    tmp_path: Path, task: Tasks, official: Official, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_store, "MAX_TRAJECTORY", 10_000)
    official(0.4)
    with pytest.raises(UPSError, match=r"has trajectories of 0.0 GB \(41 frames of \(1024,\) points\)"):
        task("advection1d", source="official").prepare_data(tmp_path, console)


INSPECT = """
import re, sys
from pathlib import Path
from ups_data.cli.inspection import inspect_file
inspect_file(Path(sys.argv[1]))
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def test_inspection_of_a_huge_declared_shape_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("u", (16, 1, 20_000, 20_000), "f4", chunks=(1, 1, 200, 200), compression="gzip")
        file.create_dataset("x-coordinate", (10**9,), "f8", chunks=(1000,), compression="gzip")
    result = subprocess.run(
        [sys.executable, "-c", INSPECT, str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 500_000


def test_a_locked_file_says_what_can_be_done(
    tmp_path: Path, task: Tasks, official: Official, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    path = official(0.4)
    script = (
        f"import h5py, sys; f = h5py.File({str(path)!r}, 'r+'); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(UPSError, match=r"is locked .* HDF5_USE_FILE_LOCKING=FALSE, which risks"):
            task("advection1d", source="official").prepare_data(tmp_path, console)
        writer.communicate("")


@pytest.mark.parametrize("link", [h5py.ExternalLink("other.h5", "/"), h5py.SoftLink("/zzz")])
def test_recognising_a_file_follows_no_link(link: Any, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["data"] = other["grid/x"] = np.zeros(3)
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["zzz/data"] = file["zzz/grid/x"] = np.zeros(3)
        file["0000"] = link
    assert hdf5.names_of(tmp_path / "own.h5", 2) == {"0000", "zzz"}
    assert hdf5.names_of(tmp_path / "other.h5", 2) == {"data", "grid"}
    assert hdf5.names_of(tmp_path / "absent.h5") == set()
