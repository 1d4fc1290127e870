"""What an optimizer step fetches: every loss once, in order, with one transfer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.strategies import SingleDeviceStrategy, Strategy

from toy_tasks import batch_of, evolution, steady
from ups_data.batches.batch import FieldBatch
from ups_train.engine.step_report import Place, ReportCollector, StepReport

WAVE, FLOW = batch_of(evolution()), batch_of(steady())
ALONE: Strategy = SingleDeviceStrategy()


class TwoRanks(SingleDeviceStrategy):
    """Stands for two ranks, the other of which has losses of 3 and asks for a stop with code 9."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def reduce(self, tensor: torch.Tensor, reduce_op: str) -> torch.Tensor:  # type: ignore[override]
        self.calls.append(reduce_op)
        return (tensor + 3.0) / 2 if reduce_op == "mean" else tensor.clamp(min=9.0)


def collect(
    losses: list[float], batches: list[FieldBatch] | None = None, *, mean: bool = False
) -> ReportCollector:
    collector = ReportCollector(mean_losses=mean)
    for number, loss in enumerate(losses):
        batch = batches[number] if batches else (WAVE, FLOW)[number % 2]
        collector.add(Place(1, number), batch, torch.tensor(loss, requires_grad=True))
    return collector


def fetch(collector: ReportCollector, norm: float = 1.0, code: int = 0) -> StepReport:
    return collector.fetch(torch.tensor(norm), code, ALONE, 1)


@given(st.lists(st.floats(width=32, allow_subnormal=False), min_size=1, max_size=6))
def test_losses_come_back_as_they_were(losses: list[float]) -> None:
    report = fetch(collect(losses), norm=2.5)
    assert report.norm == 2.5
    for number, (part, loss) in enumerate(zip(report.micro_batches, losses, strict=True)):
        assert part.place == Place(1, number)
        assert part.task == (WAVE, FLOW)[number % 2].task
        assert part.loss == loss or (math.isnan(part.loss) and math.isnan(loss))
        assert part.mean_loss == part.loss or math.isnan(loss)


def test_trajectories_and_weights_are_those_of_the_batches() -> None:
    from dataclasses import replace

    batch = replace(WAVE, loss_weight=0.5)
    report = fetch(collect([1.0], [batch]))
    (part,) = report.micro_batches
    assert part.index.tolist() == WAVE.index.tolist()
    assert part.loss_weight == 0.5


def test_a_step_starts_where_the_one_before_ended() -> None:
    collector = collect([1.0, 2.0])
    assert len(fetch(collector).micro_batches) == 2
    collector.add(Place(1, 2), WAVE, torch.tensor(7.0))
    (part,) = fetch(collector).micro_batches
    assert (part.place, part.loss) == (Place(1, 2), 7.0)


def test_a_graph_is_not_kept_alive() -> None:
    collector = ReportCollector(mean_losses=False)
    loss = torch.ones(1000, requires_grad=True).sum()
    collector.add(Place(0, 0), WAVE, loss)
    assert all(not kept.requires_grad for kept in collector._losses)


def test_ranks_share_the_stop_code_and_on_request_the_losses() -> None:
    strategy = TwoRanks()
    report = collect([1.0, 2.0], mean=True).fetch(torch.tensor(1.0), 4, strategy, 2)
    assert report.stop_code == 9
    assert [part.loss for part in report.micro_batches] == [1.0, 2.0]
    assert [part.mean_loss for part in report.micro_batches] == [2.0, 2.5]
    assert strategy.calls == ["mean", "max"]


def test_losses_are_not_averaged_over_ranks_without_need() -> None:
    strategy = TwoRanks()
    report = collect([1.0]).fetch(torch.tensor(1.0), 0, strategy, 2)
    assert report.micro_batches[0].mean_loss == 1.0
    assert strategy.calls == ["max"]


def test_one_rank_asks_nobody() -> None:
    assert fetch(collect([1.0]), code=7).stop_code == 7


# Losses for the log


def test_the_log_has_every_loss_once() -> None:
    collector = collect([1.0, 2.0])
    assert collector.take_losses() == [("wave", 1.0), ("flow", 2.0)]  # of micro-batches without an update yet
    collector.add(Place(1, 2), WAVE, torch.tensor(3.0))
    fetch(collector)
    assert collector.take_losses() == [("wave", 3.0)]
    assert collector.take_losses() == []


@given(loss=st.floats(-1e6, 1e6, width=32), weight=st.floats(0, 1, width=32))
def test_logged_losses_are_weighted_as_the_device_does(loss: float, weight: float) -> None:
    from dataclasses import replace

    batch = replace(WAVE, loss_weight=weight)
    collector = collect([loss], [batch])
    fetch(collector)
    ((_, logged),) = collector.take_losses()
    assert logged == float(torch.tensor(loss) * torch.tensor(weight, dtype=torch.float32))
    assert np.float32(logged) == logged


def test_half_precision_losses_are_reported_as_floats() -> None:
    collector = ReportCollector(mean_losses=False)
    collector.add(Place(0, 0), WAVE, torch.tensor(0.5, dtype=torch.bfloat16))
    assert fetch(collector).micro_batches[0].loss == pytest.approx(0.5)
