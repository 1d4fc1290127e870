"""The `rollout` step: the model and its baselines in one harness, on the same trajectories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ups_core import Component, StepContext, UPSError
from ups_core.expand import baseline_id
from ups_eval.config import RolloutConfig, baseline_name
from ups_eval.probes import Probe, one_step, reconstruction, semigroup
from ups_eval.random_errors import RandomErrors, WithoutSampling
from ups_eval.score_step import Entrants, ScoreStep
from ups_models.bundle import load_bundle
from ups_models.bundle_config import read_bundle_config, weights_sum
from ups_models.device import choose_device
from ups_models.residual.simulator import CorrectedSimulator
from ups_models.simulator import LatentSimulator, build_simulator

if TYPE_CHECKING:
    from ups_data.batches.windows import Windows
    from ups_data.prepare.opening import TaskData
    from ups_models.residual.config import SamplerConfig
    from ups_models.simulator import Simulator


class RolloutStep(ScoreStep):
    """Scores the consumed simulator and the baselines on every task of the run."""

    config: RolloutConfig

    def entrants(self, context: StepContext, data: Mapping[str, TaskData]) -> Entrants:
        """See :class:`ScoreStep`."""
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
        simulators: dict[str, Simulator] = {name: tested.to(device)}
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
        frozen = {}
        for name, path in self.config.frozen.items():
            simulators[name] = load_bundle(Path(path)).to(device)
            frozen[name] = weights_sum(read_bundle_config(Path(path)))
        sampler = self.config.sampler
        how = {} if sampler is None else sampler.model_dump(mode="json")
        return Entrants(simulators, weights, frozen, how)

    def probes(self, simulator: Simulator, windows: Windows) -> Iterator[tuple[str, Probe]]:
        """What is measured beside the rollouts of an evolution."""
        if windows.info.kind == "evolution":
            yield "one_step", one_step
            if windows.targets > 1:
                yield "semigroup", semigroup
            if simulator.has_latent:
                yield "reconstruction", reconstruction


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
