"""What a sampling model is compared with: its prediction, alone and with errors of the train split."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ups_eval.random_errors import RandomErrors, WithoutSampling
from ups_eval.rollout_step import untrained


@pytest.fixture
def chosen(advection: Any) -> RandomErrors:
    data = {advection.info.name: advection}
    return RandomErrors(untrained("persistence", data), data, "test")


def test_a_member_is_the_prediction_plus_one_training_error(advection: Any, chosen: RandomErrors) -> None:
    with torch.inference_mode():
        batch = advection.trajectories("test").batch([0, 1, 2])
        steps = batch.target.shape[1]
        members = chosen.sample(batch, steps, 20, seed=1)
        train = advection.trajectories("train")
        given = train.batch(range(len(train)))
        errors = given.target - chosen.rollout(given, steps)
        found = (members - chosen.rollout(batch, steps)).reshape(60, -1)
        distance = (found[:, None] - errors.flatten(1)).abs().amax(dim=2).min(dim=1)
    assert float(distance.values.max()) < 1e-5
    assert set(distance.indices.tolist()) == set(range(len(train))), "members draw independently"


def test_members_do_not_depend_on_the_batch(advection: Any, chosen: RandomErrors) -> None:
    windows = advection.trajectories("test")
    with torch.inference_mode():
        whole = chosen.sample(windows.batch([0, 1, 2]), 4, 3, seed=0)
        assert torch.equal(chosen.sample(windows.batch([1]), 4, 3, seed=0), whole[:, 1:2])
        assert not torch.equal(chosen.sample(windows.batch([0, 1, 2]), 4, 3, seed=1), whole)


def test_another_grid_has_no_errors_to_draw(advection: Any, chosen: RandomErrors) -> None:
    info = advection.info
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        ({"frames": info.frames - 1}, True),
        ({"shape": (2 * info.shape[0],)}, False),
        ({"frames": info.frames + 1}, False),
    ]
    for change, able in cases:
        grids = {"train": info, "test": replace(info, **change)}
        data: Any = {info.name: SimpleNamespace(problem=grids.__getitem__)}
        assert RandomErrors(chosen, data, "test").supports(info) is able


def test_doing_nothing_is_one_prediction(advection: Any, chosen: RandomErrors) -> None:
    nothing, batch = WithoutSampling(chosen), advection.trajectories("test").batch([0])
    assert not nothing.stochastic
    assert torch.equal(nothing.sample(batch, 3, 8, seed=0)[0], chosen.rollout(batch, 3))
