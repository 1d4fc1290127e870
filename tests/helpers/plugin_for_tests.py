"""The tests' plugin beside the installed ones, for tests that ask for it: others see only what is shipped."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ups_core.plugin_loader import load_plugins
from ups_core.registry import Registry

FOLDER = Path(__file__).parent / "plugin"

OBJECTIVES = {
    "operator": "val/nrmse",
    "test/energy": "val/energy",
    "ensemble": "val/energy_score",
    "diffusion_residual": "val/energy_score",
    "consistency_distillation": "val/energy_score",
    "steady_prior": "val/loss",
}
"""Objective -> what it monitors; tests of the engine run with each."""
BEFORE = {
    "diffusion_residual": ("operator",),
    "consistency_distillation": ("operator", "diffusion_residual"),
}
"""Objective -> the stages whose outputs it trains on."""


def stage_options(objective: str) -> dict[str, Any]:
    """The step of a spec that trains an objective."""
    if objective == "ensemble":
        return {
            "stage": "operator",
            "objective": {"kind": "ensemble", "members": 2, "noise": {"channels": 4}},
        }
    few = {"members": 2, "sampler": {"steps": 2}} if objective in BEFORE else {}
    return {"stage": objective, **few}


def with_plugin() -> str:
    """`PYTHONPATH` of commands that shall have the plugin."""
    return os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH", "")]))


@cache
def registry_with_test_plugin() -> Registry:
    """Everything that is installed, and the tests' plugin."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    ours = EntryPoint("ups-test-plugin", "ups_test_plugin", "ups")
    loaded = load_plugins([*entry_points(group="ups"), ours])
    assert not loaded.registry.failures
    return loaded.registry
