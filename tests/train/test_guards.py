"""What must not reach the weights: losses and gradients that are not finite, and losses that jump."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from small_stage import run
from ups_core import RestartRequested, UPSError
from ups_core.sealed import read_sealed
from ups_train.engine.config import SpikesConfig
from ups_train.engine.guards import BATCHES_FILE, SPIKES_FILE, NonFinite, SpikeGuard
from ups_train.engine.metrics_file import read_metrics
from ups_train.engine.module import TrainingModule
from ups_train.engine.step_report import Place


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


class Poison:
    """Multiplies the loss of one batch by a factor, whenever that batch comes; keeps the weights before it.

    The factor may be infinite for the gradient alone.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, factor: float, *places: Place, gradient: bool = False
    ) -> None:
        self.factor = factor
        self.places = places
        self.gradient = gradient
        self.module: TrainingModule | None = None
        self.before: dict[str, torch.Tensor] = {}
        self.seen: list[Place] = []
        original = TrainingModule.loss
        poison = self

        def loss(self: TrainingModule, batch: Any, seed: int) -> torch.Tensor:
            return poison(self, original(self, batch, seed))

        monkeypatch.setattr(TrainingModule, "loss", loss)

    def __call__(self, module: TrainingModule, loss: torch.Tensor) -> torch.Tensor:
        progress = module.trainer.fit_loop.epoch_loop
        place = Place(module.current_epoch, progress.batch_idx)
        self.seen.append(place)
        if place not in self.places:
            return loss
        self.module = module
        self.before = {name: weight.clone() for name, weight in module.network.state_dict().items()}
        if self.gradient:
            # sqrt has an infinite slope at 0
            return loss + sum(weight.sum() for weight in module.network.parameters()).sub(0).mul(0).sqrt()  # type: ignore[union-attr]
        return loss * self.factor

    def weights_moved(self) -> bool:
        """Since just before the poisoned batch."""
        assert self.module is not None
        after = self.module.network.state_dict()
        return not all(torch.equal(after[name], weight) for name, weight in self.before.items())


@pytest.mark.parametrize(
    ("factor", "gradient", "what"),
    [
        (float("nan"), False, "the loss is nan"),
        (float("inf"), False, "the loss is inf"),
        (1.0, True, "the norm of the gradient is nan"),
    ],
)
def test_what_is_not_finite_stops_before_the_update(
    factor: float,
    gradient: bool,
    what: str,
    objective: str,
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poison = Poison(monkeypatch, factor, Place(1, 2), gradient=gradient)
    with pytest.raises(NonFinite, match=rf"{what} at epoch 1, batch 2 \(task '\w+', trajectories \["):
        run(data_root, tmp_path, epochs=3, objective=objective)
    assert not poison.weights_moved()
    assert all(torch.isfinite(weight).all() for weight in poison.before.values())
    recorded = json.loads((tmp_path / BATCHES_FILE).read_text())
    assert recorded["what"].startswith(what)
    (batch,) = recorded["batches"]
    assert (batch["epoch"], batch["batch"]) == (1, 2)
    assert batch["task"] in ("advection1d", "darcy2d")
    assert batch["trajectories"]
    assert all(0 <= number < 80 for number in batch["trajectories"])


def test_all_batches_of_an_accumulated_gradient_are_recorded(
    objective: str, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Poison(monkeypatch, 1.0, Place(0, 4), gradient=True)
    with pytest.raises(NonFinite):
        run(data_root, tmp_path, accumulate=3, objective=objective)
    batches = json.loads((tmp_path / BATCHES_FILE).read_text())["batches"]
    assert [batch["batch"] for batch in batches] == [3, 4, 5]


SPIKES = {"window": 5, "factor": 50.0, "max_spikes": 2}


def test_a_spike_may_be_skipped(
    objective: str, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = Poison(monkeypatch, 1e4, Place(3, 1))
    run(data_root, tmp_path, epochs=6, spikes={"policy": "skip", **SPIKES}, ema=None, objective=objective)
    (spike,) = read_sealed(tmp_path / SPIKES_FILE)["spikes"]
    assert (spike["epoch"], spike["batch"], spike["policy"]) == (3, 1, "skip")
    assert spike["loss"] > 50 * spike["median"]
    assert poison.seen.count(Place(3, 1)) == 1
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert lines[-1]["step"] == len(set(poison.seen)), "the step counts, for the schedule"


def test_a_spike_may_roll_back(
    objective: str, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = Poison(monkeypatch, 1e4, Place(3, 1))
    rolled = run(
        data_root, tmp_path / "rolled", epochs=6, spikes={"policy": "rollback", **SPIKES}, objective=objective
    )
    assert poison.seen.count(Place(3, 1)) == 2, "once found, once left out"
    assert poison.seen.count(Place(3, 0)) == 2, "trained again from the last checkpoint"
    skipped = run(
        data_root, tmp_path / "skipped", epochs=6, spikes={"policy": "skip", **SPIKES}, objective=objective
    )
    assert rolled == skipped, "without that batch, either way"


def test_a_spike_may_stop_the_step(
    objective: str, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = Poison(monkeypatch, 1e4, Place(3, 1))
    with pytest.raises(UPSError, match=r"at epoch 3, batch 1 is .* times its median; the weights are those"):
        run(data_root, tmp_path, epochs=6, spikes={"policy": "stop", **SPIKES}, objective=objective)
    assert not poison.weights_moved()


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_spikes_are_counted_over_restarts(
    policy: str, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Poison(monkeypatch, 1e4, Place(3, 0), Place(3, 1), Place(4, 1))
    with pytest.raises(
        UPSError, match=r"after 2 spikes already; lower optimizer\.lr, or raise spikes\.max_spikes"
    ):
        run(data_root, tmp_path, epochs=6, spikes={"policy": policy, **SPIKES})
    assert len(json.loads((tmp_path / SPIKES_FILE).read_text())) == 2
    with pytest.raises(UPSError, match="after 2 spikes already"):
        run(data_root, tmp_path, epochs=6, spikes={"policy": policy, **SPIKES})


losses = st.lists(st.floats(0.1, 1.0), min_size=5, max_size=30)


@given(losses, st.floats(2.0, 100.0))
def test_only_what_exceeds_the_median_is_a_spike(values: list[float], factor: float) -> None:
    guard = SpikeGuard(SpikesConfig(policy="stop", factor=factor, window=5), Path("nowhere"))
    for number, value in enumerate(values):
        usual = sorted(values[:number][-5:])[2] if number >= 5 else float("inf")
        if value > factor * usual:
            with pytest.raises(UPSError, match="times its median"):
                guard.skips("a", value, Place(0, number))
            return
        assert not guard.skips("a", value, Place(0, number))
        again = SpikeGuard(guard.config, Path("nowhere"))
        again.load_state_dict(json.loads(json.dumps(guard.state_dict())))
        assert again.losses == guard.losses


def test_tasks_have_medians_of_their_own(tmp_path: Path) -> None:
    guard = SpikeGuard(SpikesConfig(policy="rollback", window=5), tmp_path)
    for number in range(5):
        assert not guard.skips("small", 1e-3, Place(0, 2 * number))
        assert not guard.skips("large", 1.0, Place(0, 2 * number + 1))
    assert not guard.skips("large", 1.0, Place(1, 0))
    with pytest.raises(RestartRequested, match="back to the last checkpoint"):
        guard.skips("small", 1.0, Place(1, 1))
    assert SpikeGuard(guard.config, tmp_path).skips("small", 1e-3, Place(1, 1)), "left out after the restart"
