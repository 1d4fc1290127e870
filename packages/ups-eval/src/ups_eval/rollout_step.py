"""The `rollout` step: the model and its baselines in one harness, on the same trajectories.

The newest simulator and every baseline are rolled out over the trajectories of a split; numbers go to
`metrics.json`, a few trajectories to `predictions.h5`, and a table to the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics import Metric

from ups_core import Component, StepContext, StepResult, UPSError
from ups_core.expand import baseline_id
from ups_eval.config import RolloutConfig, baseline_name, is_higher_better
from ups_eval.ensemble_metrics import EnsembleMetric
from ups_eval.kept import Kept
from ups_eval.memory import step_memory
from ups_eval.metrics import TrajectoryMetric
from ups_eval.physics_metrics import PhysicsMetric
from ups_eval.predictions import FILE as PREDICTIONS
from ups_eval.predictions import PredictionsWriter, choose, write_predictions
from ups_eval.probes import Probe, measure, one_step, reconstruction, semigroup
from ups_eval.random_errors import RandomErrors, WithoutSampling
from ups_eval.results import Results, ScoredProblem
from ups_eval.scoring import Ensemble, TaskScore, score, score_truth
from ups_eval.solver_cost import solver_runs
from ups_eval.tables import rich_headline
from ups_eval.trajectory_statistics import FILE as STATISTICS
from ups_eval.trajectory_statistics import Values, write_statistics
from ups_models.bundle import load_bundle
from ups_models.bundle_config import read_bundle_config, weights_sum
from ups_models.device import choose_device
from ups_models.residual.simulator import CorrectedSimulator
from ups_models.simulator import LatentSimulator, build_simulator

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.batches.windows import Windows
    from ups_data.prepare.opening import TaskData
    from ups_models.residual.config import SamplerConfig
    from ups_models.simulator import Simulator


class RolloutStep:
    """Scores the consumed simulator and the baselines on every task of the run.

    Args:
        config: split, metrics, baselines.
    """

    def __init__(self, config: RolloutConfig) -> None:
        self.config = config

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
        data = {name: task.open(context.data_root) for name, task in context.tasks.items()}
        simulators, weights = self._simulators(context, data)
        results = Results(
            model=next(iter(simulators)),
            baselines=list(simulators)[1:],
            split=self.config.split,
            parameters={name: simulator.parameter_count() for name, simulator in simulators.items()},
            weights=weights,
            frozen={
                name: weights_sum(read_bundle_config(Path(path))) for name, path in self.config.frozen.items()
            },
            members={
                name: self.config.members
                for name, simulator in simulators.items()
                if simulator.stochastic and self.config.members > 1
            },
            seed=self.config.seed,
            horizons=list(self.config.horizons),
            limit=self.config.limit or 0,
            sampler={} if self.config.sampler is None else self.config.sampler.model_dump(mode="json"),
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

    def _simulators(
        self, context: StepContext, data: Mapping[str, TaskData]
    ) -> tuple[dict[str, Simulator], dict[str, str]]:
        """Display name -> simulator, the model under test first, and -> SHA-256 of its weights."""
        device = choose_device(context.spec.trainer.accelerator)
        bundle = context.inputs["simulator"] / "model"
        bundle_config = read_bundle_config(bundle)
        name = str(bundle_config["kind"])
        # The spec's model may be among its baselines, trained otherwise: names must not collide.
        baselines = {baseline_name(baseline): baseline for baseline in self.config.baselines}
        name = f"{name} (model)" if name in self.config.rows else name
        tested = load_bundle(bundle)
        if self.config.sampler is not None:
            tested = with_sampler(tested, self.config.sampler)
        simulators = {name: tested.to(device)}
        weights = {name: weights_sum(bundle_config)}
        if self.config.latent_rollout:
            simulators["latent_rollout"] = LatentSimulator(simulators[name])
        if self.config.members > 1 and tested.stochastic:
            simulators["without_sampling"] = WithoutSampling(simulators[name])
            simulators["random_errors"] = RandomErrors(simulators[name], data, self.config.split)
        for name, baseline in baselines.items():
            trained = context.artifacts["simulator"].get(baseline_id(name))
            simulator = load_bundle(trained / "model") if trained else untrained(baseline, data)
            simulators[name] = simulator.to(device)
            if trained:
                weights[name] = weights_sum(read_bundle_config(trained / "model"))
        for name, path in self.config.frozen.items():
            simulators[name] = load_bundle(Path(path)).to(device)
        return simulators, weights

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
        kept = Kept(writer, windows, ensemble) if writer is not None else None
        total = len(able) * len(windows)
        with context.console.progress(f"{context.step_id}: {task}", total) as advance:
            for name, simulator in able.items():

                def on_batch(batch: FieldBatch, members: Tensor, name: str = name) -> None:
                    advance(len(batch))
                    if kept is not None:
                        kept.batch(name, batch, members)

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
                if kept is not None and kept.choice is None:
                    choice = choose(scores[name].per_sample, self.config.save_predictions)
                    kept.choose(choice, name, simulator, size)
        for name, scored in scores.items():
            results.add(task, name, scored, arrays)
            results.memory.setdefault(task, {})[name] = step_memory(able[name], windows)
            for metric, probe in probes(able[name], windows):
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


def probes(simulator: Simulator, windows: Windows) -> Iterator[tuple[str, Probe]]:
    """Name and function of what is measured beside the rollouts of an evolution."""
    if windows.info.kind == "evolution":
        yield "one_step", one_step
        if windows.targets > 1:
            yield "semigroup", semigroup
        if simulator.has_latent:
            yield "reconstruction", reconstruction


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


def with_sampler(simulator: Simulator, sampler: SamplerConfig) -> Simulator:
    """A corrected simulator that samples otherwise.

    Raises:
        UPSError: it is not one, or the sampler is for a flow and it is a student, or the reverse.
    """
    if not isinstance(simulator, CorrectedSimulator):
        raise UPSError("sampler: the model corrects nothing; remove the option")
    trained = simulator.sampler.kind
    if (sampler.kind == "jumps") != (trained == "jumps"):
        what = "a student, which knows 'jumps'" if trained == "jumps" else "a flow: use 'heun' or 'euler'"
        raise UPSError(f"sampler: '{sampler.kind}' is not for this model; it is {what}")
    return CorrectedSimulator(simulator, simulator.corrector, sampler)


def untrained(baseline: Component | str, data: Mapping[str, TaskData]) -> Simulator:
    """A model that needs no training, such as `persistence`.

    Args:
        baseline: the model, or its registered name.
        data: task name -> its data.

    Raises:
        UPSError: the model has trainable parameters, so it would be a straw man untrained.
    """
    component = baseline if isinstance(baseline, Component) else Component.of("models", baseline)
    infos = {task: task_data.info for task, task_data in data.items()}
    statistics = {task: task_data.statistics for task, task_data in data.items()}
    simulator = build_simulator(component, infos, statistics)
    if simulator.parameter_count():
        raise UPSError(
            f"baseline '{component.kind}' must be trained; add a stage that trains it before this step"
        )
    return simulator
