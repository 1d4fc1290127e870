"""The stage `operator`: trains a simulator on all tasks and leaves a bundle in `model/`."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, RichProgressBar

from ups_core import StepContext, TryAgain, UPSError, stopping
from ups_core.files import read_json, write_json
from ups_core.record import DETAILS
from ups_core.spec import PipelineSpec, TrainerSpec
from ups_data.dataset import TaskData
from ups_data.loader import MultiTaskLoader
from ups_data.randomness import derive_seed
from ups_data.sampler import MultiTaskBatchSampler
from ups_eval.evaluate import choose_device
from ups_models.bundle import save_bundle
from ups_train.callbacks import MetricsFile, read_metrics
from ups_train.checkpoints import CheckpointFiles, digest_of, newest_sound
from ups_train.config import OperatorConfig
from ups_train.conflict import GradientConflict
from ups_train.length import DEFAULT_EPOCHS, TrainingLength, training_length
from ups_train.memory import FILE as MEMORY_FILE
from ups_train.memory import is_out_of_memory, keep_parts, parts_of, split_further
from ups_train.module import SimulatorModule, create_losses, load_scored
from ups_train.parallel.ranks import Ranks, leave_group, nodes
from ups_train.parallel.strategies import Choice, choose
from ups_train.precision import lightning_precision
from ups_train.profiling import ProfileSteps
from ups_train.profiling import wanted as profile_wanted
from ups_train.progress import Progress
from ups_train.quiet import quiet_lightning
from ups_train.saving import MONITOR, Saving
from ups_train.sizing.measure import measure
from ups_train.start import initialise, new_simulator
from ups_train.telemetry import StepClock
from ups_train.trajectories import TrajectoryLoader


class OperatorStage:
    """Trains, selects on the validation rollout, exports."""

    def __init__(self, config: OperatorConfig):
        self.config = config

    def run(self, context: StepContext) -> Mapping[str, float]:
        """Train or continue training; returns the validation metrics of the exported weights.

        Raises:
            OutOfMemory: not even one sample fits.
            TryAgain: as one of several ranks, all have to start again.
            Interrupted: the training was asked to stop; a checkpoint is there.
        """
        ranks = Ranks.of(context.spec.trainer.devices)
        if context.spec.trainer.batch == "auto" and not (context.directory / MEMORY_FILE).exists():
            self._size(context, ranks)
        while True:
            parts = parts_of(context.directory)
            try:
                return self._train(context, ranks, parts)
            except Exception as error:
                if isinstance(error, TryAgain):
                    line = str(error)
                elif is_out_of_memory(error):
                    line = split_further(context.directory, parts, self.config.batch_size, ranks)
                else:
                    raise
            if ranks.world > 1:
                raise TryAgain(line)
            context.console.say(f"  {line}")
            gc.collect()  # the error kept what the failed step had allocated
            torch.cuda.empty_cache()

    def _size(self, context: StepContext, ranks: Ranks) -> None:
        """Choose the parts of a batch by measuring; all ranks take what the first one found."""
        spec, known = context.spec, context.directory / MEMORY_FILE
        if ranks.rank > 0:
            while not known.exists():
                time.sleep(0.1)
            return
        component = self.config.model or spec.model
        data = {name: task.open(context.data_root) for name, task in context.tasks.items()}
        device = choose_device(spec.trainer.accelerator)
        sizing = measure(self.config, component.kind, new_simulator(component, data), data, spec, device)
        write_json(context.directory / "sizing.json", sizing.to_dict())
        keep_parts(context.directory, sizing.parts(self.config.batch_size), "measured before training")

    def _train(self, context: StepContext, ranks: Ranks, parts: int) -> Mapping[str, float]:
        """Train with batches in so many parts."""
        spec, config = context.spec, self.config
        quiet_lightning()
        _prepare_device(spec.trainer)
        component = config.model or spec.model
        data = {name: task.open(context.data_root) for name, task in context.tasks.items()}
        torch.manual_seed(derive_seed(spec.seed, "weights", component.kind))
        simulator = new_simulator(component, data)
        parameters = simulator.parameter_count()
        checkpoints = context.directory / "checkpoints"
        resumed = newest_sound(checkpoints, lambda line: context.console.say(f"  {line}", style="yellow"))
        loader = self._train_loader(data, spec, ranks, parts)
        length = training_length(config, len(loader.sampler), parts)
        context.console.say(
            f"  {component.kind}: {parameters:,} parameters, "
            + (f"{length.steps:,} steps" if config.budget is None else f"{config.budget:g} s of training")
        )
        choice = Choice(spec.trainer.strategy.kind, "the spec says so")
        if choice.kind == "auto":
            choice = choose(spec.trainer.devices, parameters)
            if ranks.world > 1:
                context.console.say(f"  {choice.kind}: {choice.reason}")
        progress = Progress(math.inf if config.budget else length.steps, config.budget)
        if resumed is None:
            with progress.counted():
                initialise(simulator, data)
        module = SimulatorModule(
            simulator, config, create_losses(config.losses), progress, spec.seed, context.step_id, parts,
            context.directory,
        )  # fmt: skip
        files = CheckpointFiles(config.checkpoints.asynchronous)
        saving = Saving(checkpoints, files, config.checkpoints, context.console)
        strategy = spec.trainer.strategy.create(devices=spec.trainer.devices, parameters=parameters)
        trainer = self._trainer(context, strategy, saving, length, progress, parts)
        validation = TrajectoryLoader(
            {name: opened.trajectories("val", limit=config.validate_on) for name, opened in data.items()},
            max(1, config.batch_size // parts), ranks,
        )  # fmt: skip
        with stopping.patience(), _frozen_heap():
            trainer.fit(module, loader, validation, ckpt_path=resumed, weights_only=True)
        leave_group()
        if saving.last is None:
            raise UPSError("training ended before the first validation; lower validate_every or accumulate")
        chosen = saving.improvements[-1] if config.select == "best" else saving.last
        if ranks.rank == 0:
            source = saving.path_of(chosen)
            exported = load_scored(source, new_simulator(component, data))
            save_bundle(context.directory / "model", exported, component, context.fingerprint)
            details = {
                "checkpoint": {"step": chosen, "file": source.name, "sha256": digest_of(source)},
                "strategy": choice._asdict(), "precision": str(lightning_precision(spec.trainer)),
                "device": str(trainer.strategy.root_device), "compile": module.compilation,
                "parts": read_json(context.directory / MEMORY_FILE),
            }  # fmt: skip
            write_json(context.directory / DETAILS, details)
        lines = read_metrics(context.directory / "metrics.jsonl")
        line = next(line for line in reversed(lines) if line["step"] == chosen)
        context.console.say(f"  saved step {line['step']}: val nrmse {_score(line):.4f}")
        scores = {name: _score(line, name) for name in line if name.startswith("val/")}
        return scores | {"parameters": parameters, "best_step": line["step"]}

    def _train_loader(
        self, data: Mapping[str, TaskData], spec: PipelineSpec, ranks: Ranks, parts: int
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
        return MultiTaskLoader(windows, sampler, parts, spec.trainer.workers)

    def _trainer(
        self,
        context: StepContext,
        strategy: Any,
        saving: Saving,
        length: TrainingLength,
        progress: Progress,
        parts: int,
    ) -> pl.Trainer:
        config, trainer = self.config, context.spec.trainer
        clock = StepClock()
        callbacks: list[Callback] = [
            clock,
            saving,  # Lightning calls it last
            MetricsFile(context.directory / "metrics.jsonl", context.console, progress, clock),
        ]
        if profile_wanted():
            callbacks.append(ProfileSteps(context.directory / "profile"))
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
            devices=trainer.devices // nodes(),
            num_nodes=nodes(),
            strategy=strategy,
            precision=lightning_precision(trainer),
            max_epochs=-1 if config.budget else config.epochs or DEFAULT_EPOCHS,
            max_steps=length.steps,
            accumulate_grad_batches=config.accumulate * parts,
            gradient_clip_val=config.clip,
            val_check_interval=length.validate_every,
            check_val_every_n_epoch=None,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            callbacks=callbacks,
            logger=trackers,
            plugins=[saving.files],
            default_root_dir=context.directory,
            enable_progress_bar=context.console.interactive,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )


@contextmanager
def _frozen_heap() -> Iterator[None]:
    """Keep the garbage collector from walking over all that was there before, torch's modules included.

    What lives as long as the training need not be looked at again; what the training makes still is.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _prepare_device(trainer: TrainerSpec) -> None:
    """Threads and matrix products as the spec has them; says in one line what device is not there."""
    device = choose_device(trainer.accelerator)
    if trainer.threads is not None:
        torch.set_num_threads(trainer.threads)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if trainer.precision == "tf32" else "highest")


def _score(line: Mapping[str, float | None], name: str = MONITOR) -> float:
    """A number from `metrics.jsonl`, where null stands for a rollout that blew up."""
    value = line[name]
    return math.inf if value is None else value
