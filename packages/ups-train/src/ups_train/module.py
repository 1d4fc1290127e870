"""The Lightning module that trains a simulator and validates it on decoded rollouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import Metric

from ups_core import Component
from ups_data.batch import FieldBatch
from ups_data.loader import MultiTaskLoader
from ups_data.randomness import derive_seed
from ups_data.symmetry import augment
from ups_eval.metrics import NRMSE
from ups_models.network import module_key
from ups_models.simulator import Simulator, feed_back
from ups_train.average import MovingAverage, averaged_copy
from ups_train.compilation import compile_network
from ups_train.config import OperatorConfig
from ups_train.consistency import latent_consistency
from ups_train.curriculum import draw_depth
from ups_train.guards import FiniteGuard, Place, SpikeGuard
from ups_train.memory import simulate
from ups_train.optimizers.offload import offloaded
from ups_train.optimizers.portable import make_portable
from ups_train.parallel.ranks import Ranks
from ups_train.parallel.sharding import shard, whole
from ups_train.progress import Progress
from ups_train.recompute import recompute_blocks

Loss = Callable[[Tensor, Tensor], Tensor]


class SimulatorModule(pl.LightningModule):
    """Trains on windows in normalised space, validates on whole trajectories in physical units.

    Args:
        losses: weight and loss; each loss takes normalised `(B, T, C, *S)` twice.
        progress: how far the training is, for schedule and curriculum.
        seed: the spec's; randomness inside a step is a function of it and of the global batch.
        step_id: of the spec, by which tests ask for failures.
        parts: micro-batches that a batch comes in.
        directory: where batches are written down that training stumbles over.

    Attributes:
        compilation: what compiling brought, once training has begun.
    """

    def __init__(
        self,
        simulator: Simulator,
        config: OperatorConfig,
        losses: Sequence[tuple[float, Loss]],
        progress: Progress,
        seed: int,
        step_id: str = "",
        parts: int = 1,
        directory: Path = Path(),
    ):
        super().__init__()
        self.simulator = simulator
        self.average = None if config.ema is None else averaged_copy(simulator)
        self.config = config
        self.losses = losses
        self.progress = progress
        self.seed = seed
        self.step_id = step_id
        self.parts = parts
        self.compilation: dict[str, Any] | None = None
        self.finite = FiniteGuard(directory)
        self.spikes = SpikeGuard(config.spikes, directory)
        self._skip = False
        self._moving: MovingAverage | None = None
        self.scores: dict[str, Metric] = {name: NRMSE() for name in simulator.tasks}
        self.validation = nn.ModuleDict({module_key(name): score for name, score in self.scores.items()})

    @property
    def scored(self) -> Simulator:
        """What is validated, chosen and saved: the moving average where there is one."""
        return self.simulator if self.average is None else self.average

    def configure_model(self) -> None:
        """Shard the networks where the strategy shards."""
        if self.config.recompute:
            recompute_blocks(self.simulator.network)
        mesh = self.device_mesh
        if mesh is not None:
            offload = getattr(self.trainer.strategy, "offload", False)
            for simulator in filter(None, (self.simulator, self.average)):
                shard(simulator.network, mesh["data_parallel"], offload)

    def on_train_start(self) -> None:
        """Compile, and find the weights that are averaged."""
        if self.config.compile is not None:
            loader = self.trainer.train_dataloader
            assert isinstance(loader, MultiTaskLoader)
            batches = [batch.to(self.trainer.strategy.root_device) for batch in loader.firsts()]

            def loss(batch: FieldBatch) -> Tensor:
                with self.trainer.precision_plugin.forward_context():
                    return self.loss(batch, self.seed)

            self.compilation = compile_network(self.config.compile, self.simulator, batches, loss)
        if self.average is not None:
            assert self.config.ema is not None
            self._moving = MovingAverage(self.average, self.simulator, self.config.ema)

    def on_train_batch_start(self, batch: FieldBatch, batch_idx: int) -> None:
        """Seed what a network may draw, say for dropout, from where the step stands in the training."""
        seed_draws(
            derive_seed(self.seed, "step", self.global_rank, self.current_epoch, batch_idx), self.device
        )
        self.progress.start(self.global_step)

    def on_train_batch_end(self, outputs: Any, batch: FieldBatch, batch_idx: int) -> None:
        """Count the time, which all ranks must agree on; end the training, with a validation."""
        self.progress.stop()
        if self.progress.budget is not None and self.trainer.world_size > 1:
            seconds = torch.tensor(self.progress.seconds, device=self.trainer.strategy.root_device)
            self.progress.seconds = float(self.trainer.strategy.reduce(seconds, reduce_op="mean"))
        if self.progress.over(self.global_step):
            self.trainer.should_stop = True

    def training_step(self, batch: FieldBatch, batch_idx: int) -> Tensor:
        """The weighted loss of the model's own rollout over the window."""
        simulate(self.step_id, Ranks(self.global_rank, self.trainer.world_size), self.global_step, self.parts)
        place = Place(self.current_epoch, batch_idx // self.parts)
        loss = self.loss(batch, derive_seed(self.seed, "batch", *place))
        loss = loss * self.config.task_weights.get(batch.task, 1.0)
        self.finite.loss(loss.item(), batch, place, self.global_step)
        if self.config.spikes.policy != "off":
            mean = self.trainer.strategy.reduce(loss.detach(), reduce_op="mean")
            self._skip |= self.spikes.skips(batch.task, float(mean), place)
        return loss * batch.share

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm of the whole gradient, which must be finite: the update is next."""
        norm = clip_grad_norm_(self.simulator.parameters(), gradient_clip_val or math.inf)
        if self.trainer.precision == "16-mixed":  # whose scaler leaves out such updates by itself
            self.finite.batches.clear()
        else:
            self.finite.gradient(float(whole(norm)), self.global_step)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Update the weights, unless one of the batches is to be left out, then their average."""
        assert optimizer_closure is not None
        loss = optimizer_closure()
        skip, self._skip = self._skip, False
        if skip:
            self.finite.batches.clear()
            optimizer.zero_grad()
        else:
            super().optimizer_step(epoch, batch_idx, optimizer, lambda: loss)
        if self._moving is not None:
            self._moving.update(self.global_step + 1)

    def loss(self, batch: FieldBatch, seed: int) -> Tensor:
        """The loss of one batch: augmented, disturbed, rolled out as deep as the curriculum says.

        Args:
            seed: of all that is drawn; the same on all ranks.
        """
        config, task = self.config, self.simulator.tasks[batch.task]
        if config.augment:
            batch = augment(batch, task, derive_seed(seed, "augment"))
        depth = draw_depth(config, self.progress.at(self.global_step), derive_seed(seed, "depth"))
        if task.kind == "steady":
            return self._compare(batch, self.simulator.rollout(batch, 1), batch.target)
        if config.noise:
            scale = config.noise * self.simulator.normaliser(batch.task).state_std
            batch = replace(batch, state=batch.state + scale * noise_like(batch, derive_seed(seed, "noise")))
        start = batch
        if depth.free:
            with torch.no_grad():
                start = feed_back(batch, self.simulator.rollout(batch, depth.free))
        end = depth.free + depth.graded
        loss = self._compare(
            batch, self.simulator.rollout(start, depth.graded), batch.target[:, depth.free : end]
        )
        if config.latent_unroll:
            latent = self.simulator.latent_rollout(batch, config.latent_unroll)
            loss = loss + self._compare(batch, latent, batch.target[:, : config.latent_unroll])
        if config.consistency:
            loss = loss + config.consistency * latent_consistency(self.simulator, batch)
        return loss

    def _compare(self, batch: FieldBatch, prediction: Tensor, target: Tensor) -> Tensor:
        """Weighted sum of the losses of physical `(B, T, C, *S)` fields, which losses see normalised."""
        scaled = self.simulator.normaliser(batch.task).target_scaled
        predicted, wanted = scaled(prediction), scaled(target)
        return torch.stack([weight * term(predicted, wanted) for weight, term in self.losses]).sum()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the clock, and let any number of ranks read the optimizer's state.

        Batches that were fetched, but not trained on, count as not handed out.
        """
        checkpoint["progress"] = self.progress.state_dict()
        checkpoint["spikes"] = self.spikes.state_dict()
        checkpoint["parts"] = self.parts
        fit = checkpoint["loops"]["fit_loop"]
        batches = fit["epoch_loop.batch_progress"]
        for counts in (batches["total"], batches["current"]):
            counts |= dict.fromkeys(counts, counts["completed"])
        done = batches["current"]["completed"]
        batches["is_last_batch"] = done == self.trainer.num_training_batches
        for loader in fit["state_dict"]["combined_loader"]:
            loader["position"] = done // self.parts
        (optimizer,) = self.trainer.optimizers
        make_portable(checkpoint["optimizer_states"], optimizer, self)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the clock, and count the batches of the epoch in the parts that they come in now."""
        self.progress.load_state_dict(checkpoint["progress"])
        self.spikes.load_state_dict(checkpoint["spikes"])
        batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (batches["total"], batches["current"]):
            for name, count in counts.items():
                counts[name] = count * self.parts // checkpoint["parts"]

    def validation_step(self, batch: FieldBatch, batch_idx: int) -> None:
        """Roll out a whole trajectory in physical units; given frames are not scored."""
        prediction = self.scored.rollout(batch, batch.target.shape[1])
        if batch.share:
            self.scores[batch.task].update(prediction, batch.target)

    def on_validation_epoch_end(self) -> None:
        """Log every task's nRMSE and their mean, which model selection watches."""
        scores = {}
        for name in self.simulator.tasks:
            metric = self.scores[name]
            score = metric.compute().float()
            scores[name] = torch.nan_to_num(score, nan=math.inf)
            metric.reset()
        self.log_dict({f"val/{name}/nrmse": score for name, score in scores.items()}, logger=False)
        mean = torch.stack(list(scores.values())).mean()
        self.log("val/nrmse", mean, prog_bar=True, logger=False)
        schedule = self.lr_schedulers()
        if isinstance(schedule, ReduceLROnPlateau):  # now, so that this validation's checkpoint knows of it
            schedule.step(float(mean))

    def configure_optimizers(self) -> Any:
        """The spec's optimizer and schedule, stepped per optimizer step."""
        component, network = self.config.optimizer, self.simulator.network
        optimizer = offloaded(component, network) if self.config.offload else component.create(module=network)
        schedule = self.config.scheduler.create(optimizer=optimizer, progress=self.progress)
        watched = {"monitor": "val/nrmse", "strict": False} if isinstance(schedule, ReduceLROnPlateau) else {}
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step", **watched},
        }

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        """Once per optimizer step, save a schedule that follows the validations."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)


def load_scored(checkpoint: Path, simulator: Simulator) -> Simulator:
    """Give a simulator the weights that the checkpoint's validation scored."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    prefix = "average." if any(name.startswith("average.") for name in state) else "simulator."
    simulator.load_state_dict(
        {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    )
    return simulator


def seed_draws(seed: int, device: torch.device) -> None:
    """Seed what networks draw from by default on the CPU and on the device.

    `torch.manual_seed` does it for all kinds of devices, and formats a traceback for each that is not in use,
    which at every step is felt.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def noise_like(batch: FieldBatch, seed: int) -> Tensor:
    """Standard normal numbers of the state's shape, a function of the seed and each sample's trajectory."""
    noise = [
        torch.randn(batch.state.shape[1:], generator=torch.Generator().manual_seed(derive_seed(seed, number)))
        for number in batch.index.tolist()
    ]
    return torch.stack(noise).to(batch.state)


def create_losses(components: Sequence[Component]) -> list[tuple[float, Loss]]:
    """Weight and callable of every loss that a stage names."""
    return [(getattr(component.config, "weight", 1.0), component.create()) for component in components]
