"""The base of all steps that score predictions: entrants in one harness, on the same trajectories.

Numbers go to `metrics.json`, a few trajectories to `predictions.h5`, and a table to the terminal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchmetrics import Metric

from ups_core import StepContext, StepResult
from ups_eval.config import ScoreConfig, is_higher_better
from ups_eval.ensemble_metrics import EnsembleMetric
from ups_eval.evaluations import counted
from ups_eval.kept import Kept
from ups_eval.memory import step_memory
from ups_eval.metrics import TrajectoryMetric
from ups_eval.physics_metrics import PhysicsMetric
from ups_eval.predictions import FILE as PREDICTIONS
from ups_eval.predictions import PredictionsWriter, choose, write_predictions
from ups_eval.probes import Probe, measure
from ups_eval.results import Results, ScoredProblem
from ups_eval.scoring import Ensemble, TaskScore, score, score_truth
from ups_eval.solver_cost import solver_runs
from ups_eval.tables import rich_headline
from ups_eval.trajectory_statistics import FILE as STATISTICS
from ups_eval.trajectory_statistics import Values, write_statistics

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.batches.windows import Windows
    from ups_data.prepare.opening import TaskData
    from ups_models.simulator import Simulator


@dataclass(frozen=True)
class Entrants:
    """What a step scores.

    Attributes:
        simulators: display name -> simulator, the model under test first.
        weights: display name -> SHA-256 of the weights that a step of the run trained; predictions of these
            follow from a saved simulator alone.
        frozen: the same for baselines that the run did not train.
        sampler: how the model under test samples; empty for as trained.
    """

    simulators: Mapping[str, Simulator]
    weights: Mapping[str, str] = field(default_factory=dict)
    frozen: Mapping[str, str] = field(default_factory=dict)
    sampler: Mapping[str, Any] = field(default_factory=dict)


class ScoreStep(ABC):
    """Scores entrants on every task of the run.

    Args:
        config: split and metrics.
    """

    def __init__(self, config: ScoreConfig) -> None:
        self.config = config

    @abstractmethod
    def entrants(self, context: StepContext, data: Mapping[str, TaskData]) -> Entrants:
        """What is scored.

        Args:
            context: of the step.
            data: what :meth:`problems` returned.

        Raises:
            UPSError: a baseline must be trained and was not, or a bundle cannot be loaded.
        """

    def problems(self, data: Mapping[str, TaskData]) -> Mapping[str, TaskData]:
        """The problems that are scored: the tasks of the spec."""
        return data

    def run(self, context: StepContext) -> StepResult:
        """Score, write `metrics.json` and `predictions.h5`, print the headline table.

        Returns:
            Metrics `<task>/<metric>` of the model and `<task>/<baseline>/<metric>`, including `diverged`.

        Raises:
            UPSError: a baseline must be trained and was not, or a bundle cannot be loaded.
        """
        # The step runs in the runner's process, which no training stage has configured.
        if context.spec.trainer.threads is not None:
            torch.set_num_threads(context.spec.trainer.threads)
        data = self.problems({name: task.open(context.data_root) for name, task in context.tasks.items()})
        entrants = self.entrants(context, data)
        simulators = entrants.simulators
        results = Results(
            model=next(iter(simulators)),
            baselines=list(simulators)[1:],
            split=self.config.split,
            parameters={name: simulator.parameter_count() for name, simulator in simulators.items()},
            weights=dict(entrants.weights),
            frozen=dict(entrants.frozen),
            members={
                name: self.config.members
                for name, simulator in simulators.items()
                if simulator.stochastic and self.config.members > 1
            },
            seed=self.config.seed,
            horizons=list(self.config.horizons),
            limit=self.config.limit or 0,
            sampler=dict(entrants.sampler),
        )
        metrics: dict[str, Metric] = {metric.kind: metric.create() for metric in self.config.scores}
        results.names = list(metrics)
        results.physics = [name for name, metric in metrics.items() if isinstance(metric, PhysicsMetric)]
        results.higher_is_better = [name for name, metric in metrics.items() if is_higher_better(metric)]
        results.ideals = {
            name: metric.ideal
            for name, metric in metrics.items()
            if isinstance(metric, EnsembleMetric) and metric.ideal is not None
        }
        results.reductions = {
            name: metric.reduction
            for name, metric in metrics.items()
            if isinstance(metric, (TrajectoryMetric, PhysicsMetric))
        }
        arrays: dict[str, Values] = {}
        path = context.directory / PREDICTIONS
        with write_predictions(path) if self.config.save_predictions else nullcontext() as writer:
            for task_data in data.values():
                self._task(context, task_data, simulators, metrics, results, arrays, writer)
        write_statistics(context.directory / STATISTICS, arrays)
        results.write(context.directory)
        context.console.rich.print(rich_headline(results, f"{context.step_id} ({results.split} split)"))
        return StepResult(results.metrics)

    def known(self, batch: FieldBatch) -> FieldBatch:
        """A batch with what entrants see of its fields, for pictures; all of them by default."""
        return batch

    def memory(self, simulator: Simulator, windows: Windows) -> int | None:
        """Peak bytes of one step as it is scored; None where they say nothing."""
        return step_memory(simulator, windows, Ensemble(self.config.members, self.config.seed))

    def probes(self, simulator: Simulator, windows: Windows) -> Iterator[tuple[str, Probe]]:
        """Name and function of what is measured beside the predictions; nothing by default."""
        yield from ()

    def _task(
        self,
        context: StepContext,
        data: TaskData,
        simulators: Mapping[str, Simulator],
        metrics: Mapping[str, Metric],
        results: Results,
        arrays: dict[str, Values],
        writer: PredictionsWriter | None,
    ) -> None:
        # Every model that can be scored on a task is: a comparison on other trajectories would mislead.
        able = {name: simulator for name, simulator in simulators.items() if simulator.supports(data.info)}
        if not able:
            return
        task, split = data.info.name, self.config.split
        scores: dict[str, TaskScore] = {}
        ensemble = Ensemble(self.config.members, self.config.seed)
        windows, size = data.trajectories(split, limit=self.config.limit), self.config.batch_size
        kept = Kept(writer, windows, ensemble, self.known) if writer is not None else None
        total = len(able) * len(windows)
        with context.console.progress(f"{context.step_id}: {task}", total) as advance:
            for name, simulator in able.items():

                def on_batch(batch: FieldBatch, members: Tensor, name: str = name) -> None:
                    advance(len(batch))
                    if kept is not None:
                        kept.batch(name, batch, members)

                with counted(simulator) as count:
                    scores[name] = score(
                        simulator,
                        data,
                        split,
                        metrics,
                        batch_size=size,
                        limit=self.config.limit,
                        ensemble=ensemble,
                        on_batch=on_batch,
                    )
                results.evaluations.setdefault(task, {})[name] = count.samples / len(windows)
                if kept is not None and kept.choice is None:
                    choice = choose(scores[name].per_sample, self.config.save_predictions)
                    kept.choose(choice, name, simulator, size)
        for name, scored in scores.items():
            results.add(task, name, scored, arrays)
            if (memory := self.memory(able[name], windows)) is not None:
                results.memory.setdefault(task, {})[name] = memory
            for metric, probe in self.probes(able[name], windows):
                results.add_mean(
                    task, name, metric, measure(probe, able[name], windows, batch_size=size), arrays
                )
        physics = {name: metric for name, metric in metrics.items() if isinstance(metric, PhysicsMetric)}
        truth = score_truth(data, split, physics, batch_size=size, limit=self.config.limit)
        results.add_truth(task, truth, arrays)
        results.problems[task] = describe_problem(data, split)
        results.problems[task].params = results.store(truth.params, arrays)
        if data.solver is not None:
            results.problems[task].solver_runs = solver_runs(data.solver, windows)


def describe_problem(data: TaskData, split: str) -> ScoredProblem:
    """What is scored of a task."""
    info, conditions = data.problem(split), data.statistics.conditions
    assert conditions is not None
    return ScoredProblem(
        kind=info.kind,
        channels=[channel.name for channel in info.target_channels],
        parameters=[parameter.name for parameter in info.parameters],
        trained=list(conditions.parameters),
        params="",
        grid=list(info.shape),
        trained_grid=list(data.info.shape),
        history=info.history,
        dt=info.dt,
        solver=data.solver.name if data.solver is not None else "",
    )
