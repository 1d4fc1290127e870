"""Experiment trackers: what they write of a real run, complete or resumed, read back with their own formats."""

from __future__ import annotations

import csv as table
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from commands import command
from ups_core import TrackedRun, TrackedStep, UPSError, validate_options
from ups_core.plugin_loader import registry_in_use
from ups_train.trackers.config import CSVConfig, MLflowConfig, TensorBoardConfig, WandbConfig
from ups_train.trackers.csv_file import CSVTracker
from ups_train.trackers.lightning_logger import LightningTracker

PLUGIN = '''\
"""Leaves a gate table and a figure, as a gate would; stops the run in the steps that a file names."""

import json
import os
from pathlib import Path

from lightning.pytorch.callbacks import Callback

from ups_core import CallbackConfig, EvaluationConfig, StepResult, hookimpl
from ups_core.sealed import write_sealed


class Judge:
    def __init__(self, config):
        self.config = config

    def run(self, context):
        criterion = {"label": "nRMSE of wave", "value": 0.5, "low": 0.4, "high": 0.6, "bound": "<= 1",
                     "passed": True, "reason": "0.5 is below 1"}
        write_sealed(context.directory / "gates.json", {"passed": True, "criteria": [criterion]})
        from PIL import Image
        Image.new("RGB", (4, 3), (255, 0, 0)).save(context.directory / "curve.png")
        (context.directory / "curve.svg").write_text("<svg/>")
        return StepResult({"wave/nrmse": 0.5})


class Stop(Callback):
    def __init__(self, config):
        pass

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        path = Path("signals.json")
        signals = json.loads(path.read_text())
        if signals and trainer.global_step == signals[0][0]:
            path.write_text(json.dumps(signals[1:]))
            os.kill(os.getpid(), signals[0][1])


@hookimpl
def ups_register_evaluations(register):
    register("look/judge", Judge, config=EvaluationConfig, summary="judges")


@hookimpl
def ups_register_callbacks(register):
    register("look/stop", Stop, config=CallbackConfig, summary="stops")
'''
SPEC: dict[str, Any] = {
    "version": 1,
    "name": "tracked",
    "tasks": {"wave": {"kind": "advection1d", "trajectories": 12, "resolution": 32, "frames": 4}},
    "model": {"kind": "fno", "width": 8},
    "trainer": {"accelerator": "cpu", "threads": 1},
    "trackers": ["csv"],
    "pipeline": [
        {
            "stage": "operator",
            "max_steps": 12,
            "validate_every": 2,
            "batch_size": 4,
            "callbacks": ["look/stop"],
        },
        {"evaluate": "rollout", "id": "test", "save_predictions": 2},
        {"evaluate": "report", "animate": False},
        {"evaluate": "look/judge", "id": "gate"},  # after the report, which reads those of real gates
    ],
}
PACKAGES = {"wandb": "wandb", "tensorboard": "tensorboard", "mlflow": "mlflow"}
"""Tracker -> the package that it needs."""
STEPS = [2, 4, 6, 8, 10, 12]


