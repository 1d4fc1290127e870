"""Baselines of a spec: by name, with options, by the step that trained them; mistakes at their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from documents import ROOT
from ups_core import SpecError
from ups_core.plan import Plan
from ups_core.planner import make_plan
from ups_core.record import resolved_yaml
from ups_core.validate import load_spec

SPEC = """\
version: 1
name: peers
tasks:
  advection1d: {kind: advection1d, trajectories: 20, resolution: 64, frames: 6}
model: {kind: fno, width: 8, modes: 4}
pipeline:
  - stage: operator
    epochs: 3
  - evaluate: rollout
    id: test
    baselines:
      - persistence
      - BASELINE
"""


@pytest.fixture
def plan(tmp_path: Path):  # type: ignore[no-untyped-def]
    """`plan("{kind: unet}")` plans the spec with this last baseline."""

    def plan(baseline: str, stages: str = "") -> Plan:
        text = SPEC.replace("BASELINE", baseline).replace("  - evaluate", f"{stages}  - evaluate")
        (tmp_path / "peers.yaml").write_text(text)
        spec, document = load_spec(tmp_path / "peers.yaml")
        return make_plan(spec, document, runs_dir=tmp_path / "runs", data_root=tmp_path / "data")

    return plan


def model_of(plan: Plan, step: str) -> dict[str, object]:
    config = plan.step(step).spec.config
    trained = config.trained_model(plan.spec.model)
    assert trained is not None
    return trained.to_dict()


def test_a_baseline_has_the_options_that_the_spec_gives(plan) -> None:  # type: ignore[no-untyped-def]
    default, other = plan("unet"), plan("{kind: unet, levels: 2}")
    assert [step.id for step in other.steps] == ["operator", "unet", "test"]
    assert model_of(other, "unet") == {**model_of(default, "unet"), "levels": {"1": 2, "2": 2}}
    assert default.step("unet").fingerprint != other.step("unet").fingerprint
    assert default.step("test").fingerprint != other.step("test").fingerprint
    assert other.step("unet").spec.config.epochs == 3


def test_without_options_both_forms_are_the_same(plan) -> None:  # type: ignore[no-untyped-def]
    assert plan("{kind: unet}").fingerprint == plan("unet").fingerprint


def test_a_resolved_spec_plans_the_same(plan, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    first = plan("{kind: unet, levels: 2}")
    (tmp_path / "resolved.yaml").write_text(resolved_yaml(first))
    spec, document = load_spec(tmp_path / "resolved.yaml")
    again = make_plan(spec, document, runs_dir=tmp_path / "runs", data_root=tmp_path / "data")
    assert [step.fingerprint for step in again.steps] == [step.fingerprint for step in first.steps]


@pytest.mark.parametrize(
    ("baseline", "stages", "message"),
    [
        ("unett", "", "13:9 pipeline[1].baselines[1]: unknown model 'unett'; did you mean 'unet'? (or name a step: operator)"),
        ("{kind: unett}", "", "13:10 pipeline[1].baselines[1].kind: unknown model 'unett'; did you mean 'unet'?"),
        ("{kind: unet, level: 2}", "", "13:22 pipeline[1].baselines[1].level: unknown key 'level'; did you mean 'levels'?"),
        ("{kind: unet, levels: x}", "", "13:22 pipeline[1].baselines[1].levels: expected an integer, or one per grid dimension"),
        ("{kind: fno, modes: 999}", "", "13:21 pipeline[1].baselines[1].modes.1: 999 modes need"),
        ("{levels: 2}", "", "13:9 pipeline[1].baselines[1]: missing key 'kind'"),
        ("3", "", "13:9 pipeline[1].baselines[1]: expected the name of a model or a mapping with 'kind', got 3"),
        ("persistence", "", "11:5 pipeline[1].baselines: a baseline is named twice in persistence, persistence; "),
        (
            "{kind: unet, levels: 2}",
            "  - {stage: operator, id: unet, model: unet}\n",
            "14:9 pipeline[2].baselines[1]: step 'unet' trains 'unet' with other options; write them there",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_where_it_was_made(plan, baseline: str, stages: str, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SpecError) as refused:
        plan(baseline, stages)
    (line,) = str(refused.value).splitlines()
    assert f"peers.yaml:{message}" in line


def test_a_baseline_that_does_not_fit_the_data_is_reported_where_it_is_named() -> None:
    """The spec has no options of that model, so no line of them."""
    changes = ["tasks.darcy2d.resolution=8", "pipeline.test.baselines=[mean, fno]"]
    spec, document = load_spec(ROOT / "specs" / "smoke.yaml", changes)
    with pytest.raises(SpecError) as refused:
        make_plan(spec, document, runs_dir=Path("runs"), data_root=Path("data"))
    lines = [line for line in str(refused.value).splitlines() if "'fno'" in line]
    assert len(lines) == 1
    assert (
        "=[mean, fno] pipeline[1].baselines[1]: baseline 'fno': modes.2: 12 modes need 24 cells" in lines[0]
    )


def test_a_stage_of_the_same_options_is_the_baseline(plan) -> None:  # type: ignore[no-untyped-def]
    stage = "  - {stage: operator, id: unet, model: {kind: unet, levels: 2}, epochs: 5}\n"
    made = plan("{kind: unet, levels: 2}", stage)
    assert [step.id for step in made.steps] == ["operator", "unet", "test"]
    assert made.step("test").inputs == {"simulator": "operator"}
    assert made.step("unet").baseline


def test_validation_alone_notices_unknown_names(tmp_path: Path) -> None:
    for names in ("[persistnce, fnoo]", "[{kind: persistnce}, {kind: fnoo}]"):
        with pytest.raises(SpecError) as refused:
            load_spec(ROOT / "specs" / "smoke.yaml", [f"pipeline.test.baselines={names}"])
        first, second = str(refused.value).splitlines()
        assert "unknown model 'persistnce'; did you mean 'persistence'?" in first
        assert "unknown model 'fnoo'; did you mean 'fno'?" in second
    with pytest.raises(SpecError, match="unknown task 'advection'; tasks: advection1d, darcy2d"):
        load_spec(ROOT / "specs" / "smoke.yaml", ["pipeline.operator.task_weights={advection: 2.0}"])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("model=nobody", "model"),
        ("tasks.advection1d.kind=nobody", "task"),
        ("tasks.advection1d.source=nobody", "source"),
        ("trainer.strategy=nobody", "strategy"),
        ("launcher=nobody", "launcher"),
        ("trackers=[nobody]", "tracker"),
        ("pipeline.operator.stage=nobody", "stage"),
        ("pipeline.test.evaluate=nobody", "evaluation"),
        ("pipeline.operator.model=nobody", "model"),
        ("pipeline.operator.losses=[nobody]", "loss"),
        ("pipeline.operator.optimizer=nobody", "optimizer"),
        ("pipeline.operator.scheduler=nobody", "scheduler"),
        ("pipeline.operator.callbacks=[nobody]", "callback"),
        ("pipeline.test.metrics=[nrmse, nobody]", "metric"),
        ("pipeline.test.baselines=[nobody]", "model"),
        (
            "pipeline.operator.optimizer={kind: grouped, groups: [{pattern: '', optimizer: nobody}]}",
            "optimizer",
        ),
    ],
)
def test_validation_checks_every_registered_name(change: str, kind: str) -> None:
    with pytest.raises(SpecError, match=f"unknown {kind} 'nobody'"):
        load_spec(ROOT / "specs" / "smoke.yaml", [change])
