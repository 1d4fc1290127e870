"""Inferences from points, by methods whose answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ups_core import Component
from ups_core.component import validate_options
from ups_core.plugin_loader import registry_in_use
from ups_data import prepare_task
from ups_data.prepare.opening import TaskData
from ups_eval.observations import map_estimate
from ups_eval.observations.classical import Kriging, Method, NearestSample, RadialBasis, TrainingMean
from ups_eval.observations.config import ObservationsConfig
from ups_eval.observations.map_estimate import MapEstimate
from ups_eval.observations.observers import Expected, PosteriorSamples
from ups_eval.observations.problems import of_problems
from ups_eval.observations.solved_samples import SolvedSamples
from ups_eval.observations.step import METHODS
from ups_eval.observations.training_fields import TrainingFields
from ups_models.prior.config import PosteriorConfig
from ups_models.prior.joint_flow import JointFlow
from ups_models.prior.simulator import PriorSimulator

DIRECTIONS = ("forward", "inverse", "both")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    root = tmp_path_factory.mktemp("data")
    return prepare_task("darcy_grf", {"trajectories": 200, "resolution": 16}, root)


@pytest.fixture(scope="module")
def prior(data: TaskData) -> PriorSimulator:
    torch.manual_seed(0)
    name = data.info.name
    flow = JointFlow(Component.of("models", "unet", {"width": 4, "levels": 2}), {name: data.info})
    return PriorSimulator(flow, {name: data.info}, {name: data.statistics}, PosteriorConfig(steps=2)).eval()


def config(**options: Any) -> ObservationsConfig:
    made = validate_options(ObservationsConfig, {"directions": list(DIRECTIONS)} | options, registry_in_use())
    assert isinstance(made, ObservationsConfig)
    return made


def method(kind: type[Method], prior: PriorSimulator, data: TaskData, **options: Any) -> Method:
    name = data.info.name
    return kind(prior, config(**options), {name: TrainingFields(data)}, {name: data.solver})


def infer(
    observer: Any, data: TaskData, direction: str, split: str = "test"
) -> tuple[Tensor, Tensor, Tensor]:
    """What is inferred, the truth, and where it was observed."""
    problem = of_problems({data.info.name: data}, (direction,))[f"{data.info.name}.{direction}"]  # type: ignore[arg-type]
    batch = problem.trajectories(split, limit=6).batch(range(6))
    with torch.inference_mode():
        found = observer.rollout(batch, 1)
    return found[:, 0], batch.target[:, 0], observer.observe(batch).mask


def error(found: Tensor, target: Tensor) -> float:
    return float(((found - target).flatten(1).norm(dim=1) / target.flatten(1).norm(dim=1)).mean())


def test_points_are_those_that_were_asked_for(prior: PriorSimulator, data: TaskData) -> None:
    observer = Expected(prior, config(points=20), None)
    for direction, channels in (("forward", [20, 0]), ("inverse", [0, 20]), ("both", [20, 20])):
        _, _, mask = infer(observer, data, direction)
        assert mask.flatten(2).sum(dim=2).tolist() == [channels] * 6
        assert len({tuple(row.flatten().tolist()) for row in mask}) == 6, "every sample has its own points"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_methods_see_nothing_but_the_points(prior: PriorSimulator, data: TaskData, direction: str) -> None:
    """Other true values elsewhere change nothing."""
    problem = of_problems({data.info.name: data}, (direction,))[f"{data.info.name}.{direction}"]  # type: ignore[arg-type]
    batch = problem.trajectories("test", limit=2).batch(range(2))
    for name, kind in METHODS.items():
        if name == "map":
            continue
        observer = method(kind, prior, data, points=20)
        if not observer.supports(problem.info):
            continue
        mask = observer.observe(batch).mask
        before = observer.rollout(batch, 1)
        batch.static = torch.where(mask, batch.static, 5.0)
        after = observer.rollout(batch, 1)
        assert torch.equal(before, after), name
    with torch.inference_mode():
        if direction == "forward":
            solved = method(SolvedSamples, prior, data, points=20)
            mask = solved.observe(batch).mask
            before = solved.sample(batch, 1, 2, 0)
            batch.static = torch.where(mask, batch.static, 6.0)
            assert torch.equal(before, solved.sample(batch, 1, 2, 0))
        sampled = PosteriorSamples(prior, config(points=20), None)
        mask = sampled.observe(batch).mask
        before = sampled.sample(batch, 1, 2, 0)
        batch.static = torch.where(mask, batch.static, 7.0)
        assert torch.equal(before, sampled.sample(batch, 1, 2, 0))


def test_kriging_is_exact_at_exact_points_and_better_than_the_mean(
    prior: PriorSimulator, data: TaskData
) -> None:
    observer = method(Kriging, prior, data, points=20)
    found, target, mask = infer(observer, data, "both")
    assert ((found - target) / target.std())[mask].abs().max() < 0.05
    for direction in ("forward", "inverse"):
        ours = error(*infer(observer, data, direction)[:2])
        mean = error(*infer(method(TrainingMean, prior, data), data, direction)[:2])
        assert ours < mean


def test_the_nearest_sample_of_a_training_sample_is_itself(prior: PriorSimulator, data: TaskData) -> None:
    observer = method(NearestSample, prior, data, points=100)
    for direction in DIRECTIONS:
        found, target, _ = infer(observer, data, direction, "train")
        assert torch.allclose(found, target, atol=1e-6)


def test_all_points_and_a_solver_are_the_solution(prior: PriorSimulator, data: TaskData) -> None:
    found, target, _ = infer(method(RadialBasis, prior, data, points=256), data, "forward")
    assert error(found, target) < 1e-5


def test_the_most_probable_coefficient_explains_the_points(
    prior: PriorSimulator, data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_estimate, "ITERATIONS", 40)
    found, target, _ = infer(method(MapEstimate, prior, data, points=60), data, "inverse")
    middle = 7.5
    wrong = ((found > middle) != (target > middle)).float().mean()
    chance = ((target.mean() > middle) != (target > middle)).float().mean()
    assert wrong < 0.5 * chance
    assert 3 <= found.min() <= found.max() <= 12


def test_noise_is_in_units_of_the_field(prior: PriorSimulator, data: TaskData) -> None:
    problem = of_problems({data.info.name: data}, ("both",))[f"{data.info.name}.both"]
    batch = problem.trajectories("test").batch(range(20))
    seen = Expected(prior, config(points=100, noise=0.3), None).observe(batch)
    errors = (seen.values - batch.static).transpose(0, 1).flatten(1).std(dim=1)
    std = np.array([*data.statistics.static.std, *data.statistics.target.std])
    np.testing.assert_allclose(errors.numpy() / std, 0.3, rtol=0.05)
    assert (seen.noise == torch.tensor(0.3)).all()


def test_which_problems_have_which_method(prior: PriorSimulator, data: TaskData) -> None:
    infos = {
        direction: of_problems({data.info.name: data}, (direction,))[f"{data.info.name}.{direction}"].info  # type: ignore[arg-type]
        for direction in DIRECTIONS
    }
    expected = {
        "mean": "forward inverse both", "nearest": "forward inverse both", "rbf": "forward both",
        "kriging": "forward inverse both", "kriging_solve": "forward", "map": "inverse",
    }  # fmt: skip
    for name, kind in METHODS.items():
        able = [direction for direction, info in infos.items() if method(kind, prior, data).supports(info)]
        assert " ".join(able) == expected[name]


def test_what_a_spec_may_ask_for(data: TaskData, tmp_path: Path) -> None:
    for options, message in (
        ({"directions": []}, "no directions"),
        ({"directions": ["forward", "forward"]}, "name twice"),
        ({"points": 10, "share": 0.1}, "remove one"),
        ({"points": 0}, "greater than 0"),
        ({"share": 0}, "greater than 0"),
        ({"members": 1}, "greater than or equal to 2"),
        ({"baselines": ["kriging", "kriging"]}, "name twice"),
    ):
        with pytest.raises(ValueError, match=message):
            config(**options)
    tasks = {data.info.name: data.info}
    for options, option in (({"share": 0.001}, "share"), ({"points": 257}, "points")):
        ((found, message),) = config(**options).check(tasks, None)  # type: ignore[arg-type]
        assert found == option
        assert "of the 256 points of task" in message
