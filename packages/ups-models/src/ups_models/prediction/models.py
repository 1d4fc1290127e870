"""Finds the saved model that a user names: a bundle, a step of a run, or a run."""

from __future__ import annotations

from pathlib import Path

import yaml

from ups_core import UsageError
from ups_core.layout import step_directory
from ups_core.reading import read_text
from ups_core.run_file import RUN, SPEC, check_spec, read_run
from ups_models.bundle_config import CONFIG

MODEL = "model"
"""Folder of the model in the directory of a step."""


def find_model(place: Path) -> Path:
    """The directory of a bundle.

    Args:
        place: a bundle, the directory of a step that trained a model, or a run directory, of which the model
            of the last finished step that has one is taken.

    Raises:
        UsageError: there is no model.
    """
    if not place.is_dir():
        raise UsageError(f"{place} is not a directory; name a saved model, a step or a run directory")
    if (place / CONFIG).exists():
        return place
    if (place / RUN).exists():
        return _newest(place)
    if (place / MODEL / CONFIG).exists():
        return place / MODEL
    raise UsageError(f"{place} is not a saved model ({CONFIG}), a step with one or a run directory ({RUN})")


def _newest(run: Path) -> Path:
    """The model of the last finished step of a run's own pipeline; baselines are steps beside it."""
    record = read_run(run)
    check_spec(run, record.spec)
    own = {step.get("id") for step in yaml.safe_load(read_text(run / SPEC))["pipeline"]}
    for step in reversed(record.steps):
        model = step_directory(run, step.id) / MODEL
        if step.id in own and step.status == "completed" and (model / CONFIG).exists():
            return model
    raise UsageError(f"{run} has no finished step with a model; finish the run, or name a step")
