"""Own files: parameters, splits by share, by file and by time; nothing is written beside the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from own_files import own, store_of
from ups_core import UPSError
from ups_core.console import Console


def sweep(root: Path, count: int = 4, **extra: Any) -> None:
    """Files with a parameter in the name, whose trajectories start alike."""
    start = np.random.default_rng(0).normal(size=(10, 1, 8))
    for number in range(count):
        nu = 10.0**-number
        later = np.random.default_rng(number).normal(size=(10, 5, 8))
        np.savez(root / f"run_nu{nu:g}_re{number}.npz", u=np.concatenate([start, later], axis=1), **extra)


def test_parameters_from_names_numbers_and_arrays(tmp_path: Path, console: Console) -> None:
    sweep(tmp_path, gamma=np.linspace(1, 2, 10), g=9.81)
    options = {
        "files": "run_*.npz",
        "axes": "ntx",
        "channels": "u",
        "file_pattern": "nu{nu}_re{re}",
        "parameters": {"gamma": "gamma", "gravity": "g", "two": 2.0},
        "log_scale": ["nu"],
        "units": {"nu": "m2/s"},
        "same_starts": True,
    }
    task = own(tmp_path, **options)
    info, store = task.describe(tmp_path), store_of(task, tmp_path)
    names = [parameter.name for parameter in info.parameters]
    assert names == ["gamma", "gravity", "two", "nu", "re"]
    found = dict(zip(names, info.parameters, strict=True))
    assert (found["nu"].low, found["nu"].high, found["nu"].scale, found["nu"].unit) == (
        0.001,
        1,
        "log",
        "m2/s",
    )
    assert (found["gamma"].low, found["gamma"].high) == (1, 2)
    rows = dict(zip(names, store.parameters.T, strict=True))
    assert rows["gamma"].tolist() == pytest.approx(np.tile(np.linspace(1, 2, 10), 4).tolist())
    assert sorted(set(rows["nu"])) == [0.001, 0.01, 0.1, 1.0]
    assert set(rows["gravity"]) == {9.81}
    task.prepare_data(tmp_path, console)
    splits = task.open(tmp_path).splits
    assert len(splits.train) == 8, "groups of four trajectories that start alike"
    with pytest.raises(UPSError, match=r"start like one of another split.*set same_starts: true"):
        own(tmp_path, **options | {"same_starts": False}).prepare_data(tmp_path, console)


def test_files_are_splits_and_the_test_grid_may_differ(tmp_path: Path, console: Console) -> None:
    random = np.random.default_rng(0)
    for name, count, cells in (("train", 20, 8), ("val", 4, 8), ("test", 5, 16)):
        np.savez(tmp_path / f"{name}.npz", u=random.normal(size=(count, 6, cells)))
    options = {"axes": "ntx", "channels": "u", "boundary": "periodic"}
    task = own(tmp_path, train="train.npz", val="val.npz", test="test.npz", **options)
    details = task.prepare_data(tmp_path, console)
    assert details["splits"] == {"train": 20, "val": 4, "test": 5}
    data = task.open(tmp_path)
    assert (data.info.shape, data.problem("test").shape) == ((8,), (16,))
    assert data.trajectories("test").batch([0]).target.shape == (1, 5, 1, 16)
    assert data.trajectories("test").batch([0]).coords[:, 0].tolist() == pytest.approx(
        [(point + 0.5) / 16 for point in range(16)]
    )
    without = own(tmp_path, train="train.npz", test="test.npz", **options)
    assert without.prepare_data(tmp_path, console)["splits"] == {"train": 18, "val": 2, "test": 5}


def test_a_test_file_that_repeats_training_is_found(tmp_path: Path, console: Console) -> None:
    values = np.random.default_rng(0).normal(size=(20, 6, 8))
    np.savez(tmp_path / "train.npz", u=values)
    np.savez(tmp_path / "test.npz", u=values[:5])
    task = own(tmp_path, train="train.npz", test="test.npz", axes="ntx", channels="u")
    with pytest.raises(UPSError, match="5 of 25 trajectories start like one of another split"):
        task.prepare_data(tmp_path, console)


def test_time_is_split_with_a_gap(tmp_path: Path, console: Console) -> None:
    values = np.random.default_rng(0).normal(size=(50, 8))
    np.save(tmp_path / "own.npy", values)
    task = own(tmp_path, files="own.npy", axes="tx", channels={"u": "array"}, split={"by": "time"}, history=2)
    note = task.prepare_data(tmp_path, console)["note"]
    assert note == "split by time with a gap of 3 frames: an easier test than unseen trajectories"
    data = task.open(tmp_path)
    lengths = [data.problem(split).frames for split in ("train", "val", "test")]
    assert lengths == [36, 4, 4]
    first = [data.windows(split, horizon=1).batch([0]).state[0, 0, 0] for split in ("train", "val", "test")]
    for begin, frame in zip((0, 36 + 3, 36 + 3 + 4 + 3), first, strict=True):
        assert np.array_equal(frame, values[begin].astype("f4"))
    assert data.windows("train", horizon=1).batch([33]).target[0, 0, 0].tolist() == pytest.approx(
        values[35].tolist()
    )


def test_nothing_is_written_beside_own_files(tmp_path: Path, console: Console) -> None:
    place, root = tmp_path / "mine", tmp_path / "data"
    place.mkdir()
    np.savez(place / "own.npz", u=np.random.default_rng(0).normal(size=(10, 6, 8)))
    options = {"files": str(place / "own.npz"), "axes": "ntx", "channels": "u"}
    first = own(root, **options).prepare_data(root, console)
    assert [path.name for path in place.iterdir()] == ["own.npz"]
    np.savez(place / "own.npz", u=np.random.default_rng(1).normal(size=(10, 6, 8)))
    second = own(root, **options).prepare_data(root, console)
    assert first["fingerprint"] != second["fingerprint"], "other content is another data set"
    assert own(root, **options).plan_data(root).fingerprint == second["fingerprint"]
