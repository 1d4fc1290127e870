"""The parts of a study one by one: objective, defaults, experiment, one trial, and what finished studies show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from small_study import LOSS, LR, SPEC, study, tune
from ups_core import SpecError, UPSError, UsageError
from ups_core.compose import read_spec
from ups_core.document import Document
from ups_core.files import write_json
from ups_core.interrupts import Interrupted, listening
from ups_core.layout import step_directory
from ups_core.plan import Plan
from ups_core.spec import PipelineSpec
from ups_core.study.defaults import default_kinds
from ups_core.study.experiment import Experiment
from ups_core.study.objective import objective_key, training_part
from ups_core.study.parameters import parse_space, read_space
from ups_core.study.space import Choice, Range, assignments, set_options
from ups_core.study.study import Study, Trial
from ups_core.study.trial import TrialFailed, known_value, run_trial
from ups_core.validate import validate

Load = Callable[..., tuple[PipelineSpec, Document]]


@pytest.fixture
def load(folder: Path) -> Load:
    """`load(text)` reads and validates a spec."""

    def load(text: str = SPEC, *overrides: str) -> tuple[PipelineSpec, Document]:
        (folder / "tiny.yaml").write_text(text)
        document = read_spec(Path("tiny.yaml"), overrides)
        return validate(document), document

    return load


TWO_STAGES = SPEC.replace(
    "  - evaluate: toy/score\n    id: check\n",
    "  - {stage: toy/train, id: second, epochs: 2}\n  - evaluate: toy/score\n    id: check\n",
)

# The objective


def test_the_last_stage_is_judged_by_its_monitor(load: Load) -> None:
    assert objective_key(load()[0], None) == LOSS
    assert objective_key(load(TWO_STAGES)[0], None) == "second/val/loss"
    assert objective_key(load(TWO_STAGES)[0], "operator/val/loss") == LOSS


@pytest.mark.parametrize(
    ("metric", "accepted"),
    [
        ("operator/val/other", True),
        ("check/a/width", True),
        ("test/a/width", False),
        ("operator/test/loss", False),
        ("check/test/width", False),
        ("nobody/val/loss", False),
        ("operator", False),
        ("operator/", False),
    ],
)
def test_only_metrics_of_the_validation_split_are_objectives(metric: str, accepted: bool, load: Load) -> None:
    spec, _ = load()
    if accepted:
        assert objective_key(spec, metric) == metric
    else:
        with pytest.raises(UsageError, match="--metric"):
            objective_key(spec, metric)


def test_a_step_without_a_split_is_no_objective(load: Load) -> None:
    spec, _ = load(SPEC + "  - {evaluate: toy/page, id: page}\n")
    with pytest.raises(UsageError, match="measured on no split that 'page' names; a study selects on"):
        objective_key(spec, "page/a")


def test_trials_run_the_stages_the_judge_and_what_it_needs(load: Load) -> None:
    spec, document = load(TWO_STAGES)
    part, cut = training_part(spec, document, "second/val/loss")
    assert [step.id for step in part.pipeline] == ["operator", "second"]
    part, cut = training_part(spec, document, "check/a/width")
    assert [step.id for step in part.pipeline] == ["operator", "second", "check"]
    assert [entry.get("id") for entry in cut.data["pipeline"]] == ["operator", "second", "check"]
    needing = SPEC.replace("    id: check\n", "    id: check\n    needs: [before]\n").replace(
        "  - evaluate: toy/score\n    id: check\n",
        "  - {evaluate: toy/page, id: before}\n  - evaluate: toy/score\n    id: check\n",
    )
    spec, document = load(needing)
    assert [step.id for step in training_part(spec, document, "check/a/width")[0].pipeline] == [
        "operator",
        "before",
        "check",
    ]


def test_places_in_the_document_move_with_the_steps(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL", "5")
    text = (
        SPEC.replace("pipeline:\n", "pipeline:\n  - {evaluate: toy/page, id: page}\n") + "    split: test\n"
    )
    spec, document = load(text, "pipeline.operator.label=${env:LABEL}", "pipeline.-1.split=val")
    part, cut = training_part(spec, document, LOSS)
    assert [step.id for step in part.pipeline] == ["operator"]
    assert cut.interpolated == {("pipeline", 0, "label"): "${env:LABEL}"}
    assert cut.position(("pipeline", 0, "optimizer", "lr")) == document.position(
        ("pipeline", 1, "optimizer", "lr")
    )
    assert ("pipeline", 1) not in cut.positions
    assert document.position(("pipeline", 1)) != cut.position(("tasks",))


# Defaults


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        (SPEC, LR, []),
        (
            SPEC.replace("    optimizer: {kind: toy/sgd, lr: 1e-3}\n", ""),
            LR,
            ["pipeline.operator.optimizer.kind=toy/sgd"],
        ),
        (SPEC.replace("{kind: toy/sgd, lr: 1e-3}", "toy/sgd"), LR, []),
        (SPEC, "pipeline.operator.saving.keep", []),
        (SPEC, "model.width", []),
        (SPEC, "launcher.minutes", ["launcher.kind=local"]),
        (SPEC, "seed", []),
    ],
)
def test_defaults_that_a_parameter_goes_into_are_written_out(
    text: str, key: str, expected: list[str], load: Load
) -> None:
    assert default_kinds(*load(text), [key]) == expected


def test_a_kind_that_is_searched_is_not_written_out(load: Load) -> None:
    text = SPEC.replace("    optimizer: {kind: toy/sgd, lr: 1e-3}\n", "")
    kind = "pipeline.operator.optimizer.kind"
    assert default_kinds(*load(text), [LR, kind]) == []
    assert default_kinds(*load(text), [LR, LR.replace("lr", "other")]) == [f"{kind}=toy/sgd"]


# The experiment


def experiment(document: Document) -> Experiment:
    return Experiment(document, LOSS, Path("runs/trials"), Path("data"))


def test_a_trial_is_the_spec_with_its_values(load: Load) -> None:
    _, document = load()
    spec, cut = experiment(document).load({LR: 0.5, "model.width": 3, "seed": 7})
    assert spec.pipeline[0].config.optimizer.config.lr == 0.5  # type: ignore[attr-defined]
    assert spec.model.to_dict()["width"] == 3
    assert (spec.seed, len(spec.pipeline)) == (7, 1)
    assert document.data["model"]["width"] == 8, "the study's own document is unchanged"
    assert cut.data["model"]["width"] == 3


def test_equal_values_give_one_run_directory(load: Load) -> None:
    trials = experiment(load()[1])
    first = trials.plan({LR: 1e-3})
    assert first.directory == trials.plan({LR: 1e-3}).directory
    assert first.directory != trials.plan({LR: 2e-3}).directory
    assert first.directory.parent == Path("runs/trials")


def test_mistakes_of_every_parameter_are_reported_at_once(load: Load) -> None:
    spec, document = load()
    space = parse_space(["optimizer.lr=-2:-1", "model.width=wide,narrow", "epochs=1:3:int"], spec)
    with pytest.raises(SpecError) as refused:
        experiment(document).check(space)
    assert len(refused.value.issues) == 4


def test_an_edited_spec_changes_no_trial(load: Load) -> None:
    trials = experiment(load()[1])
    before = trials.plan({LR: 1e-3}).fingerprint
    Path("tiny.yaml").write_text("nonsense")
    assert trials.plan({LR: 1e-3}).fingerprint == before


# One trial


@pytest.fixture
def plan(load: Load) -> Plan:
    return experiment(load()[1]).plan({LR: 1e-2})


def test_a_trial_is_a_run_in_a_process_of_its_own(plan: Plan) -> None:
    assert known_value(plan, LOSS) is None
    log = Path("logs/1.log")
    run_trial(plan, log)
    assert "completed in" in log.read_text()
    done = experiment(read_spec(Path("tiny.yaml"))).plan({LR: 1e-2})
    assert known_value(done, LOSS) == 0.25


def test_a_failed_run_is_a_failed_trial_with_its_message(plan: Plan, load: Load) -> None:
    failing = experiment(load(SPEC, "pipeline.operator.fail=true")[1]).plan({})
    with pytest.raises(TrialFailed, match=r"^step 'operator' failed: the loss is nan at epoch 3"):
        run_trial(failing, Path("1.log"))


def test_a_killed_run_is_a_failed_trial(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_FAULT", "kill:0:1")
    with pytest.raises(TrialFailed, match=r"^killed by SIGKILL; its output is in 1\.log$"):
        run_trial(plan, Path("1.log"))


def test_a_stopped_run_stops_the_study(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = experiment(load(SPEC, "trainer.max_time=0.01", "pipeline.operator.pause=0.02")[1]).plan({})
    with pytest.raises(Interrupted) as stopped:
        run_trial(slow, Path("1.log"))
    assert stopped.value.code == 75
    monkeypatch.setenv("TOY_FAULT", "stop:0:1")
    plan = experiment(load()[1]).plan({})
    with pytest.raises(Interrupted) as stopped:
        run_trial(plan, Path("1.log"))
    assert stopped.value.code == 143


def test_a_negative_verdict_is_no_failure(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate belongs to what the judge needs; its exit code 3 comes after a complete run."""
    gate = "  - {evaluate: toy/gate, id: gate, limit: 1.0}\n"
    text = SPEC.replace(
        "  - evaluate: toy/score\n    id: check\n",
        gate + "  - evaluate: toy/score\n    id: check\n    needs: [operator, gate]\n",
    )
    _, document = load(text)
    trials = Experiment(document, "check/a/width", Path("runs/trials"), Path("data"))
    run_trial(trials.plan({}), Path("1.log"))
    assert "step 'gate' did not pass: width 8, limit 1" in Path("1.log").read_text()
    assert known_value(trials.plan({}), "check/a/width") == 8.0


