"""The `rollout` step: the model and its baselines in one harness, on the same trajectories.

The newest simulator and every baseline are rolled out over the trajectories of a split; numbers go to
`metrics.json`, a few trajectories to `predictions.h5`, and a table to the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torchmetrics import Metric

from ups_core import Component, StepContext, StepResult, UPSError
from ups_core.component import validate_options
from ups_core.expand import baseline_id
from ups_core.plugin_loader import registry_in_use
from ups_eval.config import RolloutConfig
from ups_eval.metrics import nrmse_per_frame
from ups_eval.predictions import PredictionsWriter, choose, write_predictions
from ups_eval.results import Results
from ups_eval.scoring import TaskScore, predict_target, reconstruction_error, score
from ups_eval.tables import rich_headline
from ups_models.bundle import load_bundle, read_bundle_config
from ups_models.device import choose_device, device_of
from ups_models.simulator import LatentSimulator, build_simulator

if TYPE_CHECKING:
    from ups_data.prepare.opening import TaskData
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
        simulators = self._simulators(context, data)
        results = Results(
            model=next(iter(simulators)),
            baselines=list(simulators)[1:],
            split=self.config.split,
            parameters={name: simulator.parameter_count() for name, simulator in simulators.items()},
        )
        metrics = {component.kind: component.create() for component in self.config.metrics}
        path = context.directory / "predictions.h5"
        with write_predictions(path) if self.config.save_predictions else nullcontext() as writer:
            for task_data in data.values():
                self._task(context, task_data, simulators, metrics, results, writer)
        results.write(context.directory)
        context.console.rich.print(rich_headline(results, f"{context.step_id} ({results.split} split)"))
        return StepResult(results.metrics)

    def _simulators(self, context: StepContext, data: Mapping[str, TaskData]) -> dict[str, Simulator]:
        """Display name -> simulator; the model under test first."""
        device = choose_device(context.spec.trainer.accelerator)
        bundle = context.inputs["simulator"] / "model"
        name = str(read_bundle_config(bundle)["kind"])
        # The spec's model may be among its baselines, trained otherwise: names must not collide.
        name = f"{name} (model)" if name in self.config.baselines else name
        simulators = {name: load_bundle(bundle).to(device)}
        if self.config.latent_rollout:
            simulators["latent_rollout"] = LatentSimulator(simulators[name])
        for baseline in self.config.baselines:
            trained = context.artifacts["simulator"].get(baseline_id(baseline))
            simulator = load_bundle(trained / "model") if trained else untrained(baseline, data)
            simulators[baseline] = simulator.to(device)
        return simulators

    def _task(
        self,
        context: StepContext,
        data: TaskData,
        simulators: Mapping[str, Simulator],
        metrics: Mapping[str, Metric],
        results: Results,
        writer: PredictionsWriter | None,
    ) -> None:
        # Every model that can be scored on a task is: a comparison on other trajectories would mislead.
        able = {name: simulator for name, simulator in simulators.items() if simulator.supports(data.info)}
        if not able:
            return
        task, split = data.info.name, self.config.split
        scores: dict[str, TaskScore] = {}
        total = len(able) * len(data.trajectories(split))
        with context.console.progress(f"{context.step_id}: {task}", total) as advance:
            for name, simulator in able.items():
                scores[name] = score(
                    simulator,
                    data,
                    split,
                    metrics,
                    batch_size=self.config.batch_size,
                    on_batch=lambda batch, _: advance(len(batch)),
                )
        for name, scored in scores.items():
            for metric, value in (*scored.metrics.items(), ("diverged", float(scored.diverged))):
                results.metrics[results.key(task, name, metric)] = value
        model = simulators[results.model]
        if model.has_latent and data.info.kind == "evolution":
            error = reconstruction_error(model, data, split, batch_size=self.config.batch_size)
            results.metrics[results.key(task, results.model, "reconstruction")] = error
        results.per_step[task] = {name: scored.per_step for name, scored in scores.items()}
        results.per_sample[task] = {name: scored.per_sample for name, scored in scores.items()}
        results.seconds[task] = {name: scored.seconds for name, scored in scores.items()}
        first = next(iter(scores.values()))
        results.trajectories[task] = first.trajectories
        if writer is not None:
            self._save(data, able, first.per_sample, writer)

    def _save(
        self,
        data: TaskData,
        able: Mapping[str, Simulator],
        per_sample: list[float],
        writer: PredictionsWriter,
    ) -> None:
        """Roll out the chosen trajectories again, which is cheaper than keeping all predictions."""
        choice = choose(per_sample, self.config.save_predictions)
        windows = data.trajectories(self.config.split)
        writer.task(data.info, choice.picks)
        with torch.inference_mode():
            for begin in range(0, len(choice.positions), self.config.batch_size):
                batch = windows.batch(choice.positions[begin : begin + self.config.batch_size])
                writer.truth(batch)
                for name, simulator in able.items():
                    prediction = predict_target(simulator.eval(), batch.to(device_of(simulator))).cpu()
                    nrmse = nrmse_per_frame(prediction, batch.target.cpu()).mean(dim=1)
                    writer.prediction(batch.task, name, prediction, nrmse)


def untrained(name: str, data: Mapping[str, TaskData]) -> Simulator:
    """A model that needs no training, such as `persistence`.

    Args:
        name: the registered model.
        data: task name -> its data.

    Raises:
        UPSError: the model has trainable parameters, so it would be a straw man untrained.
    """
    registry = registry_in_use()
    entry = registry.get("models", name)
    component = Component(entry, validate_options(entry.load_config(), {}, registry))
    infos = {task: task_data.info for task, task_data in data.items()}
    statistics = {task: task_data.statistics for task, task_data in data.items()}
    simulator = build_simulator(component, infos, statistics)
    if simulator.parameter_count():
        raise UPSError(f"baseline '{name}' must be trained; add a stage that trains it before this step")
    return simulator
