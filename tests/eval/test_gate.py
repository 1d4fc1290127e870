"""Gates: what passes, what fails, and what is refused before anything runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ups_core import validate_options
from ups_core.plugin_loader import registry_in_use
from ups_eval.bootstrap import Sample
from ups_eval.breakdown import Part, sample
from ups_eval.config import RolloutConfig
from ups_eval.gate.config import Criterion, GateConfig
from ups_eval.gate.judge import Evidence, judge
from ups_eval.gate.record import Gates, Judgement
from ups_eval.gate.step import sentence
from ups_eval.results import Results, ScoredProblem
from ups_eval.scoring import TaskScore

COUNT, FRAMES = 40, 8


def evidence(
    ours: float = 1.0, theirs: float = 1.0, *, spread: float = 0.0, count: int = COUNT, **more: Any
) -> Evidence:
    """A model and `fno` whose errors are these multiples of trajectories' difficulty; β is 0.1 or 0.4."""
    random = np.random.default_rng(0)
    difficulty = random.lognormal(0, 1, (count, 1, 1)) * np.linspace(0.5, 1.5, FRAMES)[:, None] * [1.0, 3.0]
    params = np.array([[0.1], [0.4]] * (count // 2)) if count % 2 == 0 else np.full((count, 1), 0.1)
    results = Results(
        "net", ["fno", "persistence"], "test", names=["nrmse", "mean_drift"], physics=["mean_drift"]
    )
    results.weights = {"net": "aa", "fno": "bb"}
    arrays: dict[str, Any] = {}
    for name, factor in (("net", ours), ("fno", theirs), ("persistence", 20.0)):
        errors = factor * 0.01 * difficulty
        score = TaskScore({"nrmse": float(errors.mean())}, {}, errors, params, list(range(count)), 0)
        results.add("flow", name, score, arrays)
    drift = np.full(count, 1e-3)
    results.add_mean("flow", "net", "mean_drift", drift, arrays)
    truth = TaskScore({"mean_drift": 2e-3}, {"mean_drift": 2 * drift}, errors, params, [], 0)
    results.add_truth("flow", truth, arrays)
    results.problems["flow"] = ScoredProblem(
        "evolution", ["u", "v"], ["beta"], [(0.1, 0.4)], results.store(params, arrays), [64], [64], 1, 0.1
    )
    return Evidence(results, arrays, seed_spread=spread, **more)


def one(options: dict[str, Any], given: Evidence) -> Judgement:
    (found,) = judge(Criterion(**options), given)
    return found


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ({"max": 1.0}, True),
        ({"max": 0.001}, False),
        ({"min": 0.001}, True),
        ({"min": 1.0}, False),
        ({"against": "fno", "max": 0.9}, True),
        ({"against": "fno", "max": 0.7}, False),
        ({"against": "fno"}, True),
        ({"against": "fno", "compare": "difference"}, True),
        ({"against": "fno", "compare": "difference", "max": -1.0}, False),
        ({"against": "persistence", "max": 0.1}, True),
        ({"of": "fno", "against": "persistence", "max": 0.1}, True),
        ({"of": "fno", "max": 0.001}, False),
        ({"metric": "mean_drift", "against": "truth"}, True),
        ({"metric": "mean_drift", "max": 0.01}, True),
        ({"against": {"value": 1.0}}, True),
        ({"against": {"value": 0.01}}, False),
        ({"horizon": 1, "against": "fno", "max": 0.9}, True),
        ({"channel": "v", "where": {"beta": 0.4}, "max": 1.0}, True),
    ],
)
def test_bounds_ratios_and_differences(options: dict[str, Any], passed: bool) -> None:
    found = one(options, evidence(ours=0.8))
    assert found.passed is passed, found
    assert found.value is not None


def test_parts_are_parts_of_the_errors() -> None:
    given = evidence()
    whole, first, channel = (
        one({"max": 9.0, **part}, given).value for part in ({}, {"horizon": 1}, {"channel": "v"})
    )
    assert whole is not None
    assert first == pytest.approx(whole * 0.5)
    assert channel == pytest.approx(whole * 1.5)
    low, high = (one({"max": 9.0, "where": {"beta": beta}}, given).value for beta in (0.1, 0.4))
    assert low is not None and high is not None  # noqa: PT018
    assert (low + high) / 2 == pytest.approx(whole)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"metric": "residual", "max": 9.0}, "no task was scored with residual"),
        ({"metric": "residual", "task": "flow", "max": 9.0}, "net has no residual on flow"),
        ({"metric": "mean_drift", "of": "fno", "max": 9.0}, "fno has no mean_drift on flow"),
        ({"metric": "mean_drift", "against": "fno"}, "no task was scored with mean_drift and fno"),
        (
            {"metric": "mean_drift", "task": "flow", "against": "fno"},
            "mean_drift of fno on flow is not known",
        ),
        ({"against": "unet"}, "no task was scored with nrmse and unet"),
        ({"horizon": 99, "max": 9.0}, "horizon 99 exceeds the 8 predicted frames"),
        ({"channel": "w", "max": 9.0}, "no channel 'w'"),
        ({"where": {"nu": 1.0}, "max": 9.0}, "no parameter 'nu'"),
        ({"where": {"beta": 7.0}, "max": 9.0}, "no trajectory of 'flow' was scored with beta = 7"),
        ({"metric": "mean_drift", "horizon": 1, "max": 9.0}, "is not kept by frame and channel"),
    ],
)
def test_a_missing_number_fails(options: dict[str, Any], reason: str) -> None:
    found = one(options, evidence())
    assert not found.passed
    assert found.reason.startswith("missing: ")
    assert reason in found.reason
    assert found.label in sentence(found)


