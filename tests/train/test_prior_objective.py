"""The prior's objective: the law of the random observations, and targets whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from small_stage import context
from ups_data.batches.batch import FieldBatch
from ups_models.member_noise import MemberStreams
from ups_train.engine.objective import ObjectiveInputs, create_objective
from ups_train.stages.prior import PriorObjective
from ups_train.stages.random_observations import BOTH, draw_observations

TASK = "darcy2d"


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def made(data_root: Path, tmp_path: Path, **options: Any) -> PriorObjective:
    stage, given = context(data_root, tmp_path, objective="steady_prior", **options)
    objective: Any = create_objective(
        stage.objective, stage.config, ObjectiveInputs.open(stage.config, given)
    )
    assert isinstance(objective, PriorObjective)
    objective.initialise()
    return objective


def many(objective: PriorObjective, count: int) -> FieldBatch:
    """One sample, so many times, each with random numbers of its own."""
    batch = objective.inputs.data[TASK].windows("train", horizon=1).batch([0]).repeated(count)
    return replace(batch, index=torch.arange(count))


def drawn(objective: PriorObjective, count: int, unit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    batch = many(objective, count)
    fields = torch.zeros(count, 2, 16, 16)
    return draw_observations(fields, 1, objective.config, MemberStreams(batch, 1, 0), unit)


def test_shares_of_what_is_observed(data_root: Path, tmp_path: Path) -> None:
    """Nothing, both fields, or one of them; at few points or at all."""
    objective = made(data_root, tmp_path, unconditional=0.2, complete=0.3, observed=[0.05, 0.2])
    _, mask, noise = drawn(objective, 4000, torch.ones(2))
    assert not noise.any()
    share = mask.flatten(2).mean(dim=2)
    seen = share > 0
    assert float((~seen).all(dim=1).float().mean()) == pytest.approx(0.2, abs=0.03)
    assert float(seen.all(dim=1).float().mean()) == pytest.approx(0.8 * BOTH, abs=0.02)
    one = seen[:, 0] != seen[:, 1]
    assert float(seen[one, 0].float().mean()) == pytest.approx(0.5, abs=0.04)
    assert float((share[seen] == 1).float().mean()) == pytest.approx(0.3, abs=0.03)
    few = share[seen & (share < 1)]
    assert float(few.log().mean().exp()) == pytest.approx(0.1, rel=0.1), "log-uniform"
    assert 0.01 < float(few.min()) < 0.06
    assert 0.15 < float(few.max()) < 0.35
    assert torch.equal(mask[:, 0][seen.all(dim=1)], mask[:, 1][seen.all(dim=1)]) is False


def test_noise_is_in_units_of_the_channel(data_root: Path, tmp_path: Path) -> None:
    """Half of the observed channels have some, log-uniform over three decades; the law's units differ."""
    objective = made(data_root, tmp_path, noise=0.1, complete=1.0)
    unit = torch.tensor([1.0, 5.0])
    values, mask, noise = drawn(objective, 4000, unit)
    seen = mask.flatten(2).any(dim=2)
    assert not noise[~seen].any()
    for channel in (0, 1):
        some = noise[seen[:, channel], channel] / unit[channel]
        assert float((some > 0).float().mean()) == pytest.approx(0.5, abs=0.04)
        some = some[some > 0]
        assert 0.09 < float(some.max()) <= 0.1
        assert 1e-4 <= float(some.min()) < 1.2e-4
        assert float(some.log10().mean()) == pytest.approx(-2.5, abs=0.1)
    errors = values.flatten(2).std(dim=2)[seen]
    torch.testing.assert_close(errors[noise[seen] > 0], noise[seen][noise[seen] > 0], rtol=0.2, atol=0)
    assert not errors[noise[seen] == 0].any()
    both = seen.all(dim=1) & (noise > 0).all(dim=1)
    assert (noise[both, 0] * 5 - noise[both, 1]).abs().max() > 1e-3, "every channel has its own"


def test_training_and_inference_see_the_same_noise(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The noise that the network gets is that of its input values, in units of the scaled fields."""
    objective = made(data_root, tmp_path, noise=0.5, complete=1.0, unconditional=0.0, augment=False)
    seen: list[Any] = []
    complete = objective.simulator.prior.evidence

    def evidence(task: str, values: Tensor, mask: Tensor, noise: Tensor) -> Any:
        seen.append((values, mask, noise))
        return complete(task, values, mask, noise)

    monkeypatch.setattr(objective.simulator.prior, "evidence", evidence)
    batch = many(objective, 64)
    objective.loss(batch, 0, 0.0)
    ((values, mask, noise),) = seen
    fields = objective.simulator.scaled(TASK, torch.cat([batch.static, batch.target[:, 0]], dim=1))
    observed = (noise > 0) & mask.flatten(2).any(dim=2)
    errors = ((values - fields) * mask).flatten(2).std(dim=2)[observed]
    torch.testing.assert_close(errors, noise[observed], rtol=0.2, atol=0)
    largest = noise / objective.simulator.prior.scale(TASK).flatten().reciprocal()
    assert 0.3 < float(largest.max()) <= 0.5 + 1e-6


@pytest.mark.parametrize("regression", [0.0, 1.0])
def test_the_target_is_the_velocity_or_minus_the_field(
    data_root: Path, tmp_path: Path, regression: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = made(data_root, tmp_path, regression=regression, augment=False)
    batch = many(objective, 16)
    fields = objective.simulator.scaled(TASK, torch.cat([batch.static, batch.target[:, 0]], dim=1))
    given: list[tuple[Tensor, Tensor]] = []

    def forward(x: Any, noisy: Tensor, time: Tensor, evidence: Any) -> Tensor:
        given.append((noisy, time))
        return -fields

    monkeypatch.setattr(objective.simulator.prior, "forward", forward)
    loss = objective._errors(objective.simulator, batch, 0)
    ((noisy, time),) = given
    if regression:
        assert torch.equal(time, torch.ones(16))
        assert not noisy.any(), "from no noise at time 1"
        assert float(loss.max()) < 1e-10
    else:
        time = time.reshape(-1, 1, 1, 1)
        noise = (noisy - (1 - time) * fields) / time
        torch.testing.assert_close(loss, noise.square().flatten(1).mean(dim=1), rtol=1e-3, atol=1e-4)
        assert float(noise.std()) == pytest.approx(1, abs=0.05)
