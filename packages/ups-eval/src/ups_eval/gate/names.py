"""Which models a gate may name, known before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from ups_core.mistakes import did_you_mean
from ups_core.step_config import StepConfig
from ups_eval.config import OWN_ROWS, ScoreConfig

CHAMPION = "champion"
"""What the best entry of the leaderboard is called."""


def unknown_model(model: str, rollout: StepConfig | None, others: Sequence[str] = ()) -> str:
    """What is wrong with the name of a baseline or of a row that a rollout adds; see
    :func:`ups_eval.config.unknown_metric`."""
    if not isinstance(rollout, ScoreConfig):
        return ""
    known = [*rollout.rows, *OWN_ROWS, *others]
    return "" if model in known else f"unknown model '{model}'{did_you_mean(model, known)}"
