"""A training stage: everything that a training does, for any objective.

Read :meth:`TrainingStage._train` from top to bottom to follow a training run.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ups_core import RestartRequested, StepContext, StepResult, UPSError, interrupts
from ups_core.files import write_json
from ups_core.record import DETAILS
from ups_core.spec import PipelineSpec
from ups_core.trainer import TrainerSpec
from ups_data.batches.loader import MultiTaskLoader
from ups_data.batches.sampler import MultiTaskBatchSampler
from ups_data.batches.seeds import derive_seed
from ups_models.bundle_config import read_bundle_config, weights_sum
from ups_models.device import choose_device
from ups_train.engine.checkpoint_files import CheckpointFiles, digest_of, newest_sound
from ups_train.engine.checkpointing import Checkpointing
from ups_train.engine.config import TrainingConfig
from ups_train.engine.continuation import CHECKPOINTS, continue_from
from ups_train.engine.duration import training_duration
from ups_train.engine.lightning_hooks import lean_hooks
from ups_train.engine.lightning_warnings import silence_lightning
from ups_train.engine.metrics_file import read_metrics
from ups_train.engine.module import TrainingModule
from ups_train.engine.objective import (
    ARTIFACT,
    ObjectiveFactory,
    ObjectiveInputs,
    check_parts,
    create_objective,
)
from ups_train.engine.out_of_memory import FILE as MEMORY_FILE
from ups_train.engine.out_of_memory import (
    is_out_of_memory,
    read_memory,
    read_micro_batches,
    split_further,
    write_micro_batches,
)
from ups_train.engine.precision import lightning_precision
from ups_train.engine.processor_share import BUSY, ProcessorShare
from ups_train.engine.progress import Progress
from ups_train.engine.trainer import build_trainer
from ups_train.engine.validation_loader import ValidationLoader
from ups_train.parallel.ranks import Ranks, leave_group
from ups_train.parallel.strategies import Choice, choose
from ups_train.sizing.measure import measure


def training_stage(objective: ObjectiveFactory) -> Callable[[TrainingConfig], TrainingStage]:
    """The factory of a stage that trains this objective, for `ups_register_stages`.

    Raises:
        UPSError: `objective` is a class that lacks a part of the protocol; the message names it.
    """
    if isinstance(objective, type):
        check_parts(objective)
    return partial(TrainingStage, objective)


class TrainingStage:
    """Trains an objective, selects weights on the validation split, exports them.

    Args:
        objective: makes what is trained from the stage's options and its inputs.
    """

    def __init__(self, objective: ObjectiveFactory, config: TrainingConfig) -> None:
        self.objective = objective
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        """Train or resume; returns the validation metrics of the exported weights.

        Out of memory, and a spike that is rolled back, restart the training from its last checkpoint: here
        for one process, by the launcher for several, because a rank that fails inside a collective leaves
        the others waiting there.

        Raises:
            OutOfMemory: not even one sample fits.
            RestartRequested: as one of several ranks, all have to start again.
            Interrupted: the training was asked to stop; a checkpoint is there.
        """
        ranks = Ranks.of(context.spec.trainer.devices)
        if context.spec.trainer.micro_batches == "auto" and not (context.directory / MEMORY_FILE).exists():
            self._choose_micro_batches(context, ranks)
        while True:
            micro_batches = read_micro_batches(context.directory)
            try:
                return self._train(context, ranks, micro_batches)
            except Exception as error:
                if isinstance(error, RestartRequested):
                    message = str(error)
                elif is_out_of_memory(error):
                    message = split_further(context.directory, micro_batches, self.config.batch_size, ranks)
                else:
                    raise
            if ranks.world > 1:
                raise RestartRequested(message)
            context.console.say(f"  {message}")
            gc.collect()  # the traceback kept what the failed step had allocated
            torch.cuda.empty_cache()

    def _train(self, context: StepContext, ranks: Ranks, micro_batches: int) -> StepResult:
        """One attempt, with batches split into so many micro-batches."""
        spec, config = context.spec, self.config
        prepare_process(spec.trainer)

        # What is trained: weights are a function of the seed and the model's name.
        inputs = ObjectiveInputs.open(config, context)
        objective = self._objective(inputs, spec)
        parameters = sum(weight.numel() for weight in objective.network.parameters() if weight.requires_grad)

        # On which batches, for how long.
        training = training_loader(config, inputs, spec, ranks, micro_batches)
        validation = validation_loader(config, inputs, ranks, micro_batches)
        duration = training_duration(config, len(training.sampler), micro_batches)
        progress = Progress(math.inf if config.budget else duration.steps, config.budget)
        length = f"{config.budget:g} s of training" if config.budget else f"{duration.steps:,} steps"
        context.console.say(f"  {inputs.model.kind}: {parameters:,} parameters, {length}")

        # From where: the newest sound checkpoint, or from the start.
        folder = context.directory / CHECKPOINTS
        origin = continue_from(config, context, duration.steps, ranks)
        resumed = newest_sound(folder, lambda line: context.console.say(f"  {line}", style="yellow"))
        if resumed is None:
            with progress.counted():
                objective.initialise()

        # How: Lightning's loop with this project's module, callbacks and checkpoint files.
        module = TrainingModule(objective, config, progress, spec.seed, micro_batches, context.directory)
        files = CheckpointFiles(config.checkpoints.asynchronous)
        checkpointing = Checkpointing(
            folder, files, config.checkpoints, config.monitor, context.console, origin
        )
        choice = choose_strategy(spec.trainer, parameters)
        if ranks.world > 1 and spec.trainer.strategy.kind == "auto":
            context.console.say(f"  {choice.kind}: {choice.reason}")
        trainer = build_trainer(
            config,
            context,
            strategy=spec.trainer.strategy.create(devices=spec.trainer.devices, parameters=parameters),
            checkpointing=checkpointing,
            duration=duration,
            progress=progress,
            micro_batches=micro_batches,
        )
        processor = ProcessorShare()
        # `weights_only` keeps Lightning from unpickling whatever a checkpoint contains.
        with interrupts.patience(), frozen_heap(), lean_hooks(trainer, module):
            trainer.fit(module, training, validation, ckpt_path=resumed, weights_only=True)
        leave_group()
        share = processor.now()
        if config.budget is not None and share is not None and share < BUSY:
            line = f"  had {share:.0%} of the processor; an idle machine trains longer in the same budget"
            context.console.say(line, style="yellow")

        # What comes out: the selected weights, and how they were made.
        selected = selected_step(config, checkpointing)
        if ranks.rank == 0:
            selected = checkpointing.sound_step(selected)
            source = checkpointing.path_of(selected)
            self._export(source, inputs, spec, context.directory / ARTIFACT)
            details = {
                "checkpoint": {"step": selected, "file": source.name, "sha256": digest_of(source)},
                "strategy": choice._asdict(),
                "precision": str(lightning_precision(spec.trainer)),
                "device": str(trainer.strategy.root_device),
                "processor_share": share,
                "compile": module.compilation,
                "micro_batches": read_memory(context.directory) or None,
                "start": None if inputs.start is None else weights_sum(read_bundle_config(inputs.start)),
            }
            write_json(context.directory / DETAILS, details)
        return self._result(context, selected, parameters)

    def _objective(self, inputs: ObjectiveInputs, spec: PipelineSpec) -> Any:
        """A new objective with weights drawn from a generator of this stage's own."""
        torch.manual_seed(derive_seed(spec.seed, "weights", inputs.model.kind))
        return create_objective(self.objective, self.config, inputs)

    def _export(self, source: Path, inputs: ObjectiveInputs, spec: PipelineSpec, target: Path) -> None:
        """Write the artifact with the weights that a checkpoint's validation scored."""
        fresh = self._objective(inputs, spec)  # the trained one may be sharded or compiled
        module = TrainingModule(fresh, self.config, Progress(1), spec.seed)
        module.load_scored(source)
        fresh.export(fresh.network, target)

    def _result(self, context: StepContext, selected: int, parameters: int) -> StepResult:
        """The validation metrics of the selected step, from the file that every rank can read."""
        lines = read_metrics(context.directory / "metrics.jsonl")
        line = next(line for line in reversed(lines) if line["step"] == selected)
        scores = {name: _score(line, name) for name in line if name.startswith("val/")}
        monitor = self.config.monitor
        context.console.say(f"  saved step {selected}: {monitor.replace('/', ' ')} {scores[monitor]:.4f}")
        return StepResult(scores | {"parameters": parameters, "best_step": selected})

    def _choose_micro_batches(self, context: StepContext, ranks: Ranks) -> None:
        """Measure how many micro-batches a batch needs; all ranks use what the first one found."""
        known = context.directory / MEMORY_FILE
        if ranks.rank > 0:
            while not known.exists():  # the process group does not exist yet, so ranks meet at a file
                time.sleep(0.1)
            return
        inputs = ObjectiveInputs.open(self.config, context)
        device = choose_device(context.spec.trainer.accelerator)
        objective = create_objective(self.objective, self.config, inputs)
        sizing = measure(self.config, objective, inputs, context.spec, device)
        write_json(context.directory / "sizing.json", sizing.to_dict())
        micro_batches = sizing.micro_batches(self.config.batch_size)
        write_micro_batches(context.directory, micro_batches, "measured before training")


