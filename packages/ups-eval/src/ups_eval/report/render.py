"""Renders a collected run as one page: text, tables and figures in one template."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ups_core.files import write_text
from ups_core.page import PAGE, page_of
from ups_eval.page_seal import sealed_page
from ups_eval.pages import environment
from ups_eval.predictions import TaskPredictions
from ups_eval.report.animation import rollout_gif
from ups_eval.report.bars import score_bars
from ups_eval.report.calibration_figure import calibration_figure
from ups_eval.report.collect import Evaluation, Run, collect
from ups_eval.report.costs import CostRow, cost_rows
from ups_eval.report.curves import rollout_figure, training_figure
from ups_eval.report.field_figures import sample_figure
from ups_eval.report.lead import sentences
from ups_eval.report.notes import notes
from ups_eval.report.scores import all_rows, headline_rows, part_rows, physics_rows, worst_rows
from ups_eval.report.spectra import parity_figure, spectrum_figure
from ups_eval.report.style import DARK, LIGHT, model_colours
from ups_eval.results import Results
from ups_eval.tables import Row, format_number


@dataclass(frozen=True)
class Picture:
    """The figure of one stored trajectory."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class TaskSection:
    """What the page shows of one task in one evaluation."""

    name: str
    equation: str
    metrics: list[Row]
    parts: list[Row]
    physics: list[Row]
    worst: list[Row]
    costs: list[CostRow]
    solver: str
    bars: Markup | None = None
    rollout: Markup | None = None
    calibration: Markup | None = None
    spectrum: Markup | None = None
    parity: Markup | None = None
    pictures: list[Picture] = field(default_factory=list)
    animation: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationSection:
    """What the page shows of one evaluation step."""

    id: str
    results: Results
    sentences: list[str]
    headline: list[Row]
    tasks: list[TaskSection]
    notes: str
    rolls_out: bool


def write_report(
    run_directory: Path,
    target: Path | None = None,
    *,
    title: str | None = None,
    animate: bool = True,
    own_step: str | None = None,
) -> Path:
    """Render the report of a run and return the path of its page.

    Args:
        run_directory: a finished, failed or running run.
        target: folder of the page; default: `report` in the run directory.
        title: heading of the page; default: the name of the run.
        animate: whether to draw animated rollouts.
        own_step: id of the step that writes the report, which counts as completed on its own page.

    Raises:
        UPSError: the directory is not a run directory, or its stored predictions cannot be read.
    """
    run = settle(collect(Path(run_directory)), own_step)
    path = target / PAGE if target else page_of(run.directory)
    write_text(path, sealed_page(render(run, title=title, animate=animate)))
    return path


def render(run: Run, *, title: str | None = None, animate: bool = True) -> str:
    """The page as HTML without external files."""
    colours = model_colours([model for evaluation in run.evaluations for model in evaluation.results.models])
    training = [(log.step, Markup(svg)) for log in run.training if (svg := training_figure(log))]
    templates = environment("report")
    templates.filters |= {"words": words}
    return templates.get_template("page.html.j2").render(
        run=run,
        title=title or run.name,
        colours=colours,
        evaluations=[_section(evaluation, run, colours, animate) for evaluation in run.evaluations],
        training=training,
        command=repeat_command(run),
    )


def settle(run: Run, own_step: str | None) -> Run:
    """The run as it will be after the step that writes the report."""
    if own_step is None:
        return run
    steps = [
        step.model_copy(update={"status": "completed"}) if step.id == own_step else step for step in run.steps
    ]
    ended = run.status == "running" and all(step.status == "completed" for step in steps)
    return replace(run, steps=steps, status="completed" if ended else run.status)


def _section(
    evaluation: Evaluation, run: Run, colours: Mapping[str, str], animate: bool
) -> EvaluationSection:
    results = evaluation.results
    tasks = [_task(evaluation, run, task, colours, animate) for task in results.tasks]
    return EvaluationSection(
        evaluation.id,
        results,
        sentences(evaluation, run),
        headline_rows(evaluation),
        tasks,
        notes(results.models),
        rolls_out=any(len(frames) > 1 for models in results.per_step.values() for frames in models.values()),
    )


def _task(
    evaluation: Evaluation, run: Run, task: str, colours: Mapping[str, str], animate: bool
) -> TaskSection:
    results, stored = evaluation.results, evaluation.predictions.get(task)
    section = TaskSection(
        name=task,
        equation=stored.info.equation if stored else "",
        metrics=all_rows(evaluation, task),
        parts=part_rows(evaluation, task),
        physics=physics_rows(evaluation, task),
        worst=worst_rows(evaluation, task),
        costs=cost_rows(evaluation, run, task),
        solver=results.problems[task].solver if task in results.problems else "",
        bars=_markup(score_bars(evaluation, task, colours)),
        calibration=_markup(calibration_figure(results, evaluation.statistics, task, colours)),
        rollout=_markup(
            rollout_figure(
                results,
                task,
                colours,
                stored.info.history if stored else 1,
                stored.info.dt if stored else 0.0,
            )
        ),
    )
    model = results.model
    if stored is None or model not in stored.predictions:
        return section
    # The first name wins if names share a row; the worst is shown first.
    rows = {row: name for name, row in reversed(stored.picks.items())}
    order = [name for name in ("worst", "median", "best") if name in rows.values()]
    return replace(
        section,
        spectrum=Markup(spectrum_figure(stored, colours)),
        parity=Markup(parity_figure(stored, model, colours)),
        pictures=[
            Picture(_caption(stored, row, model, name), Markup(sample_figure(stored, row, model, colours)))
            for row, name in sorted(rows.items(), key=lambda item: order.index(item[1]))
        ],
        animation=_animation(stored, model, colours) if animate else {},
    )


def _animation(stored: TaskPredictions, model: str, colours: Mapping[str, str]) -> dict[str, str]:
    if stored.info.kind != "evolution" or not stored.picks:
        return {}
    median = stored.picks.get("median", 0)
    films = {
        name: rollout_gif(stored, median, model, colours, theme)
        for name, theme in (("light", LIGHT), ("dark", DARK))
    }
    return {name: f"data:image/gif;base64,{base64.b64encode(gif).decode()}" for name, gif in films.items()}


def _markup(svg: str | None) -> Markup | None:
    return None if svg is None else Markup(svg)


def _caption(stored: TaskPredictions, row: int, model: str, name: str) -> str:
    values = zip(stored.info.parameters, stored.params[row], strict=True)
    parameters = "".join(f", {parameter.name} = {value:.3g}" for parameter, value in values)
    error = format_number(float(stored.nrmse[model][row]))
    return f"{name.capitalize()}: trajectory {stored.index[row]}{parameters}, nRMSE {error}"


def repeat_command(run: Run) -> str:
    """The command that repeats the run."""
    if not run.command:
        return "ups-run spec.yaml"
    return shlex.join([Path(run.command[0]).name, *run.command[1:]])


def words(value: Any) -> str:
    """A value of a record as text: nested data becomes `key value, key value`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {words(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(words(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value)
