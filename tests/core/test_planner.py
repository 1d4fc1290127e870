"""The plan: inputs, order, states, and fingerprints that change with all that a result depends on, alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finished import finish, finish_step
from ups_core import SpecError, fingerprint
from ups_core.files import write_json
from ups_core.layout import partial_directory, step_directory
from ups_core.plan import Plan

MakePlan = Callable[..., Plan]

TRAIN, OTHER, SCORE, PAGE = "train", "toy-other", "score", "page"
ALL = {TRAIN, OTHER, SCORE, PAGE}


def fingerprints(plan: Plan) -> dict[str, str]:
    return {step.id: step.fingerprint for step in plan.steps}


def changed(before: Plan, after: Plan) -> set[str]:
    """Ids of the steps of either plan whose fingerprint the other one does not have."""
    old, new = fingerprints(before), fingerprints(after)
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        # sections that every step reads
        ("seed=4", ALL),
        ("sampling.temperature=0.5", ALL),
        ("trainer.precision=bf16-mixed", ALL),
        ("trainer.accelerator=cpu", ALL),
        ("trainer.micro_batches=auto", ALL),
        ("trainer.threads=1", ALL),
        ("tasks.a.cells=9", ALL),
        ("tasks.b={kind: toy/line, cells: 6}", ALL),
        # the model: a baseline has one of its own
        ("model.width=6", {TRAIN, SCORE, PAGE}),
        ("model.depth=3", {TRAIN, SCORE, PAGE}),
        ("pipeline.train.model={kind: toy/net, width: 3}", {TRAIN, SCORE, PAGE}),
        # options of a stage: a baseline is trained with the same ones
        ("pipeline.train.epochs=3", ALL),
        ("pipeline.train.label=1", ALL),
        ("pipeline.train.saving.keep=3", ALL),
        ("pipeline.train.optimizer.lr=0.1", ALL),
        ("pipeline.train.optimizer={kind: toy/adam, lr: 1e-2}", ALL),
        # options of an evaluation: only what comes after it
        ("pipeline.score.split=val", {SCORE, PAGE}),
        ("pipeline.score.baselines=[toy/other]", {SCORE, PAGE}),
        ("pipeline.score.baselines=[toy/constant]", {OTHER, SCORE, PAGE}),
        ("pipeline.page.id=sheet", {PAGE, "sheet"}),
        ("pipeline.train.id=fit", {TRAIN, "fit", SCORE, PAGE}),
        # what changes no result
        ("name=other", set()),
        ("trackers=[]", set()),
        ("launcher=toy/ranks", set()),
        ("launcher={kind: slurm, minutes: 90}", set()),
        ("trainer.workers=2", set()),
        ("trainer.max_time=100", set()),
        # the same written otherwise
        ("seed=3", set()),
        ("model.depth=2", set()),
        ("trainer.strategy.kind=toy/one", set()),
        ("pipeline.train.optimizer.lr=1.0e-2", set()),
        ("pipeline.train.saving={}", set()),
    ],
)
def test_a_fingerprint_changes_with_what_the_result_depends_on(
    override: str, expected: set[str], make: MakePlan
) -> None:
    assert changed(make(), make(override)) == expected


def test_the_fingerprint_of_a_run_is_that_of_its_spec(make: MakePlan) -> None:
    before = make().fingerprint
    assert make("seed=4").fingerprint != before
    assert make("name=other").fingerprint != before, "it names the directory"
    for override in ("launcher=toy/ranks", "trainer.workers=2", "trainer.max_time=9"):
        assert make(override).fingerprint == before, override


def test_layout_of_the_file_changes_nothing(spec_file: Path, make: MakePlan) -> None:
    before = make()
    head, pipeline = spec_file.read_text().split("pipeline:\n")
    spec_file.write_text(f"# a comment\npipeline:\n{pipeline}{head}")
    assert changed(before, make()) == set()
    base = spec_file.with_name("base.yaml")
    spec_file.rename(base)
    spec_file.write_text("extends: base.yaml\n")
    assert changed(before, make()) == set()


def test_a_value_of_the_environment_counts_by_what_it_is(
    spec_file: Path, make: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make()
    spec_file.write_text(spec_file.read_text().replace("width: 5", "width: '${env:WIDTH}'"))
    monkeypatch.setenv("WIDTH", "5")
    assert changed(before, make()) == set()
    monkeypatch.setenv("WIDTH", "6")
    assert changed(before, make()) == {TRAIN, SCORE, PAGE}


def test_other_data_change_every_step_that_reads_them(
    make: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make()
    import toy_plugin

    monkeypatch.setattr(toy_plugin, "digest", lambda value: "other data")
    assert changed(before, make()) == ALL


EXTRA = """\
from ups_core import EvaluationConfig, OptimizerConfig, hookimpl

