"""`ups tune`: what is on record, and that nothing is done twice."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from commands import BIN, command
from finished import finish_step
from small_study import LOSS, LR, SPEC, study, tune
from ups_core.cli.main import main
from ups_core.lock import locked
from ups_core.plan import Plan
from ups_core.record import write_spec
from ups_core.study import loop
from ups_core.study.space import Range
from ups_core.study.trial import TrialFailed

# What is on record


class FakeRuns:
    """Stands in for training: a run's value is a function of its learning rate, known after no time."""

    def __init__(self, value: Callable[[float], float]) -> None:
        self.value = value
        self.rates: list[float] = []
        self.fingerprint = ""

    def __call__(self, plan: Plan, log: Path) -> None:
        rate = plan.steps[0].spec.config.optimizer.config.lr  # type: ignore[attr-defined]
        self.rates.append(rate)
        value = self.value(rate)
        for number, step in enumerate(plan.steps):
            metrics = {f"{step.id}/a/width" if number else LOSS: value}
            finish_step(plan.directory, step.id, self.fingerprint or step.fingerprint, metrics=metrics)
        write_spec(plan)


@pytest.fixture
def runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRuns:
    """Best at a rate of 0.003."""
    fake = FakeRuns(lambda rate: 0.1 + abs(math.log10(rate / 3e-3)))
    monkeypatch.setattr(loop, "run_trial", fake)
    return fake


RANDOM = "--param", "optimizer.lr=1e-4:1e-1:log", "--method", "random"


