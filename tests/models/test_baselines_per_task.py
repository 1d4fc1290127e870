"""FNO and U-Net: their structure, what they see, and that tasks do not touch each other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from toy_models import perturbed, simulator
from toy_tasks import batch_of, evolution, steady
from ups_data.info import TaskInfo
from ups_models.fno import TaskFNO
from ups_models.layers.spectral import SpectralConv
from ups_models.network import PerTaskNetwork, lifted_channels
from ups_models.unet import TaskUNet


def net(kind: str, task: TaskInfo, **options: Any) -> nn.Module:
    """The network of one task, without zero weights."""
    network = perturbed(simulator(kind, task, **options)).network
    assert isinstance(network, PerTaskNetwork)
    return next(iter(network.nets.values()))


@pytest.mark.parametrize("kind", ["fno", "unet"])
def test_training_one_task_leaves_the_other_alone(kind: str) -> None:
    one, two = evolution(), steady()
    sim = simulator(kind, one, two)
    sim.step(batch_of(one)).square().mean().backward()
    touched = {name.split(".")[2] for name, weight in sim.named_parameters() if weight.grad is not None}
    assert touched == {"wave"}


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_an_fno_is_its_formula(dim: int) -> None:
    task = evolution(dim=dim)
    module = net("fno", task, layers=3)
    assert isinstance(module, TaskFNO)
    x = torch.randn(2, lifted_channels(task), *task.shape)
    gelu = nn.functional.gelu

    def per_cell(conv: Any, fields: Tensor) -> Tensor:
        mixed = torch.einsum("oi,bi...->bo...", conv.weight.flatten(1), fields)
        return mixed + conv.bias.reshape(-1, *[1] * dim)

    with torch.no_grad():
        hidden = per_cell(module.lift[2], gelu(per_cell(module.lift[0], x)))
        for number in range(3):
            hidden = module.spectral[number](hidden) + per_cell(module.bypass[number], hidden)
            hidden = gelu(hidden) if number < 2 else hidden
        expected = per_cell(module.head[2], gelu(per_cell(module.head[0], hidden)))
        assert torch.allclose(module(x), expected, atol=1e-4)


def test_options_of_an_fno() -> None:
    module = net("fno", evolution(), width=6, modes=5, layers=3)
    assert isinstance(module, TaskFNO)
    assert len(module.spectral) == len(module.bypass) == 3
    first = module.spectral[0]
    assert isinstance(first, SpectralConv)
    assert first.weight.shape == (1, 6, 6, 5, 2)


def test_an_fno_gives_the_same_function_on_a_finer_grid() -> None:
    """Up to what the aliasing of its activations adds; another network would be off by its whole output."""
    coarse, fine = (torch.arange(cells) / cells for cells in (32, 64))
    module = net("fno", evolution())
    channels = lifted_channels(evolution())

    def wave(x: Tensor) -> Tensor:
        phase = torch.arange(channels)[:, None] * 0.7
        return torch.sin(2 * torch.pi * x + phase)[None]

    with torch.no_grad():
        on_coarse, on_fine = module(wave(coarse)), module(wave(fine))[..., ::2]
    assert (on_fine - on_coarse).norm() < 0.02 * on_coarse.norm()


@pytest.mark.parametrize(("levels", "blocks"), [(1, 1), (2, 1), (3, 2)])
def test_options_of_a_unet(levels: int, blocks: int) -> None:
    module = net("unet", evolution(), width=4, levels=levels, blocks=blocks)
    assert isinstance(module, TaskUNet)
    assert [len(part) for part in module.down_blocks] == [blocks] * levels  # type: ignore[arg-type]
    assert [len(part) for part in module.up_blocks] == [blocks] * (levels - 1)  # type: ignore[arg-type]
    widths = [tuple(down.weight.shape[:2]) for down in module.down]
    assert widths == [(2 * 4 * 2**level, 4 * 2**level) for level in range(levels - 1)]


def test_more_levels_see_further() -> None:
    """A point source reaches the cells within the receptive field, which doubles with every level."""
    reached = []
    for levels in (1, 2, 3):
        module = net("unet", evolution(boundary="dirichlet", cells=128), width=4, levels=levels)
        x = torch.zeros(1, lifted_channels(evolution(boundary="dirichlet")), 128)
        source = x.clone()
        source[..., 64] = 1.0
        with torch.no_grad():
            moved = (module(source) - module(x)).abs().amax((0, 1)) > 1e-7
        reached.append(int(moved.sum()))
    assert reached[0] == 1 + 2 * (1 + 3), "a 3-wide lift and one 7-wide block"
    assert reached[0] < reached[1] < reached[2]


def test_a_unet_sees_the_boundary() -> None:
    for boundary, wraps in (("periodic", True), ("dirichlet", False)):
        x = torch.randn(1, lifted_channels(evolution(boundary=boundary)), 32)
        moved = x.clone()
        moved[..., 0] += 1.0
        module = net("unet", evolution(boundary=boundary), levels=1)
        with torch.no_grad():
            change = (module(moved) - module(x)).abs().amax((0, 1))
        assert bool(change[-1] > 0) is wraps


def test_planes_are_laid_out_for_speed() -> None:
    module = net("unet", steady())
    assert isinstance(module, TaskUNet)
    assert module.down[0].weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[union-attr]
    assert module(torch.randn(2, lifted_channels(steady()), 16, 16)).shape == (2, 1, 16, 16)
