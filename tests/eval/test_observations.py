"""Inferences from points, by methods whose answer is known."""

from __future__ import annotations

import copy
from dataclasses import replace
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
from ups_eval.observations import map_estimate, training_fields
from ups_eval.observations.classical import Kriging, Method, NearestSample, RadialBasis, TrainingMean
from ups_eval.observations.config import ObservationsConfig
from ups_eval.observations.map_estimate import MapEstimate
from ups_eval.observations.observers import Expected, Observer, PosteriorSamples
from ups_eval.observations.problems import of_problems
from ups_eval.observations.solved_samples import SolvedSamples
from ups_eval.observations.step import METHODS
from ups_eval.observations.training_fields import TrainingFields
from ups_models.prior.config import LearnedObservations, PosteriorConfig
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
    tasks, statistics = {name: data.info}, {name: data.statistics}
    return PriorSimulator(flow, tasks, statistics, PosteriorConfig(steps=2), LearnedObservations()).eval()


def config(**options: Any) -> ObservationsConfig:
    made = validate_options(ObservationsConfig, {"directions": list(DIRECTIONS)} | options, registry_in_use())
    assert isinstance(made, ObservationsConfig)
    return made


def method(kind: type[Method], data: TaskData, **options: Any) -> Method:
    return kind(config(**options), {data.info.name: TrainingFields(data)})


