"""Losses of physics: zero for solutions, a gradient that reaches the weights, and directions without conflict."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from known_fields import ADVECTION, DARCY, advection_batch, darcy_batch
from ups_core import Component, UPSError
from ups_core.component import validate_options
from ups_core.plugin_loader import registry_in_use
from ups_data import prepare_task
from ups_data.batches.batch import FieldBatch
from ups_data.info import Channel
from ups_data.prepare.opening import TaskData
from ups_data.solvers.advection import SpectralShift
from ups_data.solvers.base import Given
from ups_data.solvers.burgers import ColeHopf
from ups_data.solvers.darcy import SparseDirect
from ups_eval.physics_metrics import Problem
from ups_train.engine.objective import ObjectiveInputs
from ups_train.losses.bounds import BoundsLoss
from ups_train.losses.config import BoundsConfig, InvariantsConfig, ResidualLossConfig
from ups_train.losses.invariants import InvariantsLoss
from ups_train.losses.physics import PhysicsLoss
from ups_train.losses.residual import ResidualLoss
from ups_train.stages.conflict_free import conflict_free
from ups_train.stages.operator import OperatorObjective
from ups_train.stages.operator_config import OperatorConfig

STEADY, WAVES = Problem(DARCY, SparseDirect()), Problem(ADVECTION, SpectralShift())
POSITIVE = Problem(replace(ADVECTION, channels=(Channel("u", "1", "state", positive=True),), invariants=()))


@pytest.mark.parametrize("norm", ["error", "residual"])
def test_a_steady_solution_has_no_residual(norm: Any) -> None:
    batch = darcy_batch(3)
    loss = ResidualLoss(ResidualLossConfig(norm=norm))
    assert loss.defined(STEADY)
    solution = SparseDirect().solve(Given.of(batch), DARCY, 1)
    assert float(loss(solution.float(), batch, STEADY)) < 1e-2
    found = float(loss(1.1 * solution.float(), batch, STEADY))
    assert found == pytest.approx(0.1, rel=1e-3 if norm == "residual" else 0.5), "of an estimate"


def test_an_estimated_error_weighs_waves_alike() -> None:
    """The residual itself sees the finest wave only."""
    batch = darcy_batch(1)
    batch = replace(batch, static=torch.ones_like(batch.static))
    solution = SparseDirect().solve(Given.of(batch), DARCY, 1).float()
    x = (torch.arange(32) + 1) / 33
    size = solution.square().mean().sqrt()
    values = {
        norm: [
            float(
                ResidualLoss(ResidualLossConfig(norm=norm))(
                    solution
                    + 0.1 * size * torch.sin(torch.pi * k * x)[:, None] * torch.sin(torch.pi * k * x),
                    batch,
                    STEADY,
                )
            )
            for k in (1, 8)
        ]
        for norm in ("error", "residual")
    }  # type: ignore[misc]
    assert 0.3 < values["error"][1] / values["error"][0] < 3
    assert values["residual"][1] / values["residual"][0] > 30


@pytest.mark.parametrize("norm", ["error", "residual"])
def test_a_residual_has_the_same_gradient_under_autocast(norm: Any) -> None:
    """As on a GPU, where networks run in bfloat16."""
    batch, loss = darcy_batch(3), ResidualLoss(ResidualLossConfig(norm=norm))
    solution = SparseDirect().solve(Given.of(batch), DARCY, 1).float()
    slopes = []
    for autocast in (False, True):
        fields = (1.1 * solution).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            value = loss(fields, batch, STEADY)
        slopes += torch.autograd.grad(value, fields)
    assert slopes[1].isfinite().all()
    assert (slopes[1] - slopes[0]).norm() < 1e-4 * slopes[0].norm()


def test_an_evolution_has_a_residual_of_its_own_steps() -> None:
    batch = advection_batch(2)
    loss = ResidualLoss(ResidualLossConfig())
    assert float(loss(batch.target, batch, WAVES)) < 1e-3
    assert float(loss(batch.state.expand_as(batch.target), batch, WAVES)) == pytest.approx(1, rel=0.05)
    assert not loss.defined(Problem(ADVECTION, ColeHopf())), "not differentiable"
    assert not ResidualLoss(ResidualLossConfig(norm="error")).defined(WAVES)


def test_invariants_and_bounds_of_known_fields() -> None:
    batch = advection_batch(2)
    invariants = InvariantsLoss(InvariantsConfig())
    assert float(invariants(batch.target, batch, WAVES)) < 1e-5
    scale = batch.state.square().mean(dim=-1)
    moved = float(invariants(batch.target + 0.1, batch, WAVES))
    assert moved == pytest.approx(float((0.1 / scale.sqrt()).mean()), rel=1e-3)
    both = WAVES._replace(info=replace(ADVECTION, invariants=("mean", "l2")))
    assert float(invariants(2 * batch.target, batch, both)) == pytest.approx(1, rel=0.01), "of the norm"
    bounds = BoundsLoss(BoundsConfig())
    assert not bounds.defined(WAVES)
    assert float(bounds(batch.target.abs(), batch, POSITIVE)) < 1e-5
    assert float(bounds(-torch.ones_like(batch.target), batch, POSITIVE)) == pytest.approx(1)
    principle = BoundsLoss(BoundsConfig(maximum_principle=True))
    assert float(principle(batch.target, batch, WAVES)) < 1e-3
    assert float(principle(2 * batch.target, batch, WAVES)) > 0.01


@pytest.mark.parametrize("unit", [1e-5, 1e5])
def test_losses_do_not_depend_on_the_unit_of_a_field(unit: float) -> None:
    """A concentration of 1e-5 has squares of 1e-10."""
    batch = advection_batch(3)
    scaled = replace(batch, state=unit * batch.state, target=unit * batch.target)
    both = POSITIVE._replace(info=replace(POSITIVE.info, invariants=("mean", "l2")))
    for loss, problem in (
        (BoundsLoss(BoundsConfig()), both),
        (BoundsLoss(BoundsConfig(maximum_principle=True)), both),
        (InvariantsLoss(InvariantsConfig()), both),
        (ResidualLoss(ResidualLossConfig()), WAVES),
    ):
        plain = float(loss(1.5 * batch.target + 0.1, batch, problem))
        assert plain > 0.01
        found = float(loss(unit * (1.5 * batch.target + 0.1), scaled, problem))
        assert found == pytest.approx(plain, rel=1e-4)


def test_channels_of_different_size_and_without_any_weigh_alike() -> None:
    """A pressure of 1e5 beside a density of 1, and a velocity that starts at rest."""
    batch = advection_batch(3)
    scales = torch.tensor([1e5, 1.0, 0.0])[:, None]
    wide = replace(batch, state=scales * batch.state, target=scales * batch.target)
    channels = tuple(Channel(name, "1", "state") for name in ("p", "rho", "v"))
    problem = WAVES._replace(info=replace(ADVECTION, channels=channels, invariants=("l2",)))
    loss = InvariantsLoss(InvariantsConfig())
    fields = (1.5 * wide.target).requires_grad_()
    value = loss(fields, wide, problem)
    assert float(value.detach()) == pytest.approx((0.5 + 0.5 + 0) / 3, rel=1e-2)
    (slope,) = torch.autograd.grad(value, fields)
    assert slope.isfinite().all(), "the root of a field of zeros has an infinite slope"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TaskData]:
    root = tmp_path_factory.mktemp("data")
    options: dict[str, dict[str, Any]] = {
        "advection1d": {"beta": [0.4], "resolution": 32, "frames": 4},
        "darcy_grf": {"resolution": 16},
        "diffusion_sorption1d": {"resolution": 32, "frames": 4},
    }
    return {name: prepare_task(name, {"trajectories": 10} | given, root) for name, given in options.items()}


def objective(data: dict[str, TaskData], *tasks: str, **options: Any) -> OperatorObjective:
    config = validate_options(OperatorConfig, {"unroll": 2, "curriculum": 0} | options, registry_in_use())
    assert isinstance(config, OperatorConfig)
    torch.manual_seed(0)
    chosen = {name: data[name] for name in tasks}
    made = OperatorObjective(
        config, ObjectiveInputs(Component.of("models", "unet", {"width": 8, "levels": 2}), chosen)
    )
    for weight in made.network.parameters():  # the last layer is zero at first
        weight.data += 0.2 * torch.randn_like(weight)
    return made


def slopes(made: OperatorObjective, task: str) -> tuple[float, list[Tensor]]:
    data = made.inputs.data[task]
    batch = data.windows("train", horizon=1 if data.info.kind == "steady" else 2).batch(range(4))
    made.zero_grad()
    loss = made.loss(batch, 0, 1.0)
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach()), [
        weight.grad for weight in made.network.parameters() if weight.grad is not None
    ]


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("advection1d", {"kind": "residual"}),
        ("advection1d", {"kind": "invariants"}),
        ("advection1d", {"kind": "bounds", "maximum_principle": True}),
        ("darcy_grf", {"kind": "residual"}),
        ("darcy_grf", {"kind": "residual", "norm": "residual"}),
        ("darcy_grf", {"kind": "bounds"}),
        ("diffusion_sorption1d", {"kind": "bounds"}),
    ],
)
def test_every_loss_reaches_the_weights(data: dict[str, TaskData], task: str, loss: dict[str, Any]) -> None:
    """A term without a gradient would change the printed loss only; its weight must matter too."""
    base, plain = slopes(objective(data, task, losses=[{"kind": "mse"}]), task)
    value, found = slopes(objective(data, task, losses=[{"kind": "mse"}, loss | {"weight": 100.0}]), task)
    assert value != base
    differing = [a for a, b in zip(found, plain, strict=True) if not torch.allclose(a, b)]
    assert len(differing) > len(found) / 2, "not in the last layer only"
    none, _ = slopes(objective(data, task, losses=[{"kind": "mse"}, loss | {"weight": 0.0}]), task)
    assert none == base


def test_a_task_without_the_property_is_trained_on_the_other_losses(data: dict[str, TaskData]) -> None:
    made = objective(data, "advection1d", "darcy_grf", losses=["mse", "invariants"])
    alone = objective(data, "advection1d", "darcy_grf", losses=["mse"])
    assert slopes(made, "darcy_grf")[0] == slopes(alone, "darcy_grf")[0]
    assert slopes(made, "advection1d")[0] != slopes(alone, "advection1d")[0]


class Recorded(PhysicsLoss):
    """Records the newest given frames."""

    def __init__(self) -> None:
        super().__init__(InvariantsConfig())
        self.given: list[Tensor] = []

    def defined(self, problem: Problem) -> bool:
        return True

    def __call__(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        self.given.append(batch.state[:, -1:])
        assert batch.target.shape == fields.shape
        return fields.square().mean()


def test_physics_compares_with_the_given_frame_without_noise(data: dict[str, TaskData]) -> None:
    """A model that conserves what the noise changed would be punished for that."""
    opened = data["advection1d"]
    batch = opened.windows("train", horizon=3).batch(range(4))
    seen = {}
    for name, options in {
        "noise": {"unroll": 1, "noise": 0.5},
        "neither": {"unroll": 1},
        "steps": {"unroll": 1, "pushforward": 2, "noise": 0.5},
    }.items():
        made, loss = objective(data, "advection1d", augment=False, **options), Recorded()
        made.losses = [(1.0, loss)]
        seen[name] = [float(made.loss(batch, seed, 1.0).detach()) for seed in range(12)]
        if name != "steps":
            assert all(torch.equal(given, batch.state[:, -1:]) for given in loss.given)
        else:
            own = [not torch.isclose(given, batch.state[:, -1:]).any() for given in loss.given]
            assert any(own), "what the model itself predicted"
            assert not all(own), "depths are drawn"
    assert seen["noise"] != seen["neither"], "the model sees the noise"


def test_losses_that_are_defined_nowhere(data: dict[str, TaskData]) -> None:
    message = (
        r"losses\.1: 'residual' is not defined for any of the tasks diffusion_sorption1d: it needs a diff"
    )
    with pytest.raises(UPSError, match=message):
        objective(data, "diffusion_sorption1d", losses=["mse", "residual"])
    with pytest.raises(UPSError, match="a differentiable solver that iterates; remove it from losses"):
        objective(data, "advection1d", losses=["mse", {"kind": "residual", "norm": "error"}])
    with pytest.raises(UPSError, match="no loss is defined for task 'darcy_grf'"):
        objective(data, "advection1d", "darcy_grf", losses=["invariants"])
    model = Component.of("models", "unet", {})
    tasks = {name: opened.info for name, opened in data.items()}
    for losses, tasks_of, message in (
        (["mse", "invariants"], ["darcy_grf"], "declare no invariants"),
        (["mse", "bounds"], ["advection1d"], "declare no positive channels"),
        (
            ["mse", "residual"],
            ["diffusion_sorption1d"],
            "no task (diffusion_sorption1d) has a solver with grad",
        ),
        (
            ["mse", {"kind": "residual", "norm": "error"}],
            ["advection1d"],
            "no task (advection1d) has an iterative solver; remove the loss",
        ),
    ):
        config = validate_options(OperatorConfig, {"losses": losses}, registry_in_use())
        ((option, problem),) = config.check({name: tasks[name] for name in tasks_of}, model)  # type: ignore[attr-defined]
        assert option == "losses.1.kind"
        assert message in problem
    fine = validate_options(OperatorConfig, {"losses": ["mse", "residual"]}, registry_in_use())
    assert list(fine.check({"advection1d": tasks["advection1d"]}, model)) == []  # type: ignore[attr-defined]
    alone = validate_options(OperatorConfig, {"gradients": "conflict_free"}, registry_in_use())
    ((option, problem),) = alone.check({"darcy_grf": tasks["darcy_grf"]}, model)  # type: ignore[attr-defined]
    assert option == "gradients"
    assert problem.startswith("conflict_free needs at least two losses; add one")


def slopes_along(
    losses: list[Tensor], weights: list[float], *parameters: Tensor
) -> tuple[Tensor, list[float]]:
    """The conflict-free gradient, and its slope along every loss's unit gradient."""

    def flat(value: Tensor) -> Tensor:
        parts = torch.autograd.grad(value, parameters, retain_graph=True, materialize_grads=True)
        return torch.cat([part.flatten() for part in parts])

    units = [flat(loss) for loss in losses]
    found = flat(conflict_free(losses, weights, parameters))
    return found, [float(found @ unit / unit.norm().clamp(min=1e-30)) for unit in units]


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10_000), weights=st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=2, max_size=4)
)
def test_a_direction_without_conflict_decreases_losses_by_weight(seed: int, weights: list[float]) -> None:
    """Whatever the scales of the losses."""
    random = torch.Generator().manual_seed(seed)
    targets = torch.randn(len(weights), 6, generator=random)
    one, two = (torch.randn(size, generator=random).requires_grad_() for size in (4, 2))
    place = torch.cat([one, two])
    terms = [10.0**power * (place - target).square().sum() for power, target in enumerate(targets)]
    total = conflict_free(terms, weights, [one, two])
    plain = sum(weight * float(term.detach()) for weight, term in zip(weights, terms, strict=True))
    assert float(total.detach()) == pytest.approx(plain, rel=1e-5)
    _, along = slopes_along(terms, weights, one, two)
    relative = [slope / weight for slope, weight in zip(along, weights, strict=True)]
    assert min(relative) > 0
    assert max(relative) == pytest.approx(min(relative), rel=1e-2)


