"""Test-time compute where the best choice is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from known_fields import ADVECTION, DARCY, advection_batch, darcy_batch
from ups_core import UPSError
from ups_core.component import validate_options
from ups_core.plugin_loader import registry_in_use
from ups_core.step_config import StageConfig
from ups_data.batches.batch import FieldBatch
from ups_data.info import Channel, TaskInfo
from ups_data.solvers.advection import SpectralShift
from ups_data.solvers.base import Given
from ups_data.solvers.darcy import SparseDirect
from ups_eval.physics_metrics import Problem
from ups_eval.rollout_step import untrained
from ups_eval.ttc.choices import BestOfN, Combined, Iterated
from ups_eval.ttc.config import TTCConfig
from ups_eval.ttc.rewards import Candidates, Penalty, create_penalty, known_rewards, true_error
from ups_models.member_noise import MemberStreams
from ups_models.simulator import Simulator

STEADY = Problem(DARCY, SparseDirect())
WAVES = Problem(ADVECTION, SpectralShift())


class Noisy(Simulator):
    """The exact solution plus a smooth error of random size and sign for every member and step."""

    def __init__(self, info: TaskInfo, problem: Problem, size: float = 0.2) -> None:
        from known_fields import Data

        batch = darcy_batch(1) if info.kind == "steady" else advection_batch(1)
        plain = untrained("mean" if info.kind == "steady" else "persistence", {info.name: Data(info, batch)})  # type: ignore[dict-item]
        super().__init__(plain.network, plain.tasks, plain.statistics)
        self.problem = problem
        self.size = size

    @property
    def stochastic(self) -> bool:
        return True

    def step(self, batch: FieldBatch, noise: Tensor | None = None) -> Tensor:
        assert self.problem.solver is not None
        return self.problem.solver.solve(Given.of(batch), self.problem.info, 1)[:, 0].float()

    def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
        exact = self.step(batch)
        size = self.size * MemberStreams(batch, members, seed).normal(())
        scale = exact.abs().mean(dim=tuple(range(1, exact.dim())), keepdim=True)
        shape = scale * torch.sin(3 * torch.linspace(0, math.pi, exact.shape[-1]))
        errors = size.reshape(members, len(batch), 1, *[1] * (exact.dim() - 2)) * shape
        yield exact + errors


def true_darcy(count: int) -> FieldBatch:
    batch = darcy_batch(count)
    solution = SparseDirect().solve(Given.of(batch), DARCY, 1)
    return replace(batch, target=solution.float())


def errors(simulator: Simulator, batch: FieldBatch) -> Tensor:
    with torch.inference_mode():
        found = simulator.rollout(batch, batch.target.shape[1])
    error = (found - batch.target).flatten(1).norm(dim=1) / batch.target.flatten(1).norm(dim=1)
    return error


def chosen(simulator: Simulator, problem: Problem, penalty: Penalty, members: int, beam: int = 1) -> BestOfN:
    return BestOfN(simulator, {problem.info.name: problem}, lambda task: penalty, members, beam, seed=0)


@pytest.mark.parametrize("reward", ["error", "residual"])
def test_a_reward_chooses_as_an_oracle_where_errors_have_one_shape(reward: Any) -> None:
    simulator, batch = Noisy(DARCY, STEADY), true_darcy(6)
    by_reward = errors(chosen(simulator, STEADY, create_penalty(reward, STEADY), 16), batch)
    by_oracle = errors(chosen(simulator, STEADY, true_error, 16), batch)
    by_chance = errors(chosen(simulator, STEADY, true_error, 1), batch)
    assert torch.allclose(by_reward, by_oracle, rtol=0.05, atol=1e-6)
    assert by_reward.mean() < 0.5 * by_chance.mean()


def test_every_sample_gets_its_own_choice() -> None:
    """One choice for a batch would be the same for all samples."""
    simulator, batch = Noisy(DARCY, STEADY), true_darcy(6)
    picked = chosen(simulator, STEADY, true_error, 8).rollout(batch, 1)[:, 0]
    candidates = simulator.sample(batch, 1, 8, 0)[:, :, 0]
    same = (candidates == picked).flatten(2).all(dim=2)
    assert same.any(dim=0).all(), "of the candidates whose mean is scored beside it"
    assert same.int().argmax(dim=0).unique().numel() > 1
    alone = torch.cat(
        [chosen(simulator, STEADY, true_error, 8).rollout(one(batch, row), 1)[:, 0] for row in range(6)]
    )
    assert torch.allclose(picked, alone, atol=1e-7)


def one(batch: FieldBatch, row: int) -> FieldBatch:
    from known_fields import select

    return select(batch, [row])


def test_iterations_and_combinations_improve_on_what_they_start_from() -> None:
    simulator, batch = Noisy(DARCY, STEADY), true_darcy(4)
    problems = {DARCY.name: STEADY}
    zero = [errors(Iterated(simulator, problems, count, zero=True), batch).mean() for count in (1, 3, 8)]
    assert zero[0] > zero[1] > zero[2]
    assert zero[2] < 1e-4
    combined = errors(Combined(simulator, problems, 4, 0), batch).mean()
    assert combined < 1e-4, "two candidates with errors of one shape span the solution"
    assert not Iterated(simulator, {DARCY.name: Problem(DARCY)}, 1, zero=True).supports(DARCY)


def test_rollouts_choose_every_frame() -> None:
    simulator = Noisy(ADVECTION, WAVES, size=0.3)
    batch = advection_batch(3)
    batch = replace(batch, target=batch.target[:, :6])
    penalty = create_penalty("residual", WAVES)
    by_reward = errors(chosen(simulator, WAVES, penalty, 8), batch)
    by_chance = errors(chosen(simulator, WAVES, true_error, 1), batch)
    assert by_reward.mean() < 0.3 * by_chance.mean()


def test_a_beam_keeps_the_best_path() -> None:
    """Penalties that make a greedy choice pay later: only a second beam finds the cheap path."""

    class Branches(Noisy):
        def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
            value = batch.state[:, -1]
            yield torch.stack([4 * value + digit + 1 for digit in range(members)])

    batch = advection_batch(2)
    batch = replace(batch, state=torch.zeros_like(batch.state), target=batch.target[:, :2])
    # The first frame is 1 to 4; from 1 come 5 and 6, from 2 come 9 and 10.
    costs = {1: 0.0, 2: 0.1, 3: 9.0, 4: 9.0, 5: 5.0, 6: 5.0, 9: 9.0, 10: 0.0}

    def penalty(candidates: Candidates) -> Tensor:
        values = candidates.fields.flatten(2)[:, :, 0].round().int().tolist()
        return torch.tensor([[costs[value] for value in row] for row in values], dtype=torch.float64)

    simulator = Branches(ADVECTION, WAVES)
    beams = BestOfN(simulator, {ADVECTION.name: WAVES}, lambda task: penalty, 4, 2, 0)
    found = beams.rollout(batch, 2)[:, :, 0, 0]
    assert found.tolist() == [[2.0, 10.0], [2.0, 10.0]], "the parents of the winner, not the first best"


def test_rewards_are_those_that_a_task_declares() -> None:
    assert known_rewards(STEADY) == ["error", "residual"]
    assert known_rewards(WAVES) == ["residual", "invariants"]
    assert known_rewards(Problem(POSITIVE)) == ["bounds"]
    with pytest.raises(UPSError, match="no positive channel to choose candidates by; remove the task"):
        create_penalty(None, Problem(DARCY))
    with pytest.raises(
        UPSError, match="task 'advection1d' has no reward 'error'; use residual or invariants"
    ):
        create_penalty("error", WAVES)


def judged(
    penalty: Penalty, fields: Tensor, batch: FieldBatch, given: FieldBatch | None = None
) -> list[float]:
    """The penalties of single candidates `(B, C, *S)` for the first frame of every rollout."""
    return penalty(Candidates(fields[None], given or batch, batch, 0))[0].tolist()


BARE = replace(ADVECTION, name="bare", invariants=())
POSITIVE = replace(ADVECTION, channels=(Channel("u", "1", "state", positive=True),), invariants=())


def test_penalties_without_an_equation() -> None:
    batch = advection_batch(2)
    truth = batch.target[:, 0]
    drift = create_penalty("invariants", Problem(ADVECTION))
    assert max(judged(drift, truth, batch)) < 1e-6
    assert min(judged(drift, truth + 0.5, batch)) > 0.1
    bounds = create_penalty("bounds", Problem(POSITIVE))
    assert judged(bounds, truth.abs(), batch) == [0, 0]
    assert min(judged(bounds, truth, batch)) > 0.1
    both = Problem(replace(ADVECTION, invariants=("mean", "l2")))
    assert min(judged(create_penalty("invariants", both), 1.5 * truth, batch)) > 0.1, "of the norm"


def test_candidates_share_the_scale_of_their_bounds() -> None:
    """Of its own size every multiple of a candidate has the same negative part."""
    batch = advection_batch(2)
    truth = batch.target[:, 0].abs()
    fields = torch.stack([10 * (truth - 0.3), truth - 0.3, truth + 0.1])
    large, small, none = create_penalty("bounds", Problem(POSITIVE))(
        Candidates(fields, batch.repeated(3), batch, 0)
    )
    torch.testing.assert_close(large, 10 * small)
    assert (small > 0).all()
    assert (none == 0).all()


def test_invariants_drift_from_the_start_of_the_rollout() -> None:
    """Small drifts from one frame to the next add up."""

    class Drifting(Noisy):
        def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
            now = batch.state[:, -1]
            changes = [1.0, 1.2] if float(now.mean()) == 1 else [0.1, -0.9]
            yield torch.stack([now + change for change in changes])

    batch = advection_batch(1)
    batch = replace(batch, state=torch.ones_like(batch.state), target=batch.target[:, :2])
    penalty = create_penalty("invariants", Problem(ADVECTION))
    found = chosen(Drifting(ADVECTION, WAVES), WAVES, penalty, 2).rollout(batch, 2)[0, :, 0, 0]
    torch.testing.assert_close(found, torch.tensor([2.0, 1.1]), msg="1.1 is nearer to 1 than 2.1")


class Broken(Noisy):
    """Candidates of which the last ones alone are finite, and none of the second sample."""

    def __init__(self, problem: Problem, value: float, finite: int = 1) -> None:
        super().__init__(problem.info, problem)
        self.value = value
        self.finite = finite

    def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
        (drawn,) = super().member_frames(batch, steps, members, seed)
        drawn[: members - self.finite, :, :, 0] = self.value
        drawn[:, batch.index == batch.index.unique()[1], :, 3] = self.value
        yield drawn


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("reward", "problem"),
    [
        ("oracle", STEADY),
        ("error", STEADY),
        ("residual", STEADY),
        ("residual", WAVES),
        ("invariants", WAVES),
        ("bounds", Problem(POSITIVE, SpectralShift())),
    ],
)
def test_a_diverged_candidate_is_the_last_choice(reward: Any, problem: Problem, value: float) -> None:
    steady = problem.info.kind == "steady"
    batch = true_darcy(3) if steady else advection_batch(3)
    batch = replace(batch, target=batch.target[:, :2])
    penalty = true_error if reward == "oracle" else create_penalty(reward, problem)
    for beam in (1, 2):
        found = chosen(Broken(problem, value), problem, penalty, 4, beam).rollout(
            batch, batch.target.shape[1]
        )
        finite = found.isfinite().flatten(1).all(dim=1)
        assert finite.tolist() == [True, False, True], (
            "a sample whose candidates all diverged counts as diverged"
        )


def test_a_penalty_that_is_not_known_is_not_worse_than_divergence() -> None:
    """Cole-Hopf cannot start from a frame that varies too much, and no candidate has a residual then."""
    batch = advection_batch(3)
    batch = replace(batch, target=batch.target[:, :2])

    def nothing(candidates: Candidates) -> Tensor:
        return torch.full(candidates.fields.shape[:2], math.nan, dtype=torch.float64)

    found = chosen(Broken(WAVES, math.nan), WAVES, nothing, 4).rollout(batch, 2)
    assert found.isfinite().flatten(1).all(dim=1).tolist() == [True, False, True]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_combination_leaves_out_diverged_candidates(value: float) -> None:
    batch, problems = true_darcy(3), {DARCY.name: STEADY}
    found = Combined(Broken(STEADY, value, finite=3), problems, 5, 0).rollout(batch, 1)
    assert found.isfinite().flatten(1).all(dim=1).tolist() == [True, False, True]
    error = errors(Combined(Broken(STEADY, value, finite=3), problems, 5, 0), batch)
    assert error[[0, 2]].max() < 1e-4


def test_beams_draw_their_own_candidates() -> None:
    """Two beams in one state would otherwise be one beam, drawn twice."""
    drawn: list[Tensor] = []

    class Recorded(Noisy):
        def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
            (fields,) = super().member_frames(
                replace(batch, state=torch.ones_like(batch.state)), steps, members, seed
            )
            drawn.append(fields)
            yield fields

    batch = advection_batch(2)
    batch = replace(batch, target=batch.target[:, :2])
    simulator = Recorded(ADVECTION, WAVES)
    penalty = create_penalty("residual", WAVES)
    chosen(simulator, WAVES, penalty, 4, beam=2).rollout(batch, 2)
    first, one, two = drawn
    assert (len(first), len(one), len(two)) == (4, 2, 2)
    assert not torch.isclose(one, two).all(dim=(2, 3)).any()
    drawn.clear()
    chosen(simulator, WAVES, penalty, 2).rollout(batch, 2)
    assert torch.equal(drawn[1], one), "the first beam draws as a single one"


class Stage(StageConfig):
    """A stage whose model makes one prediction."""


class Held(StageConfig):
    """A stage that trains an ensemble of which members keep their noise."""

    @property
    def samples(self) -> bool:
        return True

    @property
    def correlates_frames(self) -> tuple[str, str]:
        return ("noise.hold: true", "false")


def test_what_a_spec_may_ask_for() -> None:
    def config(**options: Any) -> TTCConfig:
        made = validate_options(TTCConfig, options, registry_in_use())
        assert isinstance(made, TTCConfig)
        return made

    with pytest.raises(ValueError, match="refine has duplicate values 2; remove them"):
        config(refine=(2, 4, 2))
    assert config(refine=(4,)).rows[-2:] == ["refined_4", "iterations_4"]
    with pytest.raises(ValueError, match="8 members cannot be shared by 3 beams"):
        config(beam=3)
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        config(members=1)
    assert "conserves nothing" in config(reward="invariants").check({"d": DARCY}, None)[0][1]  # type: ignore[arg-type]
    assert "no positive channel" in config(reward="bounds").check({"d": DARCY}, None)[0][1]  # type: ignore[arg-type]

    def refused(reward: str | None, *tasks: TaskInfo) -> list[str]:
        issues = config(reward=reward).check({task.name: task for task in tasks}, None)  # type: ignore[arg-type]
        assert all(option == "reward" for option, _ in issues)
        return [problem for _, problem in issues]

    plain, waves, steady = (replace(info, solver="none") for info in (BARE, ADVECTION, DARCY))
    assert refused(None, plain) == [
        "task 'bare' has no solver, no invariant and no positive channel to choose candidates by; remove the "
        "task, or the step"
    ]
    (problem,) = refused("residual", waves)
    assert problem == "task 'advection1d' has no solver; remove the task, or choose another reward"
    assert "has no iterative solver" in refused("error", replace(waves, solver="differentiable"))[0]
    assert len(refused("error", plain, steady)) == 1, "a prior is not scored on evolutions"
    assert refused(None, waves) == refused(None, replace(POSITIVE, solver="none")) == []
    for reward in (None, "error", "residual"):
        assert refused(reward, BARE) == [], "a plugin's task may have a solver"
        assert refused(reward, replace(DARCY, solver="iterative")) == []
    ((option, problem),) = config().check_inputs({"simulator": Stage(id="operator")})
    assert option == "needs"
    assert "makes one prediction" in problem
    ((option, problem),) = config().check_inputs({"simulator": Held(id="ensemble")})
    assert option == "needs"
    assert problem.startswith("the model has noise.hold: true, so its rollouts differ from frames that")
    assert problem.endswith("set it to false, or name another step")
