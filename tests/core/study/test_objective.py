"""What a study minimises, and which steps its trials run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from small_study import LOSS, SPEC
from ups_core import UsageError
from ups_core.document import Document
from ups_core.spec import PipelineSpec
from ups_core.study.objective import objective_key, training_part

Load = Callable[..., tuple[PipelineSpec, Document]]

TWO_STAGES = SPEC.replace(
    "  - evaluate: toy/score\n    id: check\n",
    "  - {stage: toy/train, id: second, epochs: 2}\n  - evaluate: toy/score\n    id: check\n",
)


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


def test_a_task_may_be_called_as_a_split(load: Load) -> None:
    spec, _ = load(SPEC.replace("  a: {", "  test: {"))
    assert objective_key(spec, "check/test/width") == "check/test/width"
    with pytest.raises(UsageError, match="the test split"):
        objective_key(spec, "operator/test/loss")


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
    needing = (
        "  - {evaluate: toy/gate, id: before}\n  - {evaluate: toy/summary, id: after, needs: [before]}\n"
    )
    spec, document = load(SPEC + needing)
    assert [step.id for step in training_part(spec, document, "after/a/gates")[0].pipeline] == [
        "operator",
        "before",
        "after",
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