def test_a_stopped_study_stops_its_trial(load: Load) -> None:
    slow = experiment(load(SPEC, "pipeline.operator.epochs=2000", "pipeline.operator.pause=0.01")[1]).plan({})
    checkpoint = slow.directory / "steps" / ".operator.partial" / "checkpoint.json"

    def stop() -> None:
        while not checkpoint.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    with listening(), pytest.raises(Interrupted) as stopped:
        run_trial(slow, Path("1.log"))
    assert stopped.value.code == 143
    assert "interrupted (SIGTERM)" in Path("1.log").read_text(), "the trial has saved and ended"


def finished(plan: Plan, metrics: dict[str, float | None]) -> Plan:
    for step in plan.steps:
        record = {"status": "completed", "fingerprint": step.fingerprint}
        write_json(step_directory(plan.directory, step.id) / "step.json", record)
    write_json(plan.directory / "run.json", {"metrics": metrics})
    return experiment(read_spec(Path("tiny.yaml"))).plan({LR: 1e-2})


def test_the_value_of_a_finished_run_is_known(plan: Plan) -> None:
    assert known_value(finished(plan, {LOSS: 0.5}), LOSS) == 0.5
    with pytest.raises(TrialFailed, match="operator/val/loss is not finite: the rollout diverged"):
        known_value(finished(plan, {LOSS: None}), LOSS)
    with pytest.raises(UPSError, match="has no metric 'operator/val/loss'; metrics: operator/val/other"):
        known_value(finished(plan, {"operator/val/other": 1.0}), LOSS)
    assert known_value(finished(plan, {}), LOSS) is None, "the run was stopped before it was recorded"


