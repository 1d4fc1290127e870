"""Simulators that spend more computation on a prediction: choices among candidates, and iterations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_data.batches.seeds import derive_seed
from ups_data.solvers.base import Given, IterativeSolver
from ups_eval.physics_metrics import Problem
from ups_eval.random_errors import WithoutSampling
from ups_eval.ttc.rewards import Candidates, Penalty
from ups_models.simulator import Simulator, feed_back

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.info import TaskInfo


UNKNOWN = 1e300
"""Penalty of a finite candidate of which none can be computed: sums over a rollout are still finite."""


class SinglePrediction(WithoutSampling, ABC):
    """Base: one prediction made with more computation by a stochastic simulator.

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


class SolverBased(SinglePrediction):
    """Base of predictions that need an iterative solver of the task's equation."""

    def supports(self, task: TaskInfo) -> bool:
        """Tasks with such a solver."""
        return super().supports(task) and isinstance(self.problems[task.name].solver, IterativeSolver)

    def equation(self, task: str) -> tuple[IterativeSolver, TaskInfo]:
        """The solver and the problem on its grid."""
        problem = self.problems[task]
        assert isinstance(problem.solver, IterativeSolver)
        return problem.solver, problem.info


class Iterated(SolverBased):
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


class Combined(SolverBased):
    """The weighted mean of candidates with the smallest estimated error; diverged ones are left out.

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
        candidates = finite_only(self.simulator.sample(batch, 1, self.members, self.seed).double())
        found = solver.combine(candidates, Given.of(batch), info)
        yield found[:, 0].to(batch.static.dtype)


class BestOfN(SinglePrediction):
    """A rollout whose every frame is the best of several candidates; a diverged one is the last choice.

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
            numbers = torch.arange(width * size).chunk(width)
            drawn = [self._draw(beams.rows(rows), branch, frame, beam) for beam, rows in enumerate(numbers)]
            fields = torch.stack(drawn, dim=1).flatten(0, 1)  # (branch * width, size, C, *S), beams fastest
            parents = beams.repeated(branch)
            costs = penalty(Candidates(fields, parents, batch, frame))
            sums = diverged_last(costs, fields) + total.repeat(branch, 1)
            keep = min(self.beam, branch * width)
            total, chosen = sums.topk(keep, dim=0, largest=False)
            rows = (chosen * size + torch.arange(size, device=chosen.device)).flatten()
            best = fields.flatten(0, 1)[rows]
            if self.beam == 1:
                yield best
            else:
                path.append((best.reshape(keep, size, *best.shape[1:]), chosen % width))
            if frame + 1 < steps:
                beams = feed_back(parents.rows(rows), best[:, None])
        if path:
            yield from _backwards(path)

    def _draw(self, batch: FieldBatch, count: int, frame: int, beam: int) -> Tensor:
        """Candidates `(count, B, C, *S)` for a frame of one of the beams, each of which draws its own.

        Those of the first frame are the members that the mean of the candidates is of.
        """
        seed = derive_seed(self.seed, "frame", frame) if frame else self.seed
        seed = derive_seed(seed, "beam", beam) if beam else seed
        return next(iter(self.simulator.member_frames(batch, 1, count, seed)))


def _backwards(path: list[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
    """The frames of the first beam, from frames `(K, B, ...)` and the numbers of their parents `(K, B)`."""
    beam = torch.zeros_like(path[-1][1][0])
    samples = torch.arange(len(beam), device=beam.device)
    found = []
    for frames, parents in reversed(path):
        found.append(frames[beam, samples])
        beam = parents[beam, samples]
    yield from reversed(found)


def diverged_last(penalties: Tensor, fields: Tensor) -> Tensor:
    """Penalties `(M, B)` of candidates `(M, B, C, *S)`, in this order: those that are known, of finite fields
    of which the penalty is not a finite number, and infinity of fields that are not finite."""
    finite = fields.isfinite().flatten(2).all(dim=2)
    known = penalties.nan_to_num(nan=UNKNOWN, posinf=UNKNOWN).clamp(max=UNKNOWN)
    return torch.where(finite, known, torch.inf)


def finite_only(candidates: Tensor) -> Tensor:
    """Candidates `(M, B, ...)` with a sample's first finite one in place of those that are not finite."""
    finite = candidates.isfinite().flatten(2).all(dim=2)
    samples = torch.arange(candidates.shape[1], device=candidates.device)
    first = candidates[finite.int().argmax(dim=0), samples]
    return torch.where(finite.reshape(*finite.shape, *[1] * (candidates.dim() - 2)), candidates, first)
