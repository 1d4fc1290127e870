"""One trial: the spec with its values, a run in a process of its own, and its value."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from finished import finish
from small_study import LOSS, LR, SPEC
from ups_core import SpecError, UPSError
from ups_core.compose import read_spec
from ups_core.document import Document
from ups_core.interrupts import Interrupted, listening
from ups_core.plan import Plan
from ups_core.spec import PipelineSpec
from ups_core.study.experiment import Experiment
from ups_core.study.parameters import parse_space
from ups_core.study.trial import TrialFailed, known_value, run_trial

Load = Callable[..., tuple[PipelineSpec, Document]]


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
    _, document = load(f"{SPEC}{gate}  - {{evaluate: toy/summary, id: judge, needs: [gate]}}\n")
    trials = Experiment(document, "judge/a/gates", Path("runs/trials"), Path("data"))
    run_trial(trials.plan({}), Path("1.log"))
    assert "step 'gate' did not pass: width 8, limit 1" in Path("1.log").read_text()
    assert known_value(trials.plan({}), "judge/a/gates") == 1.0


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
        finish(plan, step.id, metrics=metrics)
    return experiment(read_spec(Path("tiny.yaml"))).plan({LR: 1e-2})


def test_the_value_of_a_finished_run_is_known(plan: Plan) -> None:
    assert known_value(plan, LOSS) is None
    assert known_value(finished(plan, {LOSS: 0.5}), LOSS) == 0.5
    with pytest.raises(TrialFailed, match="operator/val/loss is not finite: the rollout diverged"):
        known_value(finished(plan, {LOSS: None}), LOSS)
    with pytest.raises(UPSError, match="has no metric 'operator/val/loss'; metrics: operator/val/other"):
        known_value(finished(plan, {"operator/val/other": 1.0}), LOSS)


def test_a_log_is_not_written_through_a_link(plan: Plan, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    log = tmp_path / "1.log"
    log.symlink_to(precious)
    with pytest.raises(UPSError, match="is not a regular file, and is not written to"):
        run_trial(plan, log)
    assert precious.read_text() == "precious"
