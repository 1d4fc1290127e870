"""The files of an evaluation step and the tables made of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ups_core import UPSError
from ups_core.files import write_json
from ups_eval.predictions import choose, read_predictions, write_predictions
from ups_eval.results import Results
from ups_eval.tables import all_metrics, format_number, format_seconds, headline


def results() -> Results:
    return Results(
        model="ours", baselines=["persistence", "fno"], split="test",
        metrics={
            "wave/nrmse": 0.1, "wave/diverged": 0, "wave/persistence/nrmse": 0.8, "wave/persistence/diverged": 0,
            "wave/fno/nrmse": math.inf, "wave/fno/diverged": 2, "flow/nrmse": 0.3, "flow/diverged": 0,
        },
        per_step={"wave": {"ours": [0.1], "fno": [math.inf]}, "flow": {"ours": [0.3]}},
    )  # fmt: skip


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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.012345, "0.0123"), (1.0, "1.00"), (123.4, "123"), (9999.0, "9999"), (4.56e-5, "4.56e-05"), (0.0, "0"),
        (math.inf, "∞"), (math.nan, "–"), (None, "–"), (-0.5, "-0.500"), (0.00099999, "1.00e-03"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert format_number(value) == text


@given(st.floats(1e-12, 1e12))
def test_numbers_are_short_and_right(value: float) -> None:
    assert len(format_number(value)) <= 8
    assert float(format_number(value)) == pytest.approx(value, rel=6e-3)


def test_durations() -> None:
    assert [format_seconds(s) for s in (0.04, 12.3, 200, 7500, None)] == [
        "0.0 s",
        "12 s",
        "3 min 20 s",
        "2 h 5 min",
        "–",
    ]


def test_stored_trajectories_are_best_median_worst_then_the_first() -> None:
    errors = [0.5, 0.1, 0.9, 0.3, 0.2, math.inf]
    choice = choose(errors, 5)
    assert choice.positions == [1, 3, 5, 0, 2]
    assert choice.picks == {"best": 0, "median": 1, "worst": 2}
    assert sorted(choose(errors, -1).positions) == list(range(6))
    assert choose([0.2], 16).picks == {"best": 0, "median": 0, "worst": 0}


def test_predictions_survive_the_file_appended_in_parts(tmp_path: Path, advection, darcy) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "predictions.h5"
    with write_predictions(path) as writer:
        for data in (advection, darcy):
            writer.task(data.info, {"best": 0})
            windows = data.trajectories("test")
            for rows in ([0, 1], [2]):
                batch = windows.batch(rows)
                writer.truth(batch)
                writer.prediction(
                    batch.task, "author/half", batch.target / 2, torch.tensor([0.5] * len(rows))
                )
        assert not path.exists(), "only a complete file gets the name"
    stored = read_predictions(path)["advection1d"]
    assert stored.info == advection.info
    assert stored.picks == {"best": 0}
    np.testing.assert_array_equal(stored.target, advection.content.target[:3])
    np.testing.assert_array_equal(stored.predictions["author/half"], advection.content.target[:3] / 2)
    np.testing.assert_array_equal(stored.coords, advection.content.coords)
    assert stored.static.shape == (3, 0, 64)
    assert stored.index.tolist() == [100, 101, 102]
    assert read_predictions(path)["darcy2d"].state.shape[:2] == (3, 0)
    assert [entry.name for entry in tmp_path.iterdir()] == ["predictions.h5"]


def test_a_failed_writer_leaves_nothing_and_a_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), write_predictions(tmp_path / "predictions.h5"):
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []
    assert read_predictions(tmp_path / "predictions.h5") == {}
    (tmp_path / "predictions.h5").write_bytes(b"torn")
    with pytest.raises(UPSError, match=r"predictions\.h5 cannot be read"):
        read_predictions(tmp_path / "predictions.h5")