class StepSize(OptimizerConfig):
    lr: float = 1e-2

class Blind(EvaluationConfig):
    reads = ()

@hookimpl
def ups_register_optimizers(register):
    register("extra/sgd", "extra:none", config=StepSize, summary="")

@hookimpl
def ups_register_evaluations(register):
    register("extra/blind", "extra:none", config=Blind, summary="")
"""


@pytest.fixture
def extra(spec_file: Path, install: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy spec with a stage that uses another plugin's optimizer, and a step that reads no section."""
    install("extra", EXTRA)
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,extra")
    stage = "  - {stage: toy/train, id: second, needs: [], optimizer: extra/sgd}\n"
    spec_file.write_text(f"{spec_file.read_text()}{stage}  - {{evaluate: extra/blind, id: blind}}\n")
    return spec_file


def test_code_of_a_plugin_changes_only_steps_that_use_it(
    extra: Path, make: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make()
    version = fingerprint._version

    def edited(name: str) -> tuple[str, tuple[str, ...]]:
        return ("0.1+edited", ()) if name == "extra" else version(name)

    monkeypatch.setattr(fingerprint, "_version", edited)
    assert changed(before, make()) == {"second", "blind"}
    monkeypatch.setattr(
        fingerprint, "_version", lambda name: ("1+edited", ()) if name == "toy-plugin" else version(name)
    )
    assert changed(before, make()) == {*ALL, "second"}, "a step that reads nothing uses its own plugin alone"


def test_a_step_that_reads_no_section_depends_on_none(extra: Path, make: MakePlan) -> None:
    before = make()
    for override in ("seed=9", "tasks.a.cells=9", "model.width=2", "trainer.precision=bf16-mixed"):
        assert "blind" not in changed(before, make(override)), override
    assert make().step("blind").after == ()


# Inputs, order and states


def test_steps_know_their_inputs_and_what_they_come_after(make: MakePlan) -> None:
    plan = make()
    assert [step.id for step in plan.steps] == [TRAIN, OTHER, SCORE, PAGE]
    assert [step.baseline for step in plan.steps] == [False, True, False, False]
    assert {step.id: dict(step.inputs) for step in plan.steps} == {
        TRAIN: {},
        OTHER: {},
        SCORE: {"simulator": TRAIN},
        PAGE: {},
    }
    assert {step.id: step.after for step in plan.steps} == {
        TRAIN: (),
        OTHER: (),
        SCORE: (TRAIN, OTHER),
        PAGE: (TRAIN, OTHER, SCORE),
    }
    assert plan.step(SCORE).uses == "evaluate: toy/score"
    assert plan.step(TRAIN).providers == {"toy-plugin": "0.1"}


def two_stages(spec_file: Path, needs: str = "") -> None:
    text = spec_file.read_text().replace(
        "  - evaluate: toy/score\n    id: score\n",
        f"  - {{stage: toy/train, id: newer}}\n  - evaluate: toy/score\n    id: score\n{needs}",
    )
    spec_file.write_text(text)


def test_a_baseline_that_the_user_wrote_is_no_input_of_any_step(spec_file: Path, make: MakePlan) -> None:
    """A step that compares with nothing must be given what is under test, too."""
    own = "  - {stage: toy/train, id: toy-other, model: toy/other}\n"
    gates = "  - {evaluate: toy/gate, id: after}\n  - {evaluate: toy/gate, id: named, needs: [toy-other]}\n"
    text = spec_file.read_text().replace(
        "  - evaluate: toy/score", f"{own}  - evaluate: toy/gate\n  - evaluate: toy/score"
    )
    spec_file.write_text(text + gates)
    plan = make()
    assert [step.id for step in plan.steps if step.baseline] == [OTHER]
    assert not any(step.added for step in plan.steps)
    inputs = {step.id: step.inputs["simulator"] for step in plan.steps if step.inputs}
    assert inputs == {"toy-gate": TRAIN, SCORE: TRAIN, "after": TRAIN, "named": OTHER}
    before = make("pipeline.score.baselines=[toy/constant]")
    assert before.step("toy-gate").inputs == {"simulator": OTHER}, "a stage like any other"


def test_a_baseline_is_tested_where_nothing_else_is_trained(spec_file: Path, make: MakePlan) -> None:
    """Each of two models is the baseline of the other."""
    own = "  - {stage: toy/train, id: second, model: toy/other}\n"
    text = spec_file.read_text().replace("  - evaluate: toy/score", f"{own}  - evaluate: toy/score")
    spec_file.write_text(
        f"{text}  - {{evaluate: toy/score, id: other, baselines: [second]}}\n  - evaluate: toy/gate\n"
    )
    plan = make("pipeline.score.baselines=[train]")
    inputs = {step.id: step.inputs["simulator"] for step in plan.steps if step.inputs}
    assert inputs == {SCORE: "second", "other": TRAIN, "toy-gate": "second"}


@pytest.mark.parametrize(
    ("where", "needs", "problem"),
    [
        ("newer", "[train]", "'toy/train' takes no input from another step; remove 'train'"),
        ("score", "[train, judge]", "'toy/score' consumes simulator, and 'judge' produces none; remove it"),
        ("page", "[score]", "'toy/page' takes no input from another step; remove 'score'"),
    ],
)
def test_a_step_does_not_name_what_it_does_not_use(
    spec_file: Path, make: MakePlan, where: str, needs: str, problem: str
) -> None:
    two_stages(spec_file)
    text = spec_file.read_text().replace(
        "  - evaluate: toy/score", "  - {evaluate: toy/gate, id: judge}\n  - evaluate: toy/score"
    )
    spec_file.write_text(text)
    with pytest.raises(SpecError) as refused:
        make(f"pipeline.{where}.needs={needs}")
    assert str(refused.value).endswith(f"].needs[{needs.count(',')}]: {problem}")


def test_an_input_is_the_newest_artifact_unless_needs_names_one(spec_file: Path, make: MakePlan) -> None:
    two_stages(spec_file)
    assert make().step(SCORE).inputs == {"simulator": "newer"}
    assert make().step(SCORE).after == ("newer", OTHER)
    assert make("pipeline.score.needs=[train]").step(SCORE).inputs == {"simulator": TRAIN}
    assert make("pipeline.score.needs=[train]").step(SCORE).after == (TRAIN, OTHER)
    assert make("pipeline.score.needs=[train, newer]").step(SCORE).inputs == {"simulator": "newer"}


def test_a_trained_baseline_is_no_input(spec_file: Path, make: MakePlan) -> None:
    """It is newer than the stage, but what is scored is the simulator."""
    plan = make()
    assert [step.id for step in plan.steps].index(OTHER) > [step.id for step in plan.steps].index(TRAIN)
    assert plan.step(SCORE).inputs == {"simulator": TRAIN}


def test_a_missing_input_is_an_error_at_its_step(spec_file: Path, make: MakePlan) -> None:
    text = spec_file.read_text()
    stage = text[text.index("  - stage") : text.index("  - evaluate: toy/score")]
    spec_file.write_text(text.replace(stage, "").replace("toy/other", "toy/constant"))
    with pytest.raises(SpecError) as refused:
        make()
    assert str(refused.value) == (
        f"{spec_file}:9:5 pipeline[0]: step 'score' needs the artifact 'simulator', but no "
        "earlier step produces it; add one that does"
    )


@pytest.mark.parametrize(
    ("place", "same", "expected"),
    [
        (step_directory, True, "done"),
        (step_directory, False, "stale"),
        (partial_directory, True, "interrupted"),
        (partial_directory, False, "to do"),
        (None, True, "to do"),
    ],
)
def test_the_state_of_a_step_is_what_its_directory_says(
    place: Callable[[Path, str], Path] | None, same: bool, expected: str, make: MakePlan
) -> None:
    plan = make()
    fingerprint = plan.step(TRAIN).fingerprint if same else "of other options"
    if place is step_directory:
        finish(plan, TRAIN, fingerprint=fingerprint)
    elif place is not None:
        write_json(place(plan.directory, TRAIN) / "step.json", {"fingerprint": fingerprint})
    plan = make()
    assert plan.step(TRAIN).state == expected
    assert plan.step(SCORE).state == "to do"
    assert plan.todo == tuple(step for step in plan.steps if (step.id, expected) != (TRAIN, "done"))


def flip(directory: Path) -> None:
    path = directory / "step.json"
    path.write_text(path.read_text().replace("1.5", "1.6"))


DAMAGE: dict[str, Callable[[Path], None]] = {
    "lost": lambda directory: (directory / "step.json").unlink(),
    "changed": flip,
    "cut off": lambda directory: (directory / "step.json").write_text("{"),
    "of an earlier version": lambda directory: (directory / "step.json").write_text(
        '{"status": "completed"}'
    ),
    "another step's": lambda directory: finish_step(directory.parents[1], SCORE, "x").replace(directory),
    "without a file": lambda directory: (directory / "a.txt").unlink(),
    "with a shorter file": lambda directory: (directory / "a.txt").write_text(""),
    "with a link": lambda directory: link(directory / "a.txt"),
}


def link(path: Path) -> None:
    path.rename(path.with_name("b.txt"))
    path.symlink_to("b.txt")


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_step_is_not_done(damage: Callable[[Path], None], make: MakePlan) -> None:
    plan = make()
    directory = step_directory(plan.directory, TRAIN)
    directory.mkdir(parents=True)
    (directory / "a.txt").write_text("content")
    finish(plan, TRAIN)
    assert make().step(TRAIN).state == "done"
    if damage is DAMAGE["another step's"]:
        shutil.rmtree(directory)
    damage(directory)
    step = make().step(TRAIN)
    assert step.state == "damaged"
    assert step.problem.startswith(str(directory))


def test_data_are_part_of_the_plan(make: MakePlan) -> None:
    data = make().data["a"]
    assert data.files == data.missing == (Path("data/a.txt"),)
    Path("data").mkdir()
    Path("data/a.txt").touch()
    assert make().data["a"].missing == ()
    assert make(data_root=Path("elsewhere")).data["a"].missing == (Path("elsewhere/a.txt"),)


def test_a_data_error_is_at_the_task(spec_file: Path, make: MakePlan) -> None:
    with pytest.raises(SpecError, match=r"tasks\.a\.source: 13 cells bring bad luck; take 12"):
        make("tasks.a.cells=13")


def test_planning_writes_nothing(make: MakePlan) -> None:
    make()  # Python writes the bytecode of the plugin
    before = sorted(Path().rglob("*"))
    make(fresh=True)
    assert sorted(Path().rglob("*")) == before


def test_a_plan_is_plain_data(make: MakePlan) -> None:
    plan = make()
    content = json.loads(json.dumps(plan.to_dict()))
    assert content["name"] == "toy"
    assert content["directory"] == f"runs/toy-{plan.fingerprint[:8]}"
    assert content["previous"] is None
    assert content["data"]["a"] == {
        "fingerprint": plan.data["a"].fingerprint,
        "source": "generated",
        "files": ["data/a.txt"],
        "missing": ["data/a.txt"],
        "note": "",
    }
    assert content["steps"][2] == {
        "id": SCORE,
        "uses": "evaluate: toy/score",
        "state": "to do",
        "problem": "",
        "fingerprint": plan.step(SCORE).fingerprint,
        "after": [TRAIN, OTHER],
        "inputs": {"simulator": TRAIN},
        "baseline": False,
        "providers": dict(plan.step(SCORE).providers),
    }
