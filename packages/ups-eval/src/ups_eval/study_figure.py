"""`study.png`: the objective against every parameter, and the best value from trial to trial."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ups_core.events import StudyInfo
from ups_core.files import replacing
from ups_core.study.space import Choice, Parameter, value_text
from ups_core.study.study import Study, Trial
from ups_eval.report.style import (
    LIGHT,
    PALETTE,
    PERSISTENCE,
    dress,
    legend,
    new_figure,
    plain_log_ticks,
    scale_values,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4


def write_study_figure(info: StudyInfo) -> None:
    """Draw the study into `study.png`; a study without a completed trial gets none.

    Raises:
        UPSError: `study.json` is missing or unreadable.
    """
    study = Study.read(info.directory)
    if study.best is not None:
        figure = draw_study(study, info.metric)
        with replacing(info.directory / "study.png") as temporary:
            figure.savefig(temporary, format="png", dpi=150)


def draw_study(study: Study, metric: str) -> Figure:
    """One panel per parameter, and one with the value of every trial.

    Args:
        study: has a completed trial.
        metric: name of the objective.
    """
    panels = len(study.space) + 1
    columns = min(panels, COLUMNS)
    rows = math.ceil(panels / columns)
    figure = new_figure(3.3 * columns, 2.7 * rows, LIGHT.paper)
    cells = list(figure.subplots(rows, columns, squeeze=False).flat)
    for parameter, axes in zip(study.space, cells, strict=False):
        _against(axes, parameter, study)
        dress(axes, x=parameter.key, y=metric, grid=True, ink=LIGHT.ink)
    _history(cells[len(study.space)], study)
    dress(cells[len(study.space)], x="trial", y=metric, grid=True, ink=LIGHT.ink)
    legend(cells[len(study.space)], ink=LIGHT.ink)
    for axes in cells[panels:]:  # the last row may be incomplete
        axes.remove()
    return figure


def _against(axes: Axes, parameter: Parameter, study: Study) -> None:
    """One point per trial, the best in colour; crosses along the top for failed trials."""
    if isinstance(parameter, Choice):
        texts = [value_text(value) for value in parameter.values]
        axes.set_xticks(range(len(texts)), texts)
        axes.set_xlim(-0.5, len(texts) - 0.5)
    elif parameter.log:
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, parameter.low, parameter.high)
    done, failed = _completed(study), [trial for trial in study.trials if trial.status == "failed"]
    axes.plot([_place(parameter, t) for t in done], _values(done), "o", color=PERSISTENCE, markersize=4)
    best = study.ranked[:1]
    axes.plot([_place(parameter, t) for t in best], _values(best), "o", color=PALETTE[1], markersize=6)
    axes.plot(
        [_place(parameter, trial) for trial in failed],
        [0.97] * len(failed),
        "x",
        color=PALETTE[4],
        markersize=4,
        transform=axes.get_xaxis_transform(),
    )
    scale_values(axes, _values(done))


def _history(axes: Axes, study: Study) -> None:
    """The value of every trial and the best so far."""
    from matplotlib.ticker import MaxNLocator

    done = _completed(study)
    values = _values(done)
    choose = max if study.higher_is_better else min
    best = [choose(values[: count + 1]) for count in range(len(values))]
    numbers = [trial.number for trial in done]
    axes.plot(numbers, values, "o", color=PERSISTENCE, markersize=4, label="trial")
    axes.step(numbers, best, where="post", color=PALETTE[0], linewidth=1.5, label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    scale_values(axes, values)


def _completed(study: Study) -> list[Trial]:
    return [trial for trial in study.trials if trial.value is not None]


def _values(trials: list[Trial]) -> list[float]:
    return [trial.value for trial in trials if trial.value is not None]


def _place(parameter: Parameter, trial: Trial) -> float:
    """The coordinate of a trial on the axis of a parameter."""
    value = trial.parameters[parameter.key]
    if isinstance(parameter, Choice):
        return [value_text(choice) for choice in parameter.values].index(value_text(value))
    return float(value)
