"""The simulator that a training starts with: new weights, what is fitted fitted to pairs of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ups_core import UPSError
from ups_data.prepare.statistics import Statistics
from ups_models.bundle import load_bundle
from ups_models.bundle_config import OPERATOR
from ups_models.network import Network
from ups_models.residual.simulator import CorrectedSimulator
from ups_models.simulator import Simulator, build_simulator
from ups_train.engine.objective import ObjectiveInputs
from ups_train.optimizers.name_patterns import name_matcher

INITIAL_PAIRS = 512


def new_simulator(inputs: ObjectiveInputs, augmented: bool) -> Simulator:
    """The simulator before the first step: weights from torch's generator, or those of a saved model.

    Args:
        inputs: the model, the data, and what to start from.
        augmented: whether the training transforms batches by the tasks' symmetries.

    Raises:
        UPSError: the saved model is another one, or of other tasks.
    """
    start = None if inputs.start is None else load_bundle(inputs.start)
    simulator = build_simulator(inputs.model, inputs.tasks, trained_statistics(inputs, augmented, start))
    if start is not None:
        assert inputs.start is not None
        load_weights(simulator.network, start.network, inputs.start)
    freeze(simulator.network, inputs.freeze)
    return simulator


def trained_statistics(
    inputs: ObjectiveInputs, augmented: bool, start: Simulator | None
) -> dict[str, Statistics]:
    """Task name -> the statistics that the trained simulator normalises by.

    Args:
        inputs: the data.
        augmented: see :func:`new_simulator`.
        start: the saved simulator that the training starts from. Its weights depend on its normalisers, so
            these stay; which inputs vary is up to this training.
    """
    statistics = {name: _as_trained(opened.statistics, augmented) for name, opened in inputs.data.items()}
    known = {} if start is None else start.statistics
    return {
        name: replace(known[name], conditions=own.conditions) if name in known else own
        for name, own in statistics.items()
    }


def start_corrector(simulator: CorrectedSimulator, inputs: ObjectiveInputs) -> None:
    """Give a corrector the weights of a saved one, if the training starts from that, and freeze parameters.

    Raises:
        UPSError: the saved model corrects nothing, is another one, or knows other normalisers.
    """
    if inputs.start is not None:
        start = load_bundle(inputs.start)
        if not isinstance(start, CorrectedSimulator):
            raise UPSError(f"{inputs.start} is not a flow or student; start from one")
        for name in inputs.tasks:
            there = start.statistics.get(name)
            if there is not None and not there.normalises_as(simulator.statistics[name]):
                raise UPSError(
                    f"{inputs.start} has another normaliser of '{name}' than the operator that it would "
                    f"correct; let the operator start from {inputs.start / OPERATOR}"
                )
        load_weights(simulator.corrector, start.corrector, inputs.start)
    freeze(simulator.corrector, inputs.freeze)


def load_weights(network: nn.Module, start: nn.Module, source: Path) -> None:
    """Copy the weights of another network; only those that noise needs may be new.

    Raises:
        UPSError: naming the first weight that does not fit.
    """
    wanted, given = network.state_dict(), start.state_dict()
    new = network.noise_weights if isinstance(network, Network) else ()
    for name, weight in wanted.items():
        if name not in given:
            if not name.startswith(new):
                raise UPSError(f"{source} is another model: it has no weight '{name}'")
        elif weight.shape != given[name].shape:
            raise UPSError(
                f"{source} is another model: '{name}' is {tuple(given[name].shape)} there, "
                f"{tuple(weight.shape)} here"
            )
    if surplus := sorted(given.keys() - wanted.keys()):
        raise UPSError(f"{source} is another model: it also has the weight '{surplus[0]}'")
    network.load_state_dict(wanted | given)


def freeze(network: nn.Module, patterns: Sequence[str]) -> None:
    """Exclude parameters from the training.

    Raises:
        UPSError: a pattern fits no parameter, or nothing is left to train.
    """
    for pattern in patterns:
        fits = name_matcher(pattern)
        chosen = [weight for name, weight in network.named_parameters() if fits(name)]
        if not chosen:
            first = next(iter(dict(network.named_parameters())), "none")
            raise UPSError(f"freeze: no parameter is called like '{pattern}'; the first is '{first}'")
        for weight in chosen:
            weight.requires_grad_(False)
    if patterns and not any(weight.requires_grad for weight in network.parameters()):
        raise UPSError(f"freeze: {', '.join(patterns)} leave nothing to train")


def _as_trained(statistics: Statistics, augmented: bool) -> Statistics:
    if statistics.conditions is None:
        return statistics
    return replace(statistics, conditions=replace(statistics.conditions, augmented=augmented))


def fit_simulator(simulator: Simulator, inputs: ObjectiveInputs) -> None:
    """Let a new network fit to pairs of frames from all over the train split of every task."""
    if inputs.start is not None:
        return
    for opened in inputs.data.values():
        windows = opened.windows("train", horizon=1)
        count = min(INITIAL_PAIRS, len(windows))
        order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))
        simulator.initialise(windows.batch(order[:count].tolist()))
