"""How honest an ensemble is: ranks of the truth among the members, coverage of their intervals, spread and
error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ups_eval.report.style import dress, legend, new_figure, to_svg
from ups_eval.results import Results
from ups_eval.trajectory_statistics import Values

LEVELS = {"coverage_50": 0.5, "coverage_90": 0.9}
"""Metric -> its nominal level."""
EXPECTED = {"color": "0.5", "linewidth": 1.0, "linestyle": "--"}


def calibration_figure(
    results: Results, arrays: Mapping[str, Values], task: str, colours: Mapping[str, str]
) -> str | None:
    """Rank histogram, coverage, and spread against error of every ensemble on one task; None if there is
    none, or all of its trajectories diverged.

    Args:
        results: of an evaluation step.
        arrays: its statistics of trajectories.
        task: name of the task.
        colours: model -> colour.
    """
    noted = results.values.get(task, {})
    ranks = {
        model: _of_finite(arrays[values["rank_chi2"]])
        for model, values in noted.items()
        if model in results.members and values.get("rank_chi2") in arrays
    }
    shares = {model: found.mean(axis=0) for model, found in ranks.items() if len(found)}
    if not shares:
        return None
    figure = new_figure(9.0, 2.7)
    histogram, coverage, skill = figure.subplots(1, 3, width_ratios=(2, 1, 1))
    for number, (model, share) in enumerate(shares.items()):
        width = 0.8 / len(shares)
        places = [rank - 0.4 + (number + 0.5) * width for rank in range(len(share))]
        histogram.bar(places, share * len(share), width, color=colours[model], label=model)
        levels = {LEVELS[name]: results.value(task, model, name) for name in LEVELS if name in noted[model]}
        coverage.plot(list(levels), list(levels.values()), "o-", color=colours[model], label=model)
        if noted[model].get("spread_skill") in arrays:
            # Roots of means over frames and channels: one point per trajectory.
            spread, error = np.sqrt(_of_finite(arrays[noted[model]["spread_skill"]]).mean(axis=(1, 2))).T
            skill.plot(spread, error, ".", markersize=3, color=colours[model], label=model)
    ends = (*skill.get_xlim(), *skill.get_ylim())
    skill.plot([min(ends), max(ends)], [min(ends), max(ends)], **EXPECTED)
    histogram.axhline(1.0, **EXPECTED)
    coverage.plot([0, 1], [0, 1], **EXPECTED)
    dress(histogram, title="rank of the truth", x="members below it", y="share × ranks")
    dress(coverage, title="coverage", x="level of the interval", y="share of points inside", grid=True)
    dress(skill, title="trajectories", x="spread of the members", y="error of their mean", grid=True)
    if len(shares) > 1:
        legend(histogram)
    return to_svg(
        figure, f"rank histogram, coverage, and spread against error of {', '.join(shares)} on {task}"
    )


def _of_finite(values: Values) -> Values:
    """The rows of trajectories that did not diverge."""
    finite: Values = values[np.isfinite(values).reshape(len(values), -1).all(axis=1)]
    return finite
