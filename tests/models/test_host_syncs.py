"""No value of a tensor is read by the host in a forward pass, an augmentation or a normalisation.

Reading one makes a GPU wait. On the meta device there are no values, so every such read raises; making a tensor
of Python numbers on a device, which waits too, is looked for by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from toy_models import SMALL, simulator
from toy_tasks import batch_of, evolution, steady
from ups_data.batches.batch import FieldBatch
from ups_data.batches.symmetry import SYMMETRIES, augment
from ups_data.info import TaskInfo
from ups_models.simulator import LatentSimulator, Simulator

READS = {
    Tensor.item,
    Tensor.tolist,
    Tensor.cpu,
    Tensor.numpy,
    Tensor.__bool__,
    Tensor.__float__,
    Tensor.__int__,
    Tensor.__index__,
    Tensor.nonzero,
}
MAKES = {torch.tensor, torch.as_tensor, torch.from_numpy}


class NoHostReads(TorchFunctionMode):
    """Raises when a value of a tensor on the meta device is read, or a tensor is made there from numbers."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in READS and args[0].device.type == "meta":
            raise AssertionError(f"{func.__name__} of a tensor on the device")
        if func in MAKES and torch.device(kwargs.get("device") or "cpu").type == "meta":
            raise AssertionError(f"{func.__name__} on the device")
        if func is Tensor.to and args[0].device.type == "cpu" and "meta" in map(str, args[1:2]):
            assert kwargs.get("non_blocking") or args[-1] is True, "a blocking copy to the device"
        return func(*args, **kwargs)


@pytest.fixture(autouse=True)
def _no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast does not know the meta device, and has nothing to do with reading values."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


@contextmanager
def on_device(sim: Simulator) -> Iterator[Simulator]:
    moved = sim.to("meta")
    with NoHostReads():
        yield moved


def meta(batch: FieldBatch) -> FieldBatch:
    return batch.to("meta")


TASKS = [
    evolution(),
    evolution("log", parameters=3),
    evolution("none", parameters=0),
    evolution("plane", dim=2),
    evolution("walls", boundary="dirichlet"),
    evolution("cube", dim=3),
    steady(),
    steady("line", dim=1),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.parametrize("kind", [*SMALL, "persistence", "mean"])
def test_a_rollout_reads_nothing(kind: str, task: TaskInfo) -> None:
    parameters = tuple(replace(p, low=0.1, scale="log") for p in task.parameters)
    task = replace(task, parameters=parameters if task.name == "log" else task.parameters)
    batch = meta(batch_of(task))
    with on_device(simulator(kind, task)) as sim:
        prediction = sim.rollout(batch, 1 if task.kind == "steady" else 2)
        sim.normaliser(task.name).target_scaled(prediction)
    assert prediction.device.type == "meta"


@pytest.mark.parametrize("trunk", ["multiscale", "pdet_stack", "pdet_unet"])
def test_a_fitted_operator_reads_nothing_forward_and_backward(trunk: str) -> None:
    task = evolution()
    sim = simulator("latent_operator", task, trunk=trunk)
    propagator = next(iter(sim.network.propagators.values()))  # type: ignore[operator, union-attr]
    propagator.active = True
    batch = meta(batch_of(task))
    with on_device(sim):
        loss = sim.rollout(batch, 2).square().mean() + sim.latent_rollout(batch, 2).square().mean()
        loss = loss + sim.reconstruct(batch).mean()
        loss.backward()
        LatentSimulator(sim).rollout(batch, 2)


def test_a_rollout_on_another_grid_reads_nothing() -> None:
    coarse, fine = evolution(cells=16), evolution(cells=32)
    batch = meta(batch_of(fine))
    with on_device(simulator("latent_operator", coarse)) as sim:
        assert sim.rollout(batch, 2).shape == (3, 2, 2, 32)


@pytest.mark.parametrize("name", SYMMETRIES)
def test_an_augmentation_reads_nothing(name: str) -> None:
    dim = 1 if name == "odd_reflection" else 2
    task = replace(evolution(dim=dim), symmetries=(name,))
    batch = meta(batch_of(task))
    with NoHostReads():
        for seed in range(8):
            found = augment(batch, task, seed)
            assert found.target.shape == batch.target.shape
            assert found.index is batch.index


def test_the_guard_notices_what_it_looks_for() -> None:
    there = torch.zeros(2, device="meta")
    for read in (
        lambda: there.sum().item(),
        lambda: there.tolist(),
        lambda: bool(there.any()),
        lambda: float(there[0]),
        lambda: there.cpu(),
        lambda: torch.tensor([1.0], device="meta"),
        lambda: torch.zeros(2).to("meta"),
    ):
        with NoHostReads(), pytest.raises(AssertionError):
            read()
    with NoHostReads():
        torch.zeros(2).tolist()  # on the host it is free
        torch.zeros(2).to("meta", non_blocking=True)


def test_a_batch_keeps_on_the_host_what_seeds_are_derived_from() -> None:
    batch = batch_of(evolution())
    moved = batch.to("meta", non_blocking=True)
    devices = {
        field.name: getattr(moved, field.name).device.type
        for field in fields(moved)
        if isinstance(getattr(moved, field.name), Tensor)
    }
    assert devices.pop("index") == "cpu"
    assert set(devices.values()) == {"meta"}
