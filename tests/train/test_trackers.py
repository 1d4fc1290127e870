"""Experiment trackers: the file of `csv`, and what wandb is given."""

from __future__ import annotations

import csv as table
import importlib.util
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger
from pydantic import ValidationError

from ups_core import UPSError, validate_options
from ups_core.plugin_loader import registry_in_use
from ups_train.trackers.config import CSVConfig, WandbConfig
from ups_train.trackers.factories import WANDB_ID, csv, wandb


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(table.DictReader(file))


# csv


def test_csv_writes_beside_the_other_files_of_the_step(tmp_path: Path) -> None:
    tracker = csv(CSVConfig(), tmp_path, "study-operator")
    tracker.log_metrics({"val/nrmse": 0.5, "lr": 1e-3}, 2)
    tracker.save()
    (row,) = rows(tmp_path / "metrics.csv")
    assert float(row["val/nrmse"]) == 0.5
    assert float(row["lr"]) == 1e-3
    assert int(row["step"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


def test_csv_has_a_row_per_line_also_where_columns_come_later(tmp_path: Path) -> None:
    tracker = csv(CSVConfig(), tmp_path, "x")
    for step, metrics in enumerate([{"a": 1.0}, {"a": 2.0, "b": 3.0}, {"b": 4.0}]):
        tracker.log_metrics(metrics, step)
        tracker.save()
    found = rows(tmp_path / "metrics.csv")
    assert [row["a"] for row in found] == ["1.0", "2.0", ""]
    assert [row["b"] for row in found] == ["", "3.0", "4.0"]


def test_a_resumed_step_starts_the_file_again_without_a_warning(tmp_path: Path) -> None:
    """The metrics file sends the lines that are kept, so none is there twice."""
    for attempt in range(2):
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        tracker = csv(CSVConfig(), tmp_path, "x")
        for step in range(attempt + 1):
            tracker.log_metrics({"a": float(step)}, step)
        tracker.save()
    assert [row["step"] for row in rows(tmp_path / "metrics.csv")] == ["0", "1"]


def test_csv_has_no_options() -> None:
    with pytest.raises(ValidationError, match="folder"):
        validate_options(CSVConfig, {"folder": "x"})


# wandb


class Run:
    """Stands for a run of wandb."""

    def __init__(self) -> None:
        self.finished = 0

    def finish(self) -> None:
        self.finished += 1


class FakeLogger:
    """Stands for Lightning's logger: keeps what it is given."""

    def __init__(self, **given: Any) -> None:
        self.given = given
        self.experiment = Run()
        self.ended: list[str] = []

    def finalize(self, status: str) -> None:
        assert not self.experiment.finished, "the run is finished last"
        self.ended.append(status)


@pytest.fixture
def logger(monkeypatch: pytest.MonkeyPatch) -> None:
    """wandb's logger without wandb."""
    fake: Any = types.ModuleType("lightning.pytorch.loggers")
    fake.WandbLogger = FakeLogger
    monkeypatch.setitem(sys.modules, "lightning.pytorch.loggers", fake)


@pytest.mark.usefixtures("logger")
def test_wandb_is_offline_unless_the_spec_says_otherwise(tmp_path: Path) -> None:
    made: Any = wandb(WandbConfig(), tmp_path, "study-operator")
    assert made.given == {
        "name": "study-operator",
        "save_dir": tmp_path,
        "project": "ups",
        "entity": None,
        "tags": [],
        "offline": True,
        "id": (tmp_path / WANDB_ID).read_text().strip(),
        "resume": "allow",
    }


@pytest.mark.parametrize("damage", [None, "", "../../x", "zz", b"\xff", "folder", "fifo"])
@pytest.mark.usefixtures("logger")
def test_a_resumed_training_continues_its_run(tmp_path: Path, damage: str | bytes | None) -> None:
    first: Any = wandb(WandbConfig(), tmp_path, "x")
    other: Any = wandb(WandbConfig(), tmp_path / "other", "x")
    assert first.given["id"] != other.given["id"]
    path = tmp_path / WANDB_ID
    if damage in ("folder", "fifo"):
        path.unlink()
        path.mkdir() if damage == "folder" else os.mkfifo(path)
    elif damage is not None:
        path.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    again: Any = wandb(WandbConfig(), tmp_path, "x")
    assert re.fullmatch("[0-9a-f]{8}", again.given["id"])
    assert (again.given["id"] == first.given["id"]) == (damage is None)
    third: Any = wandb(WandbConfig(), tmp_path, "x")
    assert third.given["id"] == again.given["id"]


@pytest.mark.usefixtures("logger")
def test_other_ranks_leave_the_id_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    wandb(WandbConfig(), tmp_path, "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("logger")
def test_every_option_reaches_wandb(tmp_path: Path) -> None:
    options = {"project": "p", "entity": "team", "tags": ["a", "b"], "mode": "online"}
    made: Any = wandb(validate_options(WandbConfig, options), tmp_path, "x")
    assert {key: made.given[key] for key in ("project", "entity", "tags")} == {
        key: options[key] for key in ("project", "entity", "tags")
    }
    assert made.given["offline"] is False


@pytest.mark.parametrize("status", ["success", "failed"])
@pytest.mark.usefixtures("logger")
def test_the_run_ends_with_the_training(tmp_path: Path, status: str) -> None:
    """Its directory is renamed afterwards: nothing may write there any more."""
    made: Any = wandb(WandbConfig(), tmp_path, "x")
    assert made.experiment.finished == 0
    made.finalize(status)
    assert made.ended == [status]
    assert made.experiment.finished == 1


def test_missing_wandb_names_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Missing(FakeLogger):
        def __init__(self, **given: Any) -> None:
            raise ModuleNotFoundError("No module named 'wandb'")

    fake: Any = types.ModuleType("lightning.pytorch.loggers")
    fake.WandbLogger = Missing
    monkeypatch.setitem(sys.modules, "lightning.pytorch.loggers", fake)
    with pytest.raises(UPSError) as raised:
        wandb(WandbConfig(), tmp_path, "x")
    assert str(raised.value) == "the tracker 'wandb' needs wandb: pip install 'ups-train[wandb]'"


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_the_installed_wandb_accepts_the_options(tmp_path: Path) -> None:
    made: Any = wandb(WandbConfig(tags=["t"]), tmp_path, "x")
    assert made._offline is True
    assert (made._project, made._name) == ("ups", "x")


@pytest.mark.parametrize("options", [{"mode": "disabled"}, {"tags": "a"}, {"project": 3}])
def test_wrong_options_of_wandb_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        validate_options(WandbConfig, options)


# Both


def test_trackers_are_registered() -> None:
    entries = {entry.name: entry for entry in registry_in_use().entries("trackers")}
    assert {"csv", "wandb"} <= set(entries)
    assert entries["csv"].load_config() is CSVConfig
    assert entries["wandb"].load_config() is WandbConfig


def test_a_registered_tracker_is_created_as_the_trainer_does(tmp_path: Path) -> None:
    entry = registry_in_use().get("trackers", "csv")
    tracker = entry.create(CSVConfig(), directory=tmp_path, name="study-operator")
    assert isinstance(tracker, CSVLogger)
    assert Path(tracker.log_dir) == tmp_path
