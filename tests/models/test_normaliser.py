"""The normaliser: every number that a network sees, derived by hand from the task and its statistics."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toy_tasks import batch_of, evolution, statistics, steady
from ups_data.info import Parameter, Symmetry, TaskInfo
from ups_data.prepare.conditions import Conditions
from ups_models.network import condition_size, in_channels
from ups_models.normaliser import TaskNormaliser


def normaliser(task: TaskInfo) -> TaskNormaliser:
    return TaskNormaliser(task, statistics(task))


def test_fields_are_scaled_frame_by_frame_oldest_first(task: TaskInfo) -> None:
    batch, scale = batch_of(task), statistics(task)
    x = normaliser(task).network_input(batch)
    assert x.fields.shape == (3, in_channels(task), *task.shape)
    expected = []
    for frame in range(task.history):
        for channel, (mean, std) in enumerate(zip(scale.state.mean, scale.state.std, strict=True)):
            expected.append((batch.state[:, frame, channel] - mean) / std)
    for channel, (mean, std) in enumerate(zip(scale.static.mean, scale.static.std, strict=True)):
        expected.append((batch.static[:, channel] - mean) / std)
    assert torch.allclose(x.fields, torch.stack(expected, dim=1), atol=1e-6)
    assert (x.task, x.dt.tolist()) == (task.name, pytest.approx([task.dt] * 3))


def test_training_data_come_out_with_mean_zero_and_standard_deviation_one() -> None:
    task = evolution(history=1)
    scale = statistics(task)
    batch = batch_of(task, size=64)
    mean, std = (torch.tensor(values)[:, None] for values in (scale.state.mean, scale.state.std))
    x = normaliser(task).network_input(replace(batch, state=mean + std * batch.state))
    assert x.fields.mean((0, 2)).abs().max() < 0.1
    assert (x.fields.std((0, 2)) - 1).abs().max() < 0.1


@given(values=st.lists(st.floats(-100, 100, width=32), min_size=6, max_size=6))
def test_targets_survive_the_round_trip(values: list[float]) -> None:
    task = evolution(cells=3)
    part = normaliser(task)
    field = torch.tensor(values).reshape(2, 3)
    scaled = part.target_scaled(field)
    assert torch.allclose(scaled * part.target_std + part.target_mean, field, atol=1e-4)
    assert torch.allclose(part.target_scaled(field[None, None])[0, 0], scaled)


def scaled_params(parameter: Parameter, values: list[float], known: list[bool] | None = None) -> list[float]:
    task = replace(evolution(), parameters=(parameter,))
    batch = batch_of(task, size=len(values))
    mask = torch.tensor([known or [True] * len(values)]).T
    batch = replace(batch, params=torch.tensor([values]).T, params_mask=mask)
    found: list[float] = normaliser(task).network_input(batch).params[:, 0].tolist()
    return found


def test_parameters_are_scaled_to_their_range() -> None:
    assert scaled_params(Parameter("p", "1", 2.0, 6.0), [2, 4, 6, 8]) == pytest.approx([-1, 0, 1, 2])


def test_logarithmic_parameters_are_scaled_by_their_logarithm() -> None:
    parameter = Parameter("nu", "1", 1e-3, 10.0, scale="log")
    found = scaled_params(parameter, [1e-3, 0.1, 10.0, 0.01])
    assert found == pytest.approx([-1, 0, 1, -0.5], abs=1e-5)


def test_a_single_value_is_the_middle_of_its_range() -> None:
    for scale in ("linear", "log"):
        parameter = Parameter("p", "1", 3.0, 3.0, scale=scale)  # type: ignore[arg-type]
        assert scaled_params(parameter, [3.0]) == pytest.approx([0.0])


def test_unknown_parameters_are_zero_even_if_they_are_nan() -> None:
    parameter = Parameter("p", "1", 0.0, 1.0)
    assert scaled_params(parameter, [0.0, math.nan, 1.0], [True, False, True]) == [-1, 0, 1]


def test_mixed_scales_are_kept_apart() -> None:
    parameters = (Parameter("a", "1", 0.0, 2.0), Parameter("b", "1", 1e-2, 1.0, scale="log"))
    task = replace(evolution(), parameters=parameters)
    batch = replace(batch_of(task, size=1), params=torch.tensor([[-1.0, 0.1]]))
    assert normaliser(task).network_input(batch).params[0].tolist() == pytest.approx([-2, 0], abs=1e-6)


def test_conditions_are_parameters_mask_dt_and_offset() -> None:
    task = evolution(dim=2, parameters=2, boundary="dirichlet")
    batch = batch_of(task)
    batch.params_mask[0, 1] = False
    x = normaliser(task).network_input(batch)
    condition = x.condition()
    assert condition.shape == (3, condition_size(task)) == (3, 2 * 2 + 1 + 2)
    assert torch.equal(condition[:, :2], x.params)
    assert condition[:, 2:4].tolist() == [[1, 0], [1, 1], [1, 1]]
    assert condition[:, 4].tolist() == pytest.approx([0.1] * 3)
    assert torch.equal(condition[:, 5:], x.grid_offset)


def on_axis(task: TaskInfo, points: list[Tensor]) -> Tensor:
    """Coordinates `(N, d)` of a tensor grid."""
    grid = torch.meshgrid(*points, indexing="ij")
    return torch.stack(grid, dim=-1).reshape(-1, task.dim)


@pytest.mark.parametrize(
    ("first", "offset"),
    [(0.5 / 16, 0.0), (0.25 / 16, -1.0), (0.75 / 16, 1.0), (0.0, -2.0)],
    ids=["centred", "every second of a finer grid", "mirrored", "corner"],
)
def test_the_offset_counts_quarter_cells(first: float, offset: float) -> None:
    task = evolution(cells=16, boundary="dirichlet")
    points = first + torch.arange(16) / 16
    batch = replace(batch_of(task), coords=points[:, None])
    x = normaliser(task).network_input(batch)
    assert x.grid_offset.shape == (3, 1)
    assert x.grid_offset[:, 0].tolist() == pytest.approx([offset] * 3, abs=1e-5)


def test_coordinates_are_scaled_by_the_domain_axis_by_axis() -> None:
    task = replace(evolution(dim=2, cells=4, boundary="dirichlet"), domain=((-1.0, 1.0), (0.0, 8.0)))
    x_axis, y_axis = torch.tensor([-0.75, -0.25, 0.25, 0.75]), torch.tensor([1.0, 3.0, 5.0, 7.0])
    batch = replace(batch_of(task), coords=on_axis(task, [x_axis, y_axis]))
    x = normaliser(task).network_input(batch)
    quarter = torch.tensor([0.125, 0.375, 0.625, 0.875])
    assert torch.allclose(x.coords[..., 0], quarter[:, None].expand(4, 4))
    assert torch.allclose(x.coords[..., 1], quarter.expand(4, 4))
    assert x.grid_offset.abs().max() < 1e-5


def test_another_grid_than_the_task_s_has_its_own_cells() -> None:
    """A simulator may roll out on a finer grid than it was trained on."""
    task, fine = (evolution(cells=cells, boundary="dirichlet") for cells in (16, 64))
    part = normaliser(task)
    for info in (fine, task, fine):
        cells = info.shape[0]
        points = (torch.arange(cells) + 0.25) / cells
        x = part.network_input(replace(batch_of(info), coords=points[:, None]))
        assert x.grid_offset[0].tolist() == pytest.approx([-1.0], abs=1e-4)
        assert x.coords.shape == (cells, 1)


def test_the_increment_is_the_typical_change_of_the_normalised_state() -> None:
    task = evolution()
    x = normaliser(task).network_input(batch_of(task))
    assert x.increment.flatten().tolist() == pytest.approx([0.1 / 2, 0.2 / 4])
    assert x.increment.shape == (2, 1)
    assert normaliser(steady()).network_input(batch_of(steady())).increment.flatten().tolist() == [1.0]


def test_constants_move_with_the_module_and_are_not_weights() -> None:
    task = evolution()
    part = normaliser(task)
    assert not part.state_dict(), "the bundle's JSON has them"
    assert not list(part.parameters())
    moved = part.to("meta")
    assert {buffer.device.type for buffer in moved.buffers()} == {"meta"}


def test_the_grid_is_reused_only_for_the_same_coordinates() -> None:
    task = evolution(cells=16, boundary="dirichlet")
    part, batch = normaliser(task), batch_of(task)
    first = part.network_input(batch)
    assert part.network_input(replace(batch, state=batch.state + 1)).coords is first.coords
    mirrored = replace(batch, coords=1 - batch.coords.flip(0) + 0.25 / 16)
    other = part.network_input(mirrored)
    assert other.coords is not first.coords
    assert torch.allclose(other.grid_offset - first.grid_offset, torch.full((3, 1), 1.0), atol=1e-4)
    assert torch.equal(part.network_input(batch).coords, first.coords)


def test_a_grid_seen_in_inference_mode_does_not_reach_training() -> None:
    task = evolution(cells=16, boundary="dirichlet")
    part, batch = normaliser(task), batch_of(task)
    with torch.inference_mode():
        assert part.network_input(batch).coords.is_inference()
    x = part.network_input(batch)
    assert not x.coords.is_inference()
    weight = torch.ones(1, requires_grad=True)
    (weight * x.coords).sum().backward()  # an inference tensor cannot be saved for this
    assert weight.grad is not None


def test_tasks_without_parameters() -> None:
    task = evolution(parameters=0)
    x = normaliser(task).network_input(batch_of(task))
    assert x.params.shape == x.params_mask.shape == (3, 0)
    assert x.condition().shape == (3, 1)


def seen(task: TaskInfo, **changes: object) -> TaskNormaliser:
    """A normaliser that knows what a training varied: nothing but `changes`."""
    count = len(task.parameters)
    known = Conditions(((0.5, 0.5),) * count, (False,) * count, (task.dt, task.dt), augmented=False)
    return TaskNormaliser(task, replace(statistics(task), conditions=replace(known, **changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize("boundary", ["periodic", "dirichlet"])
def test_conditions_that_training_never_varied_keep_their_values(boundary: str) -> None:
    task = replace(evolution(cells=16, boundary=boundary, parameters=2), points=((0.0, 0.9375),))
    batch = batch_of(task)
    other = replace(
        batch,
        params=batch.params + 3,
        params_mask=~batch.params_mask,
        dt=batch.dt * 7,
        coords=batch.coords + 0.25 / 16,
    )
    part = seen(task)
    condition = part.network_input(other).condition()
    assert torch.equal(condition, part.network_input(batch).condition())
    expected = [-0.5, -0.5, 1, 1, 0.1, *([-2.0] if boundary == "dirichlet" else [])]
    assert condition[0].tolist() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(part.network_input(other).elapsed, batch.dt * 7), "exact formulas get the real time"


def test_conditions_that_training_varied_are_those_of_the_batch() -> None:
    task = evolution(boundary="dirichlet", parameters=2)
    batch = batch_of(task)
    batch.params_mask[0, 1] = False
    part = seen(task, parameters=((0.0, 2.0), (0.5, 0.5)), unknown=(False, True), dt=(0.05, 0.2))
    later = part.network_input(replace(batch, dt=batch.dt * 2, params=batch.params.clamp(max=1.0)))
    plain = normaliser(task).network_input(
        replace(batch, dt=batch.dt * 2, params=batch.params.clamp(max=1.0))
    )
    assert torch.equal(later.params, plain.params), "a parameter that may be unknown is not constant"
    assert torch.equal(later.params_mask, plain.params_mask)
    assert torch.equal(later.dt, plain.dt)


@pytest.mark.parametrize(
    ("symmetries", "augmented", "varies"),
    [
        (("reflection",), True, True),
        (("reflection",), False, False),
        (("transpose",), True, False),
        ((), True, False),
    ],
)
def test_the_offset_varies_where_training_mirrors_the_grid(
    symmetries: tuple[Symmetry, ...], augmented: bool, varies: bool
) -> None:
    points = ((0.25 / 16, 1 - 0.75 / 16),) * 2
    task = replace(steady(cells=16), domain=((0.0, 1.0),) * 2, points=points, symmetries=symmetries)
    grid = [torch.tensor(axis) for axis in task.axes]
    batch = replace(batch_of(task), coords=on_axis(task, grid))
    mirrored = replace(batch, coords=on_axis(task, [1 - axis.flip(0) for axis in grid]))
    part = seen(task, augmented=augmented)
    assert part.network_input(batch).grid_offset[0].tolist() == pytest.approx([-1, -1], abs=1e-4)
    expected = [1, 1] if varies else [-1, -1]
    assert part.network_input(mirrored).grid_offset[0].tolist() == pytest.approx(expected, abs=1e-4)


def test_networks_on_a_circle_get_no_places() -> None:
    task = evolution(dim=2)
    x = normaliser(task).network_input(batch_of(task))
    assert (x.coords.shape, x.grid_offset.shape) == ((16, 16, 0), (3, 0))
