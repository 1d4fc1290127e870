"""The checks: facts that hold for every trainable model, whatever its architecture."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch

from ups_data.batches.batch import FieldBatch
from ups_data.info import Channel, TaskInfo
from ups_data.prepare.conditions import Conditions
from ups_models.bundle import load_bundle, save_bundle
from ups_models.testing.cases import ModelCase
from ups_models.testing.harness import describe, evolutions, predict, require, simulator_of, tasks_of
from ups_models.testing.toys import toy_batch

SHIFT_TOLERANCE = 1e-4
"""Relative to the largest change: a few hundred float32 rounding errors."""
ROUNDING = 1e-6
"""Of a float32 field, relative to its magnitude."""
SHIFT_GRIDS: tuple[tuple[int, ...], ...] = ((64,), (65,), (66,), (67,), (50, 50), (65, 64))
"""Grids that blocks divide, and grids that they do not."""


def check_model(case: ModelCase, check: str) -> None:
    """Run one of :data:`CHECKS`.

    Raises:
        AssertionError: the model fails; the message says where.
        KeyError: the check is unknown.
    """
    CHECKS[check](case)


def check_shapes(case: ModelCase) -> None:
    """A step and a rollout have the shape of the target for every supported dimension and kind."""
    for task in tasks_of(case):
        batch, simulator = toy_batch(task), simulator_of(case, task)
        # The simulator adds the output to a state, which would hide an axis of length one.
        output = tuple(simulator.network(simulator.normaliser(task.name).network_input(batch)).shape)
        expected = (len(batch), len(task.target_channels), *task.shape)
        require(output == expected, f"on {describe(task)} the network gives {output}, not {expected}")
        predict(simulator, batch, task)


def check_boundaries(case: ModelCase) -> None:
    """Periodic and Dirichlet boundaries both work, also a channel between a wall and an open end."""
    walls = [
        replace(task, boundary=(*(("periodic", "periodic"),) * (task.dim - 1), ("wall", "open")))
        for task in tasks_of(case, boundary="dirichlet")
    ]
    for task in (*tasks_of(case, boundary="periodic"), *tasks_of(case, boundary="dirichlet"), *walls):
        predict(simulator_of(case, task), toy_batch(task), task)


def check_parameter_counts(case: ModelCase) -> None:
    """Tasks with 0, 1 and 3 PDE parameters can be trained, in the lowest dimension after `initialise`."""
    for parameters in (0, 1, 3):
        for task in tasks_of(case, parameters=parameters):
            simulator = simulator_of(case, task)
            if task.dim == min(case.dims):  # a fit may take a second
                simulator.initialise(_moving(task))
            predict(simulator, toy_batch(task), task)
            simulator.train().rollout(toy_batch(task), 1).sum().backward()  # type: ignore[no-untyped-call]


def check_histories(case: ModelCase) -> None:
    """Evolutions with 1 and 3 given frames work, and a step depends on every frame."""
    for history in (1, 3):
        for task in evolutions(case, history=history):
            simulator, batch = simulator_of(case, task), toy_batch(task)
            plain = predict(simulator, batch, task)
            for frame in range(history - 1):  # the newest frame is in every prediction anyway
                state = batch.state.clone()
                state[:, frame] += 1.0
                changed = predict(simulator, replace(batch, state=state), task)
                require(not torch.equal(changed, plain), f"given frame {frame} of {history} has no effect")


def check_forcing(case: ModelCase) -> None:
    """A field that is given at every frame has an effect on the frame that it leads to, on no earlier one."""
    if not case.uses_parameters:
        return
    for plain in evolutions(case):
        task = replace(plain, channels=(*plain.channels, Channel("f", "1", "forcing")))
        simulator, batch = simulator_of(case, task), toy_batch(task)
        assert batch.forcing is not None
        before = simulator.rollout(batch, 3)
        changed = batch.forcing.clone()
        changed[:, task.history + 1] += 1.0  # the second frame that is predicted
        after = simulator.rollout(replace(batch, forcing=changed), 3)
        same = torch.equal(after[:, 0], before[:, 0])
        require(same, f"a later forcing changes an earlier frame of {describe(task)}")
        require(not torch.equal(after[:, 1], before[:, 1]), f"the forcing has no effect on {describe(task)}")


def check_initial_state(case: ModelCase) -> None:
    """An untrained network is persistence, exactly; on a steady task it is the train mean."""
    if not case.starts_at_zero:
        return
    for task in tasks_of(case):
        batch, simulator = toy_batch(task), simulator_of(case, task, trained=False)
        prediction = predict(simulator, batch, task)
        mean = simulator.normaliser(task.name).target_mean
        expected = mean if task.kind == "steady" else batch.state[:, -1:]
        same = torch.equal(prediction, expected.expand_as(prediction))
        require(same, f"untrained on {describe(task)} it is not persistence or the mean; end in `zero_conv`")


def check_gradients(case: ModelCase) -> None:
    """Every trainable parameter gets a gradient from some task."""
    tasks = tasks_of(case)
    simulator = simulator_of(case, *tasks).train()
    for task in tasks:
        batch = toy_batch(task)
        loss = simulator.rollout(batch, 1).square().mean()
        if simulator.has_latent and task.kind == "evolution":
            loss = loss + simulator.latent_rollout(batch, 2).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
    without = [
        name
        for name, weight in simulator.named_parameters()
        if weight.requires_grad and (weight.grad is None or not weight.grad.any())
    ]
    require(not without, f"no gradient reaches {', '.join(without[:5])}")
    infinite = [
        name
        for name, weight in simulator.named_parameters()
        if weight.grad is not None and not weight.grad.isfinite().all()
    ]
    require(not infinite, f"the gradient of {', '.join(infinite[:5])} is not finite")


def check_conditions(case: ModelCase) -> None:
    """Exchanging the PDE parameters between samples changes the prediction."""
    if not case.uses_parameters:
        return
    for task in tasks_of(case):
        simulator, batch = simulator_of(case, task), toy_batch(task)
        plain = predict(simulator, batch, task)
        shuffled = replace(batch, params=batch.params.roll(1, 0))
        different = (predict(simulator, shuffled, task) - plain).flatten(1).abs().amax(1) > 0
        require(bool(different.all()), f"the PDE parameters have no effect on {describe(task)}")


def check_shift(case: ModelCase) -> None:
    """On a periodic domain of any size, moving the input by `shift` cells moves the output as much."""
    if not case.shift:
        return
    tasks = tasks_of(case, boundary="periodic")
    tasks += [replace(task, shape=shape) for task in tasks for shape in SHIFT_GRIDS if len(shape) == task.dim]
    for task in tasks:
        simulator, batch = simulator_of(case, task), toy_batch(task, size=1)
        plain = predict(simulator, batch, task)
        given = batch.state[:, -1:] if task.history else plain.mean()
        tolerance = SHIFT_TOLERANCE * (plain - given).abs().max() + ROUNDING * plain.abs().max()
        for axis, cells in product(range(-task.dim, 0), (case.shift, -3 * case.shift)):
            moved = replace(batch, state=batch.state.roll(cells, axis), static=batch.static.roll(cells, axis))
            error = (predict(simulator, moved, task) - plain.roll(cells, axis)).abs().max()
            within = bool(error <= tolerance)
            require(within, f"a shift of {cells} cells changes {describe(task)} by {error:.2g}")


def check_grid_points(case: ModelCase) -> None:
    """On a periodic domain the coordinates iL/N and (i + 1/2)L/N give the same bits."""
    for task in tasks_of(case, boundary="periodic"):
        simulator, batch = simulator_of(case, task), toy_batch(task)
        predictions = []
        for start in (0.0, 0.5):
            axes = [
                low + (high - low) * (torch.arange(cells) + start) / cells
                for (low, high), cells in zip(task.domain, task.shape, strict=True)
            ]
            coords = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, task.dim)
            predictions.append(predict(simulator, replace(batch, coords=coords), task))
        require(torch.equal(*predictions), f"the place of the grid points changes {describe(task)}")


def check_constant_inputs(case: ModelCase) -> None:
    """A parameter, a mask or dt that was constant in training does not change a prediction."""
    for task in (*tasks_of(case, boundary="periodic"), *tasks_of(case, boundary="dirichlet")):
        constant = Conditions(((0.5, 0.5),), (False,), (task.dt, task.dt), augmented=False)
        simulator, batch = simulator_of(case, task, conditions=constant), toy_batch(task)
        plain = predict(simulator, batch, task)
        others = {
            "a parameter": replace(batch, params=batch.params + 1),
            "a mask": replace(batch, params_mask=~batch.params_mask),
            "dt": replace(batch, dt=batch.dt + 1),
        }
        for name, other in others.items():
            same = torch.equal(predict(simulator, other, task), plain)
            require(same, f"{name}, constant in training, changes {describe(task)}")


def check_saving(case: ModelCase) -> None:
    """A saved and loaded simulator predicts the same bits, and loading leaves torch's generator alone."""
    tasks = tasks_of(case)
    simulator = simulator_of(case, *tasks)
    with tempfile.TemporaryDirectory() as folder:
        save_bundle(Path(folder) / "model", simulator, case.component(), "fingerprint")
        state = torch.get_rng_state()
        loaded = load_bundle(Path(folder) / "model")
    require(torch.equal(torch.get_rng_state(), state), "loading draws from torch's global generator")
    for task in tasks:
        batch = toy_batch(task)
        same = torch.equal(predict(loaded, batch, task), predict(simulator, batch, task))
        require(same, f"the loaded model predicts other bits on {describe(task)}")


