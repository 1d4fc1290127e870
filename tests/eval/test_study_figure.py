"""The figure of a study: every trial at its place, the best marked, failures along the top."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from ups_core import UPSError
from ups_core.events import StudyInfo
from ups_core.plugin_loader import plugins_in_use
from ups_core.study.space import Choice, Range
from ups_core.study.study import Study, Trial
from ups_eval.report.style import PALETTE, PERSISTENCE
from ups_eval.study_figure import draw_study, write_study_figure

RATE = Range("pipeline.operator.lr", 1e-4, 1e-1, log=True)
WIDTH = Choice("model.width", (16, 32, 64))
NOISE = Range("pipeline.operator.noise", 0.0, 0.2)


def trial(number: int, value: float | None, status: str = "completed", **changes: Any) -> Trial:
    parameters = {RATE.key: 10.0 ** (-1 - number % 4), WIDTH.key: (16, 32, 64)[number % 3], NOISE.key: 0.1}
    return Trial(number, parameters | changes, status, value)  # type: ignore[arg-type]


def study(directory: Path, trials: list[Trial], *space: Range | Choice) -> Study:
    parameters = space or (RATE, WIDTH, NOISE)
    about = {"parameters": {parameter.key: parameter.text for parameter in parameters}}
    return Study(directory, tuple(parameters), about, ["ups-run", "tiny.yaml"], trials)


TRIALS = [trial(0, 0.4), trial(1, 0.1), trial(2, None, "failed"), trial(3, 0.8), trial(4, 0.2)]


def points(axes: Any, colour: str, marker: str = "o") -> list[tuple[float, float]]:
    """Coordinates of the markers of one colour."""
    found = [line for line in axes.lines if line.get_color() == colour and line.get_marker() == marker]
    return [(float(x), float(y)) for line in found for x, y in zip(*line.get_data(), strict=True)]


def test_every_trial_is_a_point_in_every_panel(tmp_path: Path) -> None:
    figure = draw_study(study(tmp_path, TRIALS), "operator/val/nrmse")
    rate, width, noise, history = figure.axes
    assert points(rate, PERSISTENCE) == [(0.1, 0.4), (0.01, 0.1), (1e-4, 0.8), (0.1, 0.2)]
    assert points(width, PERSISTENCE) == [(0, 0.4), (1, 0.1), (0, 0.8), (1, 0.2)], "choices by their position"
    assert [x for x, _ in points(noise, PERSISTENCE)] == [0.1] * 4
    assert points(history, PERSISTENCE) == [(0, 0.4), (1, 0.1), (3, 0.8), (4, 0.2)]


def test_the_best_is_marked_and_failures_are_along_the_top(tmp_path: Path) -> None:
    rate, width, _, history = draw_study(study(tmp_path, TRIALS), "nrmse").axes
    assert points(rate, PALETTE[1]) == [(0.01, 0.1)]
    assert points(width, PALETTE[4], "x") == [(2, 0.97)], "trial 2 failed with width 64"
    (curve,) = (line for line in history.lines if line.get_label() == "best so far")
    assert list(curve.get_ydata()) == [0.4, 0.1, 0.1, 0.1]
    assert {text.get_text() for text in history.get_legend().get_texts()} == {"trial", "best so far"}


def test_scales_and_labels(tmp_path: Path) -> None:
    rate, width, noise, history = draw_study(study(tmp_path, TRIALS), "nrmse").axes
    assert [axes.get_xscale() for axes in (rate, width, noise, history)] == [
        "log",
        "linear",
        "linear",
        "linear",
    ]
    assert [axes.get_xlabel() for axes in (rate, noise, history)] == [RATE.key, NOISE.key, "trial"]
    assert {axes.get_ylabel() for axes in (rate, width, noise, history)} == {"nrmse"}
    assert [label.get_text() for label in width.get_xticklabels()] == ["16", "32", "64"]
    assert {axes.get_yscale() for axes in (rate, width, noise, history)} == {"log"}, "0.1 to 0.8"
    near = [trial(0, 0.4), trial(1, 0.5)]
    assert draw_study(study(tmp_path, near), "nrmse").axes[0].get_yscale() == "linear"
    negative = [trial(0, -0.4), trial(1, 0.5)]
    assert draw_study(study(tmp_path, negative), "score").axes[0].get_yscale() == "linear"


@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_there_is_a_panel_per_parameter_and_one_more(tmp_path: Path, count: int) -> None:
    space = [Range(f"model.p{number}", 0.0, 1.0) for number in range(count)]
    trials = [Trial(0, {parameter.key: 0.5 for parameter in space}, "completed", 0.1)]
    figure = draw_study(study(tmp_path, trials, *space), "nrmse")
    assert len(figure.axes) == count + 1
    assert figure.get_figwidth() <= 3.3 * 4 + 0.1


def test_choices_of_any_type_have_their_place(tmp_path: Path) -> None:
    kinds = Choice("pipeline.operator.optimizer", ("adamw", True, None, 1.5))
    trials = [Trial(n, {kinds.key: value}, "completed", 0.1 + n) for n, value in enumerate(kinds.values)]
    axes = draw_study(study(tmp_path, trials, kinds), "nrmse").axes[0]
    assert [x for x, _ in points(axes, PERSISTENCE)] == [0, 1, 2, 3]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["adamw", "true", "null", "1.5"]


def size_of(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_the_hook_draws_what_is_on_disk(tmp_path: Path) -> None:
    study(tmp_path, TRIALS).save()
    plugins_in_use().manager.hook.ups_study_finished(study=StudyInfo(tmp_path, "operator/val/nrmse"))
    width, height = size_of(tmp_path / "study.png")
    assert width > 1000
    assert height > 300
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.json", "study.png"]


def test_a_study_without_a_value_leaves_no_figure(tmp_path: Path) -> None:
    study(tmp_path, [trial(0, None, "failed"), trial(1, None, "interrupted")]).save()
    write_study_figure(StudyInfo(tmp_path, "nrmse"))
    assert not (tmp_path / "study.png").exists()
    with pytest.raises(UPSError, match="is not a study directory"):
        write_study_figure(StudyInfo(tmp_path / "elsewhere", "nrmse"))