# A study on disk


def a_study(*values: float | None, directory: Path = Path("study")) -> Study:
    space = (Range(LR, 1e-4, 1e-1, log=True), Choice("model.width", (8, 16)))
    made = Study(
        directory,
        space,
        {"metric": LOSS, "parameters": {p.key: p.text for p in space}},
        ["ups-run", "a b.yaml"],
    )
    for number, value in enumerate(values, start=1):
        status: Any = "failed" if value is None else "completed"
        made.trials.append(Trial(number, {LR: 10.0 ** (-1 - number), "model.width": 8}, status, value))
    return made


def test_the_best_is_the_lowest_and_the_first_of_equals() -> None:
    found = a_study(0.5, None, 0.25, 0.25, None)
    assert found.best is found.trials[2]
    assert [trial.number for trial in found.ranked] == [3, 4, 1, 2, 5]
    assert a_study(None, None).best is None
    assert a_study().best is None
    assert a_study(None).use_best() is None
    assert a_study(None).edges() == []


def test_the_command_of_the_best_can_be_pasted_into_a_shell() -> None:
    command = a_study(0.5).use_best()
    assert command == "ups-run 'a b.yaml' --set pipeline.operator.optimizer.lr=0.01 --set model.width=8"
    assert set_options(["a=[1, 2]"]) == "--set 'a=[1, 2]'"
    assert assignments({"a": [1, "x"], "b": None, "c": "1e3"}) == ['a=[1, "x"]', "b=null", 'c="1e3"']


