"""Verdicts: a gate that does not pass is a result of a complete run, with an exit code of its own."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_core import StepResult, Verdict
from ups_core.cli.main import main as ups
from ups_core.cli.run import main as ups_run
from ups_core.files import write_json
from ups_core.reading import read_json
from ups_core.step import FAILED_VERDICT
from ups_core.verdicts import negative_verdicts

GATE = "  - {evaluate: toy/gate, id: gate, limit: LIMIT}\n"


@pytest.fixture
def gated(spec_file: Path) -> Path:
    """The toy spec with a gate between training and scoring; the model's width is 5."""
    text = spec_file.read_text()
    before, score, after = text.partition("  - evaluate: toy/score\n")
    spec_file.write_text(before + GATE.replace("LIMIT", "4.0") + score + after)
    return spec_file


def record() -> dict[str, Any]:
    (path,) = Path("runs").glob("*/run.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_a_negative_verdict_ends_a_complete_run_with_code_3(
    gated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ups_run([str(gated)]) == FAILED_VERDICT == 3
    err = capsys.readouterr().err
    assert err.splitlines()[-1] == "step 'gate' did not pass: width 5, limit 4"
    assert "error" not in err
    content = record()
    assert content["status"] == "completed"
    steps = {step["id"]: step for step in content["steps"]}
    assert {step["status"] for step in steps.values()} == {"completed"}, "later steps run"
    assert steps["gate"]["verdict"] == {"passed": False, "reason": "width 5, limit 4", "stops": False}
    assert steps["gate"]["metrics"] == {"gate/width": 5.0}
    assert steps["train"]["verdict"] is None
    (stored,) = Path("runs").glob("*/steps/gate/step.json")
    assert json.loads(stored.read_text())["verdict"] == steps["gate"]["verdict"]


def test_a_positive_verdict_is_on_record_and_exits_with_0(
    gated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ups_run([str(gated), "--set", "pipeline.gate.limit=5.0"]) == 0
    assert "did not pass" not in capsys.readouterr().err
    (gate,) = [step for step in record()["steps"] if step["id"] == "gate"]
    assert gate["verdict"] == {"passed": True, "reason": "width 5, limit 5", "stops": False}


def test_again_the_code_is_the_same_and_nothing_runs(gated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ups_run([str(gated)])
    Path("data/executions.txt").unlink()
    capsys.readouterr()
    assert ups_run([str(gated)]) == 3
    assert capsys.readouterr().err.splitlines()[-1] == "step 'gate' did not pass: width 5, limit 4"
    assert not Path("data/executions.txt").exists()


def test_a_kept_gate_keeps_its_verdict(gated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ups_run([str(gated)])
    Path("data/executions.txt").unlink()
    assert ups_run([str(gated), "--set", "pipeline.score.baselines=[]"]) == 3
    assert "gate" not in Path("data/executions.txt").read_text().split()


def test_json_is_the_record_and_the_reason_goes_to_standard_error(
    gated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ups_run([str(gated), "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == "completed"
    assert err == "step 'gate' did not pass: width 5, limit 4\n"


def test_a_failed_step_is_another_matter(gated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ups_run([str(gated), "--set", "pipeline.train.fail=true"]) == 1
    assert "did not pass" not in capsys.readouterr().err


def test_a_plan_runs_nothing_and_judges_nothing(gated: Path) -> None:
    assert ups_run([str(gated), "--plan"]) == 0


def test_every_negative_verdict_is_printed(gated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gated.write_text(gated.read_text() + GATE.replace("id: gate", "id: second").replace("LIMIT", "3.0"))
    assert ups_run([str(gated)]) == 3
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "step 'gate' did not pass: width 5, limit 4",
        "step 'second' did not pass: width 5, limit 3",
    ]


def test_records_of_earlier_versions_have_no_verdicts() -> None:
    assert list(negative_verdicts({"steps": [{"id": "a"}, {"id": "b", "verdict": None}]})) == []


@pytest.mark.parametrize("command", [["ups-run"], ["ups", "run"]])
def test_help_names_the_code(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main = ups_run if command[0] == "ups-run" else ups
    with pytest.raises(SystemExit):
        main([*command[1:], "--help"])
    text = capsys.readouterr().out
    assert "  3            all steps are done, but the verdict of one is negative" in text


metrics = st.dictionaries(st.text(max_size=8), st.floats(), max_size=4)
verdicts = st.none() | st.builds(Verdict, st.booleans(), st.text(max_size=20))


@given(metrics, verdicts)
def test_a_result_survives_its_file(metrics: dict[str, float], verdict: Verdict | None) -> None:
    path = Path("result.json")
    write_json(path, StepResult(metrics, verdict).to_dict())
    read = StepResult.from_dict(read_json(path))
    assert read.verdict == verdict
    assert list(read.metrics) == list(metrics)
    for key, value in metrics.items():
        same = read.metrics[key] == value if math.isfinite(value) else math.isnan(read.metrics[key])
        assert same, "JSON has no number that is not finite"


def test_a_verdict_that_stops_ends_the_run_but_not_its_reports(
    gated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps that report on all earlier ones run: a report is wanted most of all where something failed."""
    gated.write_text(gated.read_text().replace("limit: 4.0", "limit: 4.0, stops: true"))
    for again in (False, True):
        assert ups_run([str(gated)]) == 3
        err = capsys.readouterr().err
        assert "step score is not run: 'gate' did not pass" in err
        assert err.splitlines()[-1] == "step 'gate' did not pass: width 5, limit 4"
        content = record()
        assert content["status"] == "stopped"
        statuses = {step["id"]: step["status"] for step in content["steps"]}
        done = {"train": "completed", "gate": "completed", "page": "completed"}
        assert statuses == done | {"toy-other": "pending", "score": "pending"}, again
    executions = Path("data/executions.txt").read_text().split()
    assert (executions.count("train"), executions.count("gate")) == (1, 1), "nothing is judged twice"
    assert ups_run([str(gated), "--set", "pipeline.gate.limit=5.0"]) == 0
    runs = sorted(json.loads(path.read_text())["status"] for path in Path("runs").glob("*/run.json"))
    assert runs == ["completed", "stopped"]


def test_steps_named_by_hand_do_not_pass_a_gate_either(
    gated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gated.write_text(gated.read_text().replace("limit: 4.0", "limit: 4.0, stops: true"))
    ups_run([str(gated)])
    assert ups_run([str(gated), "--from", "toy-other"]) == 3
    assert "step toy-other is not run" in capsys.readouterr().err
