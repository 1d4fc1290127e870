"""Optimizers and schedules: routing, equality with torch, one learning rate for all parts."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from toy_models import SMALL, simulator
from toy_tasks import evolution, steady
from ups_core import Component, UPSError, validate_options
from ups_core.plugin_loader import registry_in_use
from ups_train.optimizers.combined import CombinedOptimizer
from ups_train.optimizers.config import (
    AdamConfig,
    AdamWConfig,
    GroupedConfig,
    MuonConfig,
    MuonHybridConfig,
    SGDConfig,
)
from ups_train.optimizers.cpu_adamw import CPUAdamW
from ups_train.optimizers.create import create_optimizer
from ups_train.optimizers.factories import adam, adamw, grouped, groups_of, muon_hybrid, sgd
from ups_train.optimizers.groups import assign, trainable
from ups_train.optimizers.muon import Float32Muon, orthogonalise
from ups_train.optimizers.name_patterns import name_matcher
from ups_train.optimizers.state_layout import by_name


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.Conv1d(1, 2, 3), nn.Linear(6, 1)
    )


OPTIMIZERS = {
    adam: AdamConfig(),
    adamw: AdamWConfig(),
    sgd: SGDConfig(),
    muon_hybrid: MuonHybridConfig(),
}


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_every_parameter_is_in_exactly_one_group(kind: str, make: Any) -> None:
    network = simulator(kind, evolution(), steady()).network
    optimizer = make(OPTIMIZERS[make], trainable(network))
    grouped = [id(weight) for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(grouped) == sorted(id(weight) for weight in network.parameters())


def test_muon_gets_hidden_matrices_only() -> None:
    network = simulator("latent_operator", evolution(), steady()).network
    chosen = {
        name
        for group, parameters in assign(groups_of(MuonHybridConfig()), trainable(network))
        for name in parameters
        if group.optimizer.kind == "muon"
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
    assert not MuonConfig().accepts((1, 9), False)
    assert not MuonConfig().accepts((3, 3), True)
    assert not MuonConfig().accepts((3, 3, 3), False)


def groups(*parts: tuple[str, str] | tuple[str, str, float]) -> GroupedConfig:
    listed = [
        {"pattern": pattern, "optimizer": {"kind": optimizer, "lr": rest[0] if rest else 1e-2}}
        for pattern, optimizer, *rest in parts
    ]
    return validate_options(GroupedConfig, {"groups": listed})


def test_the_first_group_that_fits_gets_a_parameter() -> None:
    config = groups(("^2", "muon", 0.5), ("^0", "adamw"), ("", "muon"), ("", "adamw"))
    names = [list(parameters) for _, parameters in assign(config.groups, trainable(big_net()))]
    assert names[:3] == [["2.weight"], ["0.weight", "0.bias"], ["4.weight"]]
    config = groups(("^2", "muon", 0.5), ("", "muon"), ("", "adamw", 0.25))
    optimizer = grouped(config, trainable(big_net()))
    rates = {weight.shape: group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    assert rates[(8, 8)] == 0.5
    assert rates[(6, 8)] == 1e-2
    assert rates[(8,)] == 0.25


def big_net() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.Conv1d(1, 2, 3), nn.Linear(8, 6)
    )


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            [("lift", "adamw"), ("", "muon"), ("", "adamw")],
            "{pattern: 'lift', optimizer: adamw} gets no parameter",
        ),
        ([("", "adamw"), ("", "muon")], "{pattern: '', optimizer: muon} gets no parameter"),
        ([("bias", "muon"), ("", "adamw")], "{pattern: 'bias', optimizer: muon} gets no parameter"),
        ([("weight", "muon")], "'0.bias' (8,) is in no optimizer group"),
    ],
)
def test_groups_that_do_not_fit_are_errors(parts: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(UPSError, match=re.escape(message)):
        assign(groups(*parts).groups, trainable(big_net()))


def test_norms_and_biases_do_not_decay() -> None:
    for group in adamw(AdamWConfig(weight_decay=0.1), trainable(net())).param_groups:
        dims = {weight.dim() > 1 for weight in group["params"]}
        assert len(dims) == 1
        assert group["weight_decay"] == (0.1 if dims == {True} else 0.0)


@pytest.mark.parametrize("rule", ["match_rms_adamw", "original"])
@pytest.mark.parametrize("shape", [(12, 12), (20, 6), (6, 20)])
def test_float32_muon_equals_torch_within_bfloat16(shape: tuple[int, int], rule: str) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape, generator=generator)) for _ in range(3)]
    theirs = copy.deepcopy(ours)
    options = {"lr": 1e-2, "weight_decay": 0.1, "adjust_lr_fn": rule}
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
    optimizer = muon_hybrid(MuonHybridConfig(), trainable(module))
    assert isinstance(optimizer, CombinedOptimizer)
    assert len(optimizer.parts) == 2
    train(module, optimizer, 3)
    twin = copy.deepcopy(module)
    restored = muon_hybrid(MuonHybridConfig(), trainable(twin))
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group in (*optimizer.param_groups, *restored.param_groups):
        group["lr"] = 1e-2
    train(module, optimizer, 3)
    train(twin, restored, 3)
    for one, two in zip(module.parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, two)
    assert {group["lr"] for part in restored.parts for group in part.param_groups} == {1e-2}


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_for_cpus_has_the_bits_of_torch(decay: float) -> None:
    """Parameters without a gradient in some steps, complex ones, rates that change, a resume in between."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(6, 8), (8,), (3, 3, 2), (5,)]
    ours = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    ours.append(nn.Parameter(torch.randn(4, 4, dtype=torch.complex64, generator=generator)))
    theirs = copy.deepcopy(ours)
    options = {"lr": 1e-2, "betas": (0.9, 0.99), "weight_decay": decay}
    optimizers = [CPUAdamW(ours, **options), torch.optim.AdamW(theirs, **options)]
    for step in range(8):
        if step == 5:
            states = [copy.deepcopy(optimizer.state_dict()) for optimizer in optimizers]
            optimizers = [CPUAdamW(ours, **options), torch.optim.AdamW(theirs, **options)]
            optimizers[0].load_state_dict(states[1])
            optimizers[1].load_state_dict(states[0])
        for number, (one, two) in enumerate(zip(ours, theirs, strict=True)):
            gradient = torch.randn(one.shape, dtype=one.dtype, generator=generator)
            one.grad = None if (step + number) % 3 == 0 else gradient
            two.grad = None if one.grad is None else gradient.clone()
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 1e-2 / (1 + step)
            optimizer.step()
        for one, two in zip(ours, theirs, strict=True):
            assert torch.equal(one, two), step


