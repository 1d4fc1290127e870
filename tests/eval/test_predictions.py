"""`predictions.h5`: which trajectories are stored, and a round trip that changes nothing."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo
from ups_eval.predictions import Choice, choose, read_predictions, write_predictions
from ups_models.testing import toy_batch, toy_evolution, toy_steady

ERRORS = st.lists(st.floats(0, 10) | st.just(math.inf), min_size=1, max_size=30)


@given(errors=ERRORS, count=st.integers(1, 40))
def test_the_notable_trajectories_come_first(errors: list[float], count: int) -> None:
    choice = choose(errors, count)
    assert len(choice.positions) == min(count, len(errors))
    assert len(set(choice.positions)) == len(choice.positions)
    assert set(choice.positions) <= set(range(len(errors)))
    assert errors[choice.positions[choice.picks["best"]]] == min(errors)
    if "worst" in choice.picks:
        assert errors[choice.positions[choice.picks["worst"]]] == max(errors)
    if "median" in choice.picks:
        middle = errors[choice.positions[choice.picks["median"]]]
        assert sum(error < middle for error in errors) <= len(errors) / 2
        assert sum(error > middle for error in errors) <= len(errors) / 2
    assert choice.positions == sorted(choice.positions)
    notable = {choice.positions[row] for row in choice.picks.values()}
    rest = [position for position in choice.positions if position not in notable]
    others = [position for position in range(len(errors)) if position not in notable]
    assert rest == others[: len(rest)], "then the first of the split"


@given(errors=ERRORS)
def test_all_trajectories_or_a_few(errors: list[float]) -> None:
    assert sorted(choose(errors, -1).positions) == list(range(len(errors)))
    assert choose(errors, 1).picks.keys() >= {"best"}
    assert choose(errors, 1).positions == [int(np.argmin(errors))]


def test_ties_take_the_earlier_trajectory() -> None:
    choice = choose([0.5, 0.5, 0.5, 0.5], 3)
    assert choice.positions == [0, 1, 3]
    assert choice.picks == {"best": 0, "median": 1, "worst": 2}


CASES = [
    toy_evolution(),
    toy_evolution(dim=2, cells=6, history=3, parameters=3),
    toy_evolution(dim=3, cells=4, history=1, parameters=0),
    toy_steady(),
    toy_steady("line", dim=1, cells=12),
]


def store(path: Path, info: TaskInfo, batches: list[FieldBatch], picks: dict[str, int] | None = None) -> None:
    with write_predictions(path) as writer:
        count = sum(map(len, batches))
        writer.task(info, Choice(list(range(count)), picks or {}))
        for batch in batches:
            writer.truth(batch)
            writer.prediction(info.name, "ours", (batch.target + 1)[None], batch.index.float())
            writer.prediction(info.name, "ours/their.net", (batch.target * 2)[None], batch.index.float() + 10)


@pytest.mark.parametrize("info", CASES, ids=lambda info: f"{info.kind} {info.dim}d")
def test_every_kind_of_task_survives_the_file(tmp_path: Path, info: TaskInfo) -> None:
    batches = [toy_batch(info, size=size, seed=size) for size in (2, 1, 3)]
    store(tmp_path / "p.h5", info, batches, {"best": 3, "worst": 0})
    (stored,) = read_predictions(tmp_path / "p.h5").values()
    assert stored.info == info
    assert stored.picks == {"best": 3, "worst": 0}
    for name in ("target", "state", "static", "params", "index"):
        expected = torch.cat([getattr(batch, name) for batch in batches])
        found = getattr(stored, name)
        assert found.shape == tuple(expected.shape), name
        np.testing.assert_array_equal(found, expected.numpy(), err_msg=name)
    np.testing.assert_array_equal(stored.coords, batches[0].coords.numpy())
    assert set(stored.predictions) == set(stored.nrmse) == {"ours", "ours/their.net"}
    np.testing.assert_array_equal(stored.predictions["ours"], stored.target + 1)
    np.testing.assert_array_equal(stored.predictions["ours/their.net"], stored.target * 2)
    np.testing.assert_array_equal(stored.nrmse["ours/their.net"], stored.index + 10)


def test_the_file_documents_itself(tmp_path: Path) -> None:
    info = toy_evolution()
    store(tmp_path / "p.h5", info, [toy_batch(info)])
    with h5py.File(tmp_path / "p.h5") as file:
        assert file.attrs["schema"] == 2
        group = file["wave"]
        arrays = {"target", "state", "static", "params", "index", "position", "coords"}
        assert set(group) == arrays | {"prediction", "nrmse"}
        assert json.loads(group.attrs["info"])["equation"] == info.equation
        assert group["target"].chunks == (1, 4, 2, 32), "one trajectory is one read"
        assert group["target"].compression is None
        assert group["target"].dtype == np.float32
        assert group["index"].dtype == np.int64
        assert group["static"].shape == (3, 0, 32)


def test_several_tasks_share_a_file(tmp_path: Path) -> None:
    one, two = toy_evolution(), toy_steady()
    with write_predictions(tmp_path / "p.h5") as writer:
        for info in (one, two):
            writer.task(info, Choice([], {}))
            writer.truth(toy_batch(info))
    stored = read_predictions(tmp_path / "p.h5")
    assert {name: task.info for name, task in stored.items()} == {"wave": one, "flow": two}
    assert all(task.predictions == {} for task in stored.values()), "no model was scored on it"


def test_the_name_appears_with_the_complete_file(tmp_path: Path) -> None:
    path = tmp_path / "p.h5"
    path.write_bytes(b"the file of before")
    info = toy_evolution()

    def interrupted() -> None:
        with write_predictions(path) as writer:
            writer.task(info, Choice([], {}))
            writer.truth(toy_batch(info))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"the file of before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.h5"]
    store(path, info, [toy_batch(info)])
    assert len(read_predictions(path)["wave"].index) == 3


def test_gradients_and_devices_do_not_matter(tmp_path: Path) -> None:
    info = toy_evolution()
    batch = toy_batch(info)
    with write_predictions(tmp_path / "p.h5") as writer:
        writer.task(info, Choice([], {}))
        writer.truth(batch)
        graded = batch.target.clone().requires_grad_()
        writer.prediction("wave", "ours", graded[None] * 3, graded.detach().mean((1, 2, 3)))
    np.testing.assert_allclose(
        read_predictions(tmp_path / "p.h5")["wave"].predictions["ours"], batch.target * 3
    )


def no_info(file: Any) -> None:
    del file["wave"].attrs["info"]


def no_target(file: Any) -> None:
    del file["wave/target"]


@pytest.mark.parametrize("damage", [no_info, no_target])
def test_an_incomplete_file_is_named(tmp_path: Path, damage: Any) -> None:
    info = toy_evolution()
    store(tmp_path / "p.h5", info, [toy_batch(info)])
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        damage(file)
    with pytest.raises(UPSError, match=r"p\.h5 cannot be read .*; run the evaluation step again") as caught:
        read_predictions(tmp_path / "p.h5")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["wave/target", "wave/prediction/ours", "wave"])
def test_values_outside_the_file_are_not_read(tmp_path: Path, place: str) -> None:
    info = toy_evolution()
    store(tmp_path / "p.h5", info, [toy_batch(info)])
    shutil.copy(tmp_path / "p.h5", tmp_path / "other.h5")
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        del file[place]
        file[place] = h5py.ExternalLink(str(tmp_path / "other.h5"), f"/{place}")
    with pytest.raises(UPSError, match=rf"p\.h5 has '{place}.*' as a link to .*, which is not followed"):
        read_predictions(tmp_path / "p.h5")


def test_stored_trajectories_are_best_median_worst_then_the_first() -> None:
    errors = [0.5, 0.1, 0.9, 0.3, 0.2, math.inf]
    choice = choose(errors, 5)
    assert choice.positions == [0, 1, 2, 3, 5]
    assert choice.picks == {"best": 1, "median": 3, "worst": 4}
    assert sorted(choose(errors, -1).positions) == list(range(6))
    assert choose([0.2], 16).picks == {"best": 0, "median": 0, "worst": 0}


def test_predictions_survive_the_file_appended_in_parts(tmp_path: Path, advection, darcy) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "predictions.h5"
    with write_predictions(path) as writer:
        for data in (advection, darcy):
            writer.task(data.info, Choice([0], {"best": 0}))
            windows = data.trajectories("test")
            for rows in ([0, 1], [2]):
                batch = windows.batch(rows)
                writer.truth(batch)
                writer.prediction(
                    batch.task, "author/half", (batch.target / 2)[None], torch.tensor([0.5] * len(rows))
                )
        assert not path.exists(), "only a complete file gets the name"
    stored = read_predictions(path)["advection1d"]
    assert stored.info == advection.info
    assert stored.picks == {"best": 0}
    np.testing.assert_array_equal(stored.target, advection.content.target[:3])
    np.testing.assert_array_equal(stored.predictions["author/half"], advection.content.target[:3] / 2)
    np.testing.assert_array_equal(stored.coords, advection.content.coords)
    assert stored.static.shape == (3, 0, 64)
    assert stored.index.tolist() == [100, 101, 102]
    assert read_predictions(path)["darcy2d"].state.shape[:2] == (3, 0)
    assert [entry.name for entry in tmp_path.iterdir()] == ["predictions.h5"]


def test_a_failed_writer_leaves_nothing_and_a_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), write_predictions(tmp_path / "predictions.h5"):
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []
    assert read_predictions(tmp_path / "predictions.h5") == {}
    (tmp_path / "predictions.h5").write_bytes(b"torn")
    with pytest.raises(UPSError, match=r"predictions\.h5 is not a readable HDF5 file"):
        read_predictions(tmp_path / "predictions.h5")
