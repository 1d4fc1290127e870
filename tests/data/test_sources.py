"""Sources: official files when all are there, generated ones otherwise; fingerprints see every change."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ups_core import UPSError
from ups_core.console import Console
from ups_data.sources import writing
from ups_data.tasks.base import Task

Official = Callable[..., Path]
Tasks = Callable[..., Task]


def test_auto_takes_official_files_only_when_all_are_there(
    tmp_path: Path, task: Tasks, official: Official
) -> None:
    both = task("advection1d", beta=[0.4, 1.0])
    assert both.plan_data(tmp_path).source == "generated"
    first = official(0.4)
    plan = both.plan_data(tmp_path)
    assert plan.source == "generated"
    assert "1D_Advection_Sols_beta1.0.hdf5 is missing" in plan.note
    second = official(1.0)
    plan = both.plan_data(tmp_path)
    assert (plan.source, plan.files, plan.missing) == ("official", (first, second), ())


def test_official_files_may_lie_in_the_data_root(tmp_path: Path, task: Tasks, official: Official) -> None:
    darcy = task("darcy2d", source="official")
    path = official(1.0, kind="darcy2d")
    before = darcy.plan_data(tmp_path)
    moved = Path(shutil.move(path, tmp_path))
    plan = darcy.plan_data(tmp_path)
    assert plan.files == (moved,)
    assert plan.fingerprint == before.fingerprint
    assert "transient" in plan.note


def test_a_missing_official_file_says_how_to_get_it(tmp_path: Path, task: Tasks) -> None:
    message = r"1D/Advection/Train/1D_Advection_Sols_beta0.4.hdf5 nor .* 8.2 GB .*datafile/255674 \(DaRUS"
    with pytest.raises(UPSError, match=message):
        task("advection1d", source="official").plan_data(tmp_path)
    with pytest.raises(UPSError, match=r"published beta = 0.1, 0.2, .* not 0.3: use source: generate"):
        task("advection1d", source="official", beta=[0.3]).plan_data(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n", b"<!DOCTYPE html><title>Log in</title>"])
def test_an_official_file_that_is_no_hdf5(
    tmp_path: Path, task: Tasks, official: Official, content: bytes
) -> None:
    official(0.4).write_bytes(content)
    with pytest.raises(
        UPSError, match=rf"beta0.4.hdf5 \({len(content)} bytes\) is not an HDF5 file; download it again"
    ):
        task("advection1d").plan_data(tmp_path)


@pytest.mark.parametrize("source", ["auto", "official"])
def test_a_broken_link_or_a_folder_is_no_official_file(
    tmp_path: Path, task: Tasks, official: Official, source: str
) -> None:
    path = official(0.4)
    disk = path.rename(tmp_path / "disk.hdf5")
    path.symlink_to(disk)
    assert task("advection1d", source=source).plan_data(tmp_path).files == (path,)
    disk.unlink()
    with pytest.raises(UPSError, match=r"beta0.4.hdf5 is a broken link; put the official file there"):
        task("advection1d", source=source).plan_data(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(UPSError, match=r"beta0.4.hdf5 is not a file; put the official file there"):
        task("advection1d", source=source).plan_data(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_official_file_that_may_not_be_read(tmp_path: Path, task: Tasks, official: Official) -> None:
    official(0.4).chmod(0)
    with pytest.raises(UPSError, match=r"cannot read .*beta0.4.hdf5: Permission denied"):
        task("advection1d").plan_data(tmp_path)


@pytest.mark.parametrize("part", [1 / 3, 14 / 15, 1])
def test_the_official_fingerprint_sees_content(
    tmp_path: Path, task: Tasks, official: Official, part: float
) -> None:
    path = official(0.4)
    before = task("advection1d").plan_data(tmp_path).fingerprint
    with path.open("r+b") as file:
        file.seek(int((path.stat().st_size - 65536) * part) + 9)
        file.write(b"changed")
    assert task("advection1d").plan_data(tmp_path).fingerprint != before


@pytest.mark.parametrize("source", ["generated", "official"])
@pytest.mark.parametrize(
    "change",
    [
        {"trajectories": 11},
        {"resolution": 64},
        {"frames": 21},
        {"time_stride": 4},
        {"history": 2},
        {"beta": [0.4, 1.0]},
        {"split": {"train": 0.7, "val": 0.1, "test": 0.2}},
    ],
)
def test_every_option_changes_the_fingerprint(
    tmp_path: Path, task: Tasks, official: Official, source: str, change: dict[str, Any]
) -> None:
    if source == "official":
        official(0.4)
        official(1.0)
    plans = [task("advection1d", **options).plan_data(tmp_path) for options in ({}, change)]
    assert {plan.source for plan in plans} == {source}
    assert plans[0].fingerprint != plans[1].fingerprint


def test_the_seed_and_the_generator_s_version_change_generated_data(tmp_path: Path, task: Tasks) -> None:
    plain, seeded = task("darcy2d"), task("darcy2d", source={"kind": "auto", "seed": 1})
    plan, other = plain.plan_data(tmp_path), seeded.plan_data(tmp_path)
    newer = replace(plain.request, generation=replace(plain.request.generation, version=2))
    third = plain.source.plan(newer, tmp_path)
    assert len({plan.files, other.files, third.files}) == 3
    assert plan.fingerprint != other.fingerprint


def test_generated_files_have_the_official_layout(tmp_path: Path, task: Tasks, console: Console) -> None:
    advection = task("advection1d", beta=[0.4, 1], resolution=32, frames=5, source="generate")
    advection.prepare_data(tmp_path, console)
    plan = advection.plan_data(tmp_path)
    assert [path.name for path in plan.files] == [f"1D_Advection_Sols_beta{b}.hdf5" for b in (0.4, 1.0)]
    assert plan.files[0].parent.parent == tmp_path / "generated"
    with h5py.File(plan.files[1]) as file:
        shapes = {key: (file[key].shape, file[key].dtype) for key in file}
        assert shapes == {
            "tensor": ((12, 5, 32), np.float32),
            "x-coordinate": ((32,), np.float32),
            "t-coordinate": ((6,), np.float32),
        }
        assert file.attrs["beta"] == 1.0
        assert file.attrs["ups_seed"] == 2022
        assert {"ups_generator", "ups_fingerprint"} < set(file.attrs)
        assert file["x-coordinate"][:2] == pytest.approx([0.5 / 1024, 32.5 / 1024])
        first = file["tensor"][:, 0]
    with h5py.File(plan.files[0]) as file:
        assert np.array_equal(file["tensor"][:, 0], first)

    darcy = task("darcy2d", resolution=16, beta=0.1)
    darcy.prepare_data(tmp_path, console)
    with h5py.File(darcy.plan_data(tmp_path).files[0]) as file:
        assert {key: file[key].shape for key in file} == {
            "nu": (12, 16, 16),
            "tensor": (12, 1, 16, 16),
            "x-coordinate": (16,),
            "y-coordinate": (16,),
        }
        assert set(np.unique(file["nu"])) == {np.float32(0.1), np.float32(1)}


def test_nothing_is_generated_twice(tmp_path: Path, task: Tasks, console: Console) -> None:
    advection = task("advection1d", resolution=16, frames=3)
    assert advection.plan_data(tmp_path).missing
    advection.prepare_data(tmp_path, console)
    plan = advection.plan_data(tmp_path)
    assert (plan.missing, plan.note) == ((), "already generated")
    before = plan.files[0].stat().st_mtime_ns
    report = advection.prepare_data(tmp_path, console)
    assert plan.files[0].stat().st_mtime_ns == before
    assert report["splits"] == {"train": 10, "val": 1, "test": 1}


def test_a_generated_file_in_the_data_root_is_not_official(
    tmp_path: Path, task: Tasks, console: Console
) -> None:
    advection = task("advection1d", resolution=16, frames=3)
    advection.prepare_data(tmp_path, console)
    shutil.copy(advection.plan_data(tmp_path).files[0], tmp_path)
    assert advection.plan_data(tmp_path).source == "generated"


def test_concurrent_generation_is_harmless(tmp_path: Path, task: Tasks, console: Console) -> None:
    tasks = [task("advection1d", resolution=64, trajectories=200) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda one: one.prepare_data(tmp_path, console), tasks))
    assert all(report == reports[0] for report in reports)
    names = [path.name for path in (tmp_path / "generated").rglob("*") if path.is_file()]
    assert sorted(names) == ["1D_Advection_Sols_beta0.4.hdf5", "1D_Advection_Sols_beta0.4.hdf5.sum.json"]


def test_a_failed_generation_leaves_nothing(
    tmp_path: Path, task: Tasks, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "load_generator", lambda family: interrupt)
    with pytest.raises(KeyboardInterrupt):
        task("darcy2d").prepare_data(tmp_path, console)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_place_that_cannot_be_written(tmp_path: Path, task: Tasks, console: Console) -> None:
    (tmp_path / "generated").write_text("in the way")
    with pytest.raises(UPSError, match=r"cannot write .*2D_DarcyFlow_beta1.0_Train.hdf5 \(0.4 MB\)"):
        task("darcy2d").prepare_data(tmp_path, console)
