"""`ups tune`: what may be searched, what is tried, what is on record, and that nothing is done twice."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from commands import BIN, command
from ups_core import UPSError
from ups_core.cli.main import main
from ups_core.files import write_json
from ups_core.lock import locked
from ups_core.plan import Plan, step_directory
from ups_core.record import write_spec
from ups_core.spec import PipelineSpec
from ups_core.validate import load_spec
from ups_core.yamlreader import parse_yaml
from ups_train.tuning import loop
from ups_train.tuning.search import Optuna, choose_method, create_search
from ups_train.tuning.space import Choice, Range, Space, parse_parameter, parse_space, value_text
from ups_train.tuning.trial import TrialFailed

SPEC = """\
version: 1
name: tiny
tasks:
  advection1d: {kind: advection1d, trajectories: 20, resolution: 32, frames: 6, time_stride: 10}
model: {kind: unet, width: 8, levels: 2}
trainer: {accelerator: cpu, threads: 1}
pipeline:
  - stage: operator
    max_steps: 4
    validate_every: 2
    batch_size: 8
    clip: null
    optimizer: {kind: adamw, lr: 1e-3}
  - evaluate: rollout
    id: check
    split: val
    baselines: []
  - evaluate: rollout
    id: test
"""
LR = "pipeline.operator.optimizer.lr"
needs_optuna = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="Optuna is an extra")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a spec of seconds in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def spec(folder: Path) -> PipelineSpec:
    return load_spec(folder / "tiny.yaml")[0]


def tune(*arguments: str) -> int:
    return main(["tune", "tiny.yaml", *arguments])


def study() -> dict[str, Any]:
    (path,) = Path("runs").glob("tune-tiny-*/study.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


# What may be searched


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.lr=1e-4:1e-2:log", Range(LR, 1e-4, 1e-2, log=True)),
        ("pipeline.0.optimizer.lr=0:1", Range(LR, 0.0, 1.0)),
        ("model.width=16:64:int", Range("model.width", 16, 64, integer=True)),
        ("model.width=16:64:int:log", Range("model.width", 16, 64, log=True, integer=True)),
        ("model.width=32,64,128", Choice("model.width", (32, 64, 128))),
        ("model={kind: fno}, unet", Choice("model", ({"kind": "fno"}, "unet"))),
        ("ema=null,0.99", Choice("pipeline.operator.ema", (None, 0.99))),
    ],
)
def test_parameters_are_read(text: str, expected: Range | Choice, spec: PipelineSpec) -> None:
    parameter = parse_parameter(text, spec)
    assert parameter == expected
    assert parse_parameter(f"{parameter.key}={parameter.text}", spec) == expected, "its text reads the same"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.lr", "write it as KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=a,b,c"),
        ("=1:2", "write it as KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=a,b,c"),
        ("optimizer.lr=1e-2:1e-4", "the low end 1e-2 is not below the high end 1e-4"),
        ("optimizer.lr=1:1", "the low end 1 is not below the high end 1"),
        ("optimizer.lr=0:1:log", "the low end 0 has no logarithm; start above 0 or leave :log out"),
        ("optimizer.lr=-1:1:log", "the low end -1 has no logarithm"),
        ("optimizer.lr=1:2:lin", "'lin' cannot stand there; a range is LOW:HIGH, then :log, :int or both"),
        ("optimizer.lr=1:2:log:log", "'log' cannot stand there"),
        ("optimizer.lr=a:2", "'a' is no number"),
        ("optimizer.lr=1:.inf", "'.inf' is no number"),
        ("optimizer.lr=1:", "'' is no number"),
        ("model.width=8:9.5:int", "'9.5' is no integer, and the range is ':int'"),
        ("model.width=", "there is nothing to choose from; write a,b,c or LOW:HIGH"),
        ("model.width=64", "one value is nothing to search; use --set model.width=64"),
        ("model.width=64,32,64", "64 is given twice"),
        ("model.width=[64,32", "the choices are not valid YAML"),
    ],
)
def test_nonsense_is_one_line_and_code_2(
    text: str, expected: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune("--param", text) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: --param {text}")
    assert expected in lines[0]
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--param", "optimizer.lrr=1:2"], f"--set {LR}r=1.0 pipeline[0].optimizer.lrr: unknown key; did you mean 'lr'?\n"),
        (["--param", "modle.width=1,2"], "--set pipeline.operator.modle.width=1 pipeline[0].modle: unknown key; did you mean 'model'?\n"),
        (["--param", "model.width=8,wide"], "--set model.width=wide model.width: expected a valid integer, got 'wide'\n"),
        (["--param", "model.width=8:16"], "expected a valid integer, got 16.0; write LOW:HIGH:int\n"),
        (["--param", "optimizer.lr=-1:1"], "got -1.0\n"),
        (["--param", "optimizer.lr=1:2", "--param", f"{LR}=3,4"], f"error: --param {LR} is given twice; leave one out\n"),
        (["--param", "pipeline.test.batch_size=8,16"], "changes nothing: trials only train and validate; leave it out\n"),
        (["--param", "optimizer.lr=1:2", "--method", "grid"], f"a grid needs to know how many values '{LR}' takes: add --points K\n"),
        (["--param", "optimizer.lr=1:2", "--method", "random", "--points", "3"], "--points belongs to --method grid, not to random"),
        (["--param", "optimizer.lr=1:2", "--points", "10001"], "the grid has 10001 points, more than 10000; use --method random\n"),
        (["--param", "optimizer.lr=1:2", "--metric", "test/advection1d/nrmse"],
         "--metric test/advection1d/nrmse is measured on the test split; a study selects on the validation split only"),
        (["--param", "optimizer.lr=1:2", "--metric", "operator/test/nrmse"], "is measured on the test split"),
        (["--param", "optimizer.lr=1:2", "--metric", "val/nrmse"],
         "write it as STEP/METRIC, e.g. operator/val/nrmse; steps: operator, check, test\n"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_runs(
    arguments: list[str], expected: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(*arguments) == 2
    assert expected in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_spec_that_trains_nothing_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tiny.yaml").write_text(
        SPEC.replace("stage: operator", "evaluate: report").split("    max_steps")[0]
    )
    assert tune("--param", "optimizer.lr=1:2") == 2
    assert "the spec has no training stage, so there is nothing to tune" in capsys.readouterr().err


def test_another_kind_is_set_before_its_options(spec: PipelineSpec) -> None:
    texts = ["model.depth=1,2", "model.kind=a,b", "optimizer.lr=1:2", "optimizer.kind=a,b", "model=c,d"]
    keys = [parameter.key for parameter in parse_space(texts, spec)]
    assert keys == ["model", "model.kind", "model.depth", "pipeline.operator.optimizer.kind", LR]


finite = st.floats(min_value=-1e12, max_value=1e12)
positive = st.floats(min_value=1e-12, max_value=1e12)
shares = st.floats(min_value=0.0, max_value=1.0)


@given(finite, finite, shares, st.booleans())
def test_values_lie_inside_the_range(a: float, b: float, u: float, integer: bool) -> None:
    low, high = (math.floor(min(a, b)), math.ceil(max(a, b))) if integer else (min(a, b), max(a, b))
    assume(low < high)
    parameter = Range("k", low, high, integer=integer)
    value = parameter.sample(u)
    assert low <= value <= high
    assert isinstance(value, int) == integer
    assert -1e-9 <= parameter.position(value) <= 1 + 1e-9


@given(positive, positive, shares)
def test_log_ranges_are_uniform_in_the_logarithm(a: float, b: float, u: float) -> None:
    low, high = min(a, b), max(a, b)
    assume(high > low * (1 + 1e-6))
    parameter = Range("k", low, high, log=True)
    value = parameter.sample(u)
    assert low <= value <= high
    assert math.log(value) == pytest.approx(math.log(low) + u * math.log(high / low), abs=1e-9)
    assert parameter.position(value) == pytest.approx(u, abs=1e-3)


@given(positive, positive, st.integers(2, 50), st.booleans(), st.booleans())
def test_grids_go_from_end_to_end(a: float, b: float, points: int, log: bool, integer: bool) -> None:
    low, high = (math.ceil(min(a, b)), math.ceil(max(a, b))) if integer else (min(a, b), max(a, b))
    assume(high > low * (1 + 1e-6))
    values = Range("k", low, high, log, integer).grid(points)
    assert (values[0], values[-1]) == (low, high)
    assert values == sorted(values)
    assert len(values) <= points


def test_integers_are_drawn_equally_often() -> None:
    for log in (False, True):
        drawn = [Range("k", 1, 4, log, integer=True).sample(index / 999) for index in range(1000)]
        assert set(drawn) == {1, 2, 3, 4}
    counts = [
        [Range("k", 1, 4, integer=True).sample(i / 999) for i in range(1000)].count(n) for n in (1, 2, 3, 4)
    ]
    assert max(counts) - min(counts) < 5


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp"))),
    lambda inner: st.lists(inner, max_size=3), max_leaves=4,
))  # fmt: skip
def test_a_value_as_text_reads_as_itself(value: Any) -> None:
    read = parse_yaml(value_text(value), "text", {}).data
    assert read == value
    assert value_text(read) == value_text(value)


# What is tried

SPACE: Space = (
    Range("lr", 1e-4, 1e-1, log=True),
    Choice("kind", ("a", "b", [1, 2])),
    Range("n", 1, 9, integer=True),
)


@pytest.mark.parametrize("method", ["grid", "random", pytest.param("optuna", marks=needs_optuna)])
def test_a_proposal_is_a_function_of_seed_number_and_results(method: str) -> None:
    def proposals(seed: int) -> list[dict[str, Any]]:
        points = 3 if method == "grid" else None
        results: list[tuple[dict[str, Any], float | None]] = []
        for number in range(1, 15):
            search = create_search(method, SPACE, seed, points)  # a new one each time: nothing is remembered
            values = dict(search.propose(number, results))
            results.append((values, None if number == 3 else abs(math.log(values["lr"] / 1e-3))))
        return [values for values, _ in results]

    first = proposals(0)
    assert first == proposals(0)
    assert first != proposals(1)
    for values in first:
        assert list(values) == ["lr", "kind", "n"]
        assert 1e-4 <= values["lr"] <= 1e-1
        assert values["kind"] in ("a", "b", [1, 2])
        assert values["n"] in range(1, 10)
        json.dumps(values)


def test_a_grid_has_every_combination_once() -> None:
    search = create_search("grid", SPACE, 0, 3)
    assert search.limit == 27
    every = [json.dumps(search.propose(number, [])) for number in range(1, 28)]
    assert len(set(every)) == 27


@needs_optuna
def test_tpe_looks_where_it_was_good() -> None:
    space: Space = (Range("lr", 1e-6, 1.0, log=True),)
    search, results = Optuna(space, 0), list[tuple[dict[str, Any], float | None]]()
    for number in range(1, 41):
        values = dict(search.propose(number, results))
        results.append((values, abs(math.log10(values["lr"] / 1e-3))))
    median = statistics.median(value for _, value in results[10:] if value is not None)
    assert median < 0.75, "half of the 1.5 that uniform draws over six decades have"
    assert len({values["lr"] for values, _ in results}) == 40


def test_the_method_suits_the_space(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = (SPACE[1],)
    assert choose_method(None, choices, None) == "grid"
    assert choose_method(None, SPACE, 3) == "grid"
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert choose_method(None, SPACE, None) == "random"
    with pytest.raises(
        UPSError, match=r"needs Optuna: pip install 'ups-train\[tune\]', or use --method random"
    ):
        create_search("optuna", SPACE, 0, None)


# What is on record


class FakeRuns:
    """Stands in for training: a run's value is a function of its learning rate, known after no time."""

    def __init__(self, value: Callable[[float], float]):
        self.value = value
        self.rates: list[float] = []
        self.fingerprint = ""

    def __call__(self, plan: Plan, log: Path) -> None:
        rate = plan.steps[0].spec.config.optimizer.config.lr  # type: ignore[attr-defined]
        self.rates.append(rate)
        value = self.value(rate)
        for step in plan.steps:
            done = {"status": "completed", "fingerprint": self.fingerprint or step.fingerprint}
            write_json(step_directory(plan.directory, step.id) / "step.json", done)
        metrics = {"operator/val/nrmse": value} | {
            f"{step.id}/advection1d/nrmse": value for step in plan.steps[1:]
        }
        write_json(plan.directory / "run.json", {"metrics": metrics})
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
    assert (content["metric"], content["method"], content["seed"]) == ("operator/val/nrmse", "random", 0)
    values = [float(line.split()[2]) for line in out.splitlines()[1:7]]
    assert values == sorted(values)
    best = repr(content["best"]["parameters"][LR])
    use = out.splitlines()[-1].removeprefix("use the best: ")
    assert use == f"ups-run tiny.yaml --set model.width=16 --set {LR}={best}"
    assert main(["validate", *shlex.split(use)[1:]]) == 0
    assert next(Path("runs").glob("*/study.png")).read_bytes().startswith(b"\x89PNG")


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
    assert tune(*RANDOM, "--trials", "1", "--set", "pipeline.test.batch_size=8") == 0
    assert studies() == 4, "evaluations are no part of the question"
    assert tune(*RANDOM, "--trials", "1", "--fresh") == 0
    assert studies() == 5