def solved(prior: PriorSimulator, data: TaskData, **options: Any) -> SolvedSamples:
    return SolvedSamples(config(**options), {data.info.name: TrainingFields(data)}, prior)


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
    observer = Expected(prior, config(points=20))
    for direction, channels in (("forward", [20, 0]), ("inverse", [0, 20]), ("both", [20, 20])):
        _, _, mask = infer(observer, data, direction)
        assert mask.flatten(2).sum(dim=2).tolist() == [channels] * 6
        assert len({tuple(row.flatten().tolist()) for row in mask}) == 6, "every sample has its own points"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_methods_see_nothing_but_the_points(
    prior: PriorSimulator, data: TaskData, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other true values elsewhere change nothing."""
    problem = of_problems({data.info.name: data}, (direction,))[f"{data.info.name}.{direction}"]  # type: ignore[arg-type]
    batch = problem.trajectories("test", limit=2).batch(range(2))
    observers: dict[str, Observer] = {name: method(kind, data, points=20) for name, kind in METHODS.items()}
    observers["posterior_solve"] = solved(prior, data, points=20)
    observers["posterior"] = PosteriorSamples(prior, config(points=20))
    observers = {name: each for name, each in observers.items() if each.supports(problem.info)}
    monkeypatch.setattr(map_estimate, "ITERATIONS", 3)
    mask = observers["posterior"].observe(batch).mask
    hidden = replace(batch, static=torch.where(mask, batch.static, 5.0), target=batch.target + 1)
    with torch.inference_mode():
        for name, observer in observers.items():
            assert torch.equal(observer.sample(batch, 1, 2, 0), observer.sample(hidden, 1, 2, 0)), name


def test_kriging_is_exact_at_exact_points_and_better_than_the_mean(
    prior: PriorSimulator, data: TaskData
) -> None:
    observer = method(Kriging, data, points=20)
    found, target, mask = infer(observer, data, "both")
    assert ((found - target) / target.std())[mask].abs().max() < 0.05
    for direction in ("forward", "inverse"):
        ours = error(*infer(observer, data, direction)[:2])
        mean = error(*infer(method(TrainingMean, data), data, direction)[:2])
        assert ours < mean


def test_the_nearest_sample_of_a_training_sample_is_itself(prior: PriorSimulator, data: TaskData) -> None:
    observer = method(NearestSample, data, points=100)
    for direction in DIRECTIONS:
        found, target, _ = infer(observer, data, direction, "train")
        assert torch.allclose(found, target, atol=1e-6)


def test_all_points_and_a_solver_are_the_solution(prior: PriorSimulator, data: TaskData) -> None:
    found, target, _ = infer(method(RadialBasis, data, points=256), data, "forward")
    assert error(found, target) < 1e-5


def test_the_most_probable_coefficient_explains_the_points(
    prior: PriorSimulator, data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_estimate, "ITERATIONS", 40)
    found, target, _ = infer(method(MapEstimate, data, points=60), data, "inverse")
    middle = 7.5
    wrong = ((found > middle) != (target > middle)).float().mean()
    chance = ((target.mean() > middle) != (target > middle)).float().mean()
    assert wrong < 0.5 * chance
    assert 3 <= found.min() <= found.max() <= 12


def test_answers_do_not_depend_on_the_other_samples(
    prior: PriorSimulator, data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_estimate, "ITERATIONS", 5)
    for direction in DIRECTIONS:
        problem = of_problems({data.info.name: data}, (direction,))[f"{data.info.name}.{direction}"]  # type: ignore[arg-type]
        windows = problem.trajectories("test", limit=4)
        for name, kind in METHODS.items():
            observer = method(kind, data, points=30)
            if observer.supports(problem.info):
                together = observer.rollout(windows.batch(range(4)), 1)
                alone = observer.rollout(windows.batch([2]), 1)
                torch.testing.assert_close(together[2:3], alone, msg=name)


def test_the_variance_that_kriging_expects_is_that_of_the_noise(data: TaskData) -> None:
    """With noise in the channel's units, which differ from those of the deviations from the mean field."""
    observer = method(Kriging, data, points=20, noise=0.5)
    problem = of_problems({data.info.name: data}, ("inverse",))[f"{data.info.name}.inverse"]
    batch = problem.trajectories("test").batch(range(20))
    seen = observer.observe(batch)
    errors = (seen.values - batch.static)[:, 1:][seen.mask[:, 1:]]
    expected = observer.noise(seen, data.info)[:, 1].mean()
    assert float(errors.std()) == pytest.approx(float(expected), rel=0.1)
    known = observer.known[data.info.name]
    assert float(expected / known.std[1]) > 1.1 * 0.5, "the mean field of a solution varies"


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_methods_smooth_noise(data: TaskData, noise: float) -> None:
    """Noise is not interpolated."""
    for kind in (Kriging, RadialBasis):
        observer = method(kind, data, points=60, noise=noise)
        found, _, mask = infer(observer, data, "both")
        problem = of_problems({data.info.name: data}, ("both",))[f"{data.info.name}.both"]
        seen = observer.observe(problem.trajectories("test", limit=6).batch(range(6)))
        left = ((found - seen.values)[:, 1:][mask[:, 1:]].std() / seen.values[:, 1:].std()).item()
        assert left > 0.1 if noise else left < 0.05, kind


def test_a_diverged_sample_has_no_solution(prior: PriorSimulator, data: TaskData) -> None:
    """Although NaN has a nearest material. The other samples have theirs."""
    observer, info = solved(prior, data), data.info
    batch = data.trajectories("test", limit=3).batch(range(3))
    coefficients = batch.static.clone()
    coefficients[1, 0, 3, 4] = torch.nan
    coefficients[2, 0, 0, 0] = torch.inf
    solutions = observer.solution(batch, coefficients, info)
    assert torch.allclose(solutions[0], batch.target[0, 0], atol=1e-5)
    assert solutions[1:].isnan().all()


def test_methods_stay_on_the_cpu(prior: PriorSimulator, data: TaskData) -> None:
    """Wherever the prior is: their training samples and scipy are there."""
    problem = of_problems({data.info.name: data}, ("forward",))[f"{data.info.name}.forward"]
    batch = problem.trajectories("test", limit=2).batch(range(2))
    for kind in METHODS.values():
        made = method(kind, data, points=20, noise=0.1)
        assert not list(made.parameters())
        assert not list(made.buffers())
    away = copy.deepcopy(prior).to("meta")
    seen = PosteriorSamples(away, config(points=20, noise=0.1)).observe(batch)
    assert torch.equal(seen.values, method(Kriging, data, points=20, noise=0.1).observe(batch).values)


def test_training_samples_that_do_not_all_fit_are_random_ones(
    data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = TrainingFields(data).fields
    monkeypatch.setattr(training_fields, "MAX_SAMPLES", 30)
    some = TrainingFields(data).fields
    places = [int((complete - each).abs().flatten(1).sum(dim=1).argmin()) for each in some]
    assert len(set(places)) == 30
    assert max(places) > 100


def test_noise_is_in_units_of_the_field(prior: PriorSimulator, data: TaskData) -> None:
    problem = of_problems({data.info.name: data}, ("both",))[f"{data.info.name}.both"]
    batch = problem.trajectories("test").batch(range(20))
    seen = Expected(prior, config(points=100, noise=0.3)).observe(batch)
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
        able = [direction for direction, info in infos.items() if method(kind, data).supports(info)]
        assert " ".join(able) == expected[name]


def test_what_a_spec_may_ask_for(data: TaskData, tmp_path: Path) -> None:
    for options, message in (
        ({"directions": []}, "no directions"),
        ({"directions": ["forward", "forward"]}, "'forward' is named twice; remove one"),
        ({"points": 10, "share": 0.1}, "remove one"),
        ({"points": 0}, "greater than 0"),
        ({"share": 0}, "greater than 0"),
        ({"members": 1}, "greater than or equal to 2"),
        ({"baselines": ["kriging", "kriging"]}, "named twice"),
    ):
        with pytest.raises(ValueError, match=message):
            config(**options)
    tasks = {data.info.name: data.info}
    for options, option in (({"share": 0.001}, "share"), ({"points": 257}, "points")):
        ((found, message),) = config(**options).check(tasks, None)  # type: ignore[arg-type]
        assert found == option
        assert "of the 256 points of task" in message
