"""Files of named arrays: what is written block by block is read again, and nothing half-written stays."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ups_core import UsageError
from ups_data.stores import array_writer
from ups_data.stores.array_contents import Contents, Variable
from ups_data.stores.array_files import READERS, UNNAMED, ArrayFile
from ups_data.stores.array_formats import AT_ONCE, NEEDS, WRITERS
from ups_data.stores.array_writer import check_target, writing_arrays

RNG = np.random.default_rng(0)
U = RNG.normal(size=(5, 7, 4, 3)).astype(np.float32)
X = np.arange(4.0)
SIZES = {"trajectory": 5, "t": 7, "x": 4, "y": 3}


def contents(*names: str, rows: int = 2, frames: int = 3) -> Contents:
    fields = tuple(Variable(name, tuple(SIZES), None, {"units": "m/s"}) for name in names)
    others = (Variable("x", ("x",), X, {"axis": "X"}), Variable("beta", ("trajectory",), np.arange(5.0)))
    return Contents(SIZES, (*fields, *others), {"title": "a test"}, {"trajectory": rows, "t": frames})


def write(path: Path, *names: str, rows: int = 2, frames: int = 3) -> None:
    with writing_arrays(path, contents(*names, rows=rows, frames=frames)) as put:
        for row in range(0, 5, rows):
            for frame in range(0, 7, frames):
                for number, name in enumerate(names):
                    block = U[row : row + rows, frame : frame + frames]
                    put(name, (row, frame, 0, 0), block + number)


def everything(path: Path, name: str) -> np.ndarray:
    array = ArrayFile(path)[name]
    return array[(slice(None),) * len(array.shape)]


def needs(ending: str) -> None:
    for package in NEEDS.get(ending, ()):
        pytest.importorskip(package)
        pytest.importorskip("xarray")


def test_every_format_that_is_read_is_written() -> None:
    assert set(WRITERS) == set(READERS)


@pytest.mark.parametrize("ending", WRITERS)
def test_round_trip(ending: str, tmp_path: Path) -> None:
    needs(ending)
    path = tmp_path / f"out{ending}"
    names = ("u",) if ending == ".npy" else ("u", "v")
    write(path, *names)
    assert os.listdir(tmp_path) == [path.name]
    if ending == ".npy":
        assert np.array_equal(everything(path, UNNAMED), U)
        return
    assert np.array_equal(everything(path, "u"), U)
    assert np.array_equal(everything(path, "v"), U + 1)
    assert np.array_equal(everything(path, "x").ravel(), X)
    assert np.array_equal(everything(path, "beta").ravel(), np.arange(5))
    assert everything(path, "u").dtype == np.float32


@given(rows=st.integers(1, 5), frames=st.integers(1, 7))
@settings(max_examples=20, deadline=None)
def test_blocks_of_any_size_give_the_same_file(
    rows: int, frames: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("blocks")
    for ending in (".npy", ".h5"):
        write(folder / f"out{ending}", "u", rows=rows, frames=frames)
    assert np.array_equal(np.load(folder / "out.npy"), U)
    assert np.array_equal(everything(folder / "out.h5", "u"), U)


def test_hdf5_has_attributes_and_scales(tmp_path: Path) -> None:
    write(tmp_path / "out.h5", "u")
    with h5py.File(tmp_path / "out.h5") as file:
        assert file.attrs["title"] == "a test"
        assert file["u"].attrs["units"] == "m/s"
        assert [axis.label for axis in file["u"].dims] == list(SIZES)
        assert np.array_equal(file["u"].dims[2][0], X)


@pytest.mark.parametrize("ending", [".h5", ".nc"])
def test_hdf5_is_contiguous(ending: str, tmp_path: Path) -> None:
    needs(ending)
    write(tmp_path / f"a{ending}", "u")
    with h5py.File(tmp_path / f"a{ending}") as file:
        assert file["u"].chunks is None


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_xarray_finds_coordinates_and_units(ending: str, tmp_path: Path) -> None:
    needs(ending)
    import xarray

    write(tmp_path / f"out{ending}", "u")
    read = xarray.open_zarr if ending == ".zarr" else xarray.open_dataset
    with read(tmp_path / f"out{ending}", chunks=None) as found:
        assert found.attrs["title"] == "a test"
        assert found["u"].dims == tuple(SIZES)
        assert found["u"].attrs["units"] == "m/s"
        assert np.array_equal(found["u"].sel(x=2.0), U[:, :, 2])
        assert set(found.coords) == {"x"}


@pytest.mark.parametrize("ending", [".npz", ".mat", ".pt"])
def test_files_of_arrays_only_have_attributes_as_text(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{ending}"
    write(path, "u")
    if ending == ".npz":
        text = str(np.load(path, allow_pickle=False)["attributes"])
    elif ending == ".mat":
        from scipy.io import loadmat

        text = str(loadmat(path)["attributes"][0])
    else:
        import torch

        text = torch.load(path, weights_only=True)["attributes"]
    found = json.loads(text)
    assert found["title"] == "a test"
    assert found["arrays"]["u"] == {"axes": list(SIZES), "units": "m/s"}
    assert found["arrays"]["x"] == {"axes": ["x"], "axis": "X"}


@pytest.mark.parametrize("ending", WRITERS)
def test_an_error_leaves_nothing(ending: str, tmp_path: Path) -> None:
    needs(ending)

    def fail() -> None:
        with writing_arrays(tmp_path / f"out{ending}", contents("u")) as put:
            put("u", (0, 0, 0, 0), U[:2])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert os.listdir(tmp_path) == []


def test_targets_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there.npz").touch()
    monkeypatch.setattr(array_writer, "IN_MEMORY", 1000)
    for name, names, problem in (
        (
            "out.txt",
            "u",
            "out.txt has an unknown ending; known: .npz, .npy, .h5, .hdf5, .nc, .zarr, .mat, .pt",
        ),
        ("there.npz", "u", "there.npz already exists; choose another -o or remove it"),
        ("no/out.npz", "u", "no is not a directory; create it or choose another -o"),
        ("out.npy", "uv", "out.npy can have one array only, not u, v; use .npz"),
        ("out.npz", "ux", "out.npz: two arrays would be called 'x'"),
        *(
            (
                f"out{ending}",
                "u",
                f"would have 0.0 GB, but {ending} files are written at once, up to 0.0 GB; use on",
            )
            for ending in AT_ONCE
        ),
    ):
        with pytest.raises(UsageError) as caught, writing_arrays(tmp_path / name, contents(*names)):
            pass
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["there.npz"]


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    with pytest.raises(
        UsageError, match=r"out\.nc needs the package h5netcdf; install it with: pip install 'ups-"
    ):
        check_target(tmp_path / "out.nc")


def test_others_can_read_what_is_written(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    before = os.umask(0o022)
    try:
        write(tmp_path / "out.zarr", "u")
        write(tmp_path / "out.npz", "u")
    finally:
        os.umask(before)
    assert (tmp_path / "out.zarr").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out.npz").stat().st_mode & 0o777 == 0o644