def opposed(angle: float) -> tuple[Tensor, list[Tensor]]:
    """Parameters, and two losses whose gradients differ from opposite ones by so many radians."""
    place = torch.zeros(64, requires_grad=True)
    directions = torch.linalg.qr(torch.randn(64, 2, generator=torch.Generator().manual_seed(0))).Q.T
    second = -math.cos(angle) * directions[0] + math.sin(angle) * directions[1]
    return place, [7.0 * (directions[0] * place).sum(), 0.1 * (second * place).sum()]


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("angle", [0.5, 0.1])
def test_strong_conflicts_have_equal_slopes(angle: float, autocast: bool) -> None:
    """bfloat16 has 8 bits: in products that are rounded to it the slopes of these losses differ in sign."""
    place, losses = opposed(angle)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found, along = slopes_along(losses, [1.0, 1.0], place)
    assert found.dtype == torch.float32
    assert min(along) > 0
    assert max(along) == pytest.approx(min(along), rel=1e-2)


def test_collinear_gradients() -> None:
    """Their products are a singular matrix."""
    place, (loss, _) = opposed(1.0)
    (slope,) = torch.autograd.grad(loss, place, retain_graph=True)
    found, along = slopes_along([loss, 0.1 * loss], [1.0, 1.0], place)
    torch.testing.assert_close(found, 1.1 * slope)
    for scale in (1.0, 0.3, 0.7):
        found, _ = slopes_along([loss, -scale * loss], [1.0, 1.0], place)
        assert not found.any(), "no direction decreases both losses"
    third = (place * torch.linspace(-1, 1, 64)).sum()
    found, along = slopes_along([loss, 2 * loss, third], [1.0, 1.0, 1.0], place)
    assert min(along) > 0
    assert max(along) == pytest.approx(min(along), rel=1e-4)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-12])