def test_a_best_value_at_the_end_of_its_range_is_reported() -> None:
    assert a_study(0.5, 0.4, 0.3).edges() == [
        f"the best {LR}, 0.0001, is at the lower edge of 0.0001:0.1:log; widen the range"
    ]
    assert a_study(0.1, 0.4, 0.3).edges() == [], "0.01 is in the middle"


def test_a_study_reads_back_as_it_was_saved() -> None:
    saved = a_study(0.5, None)
    saved.save()
    read = Study.read(Path("study"))
    assert read.trials == saved.trials
    assert read.space == saved.space == read_space(saved.about["parameters"])
    assert read.best == saved.best
    content = json.loads(Path("study/study.json").read_text())
    assert content["schema"] == 1
    assert content["best"]["command"] == saved.use_best()


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_without_a_study_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    with pytest.raises(UPSError, match=r"is not a study directory \(study\.json missing or unreadable\)"):
        Study.read(tmp_path)


# When a study has ended

DRAWING = """\
from ups_core import hookimpl

@hookimpl
def ups_study_finished(study):
    (study.directory / "curve.png").write_text(study.metric)
"""
FAULTY = """\
from ups_core import hookimpl

@hookimpl
def ups_study_finished(study):
    raise ValueError("no display")
"""


def test_plugins_see_a_finished_study_and_cannot_fail_it(
    folder: Path, install: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("drawing", DRAWING)
    install("faulty", FAULTY)
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,drawing,faulty")
    arguments = "--param", "optimizer.lr=0.01,0.1"
    assert tune(*arguments) == 0
    out, err = capsys.readouterr()
    assert "plugin faulty: ValueError: no display\n" in err
    (curve,) = Path("runs").glob("tune-*/curve.png")
    assert curve.read_text() == LOSS
    assert f"figure: {curve}\n" in out
    curve.unlink()
    assert tune(*arguments) == 0
    assert not curve.exists(), "nothing has changed, so nothing is drawn"


def test_the_evaluation_package_draws_a_figure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,ups-eval")
    assert tune("--param", "optimizer.lr=0.01,0.1") == 0
    assert study()["best"]["parameters"][LR] == 0.01
    (figure,) = Path("runs").glob("tune-*/study.png")
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_study_of_a_module_can_be_run_as_a_program(folder: Path) -> None:
    """Trials use the interpreter of the study, whatever `python` on PATH is."""
    command = [
        sys.executable,
        "-m",
        "ups_core.cli.main",
        "tune",
        "tiny.yaml",
        "--param",
        "optimizer.lr=0.01,0.1",
    ]
    result = subprocess.run(
        command, env=os.environ | {"PATH": "/nowhere"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert len(study()["trials"]) == 2
