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
from ups_eval.ttc.choices import Chosen, Combined, Iterated, true_error
from ups_eval.ttc.config import TTCConfig
from ups_eval.ttc.rewards import Penalty, create_penalty, known_rewards
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


def chosen(simulator: Simulator, problem: Problem, penalty: Penalty, members: int, beam: int = 1) -> Chosen:
    return Chosen(simulator, {problem.info.name: problem}, lambda task: penalty, members, beam, seed=0)


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
    candidates = simulator.sample(batch, 1, 8, 0)  # another seed; only the number of choices matters
    assert picked.shape == candidates.shape[1:][:1] + candidates.shape[3:]
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

    def penalty(fields: Tensor, given: FieldBatch) -> Tensor:
        values = fields.flatten(1)[:, 0].round().int().tolist()
        return torch.tensor([costs[value] for value in values], dtype=torch.float64)

    simulator = Branches(ADVECTION, WAVES)
    beams = Chosen(simulator, {ADVECTION.name: WAVES}, lambda task: penalty, 4, 2, 0)
    found = beams.rollout(batch, 2)[:, :, 0, 0]
    assert found.tolist() == [[2.0, 10.0], [2.0, 10.0]], "the parents of the winner, not the first best"


def test_rewards_are_those_that_a_task_declares() -> None:
    positive = replace(ADVECTION, channels=(Channel("u", "1", "state", positive=True),), invariants=())
    assert known_rewards(STEADY) == ["error", "residual"]
    assert known_rewards(WAVES) == ["residual", "invariants"]
    assert known_rewards(Problem(positive)) == ["bounds"]
    with pytest.raises(
        UPSError, match="task 'darcy2d' has no reward: no solver, no invariant and no positive"
    ):
        create_penalty(None, Problem(DARCY))
    with pytest.raises(
        UPSError, match="task 'advection1d' has no reward 'error'; it has residual, invariants"
    ):
        create_penalty("error", WAVES)


def test_penalties_without_an_equation() -> None:
    batch = advection_batch(2)
    truth = batch.target[:, 0]
    drift = create_penalty("invariants", Problem(ADVECTION))
    assert drift(truth, batch).max() < 1e-6
    assert (drift(truth + 0.5, batch) > 0.1).all()
    positive = replace(ADVECTION, channels=(Channel("u", "1", "state", positive=True),), invariants=())
    bounds = create_penalty("bounds", Problem(positive))
    assert bounds(truth.abs(), batch).tolist() == [0, 0]
    assert (bounds(truth, batch) > 0.1).all()
    broken = torch.full_like(truth, math.nan)
    assert create_penalty("residual", WAVES)(broken, batch).tolist() == [math.inf] * 2, "never chosen"


class Stage(StageConfig):
    """A stage whose model makes one prediction."""


def test_what_a_spec_may_ask_for() -> None:
    def config(**options: Any) -> TTCConfig:
        made = validate_options(TTCConfig, options, registry_in_use())
        assert isinstance(made, TTCConfig)
        return made

    with pytest.raises(ValueError, match="2, 4, 2 has a number twice"):
        config(refine=(2, 4, 2))
    assert config(refine=(4,)).rows[-2:] == ["refined_4", "iterations_4"]
    with pytest.raises(ValueError, match="8 members cannot be shared by 3 beams"):
        config(beam=3)
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        config(members=1)
    assert "conserves nothing" in config(reward="invariants").check({"d": DARCY}, None)[0][1]  # type: ignore[arg-type]
    assert "no positive channel" in config(reward="bounds").check({"d": DARCY}, None)[0][1]  # type: ignore[arg-type]
    ((option, problem),) = config().check_inputs({"simulator": Stage(id="operator")})
    assert option == "needs"
    assert "makes one prediction" in problem
