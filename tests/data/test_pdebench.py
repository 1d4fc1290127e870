"""Families and requests: names, grids and identities of PDEBench files; writing them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_core import UPSError
from ups_core.console import Console
from ups_data.generators.burgers_resolution import smallest_nu
from ups_data.stores import pdebench_writer
from ups_data.stores.pdebench import GENERATOR_ATTRIBUTE, Family, Request
from ups_data.stores.pdebench_store import PDEBenchStore
from ups_data.stores.pdebench_writer import load_generator, write_file
from ups_data.stores.striding import check_resolution
from ups_data.tasks.advection1d import ADVECTION
from ups_data.tasks.burgers1d import BURGERS
from ups_data.tasks.darcy2d import DARCY

FAMILIES = (ADVECTION, BURGERS, DARCY)


@pytest.mark.parametrize(
    ("family", "value", "name"),
    [
        (ADVECTION, 0.4, "1D_Advection_Sols_beta0.4.hdf5"),
        (ADVECTION, 1, "1D_Advection_Sols_beta1.0.hdf5"),
        (BURGERS, 0.001, "1D_Burgers_Sols_Nu0.001.hdf5"),
        (DARCY, 100, "2D_DarcyFlow_beta100.0_Train.hdf5"),
    ],
)
def test_files_have_pdebench_s_names(family: Family, value: float, name: str) -> None:
    assert family.file_name(value) == name


def test_official_files_and_their_sizes() -> None:
    assert ADVECTION.official_bytes == BURGERS.official_bytes == 10_000 * 201 * 1024 * 4
    assert DARCY.official_bytes == 10_000 * 2 * 128 * 128 * 4, "solution and coefficient"
    assert (ADVECTION.axes, DARCY.axes) == (("x-coordinate",), ("x-coordinate", "y-coordinate"))
    for family in FAMILIES:
        assert len(set(family.datafiles.values())) == len(family.datafiles)
        assert family.caveat


@given(power=st.integers(3, 10), frames=st.integers(2, 9), stride=st.integers(1, 20), n=st.integers(1, 99))
def test_a_request_is_a_selection_of_the_native_grid(power: int, frames: int, stride: int, n: int) -> None:
    request = Request(ADVECTION, (0.4,), n, 2**power, frames, stride)
    native = (np.arange(1024) + 0.5) / 1024
    assert len(request.axis) == 2**power == request.shape[0]
    assert set(request.axis) <= set(native.tolist())
    assert request.axis[0] == native[0]
    assert np.diff(request.axis) == pytest.approx(1 / 2**power)
    assert request.times(frames)[-1] == pytest.approx(0.01 * stride * (frames - 1))
    assert request.nbytes == 4 * n * frames * 2**power
    assert Request(DARCY, (1.0,), n, 32).nbytes == 4 * n * 2 * 32**2


CHANGES: list[dict[str, Any]] = [
    {"trajectories": 11},
    {"resolution": 32},
    {"frames": 4},
    {"time_stride": 2},
    {"family": replace(ADVECTION, name="other")},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_an_identity_holds_everything_that_values_depend_on(change: dict[str, Any]) -> None:
    plain = Request(ADVECTION, (0.4,), 10, 16, 3, 5)
    changed = replace(plain, **change)
    assert plain.identity() != changed.identity()
    assert plain.generated_identity(1) != changed.generated_identity(1)


def test_the_identity_of_a_file_and_of_its_siblings() -> None:
    request = Request(BURGERS, (0.01, 0.1), 10, 16, 3, 5)
    assert request.identity(0.1) == request.identity() | {"Nu": 0.1}
    generated = request.generated_identity(3, 0.1)
    assert generated["generator"] == "ups_data.generators.burgers:generate"
    assert (generated["version"], generated["seed"], generated["Nu"]) == (2, 3, 0.1)
    assert "Nu" not in request.generated_identity(3), "a folder holds all values"


@pytest.mark.parametrize(
    ("native", "valid"), [(1024, [8, 16, 32, 64, 128, 256, 512, 1024]), (128, [8, 16, 32, 64, 128])]
)
def test_resolutions_are_divisors(native: int, valid: list[int]) -> None:
    for points in range(1, native + 2):
        if points in valid:
            assert check_resolution(points, native) == points
        else:
            with pytest.raises(
                ValueError, match=f"{points} does not divide the native {native} points; use 8, 16"
            ):
                check_resolution(points, native)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_written_file_reads_back_what_was_generated(
    family: Family, tmp_path: Path, console: Console
) -> None:
    value = next(iter(family.datafiles))
    steady = family.dt == 0
    request = Request(family, (value,), 3, 16, 1 if steady else 4, 1 if steady else 10)
    path = tmp_path / family.file_name(value)
    write_file(request, value, 5, path, console)
    made = load_generator(family)(request, value, 5, 0, 3)
    with h5py.File(path) as file:
        assert set(made) | set(family.axes) | (set() if steady else {"t-coordinate"}) == set(file)
        for key, values in made.items():
            assert np.array_equal(file[key], values), key
        assert file.attrs[family.parameter] == value
        assert file.attrs["ups_seed"] == 5
        assert str(file.attrs[GENERATOR_ATTRIBUTE]).startswith(family.generator)
        for axis in family.axes:
            assert file[axis][:] == pytest.approx(request.axis)
    rows = np.array([2, 0])
    found = PDEBenchStore(request, [path]).frames(rows, np.zeros(2, int), request.frames)
    assert np.array_equal(found[:, :, 0], made[family.solution][rows])


def test_files_are_written_in_blocks(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def generate(request: Request, value: float, seed: int, start: int, stop: int) -> dict[str, Any]:
        asked.append((start, stop))
        numbers = np.arange(start, stop, dtype=np.float32)
        return {
            "tensor": np.broadcast_to(
                numbers[:, None, None], (stop - start, request.frames, request.resolution)
            )
        }

    monkeypatch.setattr(pdebench_writer, "load_generator", lambda family: generate)
    request = Request(ADVECTION, (0.4,), 150, 8, 2)
    write_file(request, 0.4, 0, tmp_path / "a.hdf5", console)
    assert asked == [(0, 64), (64, 128), (128, 150)]
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file["tensor"][:, 1, 3].tolist() == list(range(150))
        assert file["tensor"].dtype == np.float32


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pdebench_writer, "load_generator", lambda family: full)
    request = Request(DARCY, (1.0,), 10, 16)
    with pytest.raises(UPSError, match=r"cannot write .*a\.hdf5 \(0\.0 MB\): .*No space left"):
        write_file(request, 1.0, 0, tmp_path / "a.hdf5", console)
    assert list(tmp_path.iterdir()) == []


def test_generators_are_found_by_name() -> None:
    for family in FAMILIES:
        assert callable(load_generator(family))
    with pytest.raises(AttributeError):
        load_generator(replace(ADVECTION, generator="ups_data.generators.advection:absent"))


@given(step=st.floats(0.01, 1.0), factor=st.floats(1.1, 5.0))
def test_longer_steps_and_finer_grids_resolve_smaller_viscosities(step: float, factor: float) -> None:
    assert smallest_nu(step * factor, 1024) < smallest_nu(step, 1024)
    assert smallest_nu(step, 2048) == pytest.approx(smallest_nu(step, 1024) / 4)
    assert 0 < smallest_nu(step, 1024) < 0.01, "PDEBench's default viscosity is resolved"
