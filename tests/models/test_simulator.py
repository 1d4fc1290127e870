"""Simulators: persistence at the start, autoregression, normalisation, sensitivity to conditions."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch

from toy_models import SMALL, component, perturbed, simulator
from toy_tasks import batch_of, evolution, statistics, steady
from ups_core import Component, UPSError
from ups_data.info import Boundary, Channel, TaskInfo
from ups_models.network import Network, NetworkInput
from ups_models.normaliser import TaskNormaliser
from ups_models.simulator import LatentSimulator, Simulator, build_simulator, feed_back
from ups_models.testing.toys import toy_batch, toy_evolution, toy_statistics

TRUNKS = ["multiscale", "pdet_stack", "pdet_unet"]


@pytest.mark.parametrize(
    "task", [evolution(), evolution(dim=2, cells=16), evolution(dim=3, cells=8, history=1)]
)
@pytest.mark.parametrize("kind", ["latent_operator", "fno", "unet", "persistence"])
def test_starts_as_persistence(kind: str, task: TaskInfo) -> None:
    batch = batch_of(task)
    rollout = simulator(kind, task).rollout(batch, 3)
    assert rollout.shape == (3, 3, 2, *task.shape)
    assert torch.equal(rollout, batch.state[:, -1:].expand_as(rollout))


@pytest.mark.parametrize("kind", ["latent_operator", "fno", "unet", "mean"])
def test_steady_task_starts_as_the_train_mean(kind: str) -> None:
    task = steady()
    batch = batch_of(task)
    assert torch.equal(simulator(kind, task).rollout(batch, 1), torch.full_like(batch.target, 5.0))


@pytest.mark.parametrize("kind", SMALL)
def test_rollout_is_repeated_steps_on_its_own_output(kind: str, task: TaskInfo) -> None:
    sim = perturbed(simulator(kind, task)).eval()
    batch = batch_of(task)
    with torch.no_grad():
        first = sim.step(batch)
        assert first.shape == batch.target[:, 0].shape
        if task.kind == "steady":
            return
        later = replace(batch, state=torch.cat([batch.state[:, 1:], first[:, None]], dim=1))
        rollout = sim.rollout(batch, 2)
        assert torch.equal(rollout[:, 0], first)
        assert torch.equal(rollout[:, 1], sim.step(later))


@pytest.mark.parametrize("kind", SMALL)
def test_every_parameter_gets_a_gradient(kind: str, task: TaskInfo) -> None:
    sim = perturbed(simulator(kind, task))
    batch = batch_of(task)
    sim.rollout(batch, 1).square().mean().backward()
    without = [
        name for name, weight in sim.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    latent_only = [name for name in without if ".onward." in name]  # moves features in a latent rollout
    assert without == latent_only
    if latent_only:
        sim.latent_rollout(batch, 2).square().mean().backward()
        assert all(weight.grad is not None and weight.grad.any() for weight in sim.parameters())


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("what", ["params", "dt", "params_mask"])
def test_conditions_reach_the_output(kind: str, what: str) -> None:
    task = evolution()
    sim = perturbed(simulator(kind, task)).eval()
    batch = batch_of(task)
    changed = {"params": batch.params + 0.5, "dt": 2 * batch.dt, "params_mask": ~batch.params_mask}[what]
    with torch.no_grad():
        assert not torch.allclose(sim.step(batch), sim.step(replace(batch, **{what: changed})))


@pytest.mark.parametrize("kind", SMALL)
def test_units_do_not_matter(kind: str) -> None:
    """Scaling the data and its statistics scales the prediction: a network sees normalised fields only."""
    task = evolution()
    plain = perturbed(simulator(kind, task)).eval()
    stats = statistics(task)
    scaled_stats = replace(
        stats,
        state=replace(
            stats.state,
            mean=tuple(1000 * m for m in stats.state.mean),
            std=tuple(1000 * s for s in stats.state.std),
        ),
        target=replace(
            stats.target,
            mean=tuple(1000 * m for m in stats.target.mean),
            std=tuple(1000 * s for s in stats.target.std),
        ),
        delta=tuple(1000 * d for d in stats.delta),
    )
    scaled = Simulator(plain.network, {task.name: task}, {task.name: scaled_stats}).eval()
    batch = batch_of(task)
    with torch.no_grad():
        expected = 1000 * plain.step(batch)
        found = scaled.step(replace(batch, state=1000 * batch.state))
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_latent_operator_shares_its_trunk_between_tasks(trunk: str) -> None:
    one, two = evolution(), steady()
    alone = simulator("latent_operator", one, trunk=trunk)
    both = simulator("latent_operator", one, two, trunk=trunk)
    separate = alone.parameter_count() + simulator("latent_operator", two, trunk=trunk).parameter_count()
    assert both.parameter_count() < 0.75 * separate
    for item in (one, two):
        batch = batch_of(item)
        assert both.rollout(batch, 1).shape == batch.target[:, :1].shape


@pytest.mark.parametrize("trunk", TRUNKS)
def test_latent_operator_commutes_with_periodic_shifts(trunk: str) -> None:
    task = evolution()
    sim = perturbed(simulator("latent_operator", task, trunk=trunk)).eval()
    batch = batch_of(task)
    shift = 8  # whole tokens of the coarsest level
    with torch.no_grad():
        expected = sim.step(batch).roll(shift, dims=-1)
        found = sim.step(replace(batch, state=batch.state.roll(shift, dims=-1)))
    assert torch.allclose(found, expected, atol=1e-5)


def test_persistence_does_not_support_steady_tasks() -> None:
    one, two = evolution(), steady()
    sim = simulator("persistence", one, two)
    assert sim.supports(one)
    assert not sim.supports(two)
    assert not sim.supports(evolution("other"))
    with pytest.raises(UPSError, match="unknown task 'other'; the simulator was made for: wave, flow"):
        sim.step(batch_of(evolution("other")))


def test_mean_of_an_evolution_is_the_train_mean() -> None:
    task = evolution()
    rollout = simulator("mean", task).rollout(batch_of(task), 2)
    assert torch.equal(rollout[:, :, 0], torch.full_like(rollout[:, :, 0], 1.0))
    assert torch.equal(rollout[:, :, 1], torch.full_like(rollout[:, :, 1], -1.0))


def test_a_factory_that_makes_no_network_is_named() -> None:
    chosen = component("fno")
    broken = Component(replace(chosen.entry, factory=lambda config, tasks: "no module"), chosen.config)
    with pytest.raises(UPSError, match=r"model 'fno' of ups-models .*: its str has no 'forward'"):
        build_simulator(broken, {}, {})

    class Pretender:
        forward = None

    broken = Component(replace(chosen.entry, factory=lambda config, tasks: Pretender()), chosen.config)
    with pytest.raises(UPSError, match=r"model 'fno' made a Pretender, not a torch\.nn\.Module"):
        build_simulator(broken, {}, {})


def test_another_network_in_the_same_simulator() -> None:
    """What validation of a moving average needs: no copy of anything, no trace in the original."""
    task = evolution()
    sim, other = simulator("fno", task), perturbed(simulator("fno", task)).network
    assert isinstance(other, Network)
    own, modules = sim.network, dict(sim._modules)
    derived = sim.with_network(other)
    assert derived.network is other
    assert sim.network is own
    assert dict(sim._modules) == modules
    assert derived.normalisers is sim.normalisers
    assert derived.tasks is sim.tasks
    batch = batch_of(task)
    with torch.no_grad():
        expected = Simulator(other, {task.name: task}, {task.name: statistics(task)}).step(batch)
        assert torch.equal(derived.step(batch), expected)
        assert torch.equal(sim.step(batch), batch.state[:, -1]), "the original is still untrained"
    assert set(derived.state_dict()) == set(sim.state_dict())
    assert {id(weight) for weight in derived.parameters()} == {id(weight) for weight in other.parameters()}


def test_the_mode_of_a_derived_simulator_is_its_own() -> None:
    sim = simulator("fno", evolution())
    derived = sim.with_network(simulator("fno", evolution()).network)  # type: ignore[arg-type]
    derived.eval()
    assert sim.training
    assert sim.network.training
    assert not derived.training


def test_a_latent_simulator_shares_network_and_normalisers() -> None:
    sim = perturbed(simulator("latent_operator", evolution(), steady())).to(torch.float64)
    latent = LatentSimulator(sim)
    assert latent.network is sim.network
    assert latent.normalisers is sim.normalisers, "they are where the simulator is, on a GPU perhaps"
    assert latent.supports(evolution())
    assert not latent.supports(steady()), "a steady task has no rollout"
    batch = batch_of(evolution())
    with torch.no_grad():
        assert torch.equal(latent.rollout(batch, 3), sim.latent_rollout(batch, 3))


@pytest.mark.parametrize("kind", ["fno", "unet", "persistence"])
def test_only_a_latent_network_rolls_out_in_its_latent_space(kind: str) -> None:
    task = evolution()
    sim, batch = simulator(kind, task), batch_of(task)
    assert not sim.has_latent
    for call in (
        lambda: sim.latent_rollout(batch, 1),
        lambda: sim.reconstruct(batch),
        lambda: LatentSimulator(sim),
    ):
        with pytest.raises(UPSError, match=r"has no latent space; use `rollout`"):
            call()


def test_feeding_back_keeps_the_length_of_the_history() -> None:
    task = evolution(history=3)
    batch = batch_of(task)
    two = torch.stack([torch.full_like(batch.state[:, 0], value) for value in (7.0, 8.0)], dim=1)
    for frames, expected in (
        (two, [batch.state[:, 2], two[:, 0], two[:, 1]]),
        (two[:, :1], [*batch.state[:, 1:].unbind(1), two[:, 0]]),
    ):
        found = feed_back(batch, frames)
        assert torch.equal(found.state, torch.stack(expected, dim=1))
    assert batch.state.shape[1] == 3
    four = torch.cat([two, two + 10], dim=1)
    assert torch.equal(feed_back(batch, four).state, four[:, 1:]), "longer than the history"


def test_the_newest_frame_is_what_a_prediction_starts_from() -> None:
    """The network predicts a change, whose unit is the typical change of the channel."""

    class Unit(Network):
        def forward(self, x: NetworkInput) -> torch.Tensor:
            return torch.ones_like(x.fields[:, -2:])

    task = evolution()
    sim = Simulator(Unit(), {task.name: task}, {task.name: statistics(task)})
    batch = batch_of(task)
    change = (sim.rollout(batch, 2) - batch.state[:, -1:]).mean((0, 3))
    assert change.flatten().tolist() == pytest.approx([0.1, 0.2, 0.2, 0.4], abs=1e-5)


def test_a_field_predictor_ignores_the_state() -> None:
    class Field(Network):
        predicts_increment = False

        def forward(self, x: NetworkInput) -> torch.Tensor:
            return torch.full_like(x.fields[:, -2:], 2.0)

    task = evolution()
    found = Simulator(Field(), {task.name: task}, {task.name: statistics(task)}).step(batch_of(task))
    assert found.mean((0, 2)).tolist() == pytest.approx([1 + 2 * 2, -1 + 4 * 2])


def test_initialise_shows_the_network_normalised_pairs() -> None:
    seen: list[tuple[NetworkInput, torch.Tensor, bool]] = []

    class Curious(Network):
        def initialise(self, x: NetworkInput, target: torch.Tensor) -> None:
            seen.append((x, target, torch.is_grad_enabled()))

        def forward(self, x: NetworkInput) -> torch.Tensor:
            return x.fields

    task = evolution()
    sim = Simulator(Curious(), {task.name: task}, {task.name: statistics(task)})
    batch = batch_of(task)
    sim.initialise(batch)
    ((x, target, grad),) = seen
    assert not grad
    assert torch.equal(x.fields, sim.normaliser(task.name).network_input(batch).fields)
    mean, std = torch.tensor([1.0, -1.0])[:, None], torch.tensor([2.0, 4.0])[:, None]
    assert torch.allclose(target, (batch.target[:, 0] - mean) / std, atol=1e-6)


def test_half_precision_networks_predict_in_float32() -> None:
    class Half(Network):
        def forward(self, x: NetworkInput) -> torch.Tensor:
            return torch.zeros_like(x.fields[:, -2:]).bfloat16()

    task = evolution()
    found = Simulator(Half(), {task.name: task}, {task.name: statistics(task)}).step(batch_of(task))
    assert found.dtype == torch.float32
    assert torch.equal(found, batch_of(task).state[:, -1])


def test_counting_parameters() -> None:
    sim = simulator("fno", evolution())
    total = sum(weight.numel() for weight in sim.parameters())
    assert sim.parameter_count() == total > 0
    next(iter(sim.parameters())).requires_grad_(False)
    assert sim.parameter_count() < total
    assert simulator("persistence", evolution()).parameter_count() == 0


@pytest.mark.parametrize(
    ("cells", "said"), [((64,), "0.5"), ((16,), "2"), ((36,), "0.889"), ((30,), None), ((34,), None)]
)
@pytest.mark.parametrize("boundary", ["periodic", "dirichlet"])
def test_another_spacing_than_that_of_training_is_reported_once(
    cells: tuple[int, ...], said: str | None, boundary: Boundary
) -> None:
    task = evolution(boundary=boundary)
    sim = simulator("latent_operator", task).eval()
    batch = batch_of(replace(task, shape=cells))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with torch.no_grad():
            sim.rollout(batch, 3)
            sim.latent_rollout(batch, 2)
            sim.reconstruct(batch)
    lines = [str(warning.message) for warning in caught]
    if said is None:
        assert lines == []
    else:
        assert len(lines) == 1
        assert (
            f"task 'wave': the grid {cells[0]} has {said} times the spacing of the training grid 32"
            in lines[0]
        )


def test_every_other_grid_is_reported_and_training_is_silent() -> None:
    task = evolution(dim=2)
    sim = simulator("fno", task)
    other = batch_of(replace(task, shape=(16, 32)))
    with torch.no_grad():
        sim.step(other)  # in training, where a warning would be an error here
        with pytest.warns(UserWarning, match="grid 16x32 has 0.5 times"):
            sim.eval().step(other)
        with pytest.warns(UserWarning, match="grid 8x16 has 2 times"):
            sim.step(batch_of(replace(task, shape=(8, 16))))
        sim.step(batch_of(task))


def test_a_forcing_moves_on_with_the_frames() -> None:
    plain = toy_evolution("flow", 1, None, 2)
    task = replace(plain, channels=(*plain.channels, Channel("f", "1", "forcing")))
    batch = toy_batch(task, frames=4)
    assert batch.forcing is not None
    later = feed_back(batch, batch.target[:, :3])
    assert later.forcing is not None
    assert torch.equal(later.forcing, batch.forcing[:, 3:])
    assert torch.equal(later.state, torch.cat([batch.state, batch.target[:, :3]], dim=1)[:, -2:])
    seen = TaskNormaliser(task, toy_statistics(task)).network_input(batch).fields
    scaled = (batch.forcing[:, 1:3, 0] - 2.0) / 3.0
    torch.testing.assert_close(seen[:, -2:], scaled)
