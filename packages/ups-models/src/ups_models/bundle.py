"""The saved model: `config.json` and `weights.safetensors`. Nothing in it is ever unpickled.

It loads with ups-core, ups-data and ups-models alone: no Lightning, no training code, no spec.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ups_core import Component, UPSError
from ups_core.component import validate_options
from ups_core.files import replacing, write_json
from ups_core.plugin_loader import registry_in_use
from ups_data.info import TaskInfo
from ups_data.prepare.statistics import Statistics
from ups_models.simulator import Simulator, build_simulator

SCHEMA = 1


ARTIFACT = "simulator"
"""Kind of artifact that a bundle written here is; other kinds have writers of their own."""


def save_bundle(directory: Path, simulator: Simulator, component: Component, fingerprint: str) -> None:
    """Write a simulator.

    Args:
        directory: created if need be; files in it are replaced one by one, whole.
        component: the model as the spec chose it.
        fingerprint: of the training step.
    """
    directory.mkdir(parents=True, exist_ok=True)
    provider = component.entry.provider
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in simulator.network.state_dict().items()
    }
    with replacing(directory / "weights.safetensors") as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
    write_json(
        directory / "config.json",
        {
            "schema": SCHEMA,
            "artifact": ARTIFACT,
            "kind": component.kind,
            "options": component.config.model_dump(mode="json"),
            "provider": provider.distribution,
            "version": provider.version,
            "tasks": {name: task.to_dict() for name, task in simulator.tasks.items()},
            "statistics": {name: values.to_dict() for name, values in simulator.statistics.items()},
            "fingerprint": fingerprint,
            "parameters": simulator.parameter_count(),
        },
    )


def read_bundle_config(directory: Path) -> dict[str, Any]:
    """The bundle's `config.json`. Raises :class:`UPSError` naming what is wrong with which file."""
    path = directory / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UPSError(f"{directory} is not a saved model (config.json missing)") from None
    except (OSError, ValueError) as error:
        raise UPSError(f"{path} is not readable JSON: {error}") from None
    if not isinstance(config, dict) or config.get("schema") != SCHEMA:
        raise UPSError(f"{path} has schema {config.get('schema') if isinstance(config, dict) else None!r}; "
                       f"this version reads schema {SCHEMA}")  # fmt: skip
    if config.get("artifact", ARTIFACT) != ARTIFACT:
        raise UPSError(f"{directory} is a {config['artifact']}, not a {ARTIFACT}")
    return config


def load_bundle(directory: Path) -> Simulator:
    """Load a simulator in evaluation mode on the CPU.

    Raises:
        UPSError: a file is missing or damaged, or no installed plugin provides the model; the message
            names the plugin and version to install.
    """
    config = read_bundle_config(directory)
    registry = registry_in_use()
    entry = registry.find("models", config["kind"])
    if entry is None:
        raise UPSError(
            f"{directory} holds a '{config['kind']}' of {config['provider']} {config['version']}, which is "
            f"not installed: pip install '{config['provider']}=={config['version']}'"
        )
    try:
        options = validate_options(entry.load_config(), config["options"], registry)
    except ValidationError as error:
        keys = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise UPSError(
            f"{directory} was written by {config['provider']} {config['version']}, whose options this "
            f"version does not read ({keys}): pip install '{config['provider']}=={config['version']}'"
        ) from None
    component = Component(entry, options)
    tasks = {name: TaskInfo.from_dict(task) for name, task in config["tasks"].items()}
    statistics = {name: Statistics.from_dict(values) for name, values in config["statistics"].items()}
    with torch.random.fork_rng(devices=[]):  # drawing throw-away weights must not move the caller's stream
        simulator = build_simulator(component, tasks, statistics)
    path = directory / "weights.safetensors"
    try:
        simulator.network.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise UPSError(f"{directory} is not a saved model (weights.safetensors missing)") from None
    except (SafetensorError, RuntimeError, OSError) as error:
        size = path.stat().st_size
        reason = " ".join(str(error).split())[:300]
        raise UPSError(f"{path} ({size} bytes) does not hold this model's weights: {reason}") from None
    return simulator.eval()