def test_a_component_at_its_default_is_written_out(
    runs: FakeRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("tiny.yaml").write_text(SPEC.replace("    optimizer: {kind: adamw, lr: 1e-3}\n", ""))
    assert tune(*RANDOM, "--trials", "1") == 0
    out, err = capsys.readouterr()
    kind = "--set pipeline.operator.optimizer.kind=muon_hybrid"
    assert f"the spec names none, so {kind}\n" in err
    assert f"use the best: ups-run tiny.yaml {kind} --set {LR}=" in out
    more = "--param", "optimizer.kind=adam,adamw"
    assert tune(*RANDOM, *more, "--trials", "4") == 0
    assert "names none" not in capsys.readouterr().err, "the kind is searched"


def test_an_evaluation_on_the_validation_split_may_be_the_objective(runs: FakeRuns) -> None:
    assert tune(*RANDOM, "--trials", "1", "--metric", "check/advection1d/nrmse") == 0
    (trial,) = study()["trials"]
    text = (Path(trial["directory"]) / "spec.yaml").read_text()
    assert "evaluate: rollout" in text
    assert "id: check" in text
    assert "id: test" not in text


def test_trials_have_all_stages_and_no_evaluation(runs: FakeRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECOND", "again")
    later = "  - stage: operator\n    id: ${env:SECOND}\n    needs: [operator]\n    max_steps: 4\n"
    Path("tiny.yaml").write_text(SPEC + later)
    assert tune(*RANDOM, "--trials", "1", "--metric", "operator/val/nrmse") == 0
    (trial,) = study()["trials"]
    text = (Path(trial["directory"]) / "spec.yaml").read_text()
    assert text.count("stage: operator") == 2
    assert "evaluate:" not in text
    assert "id: ${env:SECOND}\n" in text, "records show the reference"
    assert tune("--param", "optimizer.lr=1:2", "--metric", "again/test/x") == 2


def test_a_failing_trial_is_recorded_and_the_study_goes_on(
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
    assert trials[0.1]["message"] == "operator/val/nrmse is not finite: the rollout diverged"
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
    arguments = "--param", "unroll=1,50", "--param", "optimizer.lr=0.001,0.002"
    assert tune(*arguments) == 0
    failed = [trial for trial in study()["trials"] if trial["status"] == "failed"]
    assert len(failed) == 2
    assert "50 steps after 1 given frames need 51 frames" in failed[0]["message"]
    assert tune(*arguments) == 0
    assert "nothing to do: 4 trials have ended" in capsys.readouterr().err
    assert len(runs.rates) == 2


def test_when_all_fail_the_command_fails(runs: FakeRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune("--param", "unroll=50,60") == 1
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
    whole = {trial["number"]: trial["parameters"] for trial in study()["trials"]}
    assert [whole[number][LR] for number in (1, 2, 3)] == [runs.rates[0], *runs.rates[2:]]


def test_a_lost_run_directory_or_other_data_make_a_trial_run_again(runs: FakeRuns) -> None:
    tune(*RANDOM, "--trials", "2")
    (step,) = Path(study()["trials"][0]["directory"]).glob("steps/operator/step.json")
    step.unlink()
    assert tune(*RANDOM, "--trials", "2") == 0
    assert runs.rates == [*runs.rates[:2], runs.rates[0]]


def test_code_that_changes_meanwhile_ends_the_study_and_fails_no_trial(
    runs: FakeRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    usual, runs.fingerprint = runs.fingerprint, "of other code"
    assert tune(*RANDOM, "--trials", "3") == 1
    assert "code or data changed while the trial ran; the same command goes on" in capsys.readouterr().err
    assert [trial["status"] for trial in study()["trials"]] == ["interrupted"]
    runs.fingerprint = usual
    assert tune(*RANDOM, "--trials", "3") == 0
    assert {trial["status"] for trial in study()["trials"]} == {"completed"}


def test_equal_values_train_once(runs: FakeRuns) -> None:
    assert tune("--param", "optimizer.lr=0.001,0.002", "--method", "random", "--trials", "8") == 0
    assert sorted(runs.rates) == [0.001, 0.002]
    assert len(study()["trials"]) == 8


def test_a_metric_that_no_run_has_ends_the_study(runs: FakeRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(*RANDOM, "--trials", "3", "--metric", "operator/val/nrsme") == 1
    assert "has no metric 'operator/val/nrsme'; metrics: operator/val/nrmse\n" in capsys.readouterr().err
    assert len(runs.rates) == 1


def test_a_study_in_use_is_refused(runs: FakeRuns, capsys: pytest.CaptureFixture[str]) -> None:
    tune(*RANDOM, "--trials", "1")
    with locked(next(Path("runs").iterdir())):
        assert tune(*RANDOM, "--trials", "2") == 1
    assert f"is in use by process {os.getpid()} on" in capsys.readouterr().err
    assert len(runs.rates) == 1


@pytest.mark.parametrize(("rate", "edge"), [(1.1e-4, "lower"), (3e-3, None), (0.099, "upper")])
def test_a_best_value_at_an_edge_is_told(
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
    assert tune("--param", "unroll=50,60", "--json") == 1
    assert json.loads(capsys.readouterr().out)["best"] is None


# Real runs


def test_three_trials_for_real(folder: Path) -> None:
    arguments = "tune", "tiny.yaml", "--param", "optimizer.lr=1e-3,4e-3,1e30"
    result = command("ups", *arguments, cwd=folder)
    content = study()
    trials = {trial["parameters"][LR]: trial for trial in content["trials"]}
    assert [trials[rate]["status"] for rate in (1e-3, 4e-3, 1e30)] == ["completed", "completed", "failed"]
    assert "step 'operator' failed: the loss is" in trials[1e30]["message"]
    assert result.stdout.splitlines()[-1].startswith(f"use the best: ups-run tiny.yaml --set {LR}=")
    for rate in (1e-3, 4e-3):
        run = Path(trials[rate]["directory"])
        record = json.loads((run / "run.json").read_text())
        assert [step["id"] for step in record["steps"]] == ["operator"], "no evaluation, no test data"
        assert record["metrics"]["operator/val/nrmse"] == trials[rate]["value"] > 0
        assert (run / "steps/operator/model/weights.safetensors").is_file()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}
    assert "nothing to do: 3 trials have ended" in command("ups", *arguments, cwd=folder).stderr
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"} == before


def test_a_study_that_is_stopped_stops_its_trial_and_goes_on(folder: Path) -> None:
    arguments = ["tune", "tiny.yaml", *RANDOM, "--trials", "1", "--set", "pipeline.operator.max_steps=80"]
    process = subprocess.Popen(
        [str(BIN / "ups"), *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(folder.glob("runs/*/trials/*/steps/.operator.partial/checkpoints/step-*.ckpt")):
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
