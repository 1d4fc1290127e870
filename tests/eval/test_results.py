"""The files of an evaluation step and the tables made of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ups_core import UPSError
from ups_core.files import write_json
from ups_eval.results import Results
from ups_eval.tables import all_metrics, headline


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
    read = Results.read(tmp_path)
    assert read is not None
    assert read.metrics["wave/nrmse"] == 0.1
    assert read.value("wave", "fno") == math.inf, "null in JSON, but the count says that it diverged"
    assert math.isnan(read.per_step["wave"]["fno"][0])
    assert "Infinity" not in (tmp_path / "metrics.json").read_text()
    assert read.metric_names == ["nrmse"]


def test_no_file_is_none_and_a_newer_file_is_an_error(tmp_path: Path) -> None:
    assert Results.read(tmp_path) is None
    write_json(tmp_path / "metrics.json", {"schema": 99, "per_step": {}})
    with pytest.raises(UPSError, match="schema 99; update ups-eval"):
        Results.read(tmp_path)


def test_headline_compares_with_persistence_and_marks_the_best() -> None:
    wave, flow = headline(results())
    assert [cell.text for cell in wave.cells] == ["0.100", "0.800", "∞ (2 diverged)"]
    assert wave.cells[0].ratio == "×0.125"
    assert [cell.best for cell in wave.cells] == [True, False, False]
    assert [cell.text for cell in flow.cells] == ["0.300", "–", "–"]
    assert flow.cells[0].ratio == ""
    assert all_metrics(results(), "flow")[0].label == "nrmse"
