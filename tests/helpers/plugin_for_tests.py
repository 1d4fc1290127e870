"""The tests' plugin beside the installed ones, for tests that ask for it: others see only what is shipped."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ups_core.plugin_loader import load_plugins
from ups_core.registry import Registry

FOLDER = Path(__file__).parent / "plugin"

OBJECTIVES = {"operator": "val/nrmse", "test/energy": "val/energy"}
"""Stage -> what it monitors; tests of the engine run with each."""


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
