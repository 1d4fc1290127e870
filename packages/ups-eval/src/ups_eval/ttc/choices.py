"""Simulators that spend more computation on a prediction: choices among candidates, and iterations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_data.batches.seeds import derive_seed
from ups_data.solvers.base import Given, IterativeSolver
from ups_eval.physics_metrics import Problem
from ups_eval.random_errors import WithoutSampling
from ups_eval.ttc.rewards import Penalty
from ups_models.simulator import Simulator, feed_back

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.info import TaskInfo


class Variant(WithoutSampling, ABC):
    """Base: a stochastic simulator that is used in another way; it makes one prediction.

    Args:
        simulator: draws candidates.
        problems: task name -> what is known of it.
    """

    def __init__(self, simulator: Simulator, problems: Mapping[str, Problem]) -> None:
        super().__init__(simulator)
        self.simulator = simulator
        self.problems = problems

    def parameter_count(self) -> int:
        """Those of the simulator, which is inside twice."""
        return self.simulator.parameter_count()

    @abstractmethod
    def frames(self, batch: FieldBatch, steps: int) -> Iterator[Tensor]:
        """See :meth:`Simulator.frames`."""


class OfEquation(Variant):
    """Base of those that need a solver which iterates."""

    def supports(self, task: TaskInfo) -> bool:
        """Tasks with such a solver."""
        return super().supports(task) and isinstance(self.problems[task.name].solver, IterativeSolver)

    def equation(self, task: str) -> tuple[IterativeSolver, TaskInfo]:
        """The solver and the problem on its grid."""
        problem = self.problems[task]
        assert isinstance(problem.solver, IterativeSolver)
        return problem.solver, problem.info


class Iterated(OfEquation):
    """Iterations of the discrete equation.

    Args:
        iterations: how many.
        zero: start from zero instead of the single prediction.
    """

    def __init__(
        self, simulator: Simulator, problems: Mapping[str, Problem], iterations: int, zero: bool
    ) -> None:
        super().__init__(simulator, problems)
        self.iterations = iterations
        self.zero = zero

    def frames(self, batch: FieldBatch, steps: int) -> Iterator[Tensor]:
        """See :meth:`Simulator.frames`."""
        (solver, info), dtype = self.equation(batch.task), batch.static.dtype
        start = torch.zeros_like(batch.target) if self.zero else self.simulator.rollout(batch, 1)
        given = Given.of(batch, dtype)
        yield solver.refine(start, given, info, self.iterations)[:, 0].to(dtype)


class Combined(OfEquation):
    """The weighted mean of candidates with the smallest estimated error.

    Args:
        members: candidates.
        seed: of what they draw.
    """

    def __init__(
        self, simulator: Simulator, problems: Mapping[str, Problem], members: int, seed: int
    ) -> None:
        super().__init__(simulator, problems)
        self.members = members
        self.seed = seed

    def frames(self, batch: FieldBatch, steps: int) -> Iterator[Tensor]:
        """See :meth:`Simulator.frames`."""
        solver, info = self.equation(batch.task)
        candidates = self.simulator.sample(batch, 1, self.members, self.seed).double()
        found = solver.combine(candidates, Given.of(batch), info)
        yield found[:, 0].to(batch.static.dtype)


class Chosen(Variant):
    """A rollout whose every frame is the best of several candidates.

    Args:
        penalty: task name -> what is minimised.
        members: candidates for every frame.
        beam: rollouts that are continued in parallel.
        seed: of what candidates draw.
    """

    def __init__(
        self,
        simulator: Simulator,
        problems: Mapping[str, Problem],
        penalty: Callable[[str], Penalty],
        members: int,
        beam: int,
        seed: int,
    ) -> None:
        super().__init__(simulator, problems)
        self.penalty = penalty
        self.members = members
        self.beam = beam
        self.seed = seed

    def frames(self, batch: FieldBatch, steps: int) -> Iterator[Tensor]:
        """See :meth:`Simulator.frames`; all frames are computed before the first is known if beam > 1."""
        size, penalty = len(batch), self.penalty(batch.task)
        path: list[tuple[Tensor, Tensor]] = []
        beams = batch
        total = torch.zeros(1, size, dtype=torch.float64, device=batch.static.device)
        for frame in range(steps):
            width = len(total)
            branch = self.members // width
            seed = derive_seed(self.seed, "frame", frame)
            drawn = next(iter(self.simulator.member_frames(beams, 1, branch, seed)))
            candidates = drawn.flatten(0, 1)  # (branch * width * size, C, *S), beams fastest but for samples
            parents = beams.repeated(branch)
            target = batch.target[:, frame : frame + 1].repeat(branch * width, 1, 1, *[1] * (drawn.dim() - 3))
            costs = penalty(candidates, replace(parents, target=target)).reshape(branch * width, size)
            sums = costs + total.repeat(branch, 1)
            keep = min(self.beam, branch * width)
            total, chosen = sums.topk(keep, dim=0, largest=False)
            rows = (chosen * size + torch.arange(size, device=chosen.device)).flatten()
            frames = candidates[rows]
            if self.beam == 1:
                yield frames
            else:
                path.append((frames.reshape(keep, size, *frames.shape[1:]), chosen % width))
            if frame + 1 < steps:
                beams = feed_back(parents.rows(rows), frames[:, None])
        if path:
            yield from _backwards(path)


def _backwards(path: list[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
    """The frames of the first beam, from frames `(K, B, ...)` and the numbers of their parents `(K, B)`."""
    beam = torch.zeros_like(path[-1][1][0])
    samples = torch.arange(len(beam), device=beam.device)
    found = []
    for frames, parents in reversed(path):
        found.append(frames[beam, samples])
        beam = parents[beam, samples]
    yield from reversed(found)


def true_error(fields: Tensor, batch: FieldBatch) -> Tensor:
    """The penalty of an oracle: the nRMSE of candidates `(N, C, *S)` against the first target frame."""
    target = batch.target[:, 0].double()
    error = (fields.double() - target).flatten(2).square().mean(dim=2).sqrt()
    scale = target.flatten(2).square().mean(dim=2).sqrt().clamp(min=1e-30)
    return (error / scale).mean(dim=1).nan_to_num(nan=torch.inf)
