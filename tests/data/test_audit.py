"""The audit looks at all data once, stores what it found, and trusts the record only if it fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from listener import Listener
from ups_core import UPSError
from ups_core.console import Console
from ups_core.fingerprint import digest
from ups_core.sealed import read_sealed
from ups_data.prepare import audit as audit_module
from ups_data.prepare.statistics import Moments, Statistics
from ups_data.tasks.base import Task

Official = Callable[..., Path]
Tasks = Callable[..., Task]


def edit(path: Path, change: Callable[[h5py.File], Any]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def test_statistics_are_those_of_the_training_trajectories(
    tmp_path: Path, task: Tasks, official: Official, console: Console
) -> None:
    noise = np.random.default_rng(0).normal(3, 2, size=(12, 201, 1024)).astype("f4")
    edit(official(0.4), lambda file: file["tensor"].__setitem__(..., noise))
    advection = task("advection1d", resolution=64, frames=21)
    advection.prepare_data(tmp_path, console)
    data = advection.open(tmp_path)
    raw = noise.astype(float)[list(data.splits.train)][:, :101:5, ::16]
    assert data.statistics.state.mean == pytest.approx((raw.mean(),))
    assert data.statistics.state.std == pytest.approx((raw.std(),))
    assert data.statistics.delta == pytest.approx((np.diff(raw, axis=1).std(),), rel=1e-4)
    assert data.statistics.target == data.statistics.state
    assert data.statistics.static.mean == ()
    assert data.statistics.mean_field == ()
    assert Statistics.from_dict(json.loads(json.dumps(data.statistics.to_dict()))) == data.statistics


def test_steady_statistics(tmp_path: Path, task: Tasks, official: Official, console: Console) -> None:
    official(1.0, kind="darcy2d")
    darcy = task("darcy2d", resolution=32)
    darcy.prepare_data(tmp_path, console)
    data = darcy.open(tmp_path)
    statistics = data.statistics
    train = data.windows("train", horizon=1)
    solutions = train.batch(list(range(len(train)))).target[:, 0, 0].double()
    assert statistics.mean_field == pytest.approx(solutions.mean(0).flatten().tolist(), rel=1e-6)
    assert Statistics.from_dict(json.loads(json.dumps(statistics.to_dict()))) == statistics
    assert statistics.static.mean[0] == pytest.approx(-statistics.target.mean[0])
    assert (statistics.state.mean, statistics.delta) == ((), ())


def test_the_record_is_used_and_checked(
    tmp_path: Path, task: Tasks, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    advection = task("advection1d", resolution=16, frames=3)
    advection.prepare_data(tmp_path, console)
    plan = advection.plan_data(tmp_path)
    record = tmp_path / "audits" / f"{plan.fingerprint}.json"
    before = advection.open(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(audit_module, "_without_repeats", lambda *_: pytest.fail("the data were read again"))
        again = advection.open(tmp_path)
    assert (again.splits, again.statistics) == (before.splits, before.statistics)

    sound = record.read_text()
    content = read_sealed(record)
    moved = json.loads(sound)
    moved["splits"]["train"].append(moved["splits"]["test"].pop())
    scaled = json.loads(sound)
    scaled["statistics"]["state"]["std"] = [1e4]
    other_files = content | {"sums": ["0" * 64]}
    forms = ({}, {"splits": [], "statistics": {}}, content | {"statistics": {"state": 3}}, other_files)
    sealed = [plain | {"sha256": digest(plain)} for plain in forms]
    for damaged in (*map(json.dumps, [moved, scaled, *sealed, [], 3, None]), "{ cut o", ""):
        record.write_text(damaged)
        console = Listener()
        advection.prepare_data(tmp_path, console)
        assert any(f"{record} " in line and "audited again" in line for line in console.lines), damaged
        assert record.read_text() == sound
        assert advection.open(tmp_path).statistics == before.statistics


def test_a_place_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, task: Tasks, official: Official
) -> None:
    official(0.4)
    (tmp_path / "audits").write_text("in the way")
    console = Listener()
    advection = task("advection1d", resolution=16, frames=3)
    advection.prepare_data(tmp_path, console)
    assert any("cannot store the audit" in line for line in console.lines)
    assert len(advection.open(tmp_path).splits.train) == 10


def test_opening_unprepared_data(tmp_path: Path, task: Tasks) -> None:
    with pytest.raises(UPSError, match="not generated yet; prepare the data first"):
        task("darcy2d").open(tmp_path)


def test_nan_anywhere_is_found(tmp_path: Path, task: Tasks, official: Official, console: Console) -> None:
    edit(official(0.4), lambda file: file["tensor"].__setitem__((9, 195, 0), np.nan))
    with pytest.raises(UPSError, match="trajectory 9, frame 195"):
        task("advection1d").prepare_data(tmp_path, console)


def test_a_repeat_in_another_split_is_left_out(tmp_path: Path, task: Tasks, official: Official) -> None:
    path = official(0.4, trajectories=40)
    advection = task("advection1d", trajectories=40, resolution=16, frames=3)
    test = advection_splits(40)["test"][0]
    other = next(n for n in advection_splits(40)["train"] if n < test)
    edit(path, lambda file: file["tensor"].__setitem__((test, 0), file["tensor"][other, 0]))
    console = Listener()
    report = advection.prepare_data(tmp_path, console)
    assert report["excluded"] == 1
    assert (
        console.lines.count("advection1d: excluded 1 of 40 trajectories, which repeat one of another split")
        == 1
    )
    for _ in range(2):
        assert advection.open(tmp_path).splits.excluded == {test: other}


def test_repeats_name_the_file(tmp_path: Path, task: Tasks, official: Official, console: Console) -> None:
    path = official(0.4)
    edit(path, lambda file: file["tensor"].__setitem__(slice(None), file["tensor"][:1]))
    with pytest.raises(UPSError, match=r"^/.*beta0.4.hdf5: \d of 12 trajectories start like one of another"):
        task("advection1d", resolution=16, frames=3).prepare_data(tmp_path, console)
    assert path.exists()


def advection_splits(count: int) -> dict[str, list[int]]:
    from ups_data.prepare.splits import Splits, divide

    return Splits(**divide(range(count), {"train": 0.8, "val": 0.1, "test": 0.1})).to_dict()


def test_constant_fields_warn_once(tmp_path: Path, task: Tasks, official: Official) -> None:
    path = official(1.0, kind="darcy2d")
    edit(path, lambda file: file["tensor"].__setitem__(..., 0.1))
    console = Listener()
    darcy = task("darcy2d")
    darcy.prepare_data(tmp_path, console)
    darcy.prepare_data(tmp_path, console)
    assert console.lines.count("darcy2d: constant solution; standard deviation set to 1") == 1
    assert darcy.open(tmp_path).statistics.target.std == (1.0,)


@given(
    st.lists(
        hnp.arrays(np.float32, st.integers(0, 9), elements=st.floats(-1e3, 1e3, width=32)),
        min_size=1,
        max_size=5,
    )
)
def test_merged_moments_are_those_of_the_whole(pieces: list[Any]) -> None:
    moments, whole = Moments(), np.concatenate(pieces).astype(float)
    for piece in pieces:
        moments.add(piece)
    assert moments.count == whole.size
    if whole.size:
        assert moments.mean == pytest.approx(whole.mean(), rel=1e-5, abs=1e-4)
        assert moments.std == pytest.approx(whole.std(), rel=1e-4, abs=1e-4)