def test_a_gradient_of_rounding_errors_has_no_say(scale: float) -> None:
    place = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    terms = [place.square().sum(), (place - torch.tensor([0.0, 1.0, 0.0])).square().sum()]
    noise = scale * (place * torch.tensor([-1.0, 1.0, -1.0])).sum()
    expected, _ = slopes_along(terms, [1.0, 1.0], place)
    found, _ = slopes_along([*terms, noise], [1.0, 1.0, 1.0], place)
    torch.testing.assert_close(found, expected)
    found, _ = slopes_along([*terms, (place * torch.tensor([-1.0, 1.0, -1.0])).sum()], [1.0, 1.0, 0.0], place)
    torch.testing.assert_close(found, expected, msg="a loss of weight 0")
    nothing, _ = slopes_along([0 * terms[0], 0 * terms[1]], [1.0, 1.0], place)
    assert not nothing.any()
    broken, _ = slopes_along([terms[0], math.nan * terms[1]], [1.0, 1.0], place)
    assert broken.isnan().any(), "for the guard of the training, and no error of a decomposition"


def test_a_conflict_free_training_step(data: dict[str, TaskData]) -> None:
    losses = ["mse", {"kind": "residual", "norm": "residual", "weight": 10.0}]
    value, found = slopes(objective(data, "darcy_grf", losses=losses, gradients="conflict_free"), "darcy_grf")
    plain, summed = slopes(objective(data, "darcy_grf", losses=losses), "darcy_grf")
    assert value == pytest.approx(plain, rel=1e-5)
    flat = [torch.cat([part.flatten() for part in parts]) for parts in (found, summed)]
    cosine = float(torch.nn.functional.cosine_similarity(*flat, dim=0))
    assert 0 < cosine < 0.9999
