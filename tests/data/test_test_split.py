"""A test split with options of its own: other parameter values, another grid, and no leak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ups_core import UPSError, validate_options
from ups_core.plugin_loader import registry_in_use
from ups_data import prepare_task
from ups_data.stores.base import TrajectoryStore
from ups_data.stores.group_subset import GroupSubset
from ups_data.tasks.advection1d import Advection1dConfig

TRAINED: dict[str, Any] = {"beta": [0.1, 0.4], "trajectories": 20, "resolution": 64, "frames": 5}


def config(**test: Any) -> Advection1dConfig:
    found = validate_options(Advection1dConfig, TRAINED | {"test": test}, registry_in_use())
    assert isinstance(found, Advection1dConfig)
    return found


def test_other_values_and_a_finer_grid(tmp_path: Path) -> None:
    test = {"beta": [0.4, 1.0], "resolution": 128, "frames": 9}
    data = prepare_task("advection1d", TRAINED | {"test": test}, tmp_path)
    train, tested = data.trajectories("train"), data.trajectories("test")
    assert (train.info.shape, tested.info.shape) == ((64,), (128,))
    assert (train.targets, tested.targets) == (4, 8)
    assert np.unique(tested.batch(range(len(tested))).params).tolist() == pytest.approx([0.4, 1.0])
    assert np.unique(train.batch(range(len(train))).params).tolist() == pytest.approx([0.1, 0.4])
    assert (data.info.parameters[0].low, data.info.parameters[0].high) == (0.1, 0.4), "what training covers"
    assert tested.info.parameters == data.info.parameters
    assert data.statistics.conditions is not None
    assert data.statistics.conditions.parameters[0] == pytest.approx((0.1, 0.4))


def test_initial_conditions_stay_in_one_split(tmp_path: Path) -> None:
    """Trajectory i starts alike for every value and on every grid."""
    own = prepare_task("advection1d", TRAINED | {"test": {"beta": [1.0]}}, tmp_path)
    plain = prepare_task("advection1d", TRAINED, tmp_path)
    assert own.splits.test == plain.splits.test
    everything = [set(own.splits[split]) for split in ("train", "val", "test")]
    assert sum(map(len, everything)) == len(set.union(*everything)) == 20
    start = {
        tuple(np.round(state.ravel(), 5))
        for split in ("train", "val")
        for state in own.trajectories(split).batch(range(len(own.trajectories(split)))).state.numpy()
    }
    for state in own.trajectories("test").batch(range(len(own.trajectories("test")))).state.numpy():
        assert tuple(np.round(state.ravel(), 5)) not in start


def test_the_fingerprint_knows_the_test_split_and_training_data_are_shared(tmp_path: Path) -> None:
    from ups_data.tasks.create import create_task

    plans = [
        create_task("advection1d", TRAINED | {"test": test}).plan_data(tmp_path)
        for test in ({}, {"beta": [1.0]}, {"beta": [2.0]})
    ]
    assert len({plan.fingerprint for plan in plans}) == 3
    assert plans[0].files == plans[1].files[:2] == plans[2].files[:2]


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"betta": [1.0]}, "'betta' cannot differ from training; did you mean 'beta'"),
        ({"history": 2}, "'history' cannot differ from training"),
        ({"time_stride": 1}, "'time_stride' cannot differ"),
        ({"resolution": 100}, "does not divide the native 1024"),
        ({"frames": 1}, "greater than or equal to 2"),
    ],
)
def test_what_cannot_differ_is_refused(test: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**test)


def test_darcy_on_a_finer_grid(tmp_path: Path) -> None:
    data = prepare_task(
        "darcy2d", {"trajectories": 12, "resolution": 16, "test": {"resolution": 32}}, tmp_path
    )
    assert data.trajectories("test").batch([0]).target.shape == (1, 1, 1, 32, 32)
    assert data.trajectories("val").batch([0]).target.shape == (1, 1, 1, 16, 16)


def test_a_subset_is_its_part_of_the_store(tmp_path: Path) -> None:
    data = prepare_task("advection1d", TRAINED, tmp_path)
    store: TrajectoryStore = data.stores.train
    subset = GroupSubset(store, (3, 7, 11))
    rows = np.flatnonzero(np.isin(store.groups, (3, 7, 11)))
    np.testing.assert_array_equal(subset.groups, store.groups[rows])
    np.testing.assert_array_equal(subset.parameters, store.parameters[rows])
    starts = np.zeros(len(rows), dtype=np.int64)
    numbers = np.arange(len(rows))
    np.testing.assert_array_equal(subset.frames(numbers, starts, 3), store.frames(rows, starts, 3))
    chunks = list(subset.chunks())
    np.testing.assert_array_equal(
        np.concatenate([chunk.frames for chunk in chunks]), store.frames(rows, starts, 5)
    )
    assert [
        index for chunk in chunks for index in range(chunk.part.start, chunk.part.stop)
    ] == numbers.tolist()


def test_a_test_split_of_official_files_only_needs_files_too(tmp_path: Path) -> None:
    from ups_data.tasks.create import create_task

    with pytest.raises(UPSError, match=r"beta0\.1"):
        create_task("advection1d", TRAINED | {"source": "official", "test": {"beta": [1.0]}}).plan_data(
            tmp_path
        )