def prepare_process(trainer: TrainerSpec) -> None:
    """Warnings, threads and matrix products as the spec wants them; checks that the device exists."""
    silence_lightning()
    device = choose_device(trainer.accelerator)
    if trainer.threads is not None:
        torch.set_num_threads(trainer.threads)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if trainer.precision == "tf32" else "highest")


def training_loader(
    config: TrainingConfig, inputs: ObjectiveInputs, spec: PipelineSpec, ranks: Ranks, micro_batches: int
) -> MultiTaskLoader:
    """This rank's training batches: windows of the train split in the sampler's order."""
    windows = {name: data.windows("train", horizon=config.horizon) for name, data in inputs.data.items()}
    sampler = MultiTaskBatchSampler(
        {name: len(items) for name, items in windows.items()},
        config.batch_size,
        temperature=spec.sampling.temperature,
        seed=spec.seed,
        rank=ranks.rank,
        world=ranks.world,
    )
    return MultiTaskLoader(windows, sampler, micro_batches, spec.trainer.workers)


def validation_loader(
    config: TrainingConfig, inputs: ObjectiveInputs, ranks: Ranks, micro_batches: int
) -> ValidationLoader:
    """This rank's validation batches: complete trajectories of the validation split."""
    limit = config.validation_trajectories
    trajectories = {name: data.trajectories("val", limit=limit) for name, data in inputs.data.items()}
    return ValidationLoader(trajectories, max(1, config.batch_size // micro_batches), ranks)


def choose_strategy(trainer: TrainerSpec, parameters: int) -> Choice:
    """Which strategy is used, and why, for the record."""
    if trainer.strategy.kind == "auto":
        return choose(trainer.devices, parameters)
    return Choice(trainer.strategy.kind, "the spec says so")


def selected_step(config: TrainingConfig, checkpointing: Checkpointing) -> int:
    """The step whose weights are exported.

    Raises:
        UPSError: there was no validation.
    """
    if checkpointing.last is None:
        raise UPSError("training ended before the first validation; lower validate_every or accumulate")
    return checkpointing.improvements[-1] if config.select == "best" else checkpointing.last


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Keep the garbage collector from walking over everything that existed before, torch's modules included.

    What lives as long as the training need not be looked at again; what the training makes still is.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _score(line: Mapping[str, float | None], name: str) -> float:
    """A number from `metrics.jsonl`, where null stands for a rollout that diverged."""
    value = line[name]
    return math.inf if value is None else value
