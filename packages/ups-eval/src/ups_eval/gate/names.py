"""Which metrics and models a gate may name, known before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from ups_core.mistakes import did_you_mean
from ups_core.names import metric_key
from ups_core.step_config import StepConfig
from ups_eval.config import OWN_METRICS, OWN_ROWS, RolloutConfig

CHAMPION = "champion"
"""What the best entry of the leaderboard is called."""


def known_metrics(rollout: RolloutConfig) -> list[str]:
    """Names of the numbers that a rollout reports."""
    return [*(metric_key(metric.kind) for metric in rollout.scores), *OWN_METRICS]


def unknown_metric(metric: str, rollout: StepConfig | None) -> str:
    """What is wrong with the name of a metric; "" if nothing is, or if the step before is not a rollout."""
    if not isinstance(rollout, RolloutConfig) or metric_key(metric) in (known := known_metrics(rollout)):
        return ""
    return f"unknown metric '{metric}'{did_you_mean(metric, known)}"


def unknown_model(model: str, rollout: StepConfig | None, others: Sequence[str] = ()) -> str:
    """The same for the name of a baseline or of a row that a rollout adds."""
    if not isinstance(rollout, RolloutConfig):
        return ""
    known = [*rollout.rows, *OWN_ROWS, *others]
    return "" if model in known else f"unknown model '{model}'{did_you_mean(model, known)}"
