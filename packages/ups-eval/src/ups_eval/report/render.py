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
from ups_eval.report.calibration_figure import calibration_figure
from ups_eval.report.collect import Evaluation, Run, collect
from ups_eval.report.curves import rollout_figure, training_figure
from ups_eval.report.field_figures import sample_figure
from ups_eval.report.style import DARK, LIGHT, model_colours
from ups_eval.results import Results
from ups_eval.tables import Row, all_metrics, format_number, headline, metric_label


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
    rollout: Markup | None = None
    calibration: Markup | None = None
    pictures: list[Picture] = field(default_factory=list)
    animation: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationSection:
    """What the page shows of one evaluation step."""

    id: str
    results: Results
    headline: list[Row]
    tasks: list[TaskSection]


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
        sentences=[sentence(evaluation.results) for evaluation in run.evaluations],
        colours=colours,
        evaluations=[_section(evaluation, colours, animate) for evaluation in run.evaluations],
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


def sentence(results: Results) -> str:
    """The result in words: the error of the model, and how it compares with the baselines."""
    parts = []
    for task in results.tasks:
        value = results.value(task, results.model, results.criterion)
        if value is None:
            parts.append(f"is not defined on {task}")
        elif count := results.diverged(task, results.model):
            parts.append(
                f"diverges on {count} of {len(results.trajectories.get(task, ()))} trajectories of {task}"
            )
        else:
            compared = ", ".join(filter(None, (_compared(results, task, name) for name in results.baselines)))
            text = f"has {metric_label(results.criterion)} {format_number(value)} on {task}"
            parts.append(f"{text} ({compared})" if compared else text)
    return f"On the {results.split} split, {results.model} {' and '.join(parts) or 'was scored on no task'}."


def _compared(results: Results, task: str, baseline: str) -> str:
    """`8.3 times better than persistence`, or nothing if the baseline was not scored."""
    if results.diverged(task, baseline):
        return f"{baseline} diverges"
    ratio = results.ratio(task, results.model, baseline, results.criterion)
    if not ratio:
        return ""
    factor, word = (1 / ratio, "better") if ratio <= 1 else (ratio, "worse")
    return f"{factor:.3g} times {word} than {baseline}"


def _section(evaluation: Evaluation, colours: Mapping[str, str], animate: bool) -> EvaluationSection:
    results = evaluation.results
    tasks = [
        replace(
            _task(results, task, evaluation.predictions.get(task), colours, animate),
            calibration=_calibration(evaluation, task, colours),
        )
        for task in results.tasks
    ]
    return EvaluationSection(evaluation.id, results, headline(results), tasks)


def _task(
    results: Results, task: str, stored: TaskPredictions | None, colours: Mapping[str, str], animate: bool
) -> TaskSection:
    metrics = all_metrics(results, task)
    history, dt = (stored.info.history, stored.info.dt) if stored else (1, 0.0)
    curve = rollout_figure(results, task, colours, history, dt)
    rollout = Markup(curve) if curve else None
    model = results.model
    if stored is None or model not in stored.predictions:
        return TaskSection(task, stored.info.equation if stored else "", metrics, rollout)
    rows = {
        row: name for name, row in reversed(stored.picks.items())
    }  # the first name wins if names share a row
    pictures = [
        Picture(_caption(stored, row, model, name), Markup(sample_figure(stored, row, model, colours)))
        for row, name in sorted(rows.items(), key=lambda item: list(stored.picks).index(item[1]))
    ]
    animation = {}
    if animate and stored.info.kind == "evolution" and stored.picks:
        median = stored.picks.get("median", 0)
        for name, theme in (("light", LIGHT), ("dark", DARK)):
            gif = rollout_gif(stored, median, model, colours, theme)
            animation[name] = f"data:image/gif;base64,{base64.b64encode(gif).decode()}"
    equation = stored.info.equation
    return TaskSection(task, equation, metrics, rollout, pictures=pictures, animation=animation)


def _calibration(evaluation: Evaluation, task: str, colours: Mapping[str, str]) -> Markup | None:
    figure = calibration_figure(evaluation.results, evaluation.statistics, task, colours)
    return None if figure is None else Markup(figure)


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
