"""The checks of `ups_models.testing`: a sound model passes all, and each fault is found by the check meant for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from ups_core import ModelConfig
from ups_core.plugin_loader import registry_in_use
from ups_core.registry import Entry, Provider
from ups_data.info import TaskInfo
from ups_models.layers.convolution import CONV, grid_conv, zero_conv
from ups_models.network import (
    Network,
    NetworkInput,
    condition_size,
    in_channels,
    module_key,
    out_channels,
    per_task,
)
from ups_models.testing import CHECKS, ModelCase, check_model

Fault = Literal[
    "none",
    "one channel",
    "no padding",
    "needs a parameter",
    "newest frame only",
    "random head",
    "unused weight",
    "ignores parameters",
    "looks at elapsed time",
    "knows places",
    "unsaved buffer",
    "draws",
    "explodes",
]


class NetConfig(ModelConfig):
    """Options of the net."""

    fault: Fault = "none"
    """What is wrong with it."""
    width: int = 4
    """Hidden channels."""


class Net(Network):
    """A convolution of the fields, a shift by the condition, a projection that starts at zero; one per task."""

    def __init__(self, config: NetConfig, tasks: Mapping[str, TaskInfo]) -> None:
        super().__init__()
        self.fault, self.tasks = config.fault, dict(tasks)
        self.lift = per_task(tasks, lambda task: self._lift(task, config.width))
        self.condition = per_task(tasks, lambda task: nn.Linear(condition_size(task), config.width))
        self.head = per_task(tasks, lambda task: zero_conv(task.dim, config.width, out_channels(task)))
        self.register_buffer("scale", torch.ones(()), persistent=False)
        if self.fault == "unsaved buffer":
            self.scale = torch.rand(())
        if self.fault == "unused weight":
            self.spare = nn.Parameter(torch.zeros(3))
        if self.fault == "random head":
            for head in self.head.values():
                nn.init.normal_(head.weight)  # type: ignore[arg-type]

    def _lift(self, task: TaskInfo, width: int) -> nn.Module:
        channels = in_channels(task) + (task.dim if self.fault == "knows places" else 0)
        if self.fault == "no padding" and not any(task.periodic):
            return CONV[task.dim](channels, width, 3)
        conv = grid_conv(channels, width, 3, sides=task.sides)
        return conv

    def forward(self, x: NetworkInput) -> Tensor:
        task, key = self.tasks[x.task], module_key(x.task)
        fields = x.fields
        if self.fault == "newest frame only":
            newest = (task.history - 1) * len(task.state_channels)
            fields = torch.cat([torch.zeros_like(fields[:, :newest]), fields[:, newest:]], dim=1)
        if self.fault == "knows places":
            axes = [torch.linspace(0, 1, cells) for cells in fields.shape[2:]]
            places = torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(
                len(fields), -1, *fields.shape[2:]
            )
            fields = torch.cat([fields, places], dim=1)
        condition = x.condition()
        if self.fault == "ignores parameters":
            condition = condition * 0
        if self.fault == "looks at elapsed time":
            condition = condition + x.elapsed[:, None]
        if self.fault == "needs a parameter":
            condition = condition + x.params[:, :1].amax()
        moved = self.condition[key](condition).reshape(len(fields), -1, *[1] * task.dim)
        hidden = torch.tanh(self.lift[key](fields) + moved) * self.scale
        if self.fault == "draws":
            hidden = hidden * torch.rand(())
        out: Tensor = self.head[key](hidden)
        if self.fault == "one channel":
            out = out[:, :1]
        return out / 0 if self.fault == "explodes" else out


CATCHES: dict[Fault, tuple[str, str]] = {
    "one channel": ("shapes", r"evolution on 32 cells .* gives \(3, 1, 32\), not \(3, 2, 32\)"),
    "explodes": ("shapes", "NaN or infinity"),
    "no padding": ("boundaries", "must match|predicts"),
    "needs a parameter": ("parameter counts", "amax"),
    "newest frame only": ("histories", "given frame 0 of 3 has no effect"),
    "random head": ("initial state", "not persistence or the mean; end in `zero_conv`"),
    "unused weight": ("gradients", "no gradient reaches network.spare"),
    "ignores parameters": ("conditions", "the PDE parameters have no effect on evolution on 32 cells"),
    "knows places": ("shift", "a shift of 1 cells changes evolution on 32 cells"),
    "looks at elapsed time": ("constant inputs", "dt, constant in training, changes evolution on 32 cells"),
    "unsaved buffer": ("saving", "the loaded model predicts other bits on evolution"),
    "draws": ("determinism", "two calls differ on evolution"),
}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry("models", "toy/net", Net, NetConfig, "a small net", Provider("toy", "1.0"))
    monkeypatch.setitem(registry_in_use()._entries, ("models", "toy/net"), entry)


def case(fault: Fault = "none", shift: int = 1) -> ModelCase:
    return ModelCase("toy/net", {"fault": fault}, shift=shift)


@pytest.mark.parametrize("check", CHECKS)
def test_a_sound_model_passes(check: str) -> None:
    check_model(case(), check)


@pytest.mark.parametrize("fault", CATCHES)
def test_a_fault_is_found(fault: Fault) -> None:
    check, message = CATCHES[fault]
    with pytest.raises((AssertionError, RuntimeError, IndexError), match=message):
        check_model(case(fault), check)


def test_checks_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    for check in CHECKS:
        check_model(case(), check)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_promises_what_it_can() -> None:
    """Promises that are not made are not checked; dimensions and kinds that are not supported are left out."""
    check_model(ModelCase("toy/net", {"fault": "knows places"}), "shift")
    check_model(ModelCase("toy/net", {"fault": "random head"}, starts_at_zero=False), "initial state")
    check_model(ModelCase("toy/net", {"fault": "ignores parameters"}, uses_parameters=False), "conditions")
    seen: list[TaskInfo] = []
    original: Callable[..., None] = Net.__init__

    def spy(self: Net, config: NetConfig, tasks: Mapping[str, TaskInfo]) -> None:
        seen.extend(tasks.values())
        original(self, config, tasks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Net, "__init__", spy)
        check_model(ModelCase("toy/net", dims=(2,), kinds=("steady",)), "shapes")
    assert [(task.kind, task.dim) for task in seen] == [("steady", 2)]


def test_options_that_do_not_fit_the_toy_grids_are_named() -> None:
    with pytest.raises(AssertionError, match="do not fit the toy tasks: 20 modes need 40 cells"):
        check_model(ModelCase("fno", {"modes": 20}, dims=(1,)), "shapes")
    with pytest.raises(KeyError, match="no such check"):
        check_model(case(), "no such check")


def test_cases_have_readable_names() -> None:
    assert str(ModelCase("fno", {"width": 8})) == "fno"
    assert (
        str(ModelCase("latent_operator", {"trunk": "pdet_unet", "width": 8})) == "latent_operator-pdet_unet"
    )
