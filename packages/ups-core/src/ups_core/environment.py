"""What a run computes with: versions, processors, commit.

Environment variables stay out of the record: they may be secrets.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ups_core.commit import commit_of
from ups_core.plugin_loader import registry_in_use

LIBRARIES = (
    "torch",
    "lightning",
    "torchmetrics",
    "numpy",
    "scipy",
    "h5py",
    "pydantic",
    "pluggy",
    "safetensors",
)


def environment() -> dict[str, Any]:
    """Versions, platform, processors and commit, as plain data for `run.json`."""
    packages = {}
    providers = {entry.provider.distribution: entry.provider.version for entry in registry_in_use().entries()}
    for name in LIBRARIES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "packages": dict(sorted((providers | packages).items())),
        "platform": platform.platform(),
        "devices": devices(),
        "git": {"commit": commit} if (commit := commit_of(Path.cwd())) else None,
    }


def devices() -> dict[str, Any]:
    """Processors, and GPUs where torch is loaded already (the runner itself never imports it)."""
    found: dict[str, Any] = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    torch = sys.modules.get("torch")  # importing it here would cost seconds for every run
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return found
