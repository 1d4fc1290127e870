"""The saved simulator: `config.json` and `weights.safetensors`. Nothing in it is ever unpickled.

A corrected simulator has a second bundle inside, that of its operator. It loads with ups-core, ups-data and
ups-models alone: no Lightning, no training code, no spec."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ups_core import Component, UPSError
from ups_core.component import validate_options
from ups_core.errors import printable, truncated
from ups_core.files import replacing
from ups_core.names import DISTRIBUTION, VERSION, fits
from ups_core.plugin_loader import registry_in_use
from ups_core.reading import UnsoundFile
from ups_core.sealed import write_sealed
from ups_core.sums import file_sum
from ups_data.info import TaskInfo
from ups_data.prepare.statistics import Statistics
from ups_models.bundle_config import (
    ARTIFACT,
    CONFIG,
    LEARNED,
    OPERATOR,
    POSTERIOR,
    SAMPLER,
    SCHEMA,
    WEIGHTS,
    check_weights,
    form_of,
    read_bundle_config,
)
from ups_models.prior.config import LearnedObservations, PosteriorConfig
from ups_models.prior.joint_flow import JointFlow
from ups_models.prior.simulator import PriorSimulator
from ups_models.residual.config import Flow, SamplerConfig
from ups_models.residual.corrector import Corrector
from ups_models.residual.simulator import CorrectedSimulator
from ups_models.simulator import Simulator, build_simulator


def save_bundle(directory: Path, simulator: Simulator, component: Component, fingerprint: str) -> None:
    """Write a simulator.

    Args:
        directory: created if necessary; each file in it is replaced in one step.
        simulator: what to save.
        component: the model as the spec chose it; of a corrected simulator the corrector's.
        fingerprint: of the training step.
    """
    if isinstance(simulator, PriorSimulator):
        more: dict[str, Any] = {
            POSTERIOR: simulator.sampler.model_dump(mode="json"),
            LEARNED: simulator.learned.model_dump(mode="json"),
        }
        _save(directory, simulator, simulator.prior, component, fingerprint, more)
    elif isinstance(simulator, CorrectedSimulator):
        more = {SAMPLER: simulator.sampler.model_dump(mode="json"), "flow": simulator.corrector.flow}
        _save(directory, simulator, simulator.corrector, component, fingerprint, more)
    else:
        _save(directory, simulator, simulator.network, component, fingerprint, {})


def save_corrected(
    directory: Path, simulator: CorrectedSimulator, operator: Path, component: Component, fingerprint: str
) -> None:
    """Write a corrected simulator, with a copy of its operator inside.

    Args:
        directory: as for :func:`save_bundle`.
        simulator: what to save.
        operator: the directory that its operator was loaded from, or that of another one that corrects it.
        component: the corrector's model.
        fingerprint: of the training step.
    """
    inner = operator / OPERATOR if (operator / OPERATOR).exists() else operator
    (directory / OPERATOR).mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS, CONFIG):
        with replacing(directory / OPERATOR / name) as temporary:
            shutil.copyfile(inner / name, temporary)
    save_bundle(directory, simulator, component, fingerprint)


def _save(
    directory: Path,
    simulator: Simulator,
    network: nn.Module,
    component: Component,
    fingerprint: str,
    more: dict[str, Any],
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    provider = component.entry.provider
    # safetensors refuses tensors that are not contiguous, such as channels-last weights.
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    # Weights before the description: a directory without config.json is not a bundle, so an interrupted save
    # is never loaded.
    with replacing(directory / WEIGHTS) as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
    write_sealed(
        directory / CONFIG,
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
            "weights": file_sum(directory / WEIGHTS)._asdict(),
            **more,
        },
    )


def load_bundle(directory: Path) -> Simulator:
    """Load a simulator in evaluation mode on the CPU.

    Raises:
        UPSError: a file is missing or damaged, or no installed plugin provides the model; the message
            names the plugin and version to install.
    """
    config = read_bundle_config(directory)
    component = _component(directory, config)
    try:
        tasks = {name: TaskInfo.from_dict(task) for name, task in config["tasks"].items()}
        statistics = {name: Statistics.from_dict(config["statistics"][name]) for name in tasks}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnsoundFile(directory / CONFIG, f"is damaged ({error!r}); save the model again") from None
    network: nn.Module
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are discarded; the caller's stream stays
        form = form_of(config)
        if form == "corrector":
            operator = load_bundle(directory / OPERATOR)
            sampler, flow = _sampling(directory, config)
            network = Corrector(component, tasks, flow)
            simulator: Simulator = CorrectedSimulator(operator, network, sampler)
        elif form == "prior":
            network = JointFlow(component, tasks)
            simulator = PriorSimulator(network, tasks, statistics, *_posterior(directory, config))
        else:
            simulator = build_simulator(component, tasks, statistics)
            network = simulator.network
    path = check_weights(directory, config)
    try:
        weights = load_file(path)
        network.load_state_dict(weights)
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UnsoundFile(path, f"does not contain the weights of this model: {reason}") from None
    bad = next((name for name, tensor in weights.items() if not torch.isfinite(tensor).all()), None)
    if bad is not None:
        raise UnsoundFile(path, f"contains NaN or infinity in '{bad}'; train the model again")
    return simulator.eval()


def load_prior(directory: Path) -> PriorSimulator:
    """Load a prior of steady problems.

    Raises:
        UPSError: as :func:`load_bundle`; or the directory has a simulator of another kind.
    """
    simulator = load_bundle(directory)
    if not isinstance(simulator, PriorSimulator):
        raise UPSError(f"{directory} is not a prior; name a step of stage steady_prior")
    return simulator


def _sampling(directory: Path, config: dict[str, Any]) -> tuple[SamplerConfig, Flow]:
    """How a corrected simulator samples, and what its corrector learned."""
    try:
        sampler = SamplerConfig.model_validate(config[SAMPLER])
        return sampler, TypeAdapter[Flow](Flow).validate_python(config.get("flow"))
    except ValidationError:
        raise UnsoundFile(directory / CONFIG, "names a sampler that this version does not have") from None


def _posterior(directory: Path, config: dict[str, Any]) -> tuple[PosteriorConfig, LearnedObservations]:
    """How a prior samples, and which observations it was trained with."""
    try:
        sampler = PosteriorConfig.model_validate(config[POSTERIOR])
        return sampler, LearnedObservations.model_validate(config.get(LEARNED))
    except ValidationError:
        raise UnsoundFile(directory / CONFIG, "names a sampler that this version does not have") from None


def _component(directory: Path, config: dict[str, Any]) -> Component:
    """The registered model with the saved options."""
    registry = registry_in_use()
    writer = printable(truncated(f"{config['provider']} {config['version']}"))
    install = "its plugin has no valid name, so install none that it names"
    if fits(DISTRIBUTION, config["provider"]) and fits(VERSION, config["version"]):
        install = f"pip install '{config['provider']}=={config['version']}'"
    entry = registry.find("models", config["kind"])
    if entry is None:
        raise UPSError(
            f"{directory} contains a '{config['kind']}' of {writer}, which is not installed: {install}"
        )
    try:
        return Component(entry, validate_options(entry.load_config(), config["options"], registry))
    except ValidationError as error:
        keys = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise UPSError(
            f"{directory} was written by {writer} with options that this version does not read ({keys}): "
            f"{install}"
        ) from None
