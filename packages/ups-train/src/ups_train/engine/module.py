"""The Lightning module that trains any objective: averaging, guards, optimizer, validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_data.batches.loader import MultiTaskLoader
from ups_data.batches.seeds import derive_seed
from ups_train.engine.activation_checkpointing import recompute_blocks
from ups_train.engine.checkpoint_files import FORMAT
from ups_train.engine.clipping import clip_gradients
from ups_train.engine.compilation import compile_network
from ups_train.engine.config import TrainingConfig
from ups_train.engine.ema import MovingAverage, averaged_copy
from ups_train.engine.guards import SpikeGuard, check_losses, check_norm
from ups_train.engine.lightning_progress import accumulation_factor, restore_position, store_position
from ups_train.engine.objective import AveragedObjective
from ups_train.engine.progress import Progress
from ups_train.engine.step_report import MicroBatch, Place, ReportCollector, StepReport
from ups_train.optimizers.create import create_optimizer
from ups_train.optimizers.state_layout import by_name
from ups_train.parallel.sharding import gather, shard


class TrainingModule(pl.LightningModule):
    """Trains an objective on windows and validates it on complete trajectories.

    Args:
        objective: see :class:`~ups_train.engine.objective.Objective`.
        progress: how far the training is, for schedule and curriculum.
        seed: the spec's; randomness inside a step is a function of it and of the global batch.
        micro_batches: number of micro-batches per batch.
        directory: where skipped and non-finite batches are recorded.

    Attributes:
        compilation: the measured result of compiling, once training has started.
        report: the numbers that the last optimizer step fetched from the device; None before the first.
        stop_code: this rank's request to all ranks in the next optimizer step; 0 for none.
    """

    def __init__(
        self,
        objective: Any,
        config: TrainingConfig,
        progress: Progress,
        seed: int,
        micro_batches: int = 1,
        directory: Path = Path(),
    ) -> None:
        super().__init__()
        self.objective = objective
        self.average: nn.Module | None = None if config.ema is None else averaged_copy(objective.network)
        if self.average is not None and isinstance(objective, AveragedObjective):
            objective.use_average(self.average)
        self.config = config
        self.progress = progress
        self.seed = seed
        self.micro_batches = micro_batches
        self.directory = directory
        self.compilation: dict[str, Any] | None = None
        self.spikes = SpikeGuard(config.spikes, directory)
        self.collector = ReportCollector(mean_losses=config.spikes.policy != "off")
        self.report: StepReport | None = None
        self.stop_code = 0
        self._moving_average: MovingAverage | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; Lightning's name of the current hook without torch's search for submodules.

        Lightning sets it some forty times per batch, and `nn.Module` inspects each value.
        """
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def network(self) -> nn.Module:
        """The trained network."""
        network: nn.Module = self.objective.network
        return network

    @property
    def scored(self) -> nn.Module:
        """The network that is validated, selected and saved: the moving average if there is one."""
        return self.network if self.average is None else self.average

    # Before the first step

    def configure_model(self) -> None:
        """Shard the networks where the strategy shards."""
        if self.config.recompute:
            recompute_blocks(self.network)
        mesh = self.device_mesh
        if mesh is not None:
            offload = getattr(self.trainer.strategy, "offload", False)
            for network in filter(None, (self.network, self.average)):
                shard(network, mesh["data_parallel"], offload)

    def configure_optimizers(self) -> Any:
        """The spec's optimizer and schedule, stepped once per optimizer step."""
        optimizer = create_optimizer(self.config.optimizer, self.network, offload=self.config.offload)
        schedule = self.config.scheduler.create(optimizer=optimizer, progress=self.progress)
        plateau = isinstance(schedule, ReduceLROnPlateau)
        # Not strict: this is called after every optimizer step, and most have no new score.
        watched = {"monitor": self.config.monitor, "strict": False} if plateau else {}
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step", **watched},
        }

    def on_train_start(self) -> None:
        """Compile, and look up the weights that are averaged."""
        if self.config.compile is not None:
            loader = self.trainer.train_dataloader
            assert isinstance(loader, MultiTaskLoader)
            batches = [batch.to(self.trainer.strategy.root_device) for batch in loader.firsts()]

            def loss(batch: FieldBatch) -> Tensor:
                with self.trainer.precision_plugin.forward_context():
                    return self.loss(batch, self.seed)

            self.compilation = compile_network(self.config.compile, self.network, batches, loss)
        self._weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        if self.average is not None:
            assert self.config.ema is not None
            self._moving_average = MovingAverage(self.average, self.network, self.config.ema)

    # One micro-batch

    def on_train_batch_start(self, batch: FieldBatch, batch_idx: int) -> None:
        """Seed a network's own random draws, such as dropout, from the position in the training."""
        seed_draws(
            derive_seed(self.seed, "step", self.global_rank, self.current_epoch, batch_idx), self.device
        )
        self.progress.start(self.global_step)

    def training_step(self, batch: FieldBatch, batch_idx: int) -> Tensor:
        """The weighted loss of a micro-batch."""
        place = Place(self.current_epoch, batch_idx // self.micro_batches)
        loss = self.loss(batch, derive_seed(self.seed, "batch", *place))
        loss = loss * self.config.task_weights.get(batch.task, 1.0)
        self.collector.add(place, batch, loss)
        factor = accumulation_factor(self.trainer, batch_idx)
        return loss * (batch.loss_weight * factor)

    def loss(self, batch: FieldBatch, seed: int) -> Tensor:
        """The objective's loss at this point of the training."""
        loss: Tensor = self.objective.loss(batch, seed, self.progress.at(self.global_step))
        return loss

    # One optimizer step: the gradients of all its micro-batches are complete

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm of the complete gradient and look at the step's numbers; the update follows.

        A batch is skipped by dropping the gradients: optimizers ignore parameters without one.
        """
        # Lightning calls this inside the optimizer's closure: after the backward pass, before the update.
        norm = clip_gradients(self._weights, gradient_clip_val)
        trainer = self.trainer
        report = self.collector.fetch(gather(norm), self.stop_code, trainer.strategy, trainer.world_size)
        self.report = report
        check_losses(report, self.global_step, self.directory)
        if any([self._is_spike(part) for part in report.micro_batches]):  # look at all: each is recorded
            optimizer.zero_grad()
        elif trainer.precision != "16-mixed":  # its scaler skips updates with overflowing gradients
            check_norm(report, self.global_step, self.directory)

    def _is_spike(self, part: MicroBatch) -> bool:
        """Whether training skips this batch."""
        if self.config.spikes.policy == "off":
            return False
        return self.spikes.skips(part.task, part.mean_loss, part.place)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Forward, backward, clipping and update of the weights; then of their average."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self._moving_average is not None:
            # Lightning increments `global_step` only after this method.
            self._moving_average.update(self.global_step + 1)

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        """Once per optimizer step, except a schedule that follows the validations."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def on_train_batch_end(self, outputs: Any, batch: FieldBatch, batch_idx: int) -> None:
        """Count the time, on which all ranks must agree; end the training, with a validation."""
        self.progress.stop()
        if self.progress.budget is not None and self.trainer.world_size > 1:
            seconds = torch.tensor(self.progress.seconds, device=self.trainer.strategy.root_device)
            self.progress.seconds = float(self.trainer.strategy.reduce(seconds, reduce_op="mean"))
        if self.progress.over(self.global_step):
            self.trainer.should_stop = True

    # Validation

    def validation_step(self, batch: FieldBatch, batch_idx: int) -> None:
        """Score complete trajectories in physical units; given frames are not scored."""
        self.objective.validate(self.scored, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the scores; the monitored one selects weights, stops early and lowers the learning rate."""
        monitor = self.config.monitor
        scores = {
            name: torch.nan_to_num(score.float(), nan=math.inf)
            for name, score in self.objective.scores().items()
        }
        if monitor not in scores:
            name = type(self.objective).__name__
            raise UPSError(f"the scores of {name} lack '{monitor}', which its stage monitors")
        self.log_dict(scores, logger=False)
        schedule = self.lr_schedulers()
        if isinstance(schedule, ReduceLROnPlateau):  # now, so that this validation's checkpoint includes it
            schedule.step(float(scores[monitor]))

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what an exact resume needs, in a form that any number of ranks can read."""
        checkpoint["format"] = FORMAT
        checkpoint["progress"] = self.progress.state_dict()
        checkpoint["spikes"] = self.spikes.state_dict()
        checkpoint["micro_batches"] = self.micro_batches
        store_position(checkpoint, self.trainer, self.micro_batches)
        (optimizer,) = self.trainer.optimizers
        checkpoint["optimizer_states"] = [
            by_name(state, optimizer, self) for state in checkpoint["optimizer_states"]
        ]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Resume the clock and the counters."""
        self.progress.load_state_dict(checkpoint["progress"])
        self.spikes.load_state_dict(checkpoint["spikes"])
        restore_position(checkpoint, self.micro_batches)

    def load_scored(self, checkpoint: Path) -> None:
        """Give the network, on the CPU, the weights that the checkpoint's validation scored."""
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        # The prefix is where the objective keeps its network, which the protocol leaves open.
        trained = next(name for name, module in self.named_modules() if module is self.network)
        prefix = f"{trained if self.average is None else 'average'}."
        self.network.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )


def seed_draws(seed: int, device: torch.device) -> None:
    """Seed what networks draw from by default on the CPU and on the device.

    `torch.manual_seed` does it for all kinds of devices and formats a traceback for each unused one, which
    takes a millisecond per step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
