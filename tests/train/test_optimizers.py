"""Optimizers and schedules: routing, equality with torch, one learning rate for all parts."""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from toy_models import SMALL, simulator
from toy_tasks import evolution, steady
from ups_train.config import AdamWConfig, CosineConfig, MuonHybridConfig
from ups_train.muon import Float32Muon, orthogonalise
from ups_train.optimizers import CombinedOptimizer, adamw, is_muon_matrix, muon_hybrid
from ups_train.progress import Progress
from ups_train.schedulers import cosine


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.Conv1d(1, 2, 3), nn.Linear(6, 1)
    )


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("make", [adamw, muon_hybrid])
def test_every_parameter_is_in_exactly_one_group(kind: str, make: object) -> None:
    network = simulator(kind, evolution(), steady()).network
    config = AdamWConfig() if make is adamw else MuonHybridConfig()
    optimizer = make(config, network)  # type: ignore[operator]
    grouped = [id(weight) for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(grouped) == sorted(id(weight) for weight in network.parameters())


def test_muon_gets_hidden_matrices_only() -> None:
    network = simulator("latent_operator", evolution(), steady()).network
    chosen = {
        name
        for name, weight in network.named_parameters()
        if is_muon_matrix(name, weight, ["lift", "embed", "head"])
    }
    for part in (
        "expand.weight",
        "contract.weight",
        "coarsen.1.weight",
        "modulation.weight",
        "onward.wave.weight",
    ):
        assert any(name.endswith(part) for name in chosen)
    assert not [
        name for name in chosen if any(part in name for part in ("lift", "head", "norm", "convs", "bias"))
    ]
    assert not is_muon_matrix("x", torch.zeros(1, 9), [])
    assert not is_muon_matrix("x", torch.zeros(3, 3, dtype=torch.complex64), [])
    assert not is_muon_matrix("x", torch.zeros(3, 3, 3), [])


def test_norms_and_biases_do_not_decay() -> None:
    for group in adamw(AdamWConfig(weight_decay=0.1), net()).param_groups:
        dims = {weight.dim() > 1 for weight in group["params"]}
        assert len(dims) == 1
        assert group["weight_decay"] == (0.1 if dims == {True} else 0.0)


@pytest.mark.parametrize("shape", [(12, 12), (20, 6), (6, 20)])
def test_float32_muon_equals_torch_within_bfloat16(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape, generator=generator)) for _ in range(3)]
    theirs = copy.deepcopy(ours)
    options = {"lr": 1e-2, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
    optimizers = Float32Muon(ours, **options), torch.optim.Muon(theirs, **options)
    start = [weight.detach().clone() for weight in ours]
    for _ in range(4):
        for weights in (ours, theirs):
            torch.manual_seed(int(sum(weight.sum().item() for weight in start) * 1000) % 1000)
            for weight in weights:
                weight.grad = torch.randn(shape)
        for optimizer in optimizers:
            optimizer.step()
    for one, two, before in zip(ours, theirs, start, strict=True):
        assert (one - two).norm() < 0.05 * (two - before).norm()


def test_orthogonalise_brings_singular_values_near_one() -> None:
    matrices = torch.randn(4, 10, 30, generator=torch.Generator().manual_seed(0))
    found = orthogonalise(matrices, (3.4445, -4.7750, 2.0315), 5, 1e-7)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.5
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    cosine_ = (found * (left @ right)).sum((1, 2)) / found.norm(dim=(1, 2)) / math.sqrt(10)
    assert cosine_.min() > 0.97, "the direction is that of the nearest orthogonal matrix"


def test_combined_optimizer_round_trip_and_shared_learning_rate() -> None:
    def train(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
        for step in range(steps):
            optimizer.zero_grad()
            torch.manual_seed(step)
            hidden = module[2](module[1](module[0](torch.randn(4, 6))))
            module[4](module[3](hidden[:, None])).square().sum().backward()
            optimizer.step()

    module = net()
    optimizer = muon_hybrid(MuonHybridConfig(exclude=[]), module)
    assert isinstance(optimizer, CombinedOptimizer)
    assert len(optimizer.parts) == 2
    train(module, optimizer, 3)
    twin = copy.deepcopy(module)
    restored = muon_hybrid(MuonHybridConfig(exclude=[]), twin)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group in (*optimizer.param_groups, *restored.param_groups):
        group["lr"] = 1e-2
    train(module, optimizer, 3)
    train(twin, restored, 3)
    for one, two in zip(module.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, two)
    assert {group["lr"] for part in restored.parts for group in part.param_groups} == {1e-2}


def test_cosine_warms_up_and_ends_at_its_final_share() -> None:
    optimizer = torch.optim.SGD(net().parameters(), lr=1.0)
    schedule = cosine(CosineConfig(warmup=0.1, final=0.1), optimizer, Progress(100))
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))
