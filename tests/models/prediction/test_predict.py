"""`simulator.predict`: the same as a rollout of a batch made by hand, for every shape that users have."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from prediction_models import FLOW, PAIR, WAVE, model_of
from toy_models import component, perturbed
from ups_core import UsageError
from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo
from ups_models.simulator import Simulator, build_simulator

RNG = np.random.default_rng(0)
U = RNG.normal(size=(3, 1, 32)).astype(np.float32)
BETA = [0.1, 0.25, 0.4]


@pytest.fixture(scope="module")
def wave() -> Simulator:
    return model_of(WAVE)


def by_hand(task: TaskInfo, state: Any, **fields: Any) -> FieldBatch:
    count = len(state)
    plain: dict[str, Any] = {
        "task": task.name,
        "state": torch.as_tensor(state),
        "static": torch.zeros(count, 0, *task.shape),
        "params": torch.zeros(count, len(task.parameters)),
        "params_mask": torch.ones(count, len(task.parameters), dtype=torch.bool),
        "dt": torch.full((count,), task.dt),
        "coords": torch.tensor(list(product(*task.axes)), dtype=torch.float32),
        "target": torch.zeros(count, 1, len(task.target_channels), *task.shape),
        "index": torch.arange(count),
    }
    return FieldBatch(**plain | fields)


def test_a_prediction_is_the_rollout_of_the_batch_made_by_hand(wave: Simulator) -> None:
    batch = by_hand(WAVE, U[:, None], params=torch.tensor(BETA)[:, None])
    with torch.no_grad():
        expected = wave.rollout(batch, 4).numpy()
    found = wave.predict(U, {"beta": BETA}, 4)
    assert found.dtype == np.float32
    assert found.shape == (3, 4, 1, 32)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("u0", "shape"),
    [
        (U[0, 0], (2, 1, 32)),
        (U[0], (2, 1, 32)),
        (U, (3, 2, 1, 32)),
        (U[:, None], (3, 2, 1, 32)),
        (torch.from_numpy(U), (3, 2, 1, 32)),
        (U.astype(np.float64), (3, 2, 1, 32)),
        ({"u": U[0, 0]}, (2, 1, 32)),
        ({"u": U[:, 0]}, (3, 2, 1, 32)),
        (U[0, 0].tolist(), (2, 1, 32)),
    ],
    ids=str,
)
def test_shapes_that_users_have(wave: Simulator, u0: Any, shape: tuple[int, ...]) -> None:
    found = wave.predict(u0, {"beta": 0.2}, 2)
    assert found.shape == shape
    complete = wave.predict(U, {"beta": 0.2}, 2)
    assert np.allclose(found, complete if found.ndim == 4 else complete[0], atol=1e-6)


def test_labelled_arrays_are_put_in_order(wave: Simulator) -> None:
    xarray = pytest.importorskip("xarray")
    expected = wave.predict(U, {"beta": 0.2}, 2)
    turned = xarray.DataArray(U[:, 0].T, dims=("x", "sample"))
    assert np.array_equal(wave.predict(xarray.Dataset({"u": turned}), {"beta": 0.2}, 2), expected)
    channel = xarray.DataArray(U.transpose(2, 1, 0), dims=("x", "channel", "trajectory"))
    assert np.array_equal(wave.predict(channel, {"beta": 0.2}, 2), expected)
    elsewhere = channel.assign_coords(x=np.linspace(0, 1, 32))
    with pytest.raises(UsageError, match="grid: 32 coordinates along x from 0 to 1 do not cover the model's"):
        wave.predict(elsewhere, {"beta": 0.2}, 2)
    with pytest.raises(UsageError, match="u0 has the axes x, one, other; use trajectory"):
        wave.predict(xarray.DataArray(U.T, dims=("x", "one", "other")), {"beta": 0.2}, 2)


def test_history_static_fields_and_forcing() -> None:
    sim = model_of(PAIR)
    state = RNG.normal(size=(3, 2, 2, 16, 12)).astype(np.float32)
    mask = RNG.normal(size=(1, 16, 12)).astype(np.float32)
    push = RNG.normal(size=(3, 5, 1, 16, 12)).astype(np.float32)
    batch = by_hand(
        PAIR, state, static=torch.from_numpy(mask).expand(3, -1, -1, -1), forcing=torch.from_numpy(push)
    )
    with torch.no_grad():
        expected = sim.rollout(batch, 3).numpy()
    assert np.array_equal(sim.predict(state, steps=3, static=mask, forcing=push), expected)
    named = {"u": state[:, :, 0], "v": state[:, :, 1]}
    assert np.array_equal(sim.predict(named, steps=3, static=mask[0], forcing=push), expected)
    one = sim.predict(state[0], steps=3, static=mask, forcing=push[0])
    assert one.shape == (3, 2, 16, 12)
    assert np.allclose(one, expected[0], atol=1e-5)
    for what, given in {"static": {"forcing": push}, "forcing": {"static": mask}}.items():
        with pytest.raises(
            UsageError, match=f"^{what} is missing; task 'pair' expects u, v on 16x12 points, 2"
        ):
            sim.predict(state, steps=3, **given)
    with pytest.raises(UsageError, match=r"forcing has shape \(3, 4, 1, 16, 12\); expected \(5, 1, x, y\)"):
        sim.predict(state, steps=3, static=mask, forcing=push[:, :4])


def test_a_steady_task_needs_no_steps() -> None:
    sim = model_of(FLOW)
    medium = RNG.random((3, 12, 12)) > 0.5
    found = sim.predict(medium[:, None])
    assert found.shape == (3, 1, 12, 12)
    batch = by_hand(FLOW, torch.zeros(3, 0, 1, 12, 12), static=torch.from_numpy(medium[:, None]).float())
    with torch.no_grad():
        assert np.array_equal(found, sim.rollout(batch, 1)[:, 0].numpy())
    assert sim.predict(medium[0]).shape == (1, 12, 12)
    with pytest.raises(UsageError, match="task 'flow' is steady and has no steps"):
        sim.predict(medium[0], steps=3)


def test_members_of_a_stochastic_model() -> None:
    options = {"noise": {"channels": 3}, "middle_width": 8, "local_width": {"1": 4}, "width": 8}
    sim = build_simulator(
        component("latent_operator", **options), {"wave": WAVE}, {"wave": model_of(WAVE).statistics["wave"]}
    )
    sim = perturbed(sim).eval()
    found = sim.predict(U, {"beta": 0.2}, 3, members=4, seed=1)
    assert found.shape == (3, 4, 3, 1, 32)
    assert np.array_equal(found, sim.predict(U, {"beta": 0.2}, 3, members=4, seed=1))
    assert np.abs(found[:, 0] - found[:, 1]).max() > 1e-6
    assert np.allclose(found[:, :2], sim.predict(U, {"beta": 0.2}, 3, members=2, seed=1), atol=1e-6)
    assert sim.predict(U[0], {"beta": 0.2}, 3, members=4).shape == (4, 3, 1, 32)
    assert sim.predict(U, {"beta": 0.2}, 3).shape == (3, 3, 1, 32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"u0": U[:, :, :0]},
            r"u0 has shape \(3, 1, 0\); expected \(1, x\) for one input or \(B, 1, x\) for a",
        ),
        (
            {"u0": U[:2, 0]},
            r"u0 has shape \(2, 32\); expected \(1, x\) for one input or \(B, 1, x\) for a batch",
        ),
        ({"u0": np.float32(1)}, r"u0 has shape \(\); expected"),
        ({"u0": U * 1j}, "u0 is complex; the model takes real numbers"),
        ({"u0": np.array(["a"])}, "u0 is of type <U1; the model takes real numbers"),
        ({"u0": [[1.0], [1.0, 2.0]]}, "u0 is not an array"),
        ({"u0": np.where(U > 1, np.nan, U)}, "u0: 'u' contains NaN or infinity in input 0"),
        ({"u0": np.where(U > 1, 1e30, U)}, r"u0: 'u' contains the value 1e\+30 in input 0"),
        ({"u0": {"v": U[0, 0]}}, "u0 has an unknown channel 'v'; known: u"),
        ({"u0": {}}, "u0 has no channel 'u'"),
        ({"params": {}}, "parameter 'beta' is missing"),
        ({"params": {"bata": 1}}, r"unknown parameter 'bata'; did you mean 'beta'\?"),
        ({"params": {"beta": "fast"}}, "parameter 'beta' is 'fast', not a number"),
        ({"params": {"beta": float("nan")}}, "parameter 'beta' is nan"),
        ({"params": {"beta": [0.1, 0.2]}}, r"parameter 'beta' has shape \(2,\) for 3 inputs"),
        ({"steps": None}, "steps is missing; give the number of frames to predict"),
        ({"steps": 0}, "steps is 0; give the number of frames to predict, 1 or more"),
        ({"members": 3}, "members is 3, but the model is deterministic"),
        ({"members": 0}, "members is 0; use 1 or more"),
        ({"task": "wove"}, r"the model has no task 'wove'; did you mean 'wave'\?"),
        ({"dt": 0.2}, "dt is 0.2, but the model was trained with frames 0.1 apart only"),
        ({"dt": -1.0}, "dt is -1; give a positive time between frames"),
        ({"static": U}, "static is given, but the model takes none"),
        (
            {"grid": [np.linspace(0, 1, 32)]},
            "grid: 32 coordinates along x from 0 to 1 do not cover the model's dom",
        ),
        ({"grid": [np.linspace(0, 1, 8)]}, "grid: 8 coordinates along x, but the fields have 32 points"),
    ],
    ids=str,
)
def test_wrong_input_is_refused_in_one_line(wave: Simulator, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}") as caught:
        wave.predict(**{"u0": U, "params": {"beta": 0.2}, "steps": 2} | changes)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_two_tasks_need_a_name() -> None:
    sim = model_of(WAVE, FLOW)
    with pytest.raises(UsageError, match="trained on 2 tasks; choose one with task=: wave, flow"):
        sim.predict(U, {"beta": 0.2}, 2)
    assert sim.predict(np.ones((12, 12)), task="flow").shape == (1, 12, 12)


def test_a_value_that_training_did_not_have_is_warned_of(wave: Simulator) -> None:
    with pytest.warns(
        UserWarning, match=r"parameter 'beta' is 5, outside the trained range from 0\.1 to 0\.4"
    ):
        wave.predict(U, {"beta": [0.1, 0.2, 5]}, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wave.predict(U, {"beta": [0.1, 0.2, 0.4]}, 1)  # 0.4 in float32 exceeds 0.4


def test_a_parameter_that_never_varied_may_be_left_out() -> None:
    task = replace(WAVE, parameters=(replace(WAVE.parameters[0], low=0.3, high=0.3),))
    sim = model_of(task)
    expected = sim.predict(U, {"beta": 0.3}, 2)
    assert np.array_equal(sim.predict(U, steps=2), expected)
    with pytest.warns(
        UserWarning, match=r"'beta' is 0\.9, but training had 0\.3 only; the prediction does not"
    ):
        assert np.array_equal(sim.predict(U, {"beta": 0.9}, 2), expected)


def test_another_time_step_where_training_had_several() -> None:
    sim = model_of(WAVE, dt=(0.05, 0.2))
    plain = sim.predict(U, {"beta": 0.2}, 2)
    assert np.array_equal(plain, sim.predict(U, {"beta": 0.2}, 2, dt=0.1))
    assert not np.allclose(plain, sim.predict(U, {"beta": 0.2}, 2, dt=0.2))
    with pytest.warns(UserWarning, match=r"dt is 1, outside the trained range from 0\.05 to 0\.2"):
        sim.predict(U, {"beta": 0.2}, 2, dt=1.0)


def test_another_grid_is_accepted_and_warned_of_once(wave: Simulator) -> None:
    fine = np.repeat(U, 2, axis=2)
    with pytest.warns(
        UserWarning, match=r"the grid 64 has 0\.5 times the spacing of the training grid 32"
    ) as seen:
        assert wave.predict(fine, {"beta": 0.2}, 2).shape == (3, 2, 1, 64)
    assert len(seen) == 1
    with pytest.warns(UserWarning, match="the grid 33 is not the training grid 32"):
        wave.predict(np.ones((1, 33)), {"beta": 0.2}, 2)


def test_a_grid_that_a_model_cannot_run_on(wave: Simulator) -> None:
    with (
        pytest.warns(UserWarning, match="times the spacing"),
        pytest.raises(
            UsageError, match=r"the model cannot run on a grid of 2 points \(.*\); it was trained on 32"
        ),
    ):
        wave.predict(np.ones((1, 2)), {"beta": 0.2}, 2)


def test_a_prediction_that_diverges_is_warned_of() -> None:
    sim = model_of(WAVE)
    with torch.no_grad():
        for weight in sim.parameters():
            weight.mul_(1e6)
    with pytest.warns(
        UserWarning, match="the predictions of 3 of 3 inputs diverge: they contain NaN or infinity"
    ):
        sim.predict(U, {"beta": 0.2}, 5)


def test_frames_come_one_by_one(wave: Simulator) -> None:
    batch = by_hand(WAVE, U[:, None], params=torch.tensor(BETA)[:, None])
    with torch.no_grad():
        frames = wave.frames(batch, 10**9)
        first = [next(frames) for _ in range(3)]
        assert torch.equal(torch.stack(first, dim=1), wave.rollout(batch, 3))
        members = list(wave.member_frames(batch, 3, 1, 0))
        assert torch.equal(torch.stack(members, dim=2), wave.sample(batch, 3, 1, 0))
