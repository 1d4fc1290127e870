"""The stage `operator`: trains a simulator on all tasks and leaves a bundle in `model/`."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar

from ups_core import Component, StepContext, UPSError
from ups_core.spec import PipelineSpec, TrainerSpec
from ups_data.dataset import TaskData
from ups_data.loader import MultiTaskLoader
from ups_data.randomness import derive_seed
from ups_data.sampler import MultiTaskBatchSampler
from ups_eval.evaluate import choose_device
from ups_models.bundle import save_bundle
from ups_models.simulator import Simulator, build_simulator
from ups_train.callbacks import MetricsFile, read_metrics
from ups_train.config import OperatorConfig
from ups_train.conflict import GradientConflict
from ups_train.length import DEFAULT_EPOCHS, TrainingLength, training_length
from ups_train.module import SimulatorModule, create_losses, load_scored
from ups_train.progress import Progress
from ups_train.ranks import Ranks, leave_group
from ups_train.strategies import choose
from ups_train.trajectories import TrajectoryLoader

MONITOR = "val/nrmse"


class OperatorStage:
    """Trains, selects on the validation rollout, exports."""

    def __init__(self, config: OperatorConfig):
        self.config = config

    def run(self, context: StepContext) -> Mapping[str, float]:
        """Train or continue training; returns the validation metrics of the exported weights."""
        spec, config, ranks = context.spec, self.config, Ranks.of(context.spec.trainer.devices)
        _quiet_lightning()
        choose_device(spec.trainer.accelerator)  # says in one line what is not there
        if spec.trainer.threads is not None:
            torch.set_num_threads(spec.trainer.threads)
        component = config.model or spec.model
        data = {name: task.open(context.data_root) for name, task in context.tasks.items()}
        torch.manual_seed(derive_seed(spec.seed, "weights", component.kind))
        simulator = _simulator(component, data)
        parameters = simulator.parameter_count()
        checkpoints = context.directory / "checkpoints"
        last = checkpoints / "last.ckpt"
        loader = self._train_loader(data, spec, ranks)
        length = training_length(config, len(loader))
        context.console.say(
            f"  {component.kind}: {parameters:,} parameters, "
            + (f"{length.steps:,} steps" if config.budget is None else f"{config.budget:g} s of training")
        )
        if spec.trainer.strategy.kind == "auto" and ranks.world > 1:
            context.console.say("  {}: {}".format(*choose(spec.trainer.devices, parameters)))
        progress = Progress(math.inf if config.budget else length.steps, config.budget)
        if not last.exists():
            with progress.counted():
                _initialise(simulator, data)
        module = SimulatorModule(simulator, config, create_losses(config.losses), progress, spec.seed)
        if spec.trainer.compile:
            simulator.network.compile()
        best = ModelCheckpoint(
            checkpoints, filename="best", monitor=MONITOR, mode="min", enable_version_counter=False
        )
        # Lightning's own save_last skips validations that are not the best so far.
        newest = ModelCheckpoint(checkpoints, filename=last.stem, enable_version_counter=False)
        strategy = spec.trainer.strategy.create(devices=spec.trainer.devices, parameters=parameters)
        trainer = self._trainer(context, strategy, [best, newest], length, progress)
        validation = TrajectoryLoader(
            {name: opened.trajectories("val", limit=config.validate_on) for name, opened in data.items()},
            config.batch_size, ranks,
        )  # fmt: skip
        try:
            trainer.fit(
                module, loader, validation, ckpt_path=last if last.exists() else None, weights_only=True
            )
        except SystemExit as stop:  # how Lightning passes on Ctrl+C
            if isinstance(stop.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        leave_group()
        chosen = Path(best.best_model_path) if config.select == "best" else last
        if not chosen.is_file():
            raise UPSError("training ended before the first validation; lower validate_every or accumulate")
        if ranks.rank == 0:
            exported = load_scored(chosen, _simulator(component, data))
            save_bundle(context.directory / "model", exported, component, context.fingerprint)
        lines = read_metrics(context.directory / "metrics.jsonl")
        line = min(lines, key=_score) if config.select == "best" else lines[-1]
        context.console.say(f"  saved step {line['step']}: val nrmse {_score(line):.4f}")
        scores = {name: _score(line, name) for name in line if name.startswith("val/")}
        return scores | {"parameters": parameters, "best_step": line["step"]}

    def _train_loader(
        self, data: Mapping[str, TaskData], spec: PipelineSpec, ranks: Ranks
    ) -> MultiTaskLoader:
        windows = {
            name: opened.windows("train", horizon=self.config.horizon) for name, opened in data.items()
        }
        sampler = MultiTaskBatchSampler(
            {name: len(items) for name, items in windows.items()},
            self.config.batch_size,
            temperature=spec.sampling.temperature,
            seed=spec.seed,
            rank=ranks.rank,
            world=ranks.world,
        )
        return MultiTaskLoader(windows, sampler)

    def _trainer(
        self,
        context: StepContext,
        strategy: Any,
        checkpoints: Sequence[Callback],
        length: TrainingLength,
        progress: Progress,
    ) -> pl.Trainer:
        config, trainer = self.config, context.spec.trainer
        callbacks: list[Callback] = [
            *checkpoints,
            MetricsFile(context.directory / "metrics.jsonl", context.console, progress),
        ]
        if config.measure_conflict:
            callbacks.append(GradientConflict())
        if config.patience is not None:
            callbacks.append(EarlyStopping(MONITOR, patience=config.patience, mode="min", check_finite=False))
        if context.console.interactive:
            callbacks.append(RichProgressBar(leave=False))
        callbacks += [callback.create() for callback in config.callbacks]
        trackers = [
            tracker.create(directory=context.directory, name=f"{context.spec.name}-{context.step_id}")
            for tracker in context.spec.trackers
        ]
        return pl.Trainer(
            accelerator=trainer.accelerator,
            devices=trainer.devices,
            strategy=strategy,
            precision=precision(trainer),
            max_epochs=-1 if config.budget else config.epochs or DEFAULT_EPOCHS,
            max_steps=length.steps,
            accumulate_grad_batches=config.accumulate,
            gradient_clip_val=config.clip,
            val_check_interval=length.validate_every,
            check_val_every_n_epoch=None,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            callbacks=callbacks,
            logger=trackers,
            default_root_dir=context.directory,
            enable_progress_bar=context.console.interactive,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )


def _simulator(component: Component, data: Mapping[str, TaskData]) -> Simulator:
    """A new one with weights from torch's generator."""
    return build_simulator(
        component,
        {name: opened.info for name, opened in data.items()},
        {name: opened.statistics for name, opened in data.items()},
    )


