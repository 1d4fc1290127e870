"""Hooks that nobody implements are not called; all others are, in Lightning's order and with its arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.profilers import SimpleProfiler
from lightning.pytorch.trainer import call
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ups_train.engine import lightning_hooks
from ups_train.engine.lightning_hooks import PARAMETERS, lean_hooks


class Recorded(Callback):
    """Notes the hooks that it implements."""

    def __init__(self, events: list[str], name: str) -> None:
        self.events = events
        self.name = name

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.events.append(f"{self.name} start")

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.events.append(f"{self.name} batch {batch_idx} of {len(batch)}")

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.events.append(f"{self.name} update by {type(optimizer).__name__}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.events.append(f"{self.name} validated")


class Module(pl.LightningModule):
    """A linear fit that logs and implements two hooks."""

    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.events = events

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = self.layer(batch).square().mean()
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("score", self.layer(batch).mean())

    def on_after_backward(self) -> None:
        self.events.append("module after backward")

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(
    folder: Path, lean: bool, seen: Any = None, **trainer: Any
) -> tuple[list[str], dict[str, Tensor], Tensor]:
    """Events, logged metrics and final weights of four batches and two validations."""
    events: list[str] = []
    torch.manual_seed(0)
    module = Module(events)
    data = torch.arange(16.0).reshape(8, 2)
    fit = pl.Trainer(
        max_epochs=1,
        val_check_interval=2,
        callbacks=[Recorded(events, "first"), Recorded(events, "second")],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        default_root_dir=folder,
        **trainer,
    )
    loaders = DataLoader(data, batch_size=2), DataLoader(data, batch_size=4)
    if lean:
        with lean_hooks(fit, module):
            if seen is not None:
                seen(fit, module)
            fit.fit(module, *loaders)
    else:
        fit.fit(module, *loaders)
    return events, dict(fit.callback_metrics), module.layer.weight.detach()


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec:FutureWarning"),
]


def test_implemented_hooks_run_as_in_lightning(tmp_path: Path) -> None:
    expected, metrics, weights = train(tmp_path, lean=False)
    events, lean_metrics, lean_weights = train(tmp_path, lean=True)
    assert events == expected
    assert events[:2] == ["first start", "second start"]
    assert "first batch 3 of 2" in events
    assert events.count("module after backward") == 4
    assert events.count("second validated") == 2
    assert torch.equal(weights, lean_weights)
    assert metrics.keys() == lean_metrics.keys() == {"loss", "score"}
    assert all(torch.equal(metrics[name], lean_metrics[name]) for name in metrics)


def test_hooks_of_the_instance_count_as_implemented(tmp_path: Path) -> None:
    found: list[int] = []

    def watch(trainer: pl.Trainer, module: pl.LightningModule) -> None:
        callback = trainer.callbacks[0]  # type: ignore[attr-defined]
        callback.on_train_batch_end = lambda *given, **named: found.append(1)

    train(tmp_path, lean=True, seen=watch)
    assert len(found) == 4


def test_lightning_is_as_before_afterwards_also_after_an_error(tmp_path: Path) -> None:
    originals = {name: getattr(call, name) for name in PARAMETERS}

    def fail(trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert any(getattr(call, name) is not original for name, original in originals.items())
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        train(tmp_path, lean=True, seen=fail)
    assert {name: getattr(call, name) for name in PARAMETERS} == originals


def test_other_trainers_are_served_by_lightning_meanwhile(tmp_path: Path) -> None:
    inner: list[list[str]] = []

    def another(trainer: pl.Trainer, module: pl.LightningModule) -> None:
        inner.append(train(tmp_path, lean=False)[0])

    events, _, _ = train(tmp_path, lean=True, seen=another)
    assert inner == [events]


def test_a_profiler_sees_every_hook(tmp_path: Path) -> None:
    originals = {name: getattr(call, name) for name in PARAMETERS}

    def unchanged(trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert {name: getattr(call, name) for name in PARAMETERS} == originals

    train(tmp_path, lean=True, seen=unchanged, profiler=SimpleProfiler(dirpath=tmp_path, filename="profile"))


def test_an_unknown_release_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {**PARAMETERS, "_call_strategy_hook": ["trainer", "name"]}
    monkeypatch.setattr(lightning_hooks, "PARAMETERS", changed)
    original = call._call_strategy_hook

    def unchanged(trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert call._call_strategy_hook is original

    events, _, _ = train(tmp_path, lean=True, seen=unchanged)
    assert events.count("module after backward") == 4


def test_the_installed_release_is_known() -> None:
    """Fails when lightning changes what is replaced: look at its loop before the pin is raised."""
    assert lightning_hooks._known_release()
