"""Families of PDEBench: names, grids and identities of their files; writing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_core import Component, UPSError
from ups_core.console import Console
from ups_data.generators.burgers_resolution import smallest_nu
from ups_data.sources import writing
from ups_data.sources.request import GENERATOR_ATTRIBUTE, Generation
from ups_data.sources.writing import load_generator, write_file
from ups_data.stores.base import Fields
from ups_data.stores.file_store import FileStore
from ups_data.stores.part import Part
from ups_data.stores.striding import cell_centres, check_resolution
from ups_data.tasks.advection1d import ADVECTION
from ups_data.tasks.burgers1d import BURGERS
from ups_data.tasks.create import create_task
from ups_data.tasks.darcy2d import DARCY
from ups_data.tasks.pdebench import Family
from ups_data.tasks.sourced import SourcedTask

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
    assert family.file((value,)).name == name


def test_official_files_and_their_sizes() -> None:
    assert ADVECTION.official_bytes == BURGERS.official_bytes == 10_000 * 201 * 1024 * 4
    assert DARCY.official_bytes == 10_000 * 2 * 128 * 128 * 4, "solution and coefficient"
    for family in FAMILIES:
        assert len(set(family.datafiles.values())) == len(family.datafiles)
        assert family.caveat


def advection(**options: Any) -> SourcedTask:
    plain = {"trajectories": 10, "resolution": 16, "frames": 3, "time_stride": 5, "source": "generate"}
    task = create_task("advection1d", plain | options)
    assert isinstance(task, SourcedTask)
    return task


@given(power=st.integers(3, 10), frames=st.integers(2, 9), stride=st.integers(1, 20), n=st.integers(10, 99))
def test_a_task_selects_from_the_native_grid(power: int, frames: int, stride: int, n: int) -> None:
    task = advection(trajectories=n, resolution=2**power, frames=frames, time_stride=stride)
    native = (np.arange(1024) + 0.5) / 1024
    (axis,) = task.info.axes
    assert len(axis) == 2**power == task.info.shape[0]
    assert np.allclose(axis, native[:: 1024 // 2**power], rtol=0, atol=1e-12)
    assert set(cell_centres(1024, 2**power)) <= set(native.tolist())
    assert task.info.dt * (frames - 1) == pytest.approx(0.01 * stride * (frames - 1))
    assert task.request.nbytes == 4 * n * frames * 2**power


CHANGES: list[dict[str, Any]] = [
    {"trajectories": 11},
    {"resolution": 32},
    {"frames": 4},
    {"time_stride": 2},
    {"beta": [0.1]},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_an_identity_holds_everything_that_values_depend_on(change: dict[str, Any]) -> None:
    plain, changed = advection().request, advection(**change).request
    assert plain.identity(plain.files[0]) != changed.identity(changed.files[0])
    assert plain.generated_identity(1, plain.files[0]) != changed.generated_identity(1, changed.files[0])
    assert plain.identity() != replace(plain, family="other").identity()


def test_the_identity_of_a_file_and_of_its_siblings() -> None:
    task = create_task("burgers1d", {"nu": [0.01, 0.1], "frames": 3})
    assert isinstance(task, SourcedTask)
    request = task.request
    assert request.identity(request.files[1]) == request.identity() | {"Nu": 0.1}
    generated = request.generated_identity(3, request.files[1])
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
    options = {"resolution": 16} if family.steady else {"resolution": 16, "frames": 4, "time_stride": 10}
    task = create_task(family.name, options)
    assert isinstance(task, SourcedTask)
    request, wanted, path = replace(task.request, trajectories=3), task.request.files[0], tmp_path / "a.hdf5"
    write_file(request, wanted, 5, path, console)
    assert family.generation is not None
    made = load_generator(family.generation.function)(request.info, wanted.parameters, 5, 0, 3)
    axes = [f"{axis}-coordinate" for axis in "xyz"[: len(family.native)]]
    with h5py.File(path) as file:
        assert {"tensor", *family.layout_options.values(), *axes} | (
            set() if family.steady else {"t-coordinate"}
        ) == set(file)
        assert dict(wanted.parameters).items() <= dict(file.attrs).items()
        assert file.attrs["ups_seed"] == 5
        assert str(file.attrs[GENERATOR_ATTRIBUTE]).startswith(family.generation.function)
        for axis, points in zip(axes, request.info.axes, strict=True):
            assert file[axis][:] == pytest.approx(points)
    rows = np.array([2, 0])
    part = Part(request.layout.create().open(path), wanted.parameters)
    store = FileStore(request.info, [part], tuple(wanted.parameters), 3)
    assert np.array_equal(store.frames(rows, np.zeros(2, int), request.info.frames), made.frames[rows])
    assert (made.static is None) == (not family.steady)
    if made.static is not None:
        assert np.array_equal(store.static(rows), made.static[rows])


def generating(monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]) -> None:
    monkeypatch.setattr(writing, "load_generator", lambda reference: function)


def test_files_are_written_in_blocks(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def generate(info: Any, parameters: Any, seed: int, start: int, stop: int) -> Fields:
        asked.append((start, stop))
        numbers = np.arange(start, stop, dtype=np.float32)[:, None, None, None]
        frames = np.broadcast_to(numbers, (stop - start, info.frames, 1, *info.shape))
        return Fields(frames)

    generating(monkeypatch, generate)
    request = advection(trajectories=150, resolution=8, frames=2).request
    write_file(request, request.files[0], 0, tmp_path / "a.hdf5", console)
    assert asked == [(0, 64), (64, 128), (128, 150)]
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file["tensor"][:, 1, 3].tolist() == list(range(150))
        assert file["tensor"].dtype == np.float32


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> Any:
        raise OSError(28, "No space left on device")

    generating(monkeypatch, full)
    request = advection().request
    with pytest.raises(UPSError, match=r"cannot write .*a\.hdf5 \(0\.0 MB\): .*No space left"):
        write_file(request, request.files[0], 0, tmp_path / "a.hdf5", console)
    assert list(tmp_path.iterdir()) == []


def test_generators_are_found_by_name() -> None:
    for family in FAMILIES:
        assert family.generation is not None
        assert callable(load_generator(family.generation.function))
    with pytest.raises(AttributeError):
        load_generator("ups_data.generators.advection:absent")


def test_what_nothing_generates_is_said(tmp_path: Path, console: Console) -> None:
    request = replace(advection().request, generation=None)
    with pytest.raises(UPSError, match="'advection1d' has no generator"):
        write_file(request, request.files[0], 0, tmp_path / "a.hdf5", console)
    task = advection()
    with pytest.raises(UPSError, match="no generator; use source: official"):
        task.source.plan(request, tmp_path)
    changed = replace(request, generation=Generation("elsewhere:function", 1))
    assert task.source.plan(changed, tmp_path).missing


@given(step=st.floats(0.01, 1.0), factor=st.floats(1.1, 5.0))
def test_longer_steps_and_finer_grids_resolve_smaller_viscosities(step: float, factor: float) -> None:
    assert smallest_nu(step * factor, 1024) < smallest_nu(step, 1024)
    assert smallest_nu(step, 2048) == pytest.approx(smallest_nu(step, 1024) / 4)
    assert 0 < smallest_nu(step, 1024) < 0.01, "PDEBench's default viscosity is resolved"


def test_a_layout_without_a_place_for_given_fields_says_so(tmp_path: Path, console: Console) -> None:
    task = create_task("darcy2d", {"resolution": 16})
    assert isinstance(task, SourcedTask)
    layout = Component.of("layouts", "pdebench_fields", {"fields": ["u"]})
    request = replace(task.request, layout=layout, trajectories=2)
    with pytest.raises(
        UPSError, match=r"1 fields in time \(u\) and no given ones, but task 'darcy2d' has 1 and 1"
    ):
        write_file(request, request.files[0], 0, tmp_path / "a.hdf5", console)
    assert list(tmp_path.iterdir()) == []
