"""Builds Lightning's Trainer for a stage: devices, precision, callbacks."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping

from ups_core import StepContext
from ups_train.engine.checkpointing import Checkpointing
from ups_train.engine.config import TrainingConfig
from ups_train.engine.duration import DEFAULT_EPOCHS, Duration
from ups_train.engine.gradient_conflict import GradientConflict
from ups_train.engine.metrics_file import MetricsFile
from ups_train.engine.precision import lightning_precision
from ups_train.engine.profiling import ProfileSteps, profile_requested
from ups_train.engine.progress import Progress
from ups_train.engine.progress_bar import ProgressBar
from ups_train.engine.progress_file import ProgressFile
from ups_train.engine.step_clock import StepClock
from ups_train.parallel.ranks import nodes


def build_trainer(
    config: TrainingConfig,
    context: StepContext,
    *,
    strategy: Any,
    checkpointing: Checkpointing,
    duration: Duration,
    progress: Progress,
    micro_batches: int,
) -> pl.Trainer:
    """Lightning's Trainer for one training.

    Args:
        strategy: what the spec's strategy made.
        micro_batches: that a batch is split into.
    """
    trainer = context.spec.trainer
    return pl.Trainer(
        accelerator=trainer.accelerator,
        devices=trainer.devices // nodes(),
        num_nodes=nodes(),
        strategy=strategy,
        precision=lightning_precision(trainer),
        # Lightning ends at the first of epochs and steps; with a budget the module ends the training.
        max_epochs=-1 if config.budget else config.epochs or DEFAULT_EPOCHS,
        max_steps=duration.steps,
        accumulate_grad_batches=config.accumulate * micro_batches,
        gradient_clip_val=config.clip,
        val_check_interval=duration.validate_every,
        check_val_every_n_epoch=None,  # so that the interval counts batches across epochs
        log_every_n_steps=1,  # a larger value makes Lightning warn about epochs with fewer batches
        num_sanity_val_steps=0,  # it would leave its scores in the first validation
        callbacks=_callbacks(config, context, checkpointing, progress),
        logger=False,  # trackers read metrics.jsonl (ups_core.tracking)
        plugins=[checkpointing.files],
        default_root_dir=context.directory,
        enable_progress_bar=context.console.interactive,
        enable_model_summary=False,
        use_distributed_sampler=False,  # our sampler distributes samples over ranks itself
    )


def _callbacks(
    config: TrainingConfig, context: StepContext, checkpointing: Checkpointing, progress: Progress
) -> list[Callback]:
    clock = StepClock()
    metrics = context.directory / "metrics.jsonl"
    callbacks: list[Callback] = [
        clock,
        checkpointing,  # Lightning moves it to the end
        MetricsFile(metrics, config.monitor, context.console, progress, clock),
        ProgressFile(context.directory, config.monitor, progress),
    ]
    if profile_requested():
        callbacks.append(ProfileSteps(context.directory / "profile"))
    if config.measure_conflict:
        callbacks.append(GradientConflict())
    if config.patience is not None:
        callbacks.append(
            EarlyStopping(config.monitor, patience=config.patience, mode="min", check_finite=False)
        )
    if context.console.interactive:
        callbacks.append(ProgressBar(config.monitor))
    return [*callbacks, *(callback.create() for callback in config.callbacks)]