def test_a_study_and_its_output(runs: FakeRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(*RANDOM, "--trials", "6", "--set", "model.width=16") == 0
    content = study()
    out, err = capsys.readouterr()
    assert f"optimizer.lr means {LR}" in err
    assert "trial 6 of 6: " in err
    assert [trial["number"] for trial in content["trials"]] == [1, 2, 3, 4, 5, 6]
    assert {trial["status"] for trial in content["trials"]} == {"completed"}
    assert [trial["parameters"][LR] for trial in content["trials"]] == runs.rates
    assert content["best"]["value"] == min(trial["value"] for trial in content["trials"])
    assert Path(content["best"]["directory"]).parent.parent == next(Path("runs").iterdir())
    assert (content["metric"], content["method"], content["seed"]) == (LOSS, "random", 0)
    values = [float(line.split()[2]) for line in out.splitlines()[1:7]]
    assert values == sorted(values)
    best = repr(content["best"]["parameters"][LR])
    use = out.splitlines()[-1].removeprefix("use the best: ")
    assert use == f"ups-run tiny.yaml --set model.width=16 --set {LR}={best}"
    assert main(["validate", *shlex.split(use)[1:]]) == 0


def test_the_same_command_runs_nothing_and_more_trials_add(
    runs: FakeRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    tune(*RANDOM, "--trials", "3")
    before, times = study(), {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*.json")}
    assert tune(*RANDOM, "--trials", "3") == 0
    assert len(runs.rates) == 3
    assert "nothing to do: 3 trials have ended" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*.json")} == times
    assert tune(*RANDOM, "--trials", "5") == 0
    assert len(runs.rates) == 5
    assert study()["trials"][:3] == before["trials"]
    assert tune(*RANDOM, "--trials", "2") == 0
    assert len(study()["trials"]) == 5, "fewer take nothing away"


def test_other_questions_are_other_studies(runs: FakeRuns) -> None:
    def studies() -> int:
        return len(list(Path("runs").iterdir()))

    for count, more in enumerate(
        ([], ["--seed", "1"], ["--set", "seed=5"], ["--set", "model.width=16"]), start=1
    ):
        assert tune(*RANDOM, "--trials", "1", *more) == 0
        assert studies() == count
    assert tune(*RANDOM, "--trials", "1", "--set", "pipeline.test.split=val") == 0
    assert studies() == 4, "evaluations are no part of the question"
    assert tune(*RANDOM, "--trials", "1", "--fresh") == 0
    assert studies() == 5


def test_options_of_a_component_at_its_default_are_searched(
    runs: FakeRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("tiny.yaml").write_text(SPEC.replace("    optimizer: {kind: toy/sgd, lr: 1e-3}\n", ""))
    assert tune(*RANDOM, "--trials", "1") == 0
    out = capsys.readouterr().out
    (trial,) = study()["trials"]
    resolved = yaml.safe_load((Path(trial["directory"]) / "spec.yaml").read_text())
    optimizer = resolved["pipeline"][0]["optimizer"]
    assert optimizer["kind"] == "toy/sgd"
    assert f"use the best: ups-run tiny.yaml --set {LR}={optimizer['lr']}" in out
    assert tune(*RANDOM, "--param", "optimizer.kind=toy/sgd,toy/adam", "--trials", "4") == 0


def test_an_evaluation_on_the_validation_split_may_be_the_objective(runs: FakeRuns) -> None:
    assert tune(*RANDOM, "--trials", "1", "--metric", "check/a/width") == 0
    (trial,) = study()["trials"]
    text = (Path(trial["directory"]) / "spec.yaml").read_text()
    assert "evaluate: toy/score" in text
    assert "id: check" in text
    assert "id: test" not in text


def test_trials_have_all_stages_and_no_evaluation(runs: FakeRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECOND", "again")
    later = "  - stage: toy/train\n    id: ${env:SECOND}\n    epochs: 3\n"
    Path("tiny.yaml").write_text(SPEC + later)
    assert tune(*RANDOM, "--trials", "1", "--metric", LOSS) == 0
    (trial,) = study()["trials"]
    text = (Path(trial["directory"]) / "spec.yaml").read_text()
    assert text.count("stage: toy/train") == 2
    assert "evaluate:" not in text
    assert "id: ${env:SECOND}\n" in text, "records show the reference"
    assert tune("--param", "optimizer.lr=1:2", "--metric", "again/test/x") == 2


def test_a_failing_trial_is_recorded_and_the_study_continues(
    runs: FakeRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    def value(rate: float) -> float:
        if rate == 1.0:
            raise TrialFailed("step 'operator' failed: the loss is nan; lower optimizer.lr")
        return math.inf if rate == 0.1 else rate

    runs.value = value
    arguments = "--param", "optimizer.lr=1.0,0.1,0.001"
    assert tune(*arguments) == 0
    trials = {trial["parameters"][LR]: trial for trial in study()["trials"]}
    assert [trials[rate]["status"] for rate in (1.0, 0.1, 0.001)] == ["failed", "failed", "completed"]
    assert trials[1.0]["message"] == "step 'operator' failed: the loss is nan; lower optimizer.lr"
    assert trials[0.1]["message"] == "operator/val/loss is not finite: the rollout diverged"
    assert study()["best"]["value"] == 0.001
    table = capsys.readouterr().out.splitlines()
    assert table[1].split()[2] == "0.001"
    assert "failed" in table[2]
    assert tune(*arguments) == 0
    assert len(runs.rates) == 3, "what failed is not tried again"
    runs.value = lambda rate: rate
    assert tune(*arguments, "--retry-failed") == 0
    assert sorted(runs.rates) == [0.001, 0.1, 1.0, 1.0], "but on request, where it did not end"


def test_values_that_make_no_plan_fail_without_a_process(
    runs: FakeRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "--param", "span=1,80", "--param", "optimizer.lr=0.001,0.002"
    assert tune(*arguments) == 0
    failed = [trial for trial in study()["trials"] if trial["status"] == "failed"]
    assert len(failed) == 2
    assert "80 cells are more than the 64 of task 'a'" in failed[0]["message"]
    assert tune(*arguments) == 0
    assert "nothing to do: 4 trials have ended" in capsys.readouterr().err
    assert len(runs.rates) == 2


def test_when_all_fail_the_command_fails(runs: FakeRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune("--param", "span=70,80") == 1
    assert "error: all 2 trials failed; the first: " in capsys.readouterr().err
    assert study()["best"] is None


def test_an_interrupted_trial_comes_first_next_time(runs: FakeRuns) -> None:
    usual = runs.value

    def stop(rate: float) -> float:
        if len(runs.rates) == 2:
            raise KeyboardInterrupt
        return usual(rate)

    runs.value = stop
    assert tune(*RANDOM, "--trials", "3") == 130
    assert [trial["status"] for trial in study()["trials"]] == ["completed", "interrupted"]
    runs.value = usual
    assert tune(*RANDOM, "--trials", "3") == 0
    assert len(runs.rates) == 4
    assert runs.rates[2] == runs.rates[1]
    every = {trial["number"]: trial["parameters"] for trial in study()["trials"]}
    assert [every[number][LR] for number in (1, 2, 3)] == [runs.rates[0], *runs.rates[2:]]


def test_a_lost_run_directory_or_other_data_make_a_trial_run_again(runs: FakeRuns) -> None:
    tune(*RANDOM, "--trials", "2")
    (step,) = Path(study()["trials"][0]["directory"]).glob("steps/operator/step.json")
    shutil.rmtree(step.parent)
    assert tune(*RANDOM, "--trials", "2") == 0
    assert runs.rates == [*runs.rates[:2], runs.rates[0]]


def test_code_that_changes_meanwhile_ends_the_study_and_fails_no_trial(
    runs: FakeRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    usual, runs.fingerprint = runs.fingerprint, "of other code"
    assert tune(*RANDOM, "--trials", "3") == 1
    assert (
        "code or data changed while the trial ran; rerun the same command to continue"
        in capsys.readouterr().err
    )
    assert [trial["status"] for trial in study()["trials"]] == ["interrupted"]
    runs.fingerprint = usual
    assert tune(*RANDOM, "--trials", "3") == 0
    assert {trial["status"] for trial in study()["trials"]} == {"completed"}


def test_equal_values_train_once(runs: FakeRuns) -> None:
    assert tune("--param", "optimizer.lr=0.001,0.002", "--method", "random", "--trials", "8") == 0
    assert sorted(runs.rates) == [0.001, 0.002]
    assert len(study()["trials"]) == 8


def test_equal_values_fail_once(runs: FakeRuns) -> None:
    def value(rate: float) -> float:
        if rate == 0.002:
            raise TrialFailed("the loss is nan")
        return rate

    runs.value = value
    arguments = "--param", "optimizer.lr=0.001,0.002", "--method", "random", "--trials", "8"
    assert tune(*arguments) == 0
    assert sorted(runs.rates) == [0.001, 0.002]
    failed = [trial for trial in study()["trials"] if trial["status"] == "failed"]
    assert len(failed) > 1
    assert {trial["message"] for trial in failed} == {"the loss is nan"}


def test_a_metric_that_no_run_has_ends_the_study(runs: FakeRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(*RANDOM, "--trials", "3", "--metric", "operator/val/lsos") == 1
    assert "has no metric 'operator/val/lsos'; metrics: operator/val/loss\n" in capsys.readouterr().err
    assert len(runs.rates) == 1


def test_a_study_in_use_is_refused(runs: FakeRuns, capsys: pytest.CaptureFixture[str]) -> None:
    tune(*RANDOM, "--trials", "1")
    with locked(next(Path("runs").iterdir())):
        assert tune(*RANDOM, "--trials", "2") == 1
    assert f"is in use by process {os.getpid()} on" in capsys.readouterr().err
    assert len(runs.rates) == 1


@pytest.mark.parametrize(("rate", "edge"), [(1.1e-4, "lower"), (3e-3, None), (0.099, "upper")])
def test_a_best_value_at_an_edge_is_reported(
    rate: float,
    edge: str | None,
    runs: FakeRuns,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Range, "sample", lambda self, u: rate)
    assert tune(*RANDOM, "--trials", "1") == 0
    line = f"the best {LR}, {rate:.4g}, is at the {edge} edge of 0.0001:0.1:log; widen the range"
    assert (line in capsys.readouterr().out) == (edge is not None)
    assert study()["best"]["edges"] == ([line] if edge else [])


def test_json_is_the_study(runs: FakeRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(*RANDOM, "--trials", "2", "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == study()
    assert err == ""
    assert tune("--param", "span=70,80", "--json") == 1
    assert json.loads(capsys.readouterr().out)["best"] is None


# Real runs


def test_three_trials_for_real(folder: Path) -> None:
    arguments = "tune", "tiny.yaml", "--param", "optimizer.lr=1e-3,4e-3,1e30"
    result = command("ups", *arguments, cwd=folder)
    content = study()
    trials = {trial["parameters"][LR]: trial for trial in content["trials"]}
    assert [trials[rate]["status"] for rate in (1e-3, 4e-3, 1e30)] == ["completed", "completed", "failed"]
    assert "step 'operator' failed: the loss is nan" in trials[1e30]["message"]
    assert result.stdout.splitlines()[-1].startswith(f"use the best: ups-run tiny.yaml --set {LR}=")
    for rate in (1e-3, 4e-3):
        run = Path(trials[rate]["directory"])
        record = json.loads((run / "run.json").read_text())
        assert [step["id"] for step in record["steps"]] == ["operator"], "no evaluation, no test data"
        assert record["metrics"][LOSS] == trials[rate]["value"] > 0
        assert (run / "steps/operator/model.json").is_file()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}
    assert "nothing to do: 3 trials have ended" in command("ups", *arguments, cwd=folder).stderr
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"} == before


def test_a_study_that_is_stopped_stops_its_trial_and_resumes(folder: Path) -> None:
    arguments = ["tune", "tiny.yaml", *RANDOM, "--trials", "1", "--set", "pipeline.operator.epochs=40"]
    arguments += ["--set", "pipeline.operator.pause=0.05"]
    process = subprocess.Popen(
        [str(BIN / "ups"), *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(folder.glob("runs/*/trials/*/steps/.operator.partial/checkpoint.json")):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors
    assert "Traceback" not in errors
    (trial,) = study()["trials"]
    assert trial["status"] == "interrupted"
    record = Path(trial["directory"]) / "run.json"
    assert json.loads(record.read_text())["status"] == "interrupted"
    command("ups", *arguments, cwd=folder)
    assert study()["trials"][0]["status"] == "completed"
    events = [json.loads(line) for line in (record.parent / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events].count("run_started") == 2
