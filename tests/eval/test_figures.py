"""Figures of the report: what is drawn where, in which colour and scale, and the SVG around it."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ups_data.info import Channel
from ups_eval.predictions import TaskPredictions
from ups_eval.report import animation
from ups_eval.report.animation import rollout_gif
from ups_eval.report.calibration_figure import calibration_figure
from ups_eval.report.collect import TrainingLog, collect, read_log
from ups_eval.report.curves import rollout_figure, training_figure
from ups_eval.report.field_figures import MAX_PIXELS, colour_limits, plane, positions, sample_figure, times
from ups_eval.report.style import (
    DARK,
    INK,
    LIGHT,
    PALETTE,
    PERSISTENCE,
    dress,
    model_colours,
    new_figure,
    plain_log_ticks,
    scale_values,
    to_svg,
)
from ups_eval.results import Results

COLOURS = model_colours(["latent_operator", "persistence", "fno"])


@pytest.fixture
def stored(run_directory: Path) -> dict[str, TaskPredictions]:
    """The stored trajectories of the run: a line and a plane."""
    return dict(collect(run_directory).evaluations[0].predictions)


def test_every_model_keeps_its_colour() -> None:
    colours = model_colours(["ours", "persistence", "fno", "ours", "unet"])
    assert colours == {
        "ours": PALETTE[0],
        "fno": PALETTE[1],
        "unet": PALETTE[2],
        "persistence": PERSISTENCE,
    }
    many = model_colours([f"m{number}" for number in range(9)])
    assert many["m6"] == PALETTE[0], "the palette starts again"
    assert model_colours([])["persistence"] == PERSISTENCE


def test_an_ensemble_shows_a_member_and_its_spread(stored: dict[str, TaskPredictions]) -> None:
    for name, task in stored.items():
        alone = sample_figure(task, 0, "latent_operator", COLOURS)
        members = np.stack([task.predictions["latent_operator"] + shift for shift in (-1, 0, 1)], axis=1)
        ensemble = replace(task, members={"latent_operator": members})
        figure = sample_figure(ensemble, 0, "latent_operator", COLOURS)
        panels = ("a member", "spread")
        assert not any(panel in alone for panel in panels)
        if task.info.dim == 1:
            assert len(figure) > len(alone), f"a band in the picture of {name}"
        else:
            assert all(f">{panel}<" in figure for panel in panels), name


def test_an_svg_has_a_label_no_size_and_no_ink_of_its_own() -> None:
    figure = new_figure(4.0, 2.0)
    dress(figure.subplots(), title="a < b", x="time", grid=True)
    svg = to_svg(figure, 'truth & "prediction"')
    head = svg[: svg.index(">")]
    assert 'aria-label="truth &amp; &quot;prediction&quot;"' in head
    assert "max-width:288pt" in head
    assert not re.search(r'\s(width|height)="', head)
    assert "currentColor" in svg
    assert INK not in svg
    assert "<metadata>" not in svg
    assert "a &lt; b" in svg


def test_the_same_figure_gives_the_same_bytes() -> None:
    def draw() -> str:
        figure = new_figure(3.0, 2.0)
        figure.subplots().plot([0, 1, 2], [1, 3, 2])
        return to_svg(figure, "one")

    assert draw() == draw()


def axes_of() -> Any:
    return new_figure(3.0, 2.0).subplots()


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1, 2.9], "linear"),
        ([1, 3], "log"),
        ([0, 3], "linear"),
        ([-1, 3], "linear"),
        ([], "linear"),
        ([1, math.inf, math.nan], "linear"),
        ([1, 100, math.inf], "log"),
    ],
)
def test_values_that_span_a_factor_are_logarithmic(values: list[float], scale: str) -> None:
    axes = axes_of()
    scale_values(axes, values)
    assert axes.get_yscale() == scale


@pytest.mark.parametrize(("high", "between"), [(15, True), (1000, False)])
def test_logarithmic_axes_have_plain_numbers(high: float, between: bool) -> None:
    axes = axes_of()
    axes.set_yscale("log")
    axes.set_ylim(1, high)
    plain_log_ticks(axes.yaxis, 1, high)
    major, minor = axes.yaxis.get_major_formatter(), axes.yaxis.get_minor_formatter()
    assert major(10, 0) == "10"
    assert (minor(5, 0) == "5") is between


def test_dressed_axes() -> None:
    plain, grid = axes_of(), axes_of()
    dress(plain, title="title", x="x", y="y", ink="#123456")
    dress(grid, grid=True)
    assert plain.get_title(loc="left") == "title"
    assert plain.xaxis.label.get_color() == "#123456"
    assert all(spine.get_visible() for spine in plain.spines.values())
    assert [name for name, spine in grid.spines.items() if spine.get_visible()] == ["left", "bottom"]


def logged(**series: list[float]) -> TrainingLog:
    return TrainingLog(
        "operator",
        {
            name.replace("__", "/"): ([float(step) for step in range(len(values))], values)
            for name, values in series.items()
        },
    )


def test_training_curves_group_what_belongs_together() -> None:
    log = logged(
        train__loss=[1.0, 0.1],
        train__wave__loss=[2.0, 0.2],
        val__wave__nrmse=[0.5, 0.4],
        val__nrmse=[0.5, 0.3],
        lr=[1e-3, 1e-4],
        lr__muon=[1e-2, 1e-3],
        speed__samples=[5.0, 6.0],
    )
    svg = training_figure(log)
    assert svg is not None
    label = re.search(r'aria-label="([^"]*)"', svg)
    assert label is not None
    assert (
        label[1]
        == "training curves of operator: loss, validation nRMSE, learning rate against optimizer steps"
    )
    for name in ("mean", "wave", "lr", "lr/muon"):
        assert f">{name}<" in svg, name
    assert "samples" not in svg, "speed is not a training curve"
    assert training_figure(logged(speed__samples=[1.0])) is None
    assert training_figure(TrainingLog("operator", {})) is None


def test_values_that_are_not_finite_leave_gaps() -> None:
    assert training_figure(logged(train__loss=[1.0, math.nan, math.inf, 0.5])) is not None
    assert training_figure(logged(train__loss=[math.nan])) is not None


def results(curves: dict[str, list[float]]) -> Results:
    return Results("ours", [name for name in curves if name != "ours"], "test", per_step={"wave": curves})


def test_a_rollout_is_drawn_over_time() -> None:
    found = results({"ours": [0.1, 0.2, 0.4], "persistence": [0.5, 1.0, math.inf]})
    svg = rollout_figure(found, "wave", model_colours(["ours"]), history=2, dt=0.5)
    assert svg is not None
    assert "error over the rollout on wave; at the last frame: ours 0.4, persistence inf" in svg
    assert PALETTE[0] in svg
    assert PERSISTENCE in svg
    assert "stroke-dasharray" in svg, "persistence is dashed"
    assert rollout_figure(results({"ours": [0.1]}), "wave", model_colours(["ours"]), 0, 0.0) is None, "steady"


def test_times_and_positions(stored: dict[str, TaskPredictions]) -> None:
    line = stored["advection1d"]
    assert times(line)[0] == pytest.approx(line.info.dt * line.info.history)
    assert times(line)[-1] == pytest.approx(line.info.dt * (line.info.frames - 1))
    assert positions(line) == pytest.approx(line.coords[:, 0])


@given(
    field=hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=3, max_side=40), elements=st.floats(-1, 1, width=32)
    )
)
def test_an_image_is_a_plane_of_bearable_size(field: np.ndarray) -> None:
    big = np.repeat(np.repeat(field, 20, axis=0), 20, axis=1)
    image = plane(big)
    assert image.ndim == 2
    assert max(image.shape) <= MAX_PIXELS
    assert image[0, 0] == (field[0, 0] if field.ndim == 2 else field[0, 0, field.shape[2] // 2])
    low, high = colour_limits(image)
    assert low < high
    assert low <= image.min()
    assert high >= image.max()


def test_a_figure_names_what_it_shows(stored: dict[str, TaskPredictions]) -> None:
    line = replace(
        stored["advection1d"],
        info=replace(
            stored["advection1d"].info,
            channels=(replace(stored["advection1d"].info.channels[0], unit="m/s"),),
        ),
    )
    svg = sample_figure(line, 1, "fno", COLOURS)
    assert ">truth: u [m/s]<" in svg
    assert ">error<" in svg
    assert f"on trajectory {line.index[1]} of advection1d, nRMSE" in svg
    assert {">truth<", ">latent_operator<", ">persistence<"} <= set(re.findall(r">[a-z_]+<", svg)), (
        "the last frame"
    )
    flow = sample_figure(stored["darcy2d"], 0, "latent_operator", COLOURS)
    assert ">given: a<" in flow
    assert ">truth: u<" in flow


def test_more_channels_than_fit_are_left_out(stored: dict[str, TaskPredictions]) -> None:
    line = stored["advection1d"]
    six = replace(
        line,
        info=replace(line.info, channels=tuple(Channel(f"u{n}", "1", "state") for n in range(6))),
        target=line.target.repeat(6, 2),
        predictions={name: values.repeat(6, 2) for name, values in line.predictions.items()},
    )
    assert sample_figure(six, 0, "fno", COLOURS).count(">truth: u") == 4


def frames_of(gif: bytes) -> list[bytes]:
    image, found = Image.open(io.BytesIO(gif)), []
    for frame in range(getattr(image, "n_frames", 1)):
        image.seek(frame)
        found.append(image.convert("RGB").tobytes())
    return found


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_an_animation_fits_its_page(stored: dict[str, TaskPredictions], theme: Any) -> None:
    line = stored["advection1d"]
    short = replace(
        line, target=line.target[:, :3], predictions={name: v[:, :3] for name, v in line.predictions.items()}
    )
    gif = rollout_gif(short, 0, "fno", COLOURS, theme)
    frames = frames_of(gif)
    assert len(frames) == 3
    corner = tuple(frames[0][:3])
    paper = tuple(int(theme.paper[start : start + 2], 16) for start in (1, 3, 5))
    assert max(abs(a - b) for a, b in zip(corner, paper, strict=True)) <= 8, "up to the palette"
    image = Image.open(io.BytesIO(gif))
    assert image.info["loop"] == 0, "it plays for ever"


def test_a_large_animation_loses_frames_not_the_last_one(
    stored: dict[str, TaskPredictions], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = stored["advection1d"]
    complete = frames_of(rollout_gif(line, 0, "fno", COLOURS, LIGHT))
    monkeypatch.setattr(animation, "MAX_BYTES", 1)
    fewer = frames_of(rollout_gif(line, 0, "fno", COLOURS, LIGHT))
    assert len(fewer) <= 10 < len(complete)
    assert fewer[0] == complete[0]
    assert fewer[-1] == complete[-1]


def test_logs_of_any_shape_are_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines: list[Any] = [
        {"train/loss": 1.0},
        {"train/loss": 0.5, "note": "text", "epoch": 1},
        3,
        {"step": 7, "lr": True},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\nnot json\n")
    log = read_log("operator", path)
    assert log.series["train/loss"] == ([0.0, 1.0], [1.0, 0.5]), "without a step the line number counts"
    assert "note" not in log.series
    assert read_log("operator", tmp_path / "absent.jsonl").series == {}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("diverged", [1, 3])
def test_calibration_is_that_of_the_trajectories_that_did_not_diverge(diverged: int) -> None:
    found = Results("ours", [], "test", members={"ours": 4}, per_step={"wave": {}})
    found.values = {"wave": {"ours": {"rank_chi2": "ranks", "spread_skill": "skill"}}}
    arrays = {"ranks": np.full((3, 5), 0.2), "skill": np.full((3, 2, 1, 2), 0.5)}
    for values in arrays.values():
        values[:diverged] = np.inf
    figure = calibration_figure(found, arrays, "wave", {"ours": "#123456"})
    assert (figure is None) == (diverged == 3)


@pytest.mark.filterwarnings("error")
def test_colours_of_a_field_without_a_number_have_limits() -> None:
    assert colour_limits(np.full((3, 3), np.nan)) == (-0.5, 0.5)
    assert colour_limits(np.array([[np.nan, 1.0], [np.inf, 3.0]])) == (1.0, 3.0)
