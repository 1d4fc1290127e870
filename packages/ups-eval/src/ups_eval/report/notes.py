"""What the rows of a table of scores are, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable

NOTES = {
    "persistence": "repeats the last given frame",
    "mean": "the mean of the training split",
    "latent_rollout": "the model without decoding between steps",
    "without_sampling": "the model without noise or correction",
    "random_errors": "that with the errors of random training trajectories",
    "choice": "of several candidates the one that physics prefers",
    "no_choice": "one prediction without sampling",
    "random_choice": "one candidate",
    "mean_of_candidates": "their mean",
    "oracle_choice": "the candidate that is nearest to the truth, a bound for every choice",
    "combined": "their weighted mean with the least estimated error",
    "refined_*": "iterations of the discrete equation from no_choice",
    "iterations_*": "as many from zero",
    "posterior": "the mean of samples given the observed points",
    "expected": "what the prior expects, by one evaluation",
    "posterior_solve": "the mean of the solver's solutions of sampled coefficients",
    "nearest": "the training sample that is nearest at the points",
    "rbf": "radial basis functions, then the solver for a solution",
    "kriging": "the best linear estimate",
    "kriging_solve": "that of the coefficient, then the solver",
    "map": "the most probable coefficient by the solver's adjoint",
}
"""Rows that evaluation steps add of their own accord, and baselines that need no training; * is a number."""


def notes(models: Iterable[str]) -> str:
    """What the rows are whose names do not say it; "" if there is none."""
    names = dict.fromkeys(re.sub(r"(?<=_)\d+$", "*", model) for model in models)
    known = [f"{name}: {NOTES[name]}" for name in names if name in NOTES]
    return f"{'; '.join(known)}." if known else ""