def test_a_diverged_model_and_too_few_trajectories_fail() -> None:
    given = evidence()
    given.results.metrics["flow/diverged"] = 1
    given.arrays[given.results.errors["flow"]["net"]][3] = math.inf  # type: ignore[index]
    assert one({"max": 1e9}, given).reason == "not finite"
    assert one({"against": "fno", "max": 1e9}, given).reason == "not finite"
    few = evidence(count=3)
    assert one({"metric": "mean_drift", "max": 1.0}, few).reason == "too few trajectories for an interval"


def test_a_baseline_must_reproduce_its_reference() -> None:
    given = evidence()
    value = given.results.value("flow", "fno")
    assert value is not None

    def judged(off: float) -> Judgement:
        reference = {"value": value + 0.001 * off, "std": 0.001}
        return one({"of": "fno", "reproduces": reference}, given)

    assert judged(0.0).passed
    assert judged(2.9).passed
    assert not judged(3.1).passed
    assert "something leaks" in judged(3.1).reason
    assert "straw man" in judged(-3.1).reason


def champion_of(given: Evidence, factor: float, seeds: int = 1) -> Any:
    def samples(task: str, metric: str, part: Part) -> Sequence[Sample]:
        found = sample(given.results, given.arrays, task, "net", metric, part)
        assert found is not None
        return [Sample(factor * found.values, found.reduction, found.trajectories, found.per_frame)] * seeds

    return {"flow": samples}


def test_the_champion_is_beaten_by_more_than_noise_only() -> None:
    first = one({"against": "champion"}, evidence())
    assert first.passed
    assert "no champion yet" in first.reason
    for factor, passed in ((2.0, True), (1.05, False), (1.0, False), (0.9, False)):
        given = evidence(spread=0.05)
        given = evidence(spread=0.05, champion=champion_of(given, factor))
        found = one({"against": "champion"}, given)
        assert found.passed is passed, (factor, found)
    no_worse = evidence(spread=0.05, champion=champion_of(evidence(), 1.0))
    assert one({"against": "champion", "max": 1.3}, no_worse).passed


def test_the_champion_on_other_trajectories_is_not_compared() -> None:
    other = evidence(count=20)
    given = evidence(champion=champion_of(other, 5.0))
    object.__setattr__(
        given, "champion", {"flow": lambda *key: [Sample(np.ones(9), "mean", tuple(range(9)))]}
    )
    assert "other trajectories" in one({"against": "champion"}, given).reason


def test_a_criterion_without_a_task_is_about_every_task_that_has_the_metric() -> None:
    given = evidence()
    given.results.per_step["other"] = {"net": [0.1]}
    given.results.metrics["other/nrmse"] = 0.1
    labels = [item.label for item in judge(Criterion(metric="nrmse", max=9.0), given)]
    assert labels == ["nrmse of flow", "nrmse of other"]
    assert [item.label for item in judge(Criterion(metric="mean_drift", max=9.0), given)] == [
        "mean_drift of flow"
    ]


def test_the_table_survives_its_file(tmp_path: Any) -> None:
    criteria = [one({"max": 0.001}, evidence()), one({"metric": "residual", "max": 1.0}, evidence())]
    gates = Gates(False, 0.95, criteria)
    gates.write(tmp_path)
    assert Gates.load(tmp_path / "gates.json") == gates


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        ({}, "nothing to hold"),
        ({"min": 2.0, "max": 1.0}, "min 2 exceeds max 1"),
        ({"max": math.nan}, "finite number"),
        ({"reproduces": {"value": 1.0}}, "needs the std"),
        ({"reproduces": {"value": 1.0, "std": 0.1}, "max": 1.0}, "a condition of its own"),
        ({"max": 1.0, "horizon": 0}, "greater than 0"),
        ({"maximum": 1.0}, "not permitted"),
    ],
)
def test_contradictions_are_refused(criterion: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GateConfig(criteria=[criterion])


def test_unknown_names_are_refused_at_plan_time_with_the_nearest() -> None:
    rollout = validate_options(RolloutConfig, {"baselines": ["persistence", "fno"]}, registry_in_use())
    criteria = [
        {"metric": "nrms", "max": 1.0},
        {"against": "fmo"},
        {"of": "persistance", "max": 1.0},
        {"against": "champion"},
        {"metric": "one_step", "max": 1.0},
        {"task": "flov", "max": 1.0},
    ]
    config = GateConfig(criteria=criteria)
    assert dict(config.check_inputs({"metrics": rollout})) == {
        "criteria.0.metric": "unknown metric 'nrms'; did you mean 'nrmse'?",
        "criteria.1.against": "unknown model 'fmo'; did you mean 'fno'?",
        "criteria.2.of": "unknown model 'persistance'; did you mean 'persistence'?",
    }
    assert dict(config.check_names(["flow"])) == {
        "criteria.5.task": "unknown task 'flov'; did you mean 'flow'?"
    }
