"""Baselines that no stage trains get a training stage: the newest fitting one with the other model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ups_core import Component, SpecError, StageConfig
from ups_core.expand import PipelineStep, baseline_id, expand_pipeline
from ups_core.plugin_loader import registry_in_use
from ups_core.spec import StepSpec
from ups_core.validate import load_spec

Expand = Callable[..., list[PipelineStep]]

STAGE = "  - stage: toy/train\n    id: train\n    epochs: 2\n    optimizer: {kind: toy/sgd, lr: 1e-2}\n"


@pytest.fixture
def expand(spec_file: Path) -> Expand:
    """`expand("KEY=VALUE", ...)` expands the toy spec; what is wrong with a baseline raises."""

    def expand(*overrides: str) -> list[PipelineStep]:
        spec, document = load_spec(spec_file, overrides)
        issues: list[Any] = []
        steps = list(expand_pipeline(spec, document, registry_in_use(), issues))
        if issues:
            raise SpecError(issues)
        return steps

    return expand


def ids(steps: list[PipelineStep]) -> list[str]:
    return [step.spec.id for step in steps]


def options(step: PipelineStep) -> dict[str, Any]:
    return step.spec.to_dict()


def test_a_stage_is_added_before_the_step_that_needs_it(expand: Expand) -> None:
    steps = expand()
    assert ids(steps) == ["train", "toy-other", "score", "page"]
    assert [step.baseline for step in steps] == [False, True, False, False]
    assert [step.path for step in steps] == [
        ("pipeline", 0),
        ("pipeline", 1),
        ("pipeline", 1),
        ("pipeline", 2),
    ]


def test_the_added_stage_has_the_same_options_and_another_model(expand: Expand) -> None:
    train, other, *_ = expand()
    expected = options(train) | {"id": "toy-other", "model": {"kind": "toy/other", "width": 4, "depth": 2}}
    assert options(other) == expected
    assert options(other)["epochs"] == 2
    assert other.spec.entry is train.spec.entry


def test_a_baseline_does_not_wait_for_what_the_stage_needs(
    spec_file: Path, expand: Expand, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumes: ClassVar[tuple[str, ...]] = ("simulator",)
    monkeypatch.setattr(registry_in_use().get("stages", "toy/train").load_config(), "consumes", consumes)
    stage = STAGE + "  - {stage: toy/train, id: second, needs: [train], epochs: 7}\n"
    spec_file.write_text(spec_file.read_text().replace(STAGE, stage))
    other = expand()[2]
    assert options(other)["epochs"] == 7, "the newest stage is the pattern"
    assert options(other)["needs"] == []


def test_models_without_parameters_are_not_trained(expand: Expand) -> None:
    assert ids(expand("pipeline.score.baselines=[toy/constant]")) == ["train", "score", "page"]


def test_a_model_is_trained_once_for_all_steps_that_need_it(spec_file: Path, expand: Expand) -> None:
    again = "  - {evaluate: toy/score, id: again, baselines: [toy/other, toy/net]}\n"
    spec_file.write_text(spec_file.read_text() + again)
    assert ids(expand()) == ["train", "toy-other", "score", "page", "toy-net", "again"]


def test_a_step_that_the_user_wrote_is_taken_as_it_is(spec_file: Path, expand: Expand) -> None:
    own = "  - {stage: toy/train, id: toy-other, model: toy/other, epochs: 9}\n"
    spec_file.write_text(spec_file.read_text().replace(STAGE, STAGE + own))
    steps = expand()
    assert ids(steps) == ["train", "toy-other", "score", "page"]
    assert not any(step.baseline for step in steps)


def test_the_name_of_an_earlier_step_is_a_baseline(spec_file: Path, expand: Expand) -> None:
    assert ids(expand("pipeline.score.baselines=[train]")) == ["train", "score", "page"]
    with pytest.raises(
        SpecError, match=r"unknown model 'page'; .*known: toy/constant.*\(or name a step: train\)"
    ):
        expand("pipeline.score.baselines=[page]")


def test_a_baseline_that_nothing_can_train_is_an_error_at_its_step(spec_file: Path, expand: Expand) -> None:
    spec_file.write_text(spec_file.read_text().replace(STAGE, ""))
    with pytest.raises(SpecError) as refused:
        expand()
    assert str(refused.value) == (
        f"{spec_file}:11:5 pipeline[0].baselines: baseline 'toy/other' must be trained, but no earlier stage "
        "produces the artifact 'simulator'; add one before this step"
    )


def test_an_unknown_baseline_without_any_stage(spec_file: Path, expand: Expand) -> None:
    spec_file.write_text(spec_file.read_text().replace(STAGE, ""))
    with pytest.raises(SpecError) as refused:
        expand("pipeline.score.baselines=[toy/othr]")
    assert str(refused.value).endswith("unknown model 'toy/othr'; did you mean 'toy/other'?")


def test_a_stage_changes_what_it_must_for_a_baseline(expand: Expand, monkeypatch: pytest.MonkeyPatch) -> None:
    def for_baseline(self: StageConfig, model: Component) -> Mapping[str, Any]:
        return {"model": model, "label": 5}

    monkeypatch.setattr(StageConfig, "for_baseline", for_baseline)
    train, other, *_ = expand()
    assert (options(train)["label"], options(other)["label"]) == (0, 5)


def test_only_a_stage_that_makes_the_required_artifact_is_a_pattern(
    expand: Expand, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = registry_in_use().get("stages", "toy/train").load_config()
    produces: ClassVar[tuple[str, ...]] = ("sampler",)
    monkeypatch.setattr(config, "produces", produces)
    with pytest.raises(SpecError, match="no earlier stage produces the artifact 'simulator'"):
        expand()


def test_a_baseline_id_is_one_path_component() -> None:
    assert baseline_id("fno") == "fno"
    assert baseline_id("you/net/small") == "you-net-small"


def test_an_expanded_spec_reads_back_as_itself(spec_file: Path, expand: Expand) -> None:
    """What the plan runs could have been written by hand, so a resolved spec has the same steps."""
    spec, _ = load_spec(spec_file)
    for step in expand():
        assert isinstance(step.spec, StepSpec)
        entry = step.spec.to_dict()
        assert entry.pop("stage", None) or entry.pop("evaluate")
        config = type(step.spec.config)
        assert config.model_validate(step.spec.config.model_dump()) == step.spec.config
    assert [step.id for step in spec.pipeline] == ["train", "score", "page"], "the spec itself is unchanged"
