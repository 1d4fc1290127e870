"""Scoring: what is compared with what, in which mode, and what a diverging rollout counts as."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_eval.builtin_metrics import create_metric
from ups_eval.scoring import Ensemble, score


class Oracle(nn.Module):
    """Answers with the truth times `factor`; notes how it was asked."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.calls: list[tuple[int, bool, bool]] = []

    def rollout(self, batch: FieldBatch, steps: int) -> Tensor:
        self.calls.append((steps, self.training, torch.is_grad_enabled()))
        return batch.target * self.factor


class Diverging(Oracle):
    """Gives NaN from frame 10 on for the trajectory 102."""

    def rollout(self, batch: FieldBatch, steps: int) -> Tensor:
        prediction = super().rollout(batch, steps).clone()
        prediction[batch.index == 102, 10:] = math.nan
        return prediction


def test_a_known_error_is_reported_per_step_and_sample(advection: Any) -> None:
    metrics = {name: create_metric(name) for name in ("nrmse", "rel_l2", "rmse")}
    result = score(Oracle(0.9), advection, "test", metrics, batch_size=2)
    assert result.metrics["nrmse"] == pytest.approx(0.1, rel=1e-5)
    assert result.metrics["rel_l2"] == pytest.approx(0.1, rel=1e-5)
    assert result.nrmse == pytest.approx(result.metrics["nrmse"], rel=1e-12)
    assert result.per_step == pytest.approx([0.1] * 40, rel=1e-4)
    assert result.per_sample == pytest.approx([0.1] * 5, rel=1e-4)
    assert result.trajectories == [100, 101, 102, 103, 104]
    assert result.diverged == 0


@pytest.mark.parametrize("batch_size", [1, 3, 5, 50])
def test_batch_size_changes_no_number(advection: Any, batch_size: int) -> None:
    names = ("crmse", "max_error", "frmse_mid", "nrmse")
    whole = score(
        Oracle(0.7), advection, "test", {name: create_metric(name) for name in names}, batch_size=99
    )
    parts = score(
        Oracle(0.7), advection, "test", {name: create_metric(name) for name in names}, batch_size=batch_size
    )
    assert parts.metrics == pytest.approx(whole.metrics, rel=1e-12)


def test_rolls_out_all_predicted_frames_in_eval_mode_without_gradients(advection: Any) -> None:
    simulator = Oracle().train()
    score(simulator, advection, "val", batch_size=3)
    assert simulator.calls == [(40, False, False), (40, False, False)]
    assert simulator.training


def test_more_given_frames_do_not_improve_the_score(advection: Any) -> None:
    """PDEBench#41: given frames must not be scored as perfect predictions."""
    few = score(Oracle(0.5), advection, "test").nrmse
    batch = advection.content
    batch.state, batch.target = torch.cat([batch.state, batch.target[:, :20]], dim=1), batch.target[:, 20:]
    assert score(Oracle(0.5), advection, "test").nrmse == pytest.approx(few, rel=1e-5)


def test_divergence_is_infinite_and_counted(advection: Any) -> None:
    result = score(Diverging(0.9), advection, "test", {"nrmse": create_metric("nrmse")}, batch_size=2)
    assert result.diverged == 1
    assert result.metrics["nrmse"] == math.inf
    assert result.per_step[:10] == pytest.approx([0.1] * 10, rel=1e-4)
    assert all(math.isinf(value) for value in result.per_step[10:])
    assert [math.isinf(value) for value in result.per_sample] == [False, False, True, False, False]


def test_one_member_that_leaves_the_finite_numbers_diverges(advection: Any) -> None:
    """Not hidden in the mean, nor left out of the ensemble."""

    class Sampler(Oracle):
        stochastic = True

        def sample(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Tensor:
            found = torch.stack([self.rollout(batch, steps)] * members).clone()
            found[1, batch.index == 103, 5] = math.inf
            return found

    metrics = {name: create_metric(name) for name in ("nrmse", "crps", "energy_score")}
    result = score(Sampler(), advection, "test", metrics, batch_size=2, ensemble=Ensemble(4))
    assert result.diverged == 1
    assert set(result.metrics.values()) == {math.inf}
    assert [math.isinf(value) for value in result.per_sample] == [False, False, False, True, False]


def test_metrics_are_reset_and_limit_and_callback_work(advection: Any) -> None:
    metric = create_metric("rmse")
    metric.update(torch.ones(1, 1, 1, 4), torch.zeros(1, 1, 1, 4))
    seen: list[int] = []
    result = score(
        Oracle(),
        advection,
        "test",
        {"rmse": metric},
        limit=3,
        batch_size=2,
        on_batch=lambda batch, members: seen.append(members.shape[1]),
    )
    assert result.metrics["rmse"] == 0
    assert seen == [2, 1]
    assert len(result.per_sample) == 3


def test_a_wrong_shape_and_an_empty_split_are_named(advection: Any) -> None:
    class Short(Oracle):
        def rollout(self, batch: FieldBatch, steps: int) -> Tensor:
            return batch.target[:, :-1]

    with pytest.raises(UPSError, match=r"advection1d.*\(5, 39, 1, 64\)"):
        score(Short(), advection, "test")
    with pytest.raises(UPSError, match="no trajectory in its val split"):
        score(Oracle(), advection, "val", limit=0)
