"""The record of a run: what ran, on which data, with which numbers, and how to get it again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from finished import finish
from ups_core import environment
from ups_core.cli.run import main as ups_run
from ups_core.compose import read_spec
from ups_core.files import write_json
from ups_core.layout import step_directory
from ups_core.plan import Plan
from ups_core.reading import read_json
from ups_core.record import DETAILS, RunRecord, now, recorded_options, resolved_yaml, write_spec

MakePlan = Callable[..., Plan]


def written(plan: Plan) -> dict[str, Any]:
    content: dict[str, Any] = read_json(plan.directory / "run.json")
    return content


@pytest.fixture
def plan(make: MakePlan) -> Plan:
    plan = make()
    plan.directory.mkdir(parents=True)
    return plan


def test_a_new_record_says_what_runs_and_with_what(plan: Plan) -> None:
    RunRecord(plan, ["ups-run", "toy.yaml"]).save("running")
    content = written(plan)
    assert content["schema"] == 1
    assert content["name"] == "toy"
    assert content["fingerprint"] == plan.fingerprint
    assert content["status"] == "running"
    assert content["finished"] is None
    assert content["command"] == ["ups-run", "toy.yaml"]
    assert [(step["id"], step["uses"], step["status"]) for step in content["steps"]] == [
        ("train", "stage: toy/train", "pending"),
        ("toy-other", "stage: toy/train", "pending"),
        ("score", "evaluate: toy/score", "pending"),
        ("page", "evaluate: toy/page", "pending"),
    ]
    assert content["metrics"] == {}


def test_metrics_of_complete_steps_are_gathered_in_order(plan: Plan) -> None:
    finish(plan, "score", metrics={"score/a": 1.0}, verdict={"passed": True, "reason": "fine"})
    finish(plan, "train", metrics={"train/loss": 0.5})
    write_json(step_directory(plan.directory, "train") / DETAILS, {"device": "cpu"})
    RunRecord(plan, []).save("completed")
    content = written(plan)
    assert list(content["metrics"].items()) == [("train/loss", 0.5), ("score/a", 1.0)]
    steps = {step["id"]: step for step in content["steps"]}
    assert steps["train"]["details"] == {"device": "cpu"}
    assert steps["train"]["seconds"] == 1.5
    assert steps["score"]["verdict"] == {"passed": True, "reason": "fine", "stops": False}
    assert content["finished"] >= content["started"]


def test_a_step_of_another_fingerprint_is_pending(plan: Plan) -> None:
    finish(plan, "train", fingerprint="of other options", metrics={"train/loss": 0.5})
    RunRecord(plan, []).save("failed")
    (train, *_) = written(plan)["steps"]
    assert (train["status"], train["metrics"], train["details"]) == ("pending", {}, {})


@pytest.mark.parametrize("status", ["running", "failed", "interrupted"])
def test_what_is_not_on_disk_yet_counts(status: str, plan: Plan) -> None:
    """A step that runs again has a finished directory until it is replaced."""
    finish(plan, "train", metrics={"train/loss": 0.5})
    record = RunRecord(plan, [])
    record.statuses = {"train": status}
    record.save("running")
    (train, *_) = written(plan)["steps"]
    assert (train["status"], train["metrics"]) == (status, {})
    assert written(plan)["metrics"] == {}


def test_data_of_an_earlier_attempt_are_kept(plan: Plan) -> None:
    first = RunRecord(plan, [])
    first.content["data"]["a"] = {"source": "generated"}
    first.save("interrupted")
    second = RunRecord(plan, [])
    second.save("running")
    assert written(plan)["data"] == {"a": {"source": "generated"}}


def test_events_are_appended_with_their_time(plan: Plan) -> None:
    record = RunRecord(plan, [])
    record.event("run_started", todo=["train"])
    RunRecord(plan, []).event("run_started", todo=[])
    events = [json.loads(line) for line in (plan.directory / "events.jsonl").read_text().splitlines()]
    assert [event["todo"] for event in events] == [["train"], []]
    assert all(datetime.fromisoformat(event["time"]).utcoffset() is not None for event in events)
    assert now().endswith("+00:00")


# The resolved spec


def test_a_resolved_spec_reads_back_as_the_same_spec(plan: Plan, make: MakePlan) -> None:
    write_spec(plan)
    data = read_spec(plan.directory / "spec.yaml").data
    assert data == plan.spec.model_dump(mode="json")
    assert data["model"]["depth"] == 2, "defaults are written out"
    assert data["pipeline"][0]["saving"] == {"keep": 2, "every": 0.5}


def test_text_that_reads_as_something_else_is_quoted(make: MakePlan, spec_file: Path) -> None:
    spec_file.write_text(spec_file.read_text().replace("name: toy", "name: '1e3'"))
    text = resolved_yaml(make())
    assert "name: '1e3'\n" in text
    assert yaml.safe_load(text)["name"] == "1e3"


@pytest.mark.parametrize("where", ["model.width", "pipeline.train.label", "tasks.a.cells", "seed"])
def test_references_to_the_environment_stay_references(
    where: str, make: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "7")
    text = resolved_yaml(make(f"{where}=${{env:SECRET}}"))
    assert text.count("${env:SECRET}") == 1
    key = where.rpartition(".")[2]
    assert f"{key}: ${{env:SECRET}}" in text


def test_a_reference_inside_text_stays_too(make: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    plan = make("name=run-${env:SECRET}")
    assert plan.spec.name == "run-hunter2"
    assert "name: run-${env:SECRET}\n" in resolved_yaml(plan)


def test_options_of_baselines_show_the_references_that_they_were_copied_from(
    make: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "7")
    plan = make(
        "pipeline.train.label=${env:SECRET}", "pipeline.train.id=${env:SECRET}x", "pipeline.score.needs=[]"
    )
    train, other, score, _ = plan.steps
    assert recorded_options(plan, train)["label"] == "${env:SECRET}"
    assert recorded_options(plan, other)["label"] == "${env:SECRET}"
    assert recorded_options(plan, score)["baselines"] == ["toy/constant", "toy/other"]


def test_a_baseline_without_the_option_has_no_reference(
    spec_file: Path, make: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "3")
    plan = make(
        "pipeline.train.model={kind: toy/net, width: '${env:SECRET}'}",
        "pipeline.score.baselines=[toy/constant, toy/other]",
    )
    other = plan.step("toy-other")
    assert recorded_options(plan, other)["model"]["kind"] == "toy/other"


# The environment


def test_versions_and_machine_are_recorded() -> None:
    found = environment.environment()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"ups-core", "pydantic", "pluggy"} <= set(found["packages"])
    assert list(found["packages"]) == sorted(found["packages"])
    assert found["devices"]["cores"] >= 1
    json.dumps(found)


def test_environment_variables_are_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "hunter2-hunter2")
    assert "hunter2" not in json.dumps(environment.environment())


def test_gpus_are_named_where_torch_is_loaded_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert "gpu" not in environment.devices()
    assert "torch" not in sys.modules, "looking does not load it"
    cuda = SimpleNamespace(
        is_available=lambda: True, device_count=lambda: 2, get_device_name=lambda index: f"GPU {index}"
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))  # type: ignore[arg-type]
    assert environment.devices()["gpu"] == ["GPU 0", "GPU 1"]


def test_what_a_run_records_survives_a_change_of_machine(spec_file: Path) -> None:
    """The resolved spec in the run directory plans the same run, wherever it lies."""
    assert ups_run([str(spec_file)]) == 0
    (directory,) = Path("runs").iterdir()
    content = read_json(directory / "run.json")
    assert ups_run([str(directory / "spec.yaml"), "--runs-dir", str(directory.parent)]) == 0
    assert read_json(directory / "run.json") == content