def installed() -> list[str]:
    """The trackers whose packages are here."""
    from importlib.util import find_spec

    return ["csv", *(name for name, package in PACKAGES.items() if find_spec(package))]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all trackers that was killed, then stopped in its training, resumed, and repeated when done."""
    folder = tmp_path_factory.mktemp("tracked")
    site = folder / "site" / "look-1.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: look\nVersion: 1.0\n")
    (site / "entry_points.txt").write_text("[ups]\nlook = look_plugin\n")
    (site.parent / "look_plugin.py").write_text(PLUGIN)
    (folder / "spec.yaml").write_text(yaml.safe_dump(SPEC | {"trackers": installed()}, sort_keys=False))
    (folder / "signals.json").write_text(json.dumps([[5, signal.SIGKILL], [9, signal.SIGINT]]))
    environment = {"PYTHONPATH": os.pathsep.join([str(site.parent), os.environ.get("PYTHONPATH", "")])}
    # Staged artifacts and logs of wandb go to these.
    environment |= {f"WANDB_{name}_DIR": str(folder / "wandb") for name in ("CACHE", "CONFIG", "DATA")}
    killed = command("ups-run", "spec.yaml", cwd=folder, code=-signal.SIGKILL, **environment)
    command("ups-run", "spec.yaml", cwd=folder, code=130, **environment)
    resumed = command("ups-run", "spec.yaml", cwd=folder, **environment)
    again = command("ups-run", "spec.yaml", cwd=folder, **environment)
    for said in (killed, resumed, again):  # a busy machine may be too slow for one that is stopped
        assert "tracker" not in said.stderr + said.stdout, said.stderr
    assert "nothing to do" in again.stderr
    left = {path.name for path in folder.iterdir()}
    assert left <= {"data", "runs", "signals.json", "site", "spec.yaml", "wandb"}, (
        "nothing else in the current directory"
    )
    (directory,) = (folder / "runs").glob("tracked-*")
    return directory


def lines(run: Path) -> list[dict[str, float]]:
    text = (run / "steps" / "operator" / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def metrics(run: Path) -> dict[str, float]:
    content: dict[str, float] = json.loads((run / "run.json").read_text())["metrics"]
    return content


def curve(run: Path) -> list[tuple[int, float]]:
    """The validation errors as the training wrote them."""
    return [(int(line["step"]), line["val/nrmse"]) for line in lines(run)]


def test_csv_has_the_lines_of_the_training(run: Path) -> None:
    with (run / "steps" / "operator" / "metrics.csv").open(newline="") as file:
        rows = list(table.DictReader(file))
    assert [int(row["step"]) for row in rows] == STEPS
    assert [(int(row["step"]), float(row["val/nrmse"])) for row in rows] == curve(run)
    assert not list((run / "steps" / "test").glob("*.csv"))


def test_wandb_has_one_run_of_everything(run: Path) -> None:
    pytest.importorskip("wandb")
    from tracker_readers import read_wandb

    found = read_wandb(run)
    assert len(set(found.ids)) == 1, "all processes wrote to one run"
    assert found.exits[-1] == 0
    assert found.config["model"]["kind"] == "fno"
    assert found.axes == {"operator/*": "operator/step"}
    assert found.curve("operator/val/nrmse") == curve(run)
    rows = [row["_step"] for row in found.history]
    assert rows == sorted(set(rows)), "rows of a process follow those of the one before"
    for key, value in metrics(run).items():
        assert found.summary[key] == pytest.approx(value), key
    gates = next(row for row in found.history if any(key.startswith("gate/gates") for key in row))
    assert gates["gate/wave/nrmse"] == 0.5
    (file,) = run.glob("trackers/wandb/wandb/offline-*/files/media/table/gate/gates*.json")
    content = json.loads(file.read_text())
    assert content["columns"][:2] == ["label", "value"]
    assert content["data"] == [["nRMSE of wave", "0.5", "0.4", "0.6", "<= 1", "True", "0.5 is below 1"]]
    ours = {name: files for name, files in found.artifacts.items() if name.startswith(run.name)}
    assert ours == {
        f"{run.name}-operator": ["config.json", "weights.safetensors"],
        f"{run.name}-gate-files": ["curve.png", "curve.svg"],
        f"{run.name}-report-files": ["index.html"],
    }


def test_tensorboard_has_one_directory_of_everything(run: Path) -> None:
    pytest.importorskip("tensorboard")
    from tracker_readers import read_tensorboard

    found = read_tensorboard(run)
    points = [(event.step, event.value) for event in found.Scalars("operator/val/nrmse")]
    assert points == [(step, pytest.approx(value)) for step, value in curve(run)]
    for key, value in metrics(run).items():
        if key not in ("operator/val/nrmse", "operator/val/wave/nrmse"):
            assert [event.value for event in found.Scalars(key)] == [pytest.approx(value)], key
    assert [(image.width, image.height) for image in found.Images("gate/curve")] == [(4, 3)]
    texts = {
        tag.removesuffix("/text_summary"): b"".join(found.Tensors(tag)[0].tensor_proto.string_val).decode()
        for tag in found.Tags()["tensors"]
    }
    assert yaml.safe_load(texts["spec"].removeprefix("```yaml\n").removesuffix("```"))["name"] == "tracked"
    assert "| nRMSE of wave | 0.5 | 0.4 | 0.6 | <= 1 | True | 0.5 is below 1 |" in texts["gate/gates"]
    assert texts["operator/files"] == "- steps/operator/model"
    assert len(found.Tensors("spec/text_summary")) == 1, "sent once"


@pytest.mark.slow
def test_mlflow_has_one_run_of_everything(run: Path) -> None:
    pytest.importorskip("mlflow")
    from tracker_readers import read_mlflow

    database = run.parent / "mlflow" / "mlflow.db"
    ((number, name, status, place),) = read_mlflow(
        database, "select run_uuid, name, status, artifact_uri from runs"
    )
    assert (name, status) == (run.name, "FINISHED")
    question = "select step, value from metrics where key = ? order by step"
    assert read_mlflow(database, question, "operator/val/nrmse") == curve(run)
    for key, value in metrics(run).items():
        if key not in ("operator/val/nrmse", "operator/val/wave/nrmse"):
            assert read_mlflow(database, question, key) == [(0, value)], key
    options = dict(read_mlflow(database, "select key, value from params where run_uuid = ?", number))
    assert (options["model/kind"], options["pipeline/0/max_steps"]) == ("fno", "12")
    artifacts = Path(place.removeprefix("file://"))
    assert sorted(str(path.relative_to(artifacts)) for path in artifacts.rglob("*") if path.is_file()) == [
        "gate/curve.png",
        "gate/curve.svg",
        "gate/gates.json",
        "operator/model/config.json",
        "operator/model/weights.safetensors",
        "report/index.html",
        "spec.yaml",
    ]
    assert json.loads((artifacts / "gate" / "gates.json").read_text())["data"][0][0] == "nRMSE of wave"


def test_wandb_without_a_network_stops_nothing(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    spec = SPEC | {"trackers": [{"kind": "wandb", "mode": "online"}]}
    spec["pipeline"] = [{"stage": "operator", "max_steps": 2, "validate_every": 2, "batch_size": 4}]
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    environment = {f"WANDB_{name}_DIR": str(tmp_path / "wandb") for name in ("CACHE", "CONFIG", "DATA")}
    environment |= {
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "WANDB_API_KEY": "0" * 40,
        "WANDB_INIT_TIMEOUT": "2",
    }
    said = command("ups-run", "spec.yaml", cwd=tmp_path, **environment).stderr
    assert len(re.findall("^tracker wandb: .*; the run continues without it$", said, re.M)) == 1, said
    (record,) = tmp_path.glob("runs/*/run.json")
    assert json.loads(record.read_text())["status"] == "completed"


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_names_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [
        module for module in sys.modules if module.startswith(("torch.utils.tensorboard", "mlflow"))
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    entry = registry_in_use().get("trackers", name)
    with pytest.raises(UPSError) as raised:
        entry.create(entry.load_config()())
    expected = f"the tracker '{name}' needs {PACKAGES[name]}: pip install 'ups-train[{name}]'"
    assert str(raised.value) == expected


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (WandbConfig, {"mode": "disabled"}),
        (WandbConfig, {"tags": "a"}),
        (WandbConfig, {"project": 3}),
        (CSVConfig, {"folder": "x"}),
        (TensorBoardConfig, {"folder": "x"}),
        (MLflowConfig, {"tags": {"a": 1}}),
        (MLflowConfig, {"uri": 3}),
    ],
)
def test_wrong_options_are_refused(config: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        validate_options(config, options)


def tracked(folder: Path) -> TrackedRun:
    return TrackedRun("01234567", "study", folder, folder / "own", {"seed": 1}, 0)


def test_csv_has_a_row_per_line_also_where_columns_come_later(tmp_path: Path) -> None:
    folder = tmp_path / "steps" / ".a.partial"
    folder.mkdir(parents=True)
    tracker = CSVTracker(CSVConfig())
    tracker.start(tracked(tmp_path))
    for step, values in enumerate([{"a/x": 1.0}, {"a/x": 2.0, "a/y": 3.0}, {"a/y": 4.0}]):
        tracker.log_metrics("a", values, step)
    assert (folder / "metrics.csv").read_text() == "step,x,y\n0,1.0,\n1,2.0,3.0\n2,,4.0\n"
    tracker.log_metrics("a", {"a/x": 5.0}, 1)
    assert (folder / "metrics.csv").read_text() == "step,x,y\n0,1.0,\n1,5.0,\n"


@pytest.mark.parametrize("damage", ["", "a,b\n1", "step\nx\n"])
def test_csv_continues_after_what_was_damaged(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "steps" / ".a.partial"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(damage)
    tracker = CSVTracker(CSVConfig())
    tracker.start(tracked(tmp_path))
    tracker.log_metrics("a", {"a/x": 1.0}, 3)
    assert (folder / "metrics.csv").read_text() == "step,x\n3,1.0\n"


def test_csv_leaves_finished_steps_alone(tmp_path: Path) -> None:
    tracker = CSVTracker(CSVConfig())
    tracker.start(tracked(tmp_path))
    tracker.log_metrics("a", {"a/x": 1.0}, 3)
    assert not list(tmp_path.iterdir())


def test_a_logger_of_lightning_gets_everything(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger

    tracker = LightningTracker(lambda folder, name: CSVLogger(folder, name=name, version=""))
    tracker.start(tracked(tmp_path))
    tracker.log_metrics("a", {"a/x": 1.0}, 3)
    tracker.log_step(TrackedStep("a", "stage: a", tmp_path, {"a/z": 2.0}, {"a/z": 2.0}, (), None, ()))
    tracker.finish("completed")
    (file,) = tmp_path.rglob("metrics.csv")
    assert file.is_relative_to(tmp_path / "own")
    assert "1.0" in file.read_text()
    assert "2.0" in file.read_text()
    (options,) = tmp_path.rglob("hparams.yaml")
    assert yaml.safe_load(options.read_text()) == {"seed": 1}


@pytest.mark.slow  # MLflow takes half a minute to make its tables
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's use of SQLAlchemy
def test_mlflow_writes_where_it_is_told_and_finds_its_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    from tracker_readers import read_mlflow
    from ups_train.trackers.mlflow_run import MLflowTracker

    here, database = tmp_path / "here", tmp_path / "elsewhere.db"
    here.mkdir()
    (tmp_path / "runs" / "study").mkdir(parents=True)
    monkeypatch.chdir(here)
    config = MLflowConfig(uri=f"sqlite:///{database}", experiment="mine", tags={"team": "a"})
    for status in ("interrupted", "completed"):
        tracker = MLflowTracker(config)
        tracker.start(tracked(tmp_path / "runs" / "study"))
        tracker.finish(status)
    assert read_mlflow(database, "select name, status from runs") == [("study", "FINISHED")]
    assert not list(here.iterdir()), "nothing in the current directory"
    assert not (tmp_path / "runs" / "mlflow" / "mlflow.db").exists()
    assert len(list((tmp_path / "runs" / "mlflow").rglob("spec.yaml"))) == 1
    assert ("team", "a") in read_mlflow(database, "select key, value from tags")
