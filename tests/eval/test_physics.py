"""Physics metrics, probes, costs and memory in cases whose answer is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from known_fields import ADVECTION, DARCY, Data, advection_batch, darcy_batch, select
from ups_core.plugin_loader import registry_in_use
from ups_data.info import Channel
from ups_data.solvers.advection import SpectralShift
from ups_data.solvers.base import Given
from ups_data.solvers.darcy import SparseDirect
from ups_eval.builtin_metrics import PHYSICS_METRICS, create_metric
from ups_eval.cost import SolverRun, break_even, cheapest
from ups_eval.memory import TensorMemory, step_memory
from ups_eval.physics_metrics import PhysicsMetric, Problem
from ups_eval.predictions import TaskPredictions
from ups_eval.probes import measure, one_step, reconstruction, semigroup
from ups_eval.rollout_step import untrained
from ups_eval.scoring import Ensemble
from ups_eval.solver_cost import solver_runs
from ups_eval.verify.physics_formulas import PHYSICS_FORMULAS
from ups_models.simulator import Simulator

EXACT = Problem(ADVECTION, SpectralShift())


def value(name: str, fields: torch.Tensor, batch: Any, problem: Problem = EXACT) -> float:
    metric = create_metric(name)
    assert isinstance(metric, PhysicsMetric)
    metric.update(fields, batch, problem)
    return float(metric.compute())


def test_a_true_solution_conserves_and_solves() -> None:
    batch = advection_batch(5)
    for name in ("mean_drift", "l2_drift", "residual"):
        problem = EXACT._replace(info=replace(ADVECTION, invariants=("mean", "l2")))
        assert value(name, batch.target, batch, problem) < 1e-5, name


def test_drift_is_measured_in_units_of_the_given_field() -> None:
    batch = advection_batch(3)
    size = batch.state.double().square().mean(dim=(1, 2, 3)).sqrt().mean()
    assert value("mean_drift", batch.target + 0.5, batch) == pytest.approx(
        float((0.5 / batch.state.double().square().mean(dim=(1, 2, 3)).sqrt()).mean()), rel=1e-4
    )
    assert size > 0
    assert value("l2_drift", 1.25 * batch.target, batch) == pytest.approx(0.25, rel=1e-4)


def test_persistence_has_a_residual_of_one() -> None:
    """It misses all of the change of every frame."""
    batch = advection_batch(3)
    assert value("residual", batch.state.expand_as(batch.target), batch) == pytest.approx(1, rel=1e-6)


def test_darcy_solutions_have_no_residual() -> None:
    batch = darcy_batch(3)
    solver = SparseDirect()
    solution = solver.solve(Given.of(batch), DARCY, 1)
    problem = Problem(DARCY, solver)
    assert value("residual", solution, batch, problem) < 1e-9
    assert value("residual", 2 * solution, batch, problem) == pytest.approx(1, rel=1e-6)


def test_negative_cells_of_positive_channels_alone_are_counted() -> None:
    channels = (Channel("rho", "1", "state", positive=True), Channel("v", "1", "state"))
    problem = Problem(replace(ADVECTION, channels=channels))
    batch = advection_batch(2)
    fields = torch.ones(2, 3, 2, 64)
    fields[:, :, 1] = -1
    fields[0, :, 0, :16] = -1
    assert value("negative_share", fields, batch, problem) == pytest.approx(0.125)


def test_cells_with_another_value_are_counted() -> None:
    channels = (Channel("a", "1", "target", values=(0.0, 1.0, 4.0)), Channel("b", "1", "target"))
    problem = Problem(replace(DARCY, channels=(Channel("c", "1", "coefficient"), *channels)))
    batch = darcy_batch(1)
    truth = torch.tensor([0.0, 1.0, 4.0, 4.0]).repeat(256).reshape(1, 1, 1, 32, 32)
    batch = replace(batch, target=torch.cat([truth, truth], dim=2))
    fields = batch.target.clone()
    fields[..., 0] += 0.4  # still nearest to the same value
    assert value("error_rate", fields, batch, problem) == 0
    fields[0, 0, 0, :8] = 2.6  # nearer to 4
    assert value("error_rate", fields, batch, problem) == pytest.approx(0.25 * 0.5)


def test_where_a_metric_is_defined() -> None:
    steady, plain = Problem(DARCY), Problem(ADVECTION)
    metrics = {name: create_metric(name) for name in PHYSICS_METRICS if name != "spectrum_error"}
    for problem, names in ((steady, set()), (plain, {"mean_drift"}), (EXACT, {"mean_drift", "residual"})):
        defined = {
            name
            for name, metric in metrics.items()
            if isinstance(metric, PhysicsMetric) and metric.defined(problem)
        }
        assert defined == names


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), parts=st.integers(1, 5))
def test_the_auditor_s_formulas_and_any_batching_give_the_same(seed: int, parts: int) -> None:
    """In numpy, to 1e-9; in parts, as two ranks would see them, exactly."""
    channels = (Channel("rho", "1", "state", positive=True, values=(-1.0, 0.0, 0.5)),)
    problem = Problem(replace(ADVECTION, channels=channels, invariants=("mean", "l2")), SpectralShift())
    batch = advection_batch(5)
    fields = batch.target + torch.randn(batch.target.shape, generator=torch.Generator().manual_seed(seed))
    given, target = batch.state.numpy(), batch.target.numpy()
    stored: Any = replace(STORED, info=problem.info, state=given, target=target)
    for name, formula in PHYSICS_FORMULAS.items():
        metric = create_metric(name)
        assert isinstance(metric, PhysicsMetric)
        values = metric.values(fields, batch, problem)
        np.testing.assert_allclose(
            formula(fields.double().numpy(), stored), values.numpy(), rtol=1e-9, atol=1e-12
        )
        for rows in torch.arange(5).chunk(parts):
            metric.update(fields[rows], rows_of(batch, rows.tolist()), problem)
        assert float(metric.compute()) == pytest.approx(float(values.mean()), rel=1e-12)


EMPTY = np.zeros((1, 1, 1, 1), dtype=np.float32)
STORED = TaskPredictions(
    ADVECTION, np.zeros(1, int), np.zeros(1, int), EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, {}, {}, {}
)


def rows_of(batch: Any, rows: list[int]) -> Any:
    return select(batch, rows)


def simulator(name: str, data: Data) -> Any:
    assert registry_in_use()
    return untrained(name, {data.info.name: data})  # type: ignore[dict-item]


def test_single_steps_from_the_truth() -> None:
    """Persistence errs in a single step by the change of one frame, whatever the rollout has become."""
    data = Data(ADVECTION, advection_batch(4))
    windows: Any = data.trajectories("test")
    found = measure(one_step, simulator("persistence", data), windows, batch_size=3)
    frames = torch.cat([data.content.state, data.content.target], dim=1).double()
    change = (frames[:, 1:] - frames[:, :-1]).square().mean(dim=(2, 3)).sqrt()
    expected = (change / frames[:, 1:].square().mean(dim=(2, 3)).sqrt()).mean(dim=1)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


def test_doing_nothing_composes() -> None:
    data = Data(ADVECTION, advection_batch(4))
    windows: Any = data.trajectories("test")
    assert measure(semigroup, simulator("persistence", data), windows).tolist() == [0.0] * 4


def test_probes_of_what_diverges_are_infinite() -> None:
    data = Data(ADVECTION, replace(advection_batch(2), state=torch.full((2, 1, 1, 64), math.nan)))
    windows: Any = data.trajectories("test")
    assert measure(one_step, simulator("persistence", data), windows)[0] == math.inf
    assert reconstruction is not None


def test_the_solver_s_error_falls_with_its_grid() -> None:
    data = Data(ADVECTION, advection_batch(4), SpectralShift())
    runs = solver_runs(SpectralShift(), data.trajectories("test"))  # type: ignore[arg-type]
    assert [run.points for run in runs] == [(64,), (32,), (16,)]
    assert max(run.error for run in runs) < 1e-5, "three waves are resolved by 16 points"
    assert all(run.seconds > 0 for run in runs)


def test_darcy_on_coarse_grids_is_interpolated() -> None:
    data = Data(DARCY, darcy_batch(2), SparseDirect())
    runs = solver_runs(SparseDirect(), data.trajectories("test"))  # type: ignore[arg-type]
    assert [run.points for run in runs] == [(32, 32), (16, 16)]
    assert all(math.isfinite(run.error) for run in runs)


def test_equal_error_and_break_even() -> None:
    runs = [SolverRun((64,), 1e-3, 8.0), SolverRun((32,), 1e-2, 2.0), SolverRun((16,), 0.3, 3.0)]
    assert cheapest(runs, 0.5) == runs[1], "not the coarsest, which is slower here"
    assert cheapest(runs, 5e-3) == runs[0]
    assert cheapest(runs, 1e-4) is None
    assert break_even(training=60.0, model=0.5, solver=2.0) == 40
    assert break_even(training=60.0, model=2.0, solver=2.0) == math.inf


def test_memory_is_that_of_the_tensors_alive_at_once() -> None:
    x = torch.zeros(1000, 1000)
    with torch.inference_mode(), TensorMemory() as memory:
        y = x + 1
        z = y * 2
        del y
        w = z.relu()
        del z, w
    assert memory.peak == 2 * x.nbytes
    data = Data(ADVECTION, advection_batch(3))
    one: Any = data.trajectories("test")
    assert step_memory(simulator("persistence", data), one) == step_memory(
        simulator("persistence", data), one
    )


def test_memory_of_an_ensemble_is_that_of_all_members() -> None:
    class Members(Simulator):
        @property
        def stochastic(self) -> bool:
            return True

        def member_frames(self, batch: Any, steps: int, members: int, seed: int) -> Any:
            assert steps == 1
            yield torch.zeros(members, *batch.target[:, 0].shape)

    data = Data(ADVECTION, advection_batch(3))
    one: Any = data.trajectories("test")
    plain = simulator("persistence", data)
    ensemble = Members(plain.network, plain.tasks, plain.statistics)
    single, several = (step_memory(ensemble, one, Ensemble(members)) for members in (1, 64))
    assert several >= 64 * 64 * 4 > 4 * single
    assert step_memory(plain, one, Ensemble(64)) == step_memory(plain, one), "one prediction has no members"
