"""Options of `evaluate: leaderboard`; without torch, because planning reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ups_core import EvaluationConfig
from ups_core.step_config import Issues, StepConfig
from ups_eval.config import unknown_metric


class LeaderboardConfig(EvaluationConfig):
    """Enter the scores of a rollout into a leaderboard, and promote the model if it is better."""

    consumes: ClassVar[tuple[str, ...]] = ("metrics",)
    produces: ClassVar[tuple[str, ...]] = ("leaderboard",)
    always: ClassVar[bool] = True

    store: str | None = None
    """The SQLite file; default: `leaderboard.sqlite` in the directory of runs."""
    metric: str = "nrmse"
    """The metric that decides on promotion."""
    promote: Literal["better", "never"] = "better"
    """`better`: the model becomes the champion of a board that has none, or if all gates of the run passed
    and it is better than the champion by more than the noise."""
    baselines: bool = True
    """Whether to enter the baselines too."""
    seed_spread: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Assumed relative standard deviation of the metric between seeds; those in the leaderboard correct
    it."""

    def check_inputs(self, inputs: Mapping[str, StepConfig]) -> Issues:
        """An unknown metric."""
        problem = unknown_metric(self.metric, inputs.get("metrics"))
        return [("metric", problem)] if problem else ()
