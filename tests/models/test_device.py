"""Which device is chosen: what the spec asks for, if the machine has it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ups_core import UPSError
from ups_models.device import choose_device, device_of


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without accelerators."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return monkeypatch


def test_auto_takes_a_gpu_if_there_is_one(machine: pytest.MonkeyPatch) -> None:
    assert choose_device("auto") == torch.device("cpu")
    machine.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("gpu") == torch.device("cuda")
    assert choose_device("cpu") == torch.device("cpu")


def test_apple_s_gpu_is_used_only_when_named(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == torch.device("mps")
    assert choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("accelerator", ["gpu", "mps"])
@pytest.mark.usefixtures("machine")
def test_a_missing_device_is_an_error_with_a_way_out(accelerator: str) -> None:
    with pytest.raises(UPSError, match=f"'{accelerator}', but this machine has none; use 'auto' or 'cpu'"):
        choose_device(accelerator)


def test_the_device_of_a_module() -> None:
    assert device_of(nn.Linear(2, 2)) == torch.device("cpu")
    assert device_of(nn.Linear(2, 2, device="meta")) == torch.device("meta")
    assert device_of(nn.Identity()) == torch.device("cpu")
    only_buffers = nn.BatchNorm1d(2, affine=False, device="meta")
    assert device_of(only_buffers) == torch.device("meta")
