"""Tables as users read them: numbers, ratios, durations, the terminal's table."""

from __future__ import annotations

import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ups_eval.report.collect import Evaluation
from ups_eval.report.scores import all_rows
from ups_eval.results import Results
from ups_eval.tables import (
    Cell,
    format_number,
    format_ratio,
    format_seconds,
    headline,
    rich_headline,
)


def results(**metrics: float) -> Results:
    """Scores of `ours`, persistence and `fno` on `wave`; keyword `model__metric`."""
    found = Results("ours", ["persistence", "fno"], "test", per_step={"wave": {}})
    for key, value in metrics.items():
        model, metric = key.split("__")
        found.metrics[found.key("wave", model, metric)] = value
    return found


def printed(found: Results, width: int = 100, title: str = "test (test split)") -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(rich_headline(found, title))
    return stream.getvalue()


def test_the_terminal_shows_ratios_and_a_caption() -> None:
    text = printed(results(ours__nrmse=0.1, persistence__nrmse=0.8, fno__nrmse=0.4))
    assert "test (test split)" in text
    for column in ("task", "ours", "persistence", "fno"):
        assert column in text
    assert "0.100 ×0.125" in text
    assert "0.400 ×0.500" in text
    assert "0.800" in text
    assert "×1.00" not in text, "persistence is not compared with itself"
    assert "nRMSE (× persistence)" in text


def test_the_best_is_bold_on_a_terminal() -> None:
    stream = io.StringIO()
    found = results(ours__nrmse=0.5, persistence__nrmse=0.8, fno__nrmse=0.4)
    Console(file=stream, width=100, force_terminal=True, color_system="standard").print(
        rich_headline(found, "t")
    )
    assert "\x1b[1m0.400 ×0.500\x1b[0m" in stream.getvalue()


def test_names_are_not_markup() -> None:
    found = Results("acme/[bold]", [], "val", {"[red]/nrmse": 0.5}, {"[red]": {"acme/[bold]": [0.5]}})
    text = printed(found, title="[blink]")
    assert all(name in text for name in ("acme/[bold]", "[red]", "[blink]"))


def test_a_long_name_folds_instead_of_hiding_a_number() -> None:
    found = Results("a-model-with-a-very-long-name" * 2, [], "test", {"wave/nrmse": 0.123}, {"wave": {}})
    assert "0.123" in printed(found, width=40)


def test_a_single_model_has_no_best() -> None:
    found = Results("ours", [], "test", {"wave/nrmse": 0.1}, {"wave": {}})
    assert "persistence" not in printed(found), "what is not there"
    (row,) = headline(found)
    assert row.cells == (Cell("0.100", "", best=False),)


def test_a_diverged_model_is_never_the_best() -> None:
    found = results(
        ours__nrmse=math.inf,
        ours__diverged=3,
        ours__rmse=math.inf,
        persistence__nrmse=0.8,
        persistence__rmse=0.2,
        fno__nrmse=0.9,
        fno__rmse=0.1,
    )
    (row,) = headline(found)
    assert [cell.text for cell in row.cells] == ["∞ (3 diverged)", "0.800", "0.900"]
    assert [cell.best for cell in row.cells] == [False, True, False]
    assert row.cells[0].ratio == "×∞"
    nrmse, rmse = all_rows(Evaluation("test", found, {}, {}), "wave")
    assert (nrmse.label, rmse.label) == ("nrmse", "rmse")
    assert [cell.best for cell in rmse.cells] == [False, False, True]
    assert all(cell.ratio == "" for cell in rmse.cells)


def test_a_metric_that_only_some_models_have() -> None:
    found = results(ours__nrmse=0.1, ours__special=1e-6, persistence__nrmse=0.8)
    rows = {
        row.label: [cell.text for cell in row.cells]
        for row in all_rows(Evaluation("test", found, {}, {}), "wave")
    }
    assert rows["special"] == ["1.00e-06", "–", "–"]


@pytest.mark.parametrize(
    ("ratio", "text"), [(None, ""), (0.5, "×0.500"), (12.345, "×12.3"), (0.0, "×0"), (math.inf, "×∞")]
)
def test_ratios(ratio: float | None, text: str) -> None:
    assert format_ratio(ratio) == text


@given(value=st.floats(1e-9, 1e9))
def test_negative_numbers_are_their_opposites(value: float) -> None:
    assert format_number(-value) == f"-{format_number(value)}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (999.6, "1000"),
        (0.9996, "1.000"),
        (9.995, "9.99"),
        (9999.4, "9999"),
        (1e4, "1.00e+04"),
        (1e-3, "0.00100"),
        (-math.inf, "-∞"),
        (5, "5.00"),
    ],
)
def test_numbers_at_the_edges(value: float, text: str) -> None:
    assert format_number(value) == text


@given(seconds=st.floats(0, 1e6))
def test_durations_lose_less_than_a_unit(seconds: float) -> None:
    text = format_seconds(seconds)
    parts = text.split()
    units = {"s": 1, "min": 60, "h": 3600}
    total = sum(float(number) * units[unit] for number, unit in zip(parts[::2], parts[1::2], strict=True))
    assert abs(total - seconds) <= (60 if "h" in parts else 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10.0 s"),
        (10, "10 s"),
        (119.4, "119 s"),
        (120, "2 min 0 s"),
        (7199, "119 min 59 s"),
        (7200, "2 h 0 min"),
    ],
)
def test_durations_at_the_edges(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.012345, "0.0123"),
        (1.0, "1.00"),
        (123.4, "123"),
        (9999.0, "9999"),
        (4.56e-5, "4.56e-05"),
        (0.0, "0"),
        (math.inf, "∞"),
        (math.nan, "–"),
        (None, "–"),
        (-0.5, "-0.500"),
        (0.00099999, "1.00e-03"),
    ],
)
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