def test_states_are_loaded_by_name_whatever_the_order_of_groups() -> None:
    """Torch counts parameters; here a state finds its parameter where groups were cut otherwise."""
    module = big_net()
    first = validate_options(GroupedConfig, {"groups": [{"pattern": "", "optimizer": "adamw"}]})
    second = groups(("^4", "adamw"), ("^0", "adamw"), ("", "adamw"))
    before = create_optimizer(component("grouped", first), module)
    for weight in module.parameters():
        weight.grad = torch.full_like(weight, float(weight.numel()))
    before.step()
    saved = by_name(before.state_dict(), before, module)
    assert set(saved["state"]) == {name for name, _ in module.named_parameters()}
    after = create_optimizer(component("grouped", second), module)
    after.load_state_dict(saved)
    for name, weight in module.named_parameters():
        assert torch.equal(after.state[weight]["exp_avg"], saved["state"][name]["exp_avg"]), name


def component(kind: str, config: Any) -> Component:
    return Component(registry_in_use().get("optimizers", kind), config)


HOSTILE = [
    "(a+)+$",
    "(a|aa)+$",
    "(.*a){20}#",
    "(x+x+)+y",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    ".*.*.*.*.*.*.*=",
    "(a*)*#",
]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_no_pattern_hangs(pattern: str) -> None:
    """Python's engine would take longer than the age of the universe for each of them."""
    assert not name_matcher(pattern)("blocks.0." + "a" * 5000 + "!")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        *((f"(?!x){pattern}", "could take forever") for pattern in HOSTILE),
        ("(?=a)(?:b)*", "could take forever"),
        ("(", "'(' is not a regular expression: unclosed group"),
        ("(?!a", "is not a regular expression"),
        (r"(a)\1", "backreferences are not supported"),
        ("*", "is not a regular expression"),
        ("(a{1000}){1000}", "exceeds size limit"),
    ],
)
def test_patterns_that_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        groups((pattern, "adamw"))


@pytest.mark.parametrize(
    "pattern", ["^(?!.*(lift|embed|head))", "", "lift|head", r"\.weight$", "(?<!a)b", "^[0-9]+"]
)
def test_patterns_mean_what_they_mean_in_python(pattern: str) -> None:
    for name in ("lift.weight", "blocks.0.ab", "b", "head.bias", "0.weight", "embed"):
        assert name_matcher(pattern)(name) == (re.search(pattern, name) is not None)


def test_a_model_is_built_once_for_all_steps_that_train_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    create = Component.create
    monkeypatch.setattr(
        Component, "create", lambda self, **given: made.append(self.kind) or create(self, **given)
    )
    config = validate_options(GroupedConfig, {"groups": [{"pattern": "", "optimizer": "adamw"}]})
    entry = registry_in_use().get("models", "fno")
    for _ in range(20):
        model = Component(entry, validate_options(entry.load_config(), {"width": 7, "modes": 3}))
        assert not list(config.check(model, {"wave": evolution()}))
    assert made == ["fno"]


def test_muon_hybrid_is_a_preset_of_grouped() -> None:
    """The same groups written out give the same numbers."""
    written = validate_options(
        GroupedConfig,
        {
            "groups": [
                {"pattern": "^(?!.*(lift|embed|head))", "optimizer": {"kind": "muon", "lr": 3e-3}},
                {"pattern": "", "optimizer": {"kind": "adamw", "lr": 3e-3}},
            ]
        },
    )
    one, two = (simulator("latent_operator", evolution(), steady()).network for _ in range(2))
    two.load_state_dict(one.state_dict())
    optimizers = muon_hybrid(MuonHybridConfig(lr=3e-3), trainable(one)), grouped(written, trainable(two))
    for step in range(3):
        for network, optimizer in zip((one, two), optimizers, strict=True):
            torch.manual_seed(step)
            for weight in network.parameters():
                weight.grad = torch.randn_like(weight)
            optimizer.step()
    for ours, theirs in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_checkpoint_of_other_parameters_is_refused() -> None:
    module = big_net()
    saved = by_name(
        create_optimizer(component("adamw", AdamWConfig()), module).state_dict(),
        create_optimizer(component("adamw", AdamWConfig()), module),
        module,
    )
    other = create_optimizer(component("adamw", AdamWConfig()), nn.ModuleDict({"x": nn.Linear(2, 2)}))
    with pytest.raises(UPSError, match=r"the checkpoint's optimizer has no parameter 'x\.weight'"):
        other.load_state_dict(saved)
