"""The stage `operator`: trains a simulator on windows of its tasks, scores it on decoded rollouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from ups_core import Component, LossConfig, ModelConfig, UPSError
from ups_data.batches.batch import FieldBatch
from ups_data.batches.seeds import derive_seed
from ups_eval.metrics import NRMSE
from ups_eval.physics_metrics import Problem
from ups_models.bundle import save_bundle
from ups_models.network import Network, TaskModules
from ups_train.engine.objective import Objective, ObjectiveInputs
from ups_train.engine.stage import training_stage
from ups_train.losses.physics import PhysicsLoss
from ups_train.stages.conflict_free import conflict_free
from ups_train.stages.ensemble import EnsembleObjective
from ups_train.stages.initial_simulator import fit_simulator, new_simulator
from ups_train.stages.latent_consistency import latent_consistency
from ups_train.stages.operator_config import OperatorConfig, TilesConfig
from ups_train.stages.tiles import draw_tile
from ups_train.stages.training_start import start_of

Loss = Callable[[Tensor, Tensor], Tensor] | PhysicsLoss
"""Prediction and target, normalised `(B, T, C, *S)`, to a scalar; or what physics says of a prediction."""


class OperatorObjective(nn.Module):
    """A simulator's weighted losses on its own rollouts, in normalised space; nRMSE in physical units."""

    def __init__(self, config: OperatorConfig, inputs: ObjectiveInputs) -> None:
        super().__init__()
        self.config = config
        self.inputs = inputs
        self.simulator = new_simulator(inputs, config.augment)
        self.losses = create_losses(config.losses)
        self.problems = {name: Problem(data.info, data.solver) for name, data in inputs.data.items()}
        check_defined(config.losses, self.losses, self.problems)
        self.metrics: dict[str, Metric] = {name: NRMSE() for name in inputs.tasks}
        self.validation = TaskModules(self.metrics)

    @property
    def network(self) -> Network:
        """The simulator's network."""
        return self.simulator.network

    def initialise(self) -> None:
        """Let the network fit what it fits to training pairs."""
        fit_simulator(self.simulator, self.inputs)

    def loss(self, batch: FieldBatch, seed: int, progress: float) -> Tensor:
        """The loss of one batch: augmented, disturbed, rolled out as deep as the curriculum says."""
        config = self.config
        window, disturbed, start, given = start_of(batch, config, self.simulator, seed, progress)
        if config.tiles is not None:
            return self.tile_loss(start, config.tiles, seed, progress)
        prediction = self.simulator.rollout(start, start.target.shape[1])
        loss = self.compare(given, prediction, start.target)
        if self.simulator.tasks[batch.task].kind == "steady":
            return loss
        if config.latent_unroll:
            latent = self.simulator.latent_rollout(disturbed, config.latent_unroll)
            loss = loss + self.compare(window, latent, window.target[:, : config.latent_unroll])
        if config.consistency:
            loss = loss + config.consistency * latent_consistency(self.simulator, disturbed)
        return loss

    def tile_loss(self, start: FieldBatch, tiles: TilesConfig, seed: int, progress: float) -> Tensor:
        """The losses of one random tile, of the next frame or the solution."""
        task = self.simulator.tasks[start.task]
        config = self.inputs.model.config
        assert isinstance(config, ModelConfig)
        part = draw_tile(task, tiles, config.tile_cells(task), progress, derive_seed(seed, "tile"))
        prediction = self.simulator.step_on(start, part)[:, None]
        return self.compare(start, prediction, part.tile(start.target[:, :1], 3))

    def compare(self, batch: FieldBatch, prediction: Tensor, target: Tensor) -> Tensor:
        """Weighted sum of the losses of physical fields `(B, T, C, *S)`.

        Args:
            batch: what the prediction follows from, without noise.
            prediction: what losses see normalised, and those of physics as it is.
            target: the truth.
        """
        scaled = self.simulator.normaliser(batch.task).target_scaled
        predicted, wanted, problem = scaled(prediction), scaled(target), self.problems[batch.task]
        terms, weights = [], []
        for weight, term in self.losses:
            if not isinstance(term, PhysicsLoss):
                terms.append(term(predicted, wanted))
            elif term.defined(problem):
                terms.append(term(prediction, batch, problem))
            else:
                continue
            weights.append(weight)
        if self.config.gradients == "conflict_free" and torch.is_grad_enabled() and len(terms) > 1:
            return conflict_free(terms, weights, list(self.network.parameters()))
        return torch.stack([weight * term for weight, term in zip(weights, terms, strict=True)]).sum()

    def validate(self, network: nn.Module, batch: FieldBatch) -> None:
        """Roll out complete trajectories in physical units; given frames are not scored."""
        assert isinstance(network, Network)
        prediction = self.simulator.with_network(network).rollout(batch, batch.target.shape[1])
        if batch.loss_weight:
            self.metrics[batch.task].update(prediction, batch.target)

    def scores(self) -> dict[str, Tensor]:
        """Every task's nRMSE and their mean, which model selection watches."""
        scores = {}
        for name, metric in self.metrics.items():
            scores[f"val/{name}/nrmse"] = metric.compute().float()
            metric.reset()
        return scores | {"val/nrmse": torch.stack(list(scores.values())).mean()}

    def export(self, network: nn.Module, directory: Path) -> None:
        """Write the bundle of the simulator."""
        assert isinstance(network, Network)
        simulator = self.simulator.with_network(network)
        save_bundle(directory, simulator, self.inputs.model, self.inputs.fingerprint)


def create_operator_objective(config: OperatorConfig, inputs: ObjectiveInputs) -> Objective:
    """The objective that the options name."""
    if config.objective.kind == "ensemble":
        return EnsembleObjective(config, inputs)
    return OperatorObjective(config, inputs)


operator = training_stage(create_operator_objective)
"""Factory of the stage."""


def check_defined(
    components: Sequence[Component], losses: Sequence[tuple[float, Loss]], problems: Mapping[str, Problem]
) -> None:
    """Check that every loss of physics is defined for some task.

    Raises:
        UPSError: naming the first one that is for none, or that no other loss is defined for a task.
    """
    for number, (component, (_, term)) in enumerate(zip(components, losses, strict=True)):
        if isinstance(term, PhysicsLoss) and not any(map(term.defined, problems.values())):
            needs = f": it needs {term.needs}" if term.needs else ""
            raise UPSError(
                f"losses.{number}: '{component.kind}' is not defined for any of the tasks "
                f"{', '.join(problems)}{needs}; remove it from losses"
            )
    for name, problem in problems.items():
        if not any(not isinstance(term, PhysicsLoss) or term.defined(problem) for _, term in losses):
            raise UPSError(f"no loss is defined for task '{name}'; add one that compares with the truth")


def create_losses(components: Sequence[Component]) -> list[tuple[float, Loss]]:
    """Weight and callable of every loss that a stage names."""
    found: list[tuple[float, Loss]] = []
    for component in components:
        assert isinstance(component.config, LossConfig)
        found.append((component.config.weight, component.create()))
    return found
