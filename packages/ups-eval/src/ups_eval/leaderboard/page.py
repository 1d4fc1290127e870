"""A leaderboard as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping

from ups_eval.leaderboard.ranking import Ranking
from ups_eval.leaderboard.words import board_title, gates_text, resolution_text
from ups_eval.pages import environment
from ups_eval.tables import metric_label


def render(
    rankings: Mapping[str, Ranking], metric: str, histories: Mapping[str, list[tuple[str, str, str]]]
) -> str:
    """The page as HTML without external files or scripts.

    Args:
        rankings: board -> its ranking.
        metric: that they are ranked by.
        histories: board -> time, run and reason of every promotion.
    """
    templates = environment("leaderboard")
    templates.filters |= {"gates": gates_text, "board": board_title}
    return templates.get_template("page.html.j2").render(
        rankings=rankings, metric=metric_label(metric), histories=histories, resolution=resolution_text
    )