def check_determinism(case: ModelCase) -> None:
    """The same seed gives the same network, and the same input the same bits."""
    for task in tasks_of(case):
        one, other, batch = simulator_of(case, task), simulator_of(case, task), toy_batch(task)
        first = predict(one, batch, task)
        require(torch.equal(predict(one, batch, task), first), f"two calls differ on {describe(task)}")
        require(torch.equal(predict(other, batch, task), first), f"two builds differ on {describe(task)}")


def _moving(task: TaskInfo) -> FieldBatch:
    """Fields that move by a cell per frame, which a network may fit before training."""
    batch = toy_batch(task, size=8)
    if task.kind == "steady":
        return batch
    frames = [batch.state[:, -1].roll(cells, -1) for cells in range(1, 5)]
    return replace(batch, target=torch.stack(frames, dim=1))


CHECKS: dict[str, Callable[[ModelCase], None]] = {
    "shapes": check_shapes,
    "boundaries": check_boundaries,
    "parameter counts": check_parameter_counts,
    "histories": check_histories,
    "forcing": check_forcing,
    "initial state": check_initial_state,
    "gradients": check_gradients,
    "conditions": check_conditions,
    "shift": check_shift,
    "grid points": check_grid_points,
    "constant inputs": check_constant_inputs,
    "saving": check_saving,
    "determinism": check_determinism,
}
"""Name -> check."""