INITIAL_PAIRS = 512


def _initialise(simulator: Simulator, data: Mapping[str, TaskData]) -> None:
    """Show the network pairs of frames from all over the train split of every task."""
    for opened in data.values():
        windows = opened.windows("train", horizon=1)
        count = min(INITIAL_PAIRS, len(windows))
        order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))
        simulator.initialise(windows.batch(order[:count].tolist()))


def _score(line: Mapping[str, float | None], name: str = MONITOR) -> float:
    """A number from `metrics.jsonl`, where null stands for a rollout that blew up."""
    value = line[name]
    return math.inf if value is None else value


def precision(trainer: TrainerSpec) -> Any:
    """Lightning's precision for the spec's: `auto` takes bf16 where the GPU has it."""
    if trainer.precision == "auto":
        gpu = trainer.accelerator in ("auto", "gpu") and torch.cuda.is_available()
        return "bf16-mixed" if gpu and torch.cuda.is_bf16_supported() else "32-true"
    return "32-true" if trainer.precision == 32 else trainer.precision


def _quiet_lightning() -> None:
    """Lightning's advice is for people who write the loop; ours is written."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _ADVICE:
        warnings.filterwarnings("ignore", message=message)


_ADVICE: Sequence[str] = (
    ".*GPU available but not used.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*treespec, LeafSpec.*",
    ".*does not have many workers.*",
    ".*recommended to use .*sync_dist=True.*",  # torchmetrics has combined them already
    ".*Grad strides do not match bucket view strides.*",
    ".*ReduceLROnPlateau conditioned on metric.*",
)
