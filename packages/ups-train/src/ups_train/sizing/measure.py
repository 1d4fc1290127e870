"""How much memory, time and disk a training takes on the device at hand, measured on a few real batches."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ups_core.spec import PipelineSpec
from ups_data.batches.batch import FieldBatch
from ups_data.batches.sampler import MultiTaskBatchSampler
from ups_train.engine.activation_checkpointing import recompute_blocks
from ups_train.engine.config import TrainingConfig
from ups_train.engine.duration import training_duration
from ups_train.engine.module import TrainingModule
from ups_train.engine.objective import ObjectiveInputs
from ups_train.engine.precision import autocast
from ups_train.engine.progress import Progress
from ups_train.optimizers.create import create_optimizer

MARGIN = 0.8
"""Share of the free memory that a training may take."""
TRANSIENT = 1.5
"""What a backward pass needs at once, over what the forward pass has kept; on a GPU it is measured."""
PROBE = 4
"""Samples of the batches that are measured."""
REPEATS = 4


@dataclass(frozen=True)
class Sizing:
    """What one training stage takes; bytes and seconds.

    Attributes:
        state: weights, gradients, optimizer state and moving average.
        activations: of one sample of the largest task.
        free: memory that was free on the device.
        micro_batch: samples that fit, at most the stage's batch; 0 where not even one does.
        step: seconds of an optimizer step, tasks mixed as they will be.
        steps: optimizer steps of the stage.
        training: seconds of all of them, validations not counted.
        disk: checkpoints and the saved model.
    """

    model: str
    device: str
    parameters: int
    state: int
    activations: int
    free: int
    micro_batch: int
    step: float
    steps: int
    training: float
    disk: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def micro_batches(self, batch_size: int) -> int:
        """Micro-batches that a batch has to be split into: a power of two."""
        count = 1
        while count < batch_size and batch_size > count * max(1, self.micro_batch):
            count *= 2
        return count


def measure(
    config: TrainingConfig,
    objective: nn.Module,
    inputs: ObjectiveInputs,
    spec: PipelineSpec,
    device: torch.device,
) -> Sizing:
    """Run a few steps of a stage at its greatest depth.

    Args:
        config: options of the stage.
        objective: made from them; it is moved to the device, and its network is trained a little.
        inputs: inputs of the objective.
        spec: the spec.
        device: where to measure.
    """
    windows = {name: data.windows("train", horizon=config.horizon) for name, data in inputs.data.items()}

    def batch(name: str, size: int) -> FieldBatch:
        return windows[name].batch(range(min(size, len(windows[name])))).to(device)

    trial = Trial(config, objective, spec, device)
    weights = list(trial.module.network.parameters())
    sharing = 1 if device.type == "cuda" else spec.trainer.devices
    free = free_memory(device) // sharing
    state = trial.state([batch(name, PROBE) for name in windows])
    activations = max(trial.activations(batch(name, PROBE)) for name in windows)
    room = int((MARGIN * free - state) / max(1, activations))
    micro_batch = max(0, min(room, config.batch_size))
    size = max(1, micro_batch)
    sampler = MultiTaskBatchSampler(
        {name: len(part) for name, part in windows.items()},
        config.batch_size,
        temperature=spec.sampling.temperature,
        world=spec.trainer.devices,
    )
    seconds = sum(
        count / len(sampler) * trial.seconds(batch(name, size)) for name, count in sampler.counts.items()
    )
    step = seconds * config.batch_size / size * config.accumulate
    duration = training_duration(config, len(sampler))
    size_of_weights = sum(weight.numel() * weight.element_size() for weight in weights)
    trained = sum(weight.numel() for weight in weights if weight.requires_grad)
    return Sizing(
        inputs.model.kind,
        str(device),
        trained,
        state,
        activations,
        free,
        micro_batch,
        step,
        steps=round(config.budget / step) if config.budget else duration.steps,
        training=config.budget or duration.steps * step,
        # The newest checkpoints and the best hold all but the gradients.
        disk=(config.checkpoints.keep + 1) * (state - size_of_weights) + size_of_weights,
    )


class Trial:
    """A stage's module and optimizer without Lightning, for measurements."""

    def __init__(
        self, config: TrainingConfig, objective: nn.Module, spec: PipelineSpec, device: torch.device
    ) -> None:
        self.module = TrainingModule(objective, config, Progress(1), spec.seed).to(device)
        network = self.module.network
        if config.recompute:
            recompute_blocks(network)
        self.optimizer = create_optimizer(config.optimizer, network, offload=config.offload)
        self.trainer = spec.trainer
        self.device = device

    def loss(self, batch: FieldBatch, seed: int = 0) -> Tensor:
        """In the training's precision; the seed draws how deep the pushforward is."""
        with autocast(self.trainer, self.device):
            loss: Tensor = self.module.objective.loss(batch, seed, progress=1.0)
            return loss

    def gradients(self, batch: FieldBatch, seed: int = 0) -> None:
        """A forward and a backward pass."""
        self.module.zero_grad()
        self.loss(batch, seed).backward()  # type: ignore[no-untyped-call]

    def state(self, batches: Sequence[FieldBatch]) -> int:
        """Bytes of weights, moving average, gradients and optimizer state, after a step of every task."""
        for batch in batches:
            self.loss(batch).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        held: list[Tensor] = [*self.module.parameters()]
        held += [weight.grad for weight in held if weight.grad is not None]
        for state in self.optimizer.state.values():
            held += [value for value in state.values() if torch.is_tensor(value)]
        return sum(tensor.numel() * tensor.element_size() for tensor in held)

    def activations(self, batch: FieldBatch) -> int:
        """Bytes of one sample at the peak: measured on a GPU, elsewhere from what a forward pass keeps."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
            self.gradients(batch)
            return (torch.cuda.max_memory_allocated(self.device) - before) // len(batch)
        return int(TRANSIENT * saved_bytes(self.module, lambda: self.loss(batch))) // len(batch)

    def seconds(self, batch: FieldBatch) -> float:
        """Of an optimizer step, the mean of a few after a first one."""
        begin = 0.0
        for number in range(REPEATS + 1):
            if number == 1:
                begin = time.perf_counter()
            self.gradients(batch, number)
            self.optimizer.step()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
        return (time.perf_counter() - begin) / REPEATS


def saved_bytes(module: nn.Module, forward: Callable[[], Any]) -> int:
    """What a forward pass keeps for the backward pass, weights not counted."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    weights = {weight.untyped_storage().data_ptr() for weight in module.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()  # alive while counting, so that no address is used twice
    del result
    return sum(size for place, size in kept.items() if place not in weights)


def free_memory(device: torch.device) -> int:
    """Bytes that can be allocated on the device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    known = Path("/proc/meminfo")
    for line in known.read_text().splitlines() if known.exists() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
