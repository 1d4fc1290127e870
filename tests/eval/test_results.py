"""The files of an evaluation step and the tables made of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from finished import finish_step
from ups_core.finished_step import FinishedStep
from ups_core.reading import UnsoundFile
from ups_core.sealed import write_sealed
from ups_eval.report.collect import Evaluation
from ups_eval.report.scores import all_rows
from ups_eval.results import Results
from ups_eval.tables import headline


def results() -> Results:
    return Results(
        model="ours",
        baselines=["persistence", "fno"],
        split="test",
        metrics={
            "wave/nrmse": 0.1,
            "wave/diverged": 0,
            "wave/persistence/nrmse": 0.8,
            "wave/persistence/diverged": 0,
            "wave/fno/nrmse": math.inf,
            "wave/fno/diverged": 2,
            "flow/nrmse": 0.3,
            "flow/diverged": 0,
        },
        per_step={"wave": {"ours": [0.1], "fno": [math.inf]}, "flow": {"ours": [0.3]}},
    )


def test_results_survive_the_file(tmp_path: Path) -> None:
    results().write(tmp_path)
    read = Results.load(tmp_path / "metrics.json")
    assert read is not None
    assert read.metrics["wave/nrmse"] == 0.1
    assert read.value("wave", "fno") == math.inf, "null in JSON, but the count says that it diverged"
    assert math.isnan(read.per_step["wave"]["fno"][0])
    assert "Infinity" not in (tmp_path / "metrics.json").read_text()
    assert read.metric_names == ["nrmse"]


def step_with(run: Path, content: dict[str, Any] | None) -> FinishedStep:
    if content is not None:
        write_sealed(run / "steps" / "test" / "metrics.json", content)
    finish_step(run, "test", "x")
    return FinishedStep.read(run, "test")


def test_no_file_and_a_file_of_another_form_are_none(tmp_path: Path) -> None:
    assert Results.read(step_with(tmp_path / "a", None)) is None
    assert Results.read(step_with(tmp_path / "b", {"accuracy": 1.0})) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"schema": 99, "per_step": {}}, "has schema 99; this version of ups-eval reads 3"),
        ({"schema": 3, "per_step": {}}, r"is not a file of results \('model'\)"),
        ({"schema": 3, "per_step": 3, "model": "a", "baselines": [], "split": "test"}, r"\('per_step'\)"),
    ],
)
def test_results_of_another_version_are_refused(
    content: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsoundFile, match=problem):
        Results.read(step_with(tmp_path, content))


def test_a_changed_digit_is_noticed(tmp_path: Path) -> None:
    results().write(tmp_path / "steps" / "test")
    step = step_with(tmp_path, None)
    path = step.directory / "metrics.json"
    path.write_text(path.read_text().replace("0.8", "0.9"))
    with pytest.raises(UnsoundFile, match="does not match its checksum"):
        Results.read(step)


def test_headline_compares_with_persistence_and_marks_the_best() -> None:
    wave, flow = headline(results())
    assert [cell.text for cell in wave.cells] == ["0.100", "0.800", "∞ (2 diverged)"]
    assert wave.cells[0].ratio == "×0.125"
    assert [cell.best for cell in wave.cells] == [True, False, False]
    assert [cell.text for cell in flow.cells] == ["0.300", "–", "–"]
    assert flow.cells[0].ratio == ""
    assert all_rows(Evaluation("test", results(), {}, {}), "flow")[0].label == "nrmse"


def scored(names: list[str], higher: list[str]) -> Results:
    found = Results(model="ours", baselines=["you/net"], split="test", names=names, higher_is_better=higher)
    found.per_step = {"wave": {"ours": [0.1], "you/net": [0.2]}}
    for number, name in enumerate(names):
        found.metrics[found.key("wave", "ours", name)] = number + 0.25
        found.metrics[found.key("wave", "you/net", name)] = number + 0.75
    return found


def test_a_metric_of_a_plugin_has_a_row_of_its_own(tmp_path: Path) -> None:
    names = ["nrmse", "you/score", "you/a/b", "score"]
    scored(names, ["you/score"]).write(tmp_path)
    read = Results.load(tmp_path / "metrics.json")
    assert read is not None
    assert read.metric_names == names
    assert sorted(read.metrics)[:2] == ["wave/nrmse", "wave/score"]
    assert "wave/you-score" in read.metrics
    assert "wave/you/net/you-score" in read.metrics
    rows = {row.label: row for row in all_rows(Evaluation("test", read, {}, {}), "wave")}
    assert [cell.text for cell in rows["you/score"].cells] == ["1.25", "1.75"]
    assert [cell.best for cell in rows["you/score"].cells] == [False, True], "higher is better"
    assert [cell.best for cell in rows["you/a/b"].cells] == [True, False]


def test_the_best_coverage_is_nearest_to_its_level(tmp_path: Path) -> None:
    found = scored(["nrmse", "coverage_50"], [])
    found.metrics |= {"wave/coverage_50": 0.2, "wave/you/net/coverage_50": 0.6}
    found.ideals = {"coverage_50": 0.5}
    found.write(tmp_path)
    read = Results.load(tmp_path / "metrics.json")
    assert read is not None
    assert read.best("wave", "coverage_50") == "you/net"


def test_ensembles_are_compared_by_their_energy_score() -> None:
    found = scored(["nrmse", "energy_score"], [])
    assert found.criterion == "nrmse", "one prediction"
    assert [row.label for row in headline(found)] == ["wave"]
    found.members = {"ours": 8}
    assert found.criterion == "energy_score"
    assert [row.label for row in headline(found)] == ["wave", "wave: energy score"]
    assert found.ratio("wave", "ours", "you/net", found.criterion) == pytest.approx(1.25 / 1.75)


def test_the_best_is_finite_in_both_directions() -> None:
    found = scored(["nrmse", "you/score"], ["you/score"])
    found.metrics["wave/you/net/diverged"] = 2
    assert found.best("wave", "you/score") == "ours"
    found.metrics["wave/diverged"] = 1
    assert found.best("wave", "you/score") is None
